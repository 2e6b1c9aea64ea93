//! What we write, read by foreign programs: FFmpeg 8 through PyAV in `.venv`, and the `ffprobe` and
//! `ffmpeg` of the machine. Each test is skipped, saying why, where its program is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use gbmedia::clip::Clip;
use gbmedia::frame::{AudioParameters, Codec, Frame, VideoParameters};
use gbmedia::gop::GopCache;
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings};
use gbmedia::outlet::{Container, Outlet, OutletSettings};
use gbmedia::packetize::Framing;
use gbmedia::playout::{Playout, PlayoutSettings};
use gbmedia::rtp::RtpPacket;

const CODECS: [&str; 2] = ["h264", "h265"];
/// Frames of the clips of `tests/wire/clips`, a key frame every fifth.
const CLIP_FRAMES: usize = 25;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn clip(name: &str) -> Arc<Clip> {
    let path = root().join(format!("tests/wire/clips/{name}.gbclip"));
    Arc::new(Clip::parse(std::fs::read(path).unwrap().into()).unwrap())
}

fn written(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Standard output of a program that must succeed and complain of nothing; `None` if it is missing.
fn run(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: {} cannot be started: {error}", program.display());
            return None;
        }
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaints}");
    assert_eq!(complaints, "", "{arguments:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The line of `decode.py` that begins with `name`.
fn line<'a>(output: &'a str, name: &str) -> &'a str {
    output
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no line {name} in {output}"))
}

fn list<T: std::str::FromStr>(output: &str, name: &str) -> Vec<T> {
    line(output, name)
        .split(' ')
        .filter_map(|item| item.parse().ok())
        .collect()
}

fn pyav(path: &Path) -> Option<String> {
    let python = root().join(".venv/bin/python");
    let has_av = Command::new(&python).args(["-c", "import av"]).status();
    if !has_av.is_ok_and(|status| status.success()) {
        println!(
            "skipped: {} has no PyAV (run `make install`)",
            python.display()
        );
        return None;
    }
    let script = "media_core/gbmedia/tests/decode.py";
    let program = format!("import sys, runpy; sys.path.insert(0, '.'); runpy.run_path('{script}')");
    run(&python, &["-c", &program, path.to_str().unwrap()])
}

fn ffmpeg_decodes(path: &Path) {
    let path = path.to_str().unwrap();
    run(
        Path::new("ffmpeg"),
        &["-v", "warning", "-xerror", "-i", path, "-f", "null", "-"],
    );
}

/// NAL units of an Annex B frame without start codes and the zeros before them.
fn nal_units(data: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..data.len().saturating_sub(2))
        .filter(|at| data[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let unit = &data[start + 3..end];
            let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
            &unit[..unit.len() - zeros]
        })
        .collect()
}

fn unit_type(codec: Codec, unit: &[u8]) -> u8 {
    match codec {
        Codec::H264 => unit[0] & 0x1F,
        _ => unit[0] >> 1 & 0x3F,
    }
}

fn is_parameter_set(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H264 => [7, 8].contains(&unit_type(codec, unit)),
        _ => [32, 33, 34].contains(&unit_type(codec, unit)),
    }
}

fn parameters(clip: &Clip) -> VideoParameters {
    let units = nal_units(&clip.frames[0].data);
    let sets = |wanted| -> Vec<Bytes> {
        let of_type = units
            .iter()
            .filter(|unit| unit_type(clip.video, unit) == wanted);
        of_type.map(|unit| Bytes::copy_from_slice(unit)).collect()
    };
    let (vps, sps, pps) = match clip.video {
        Codec::H264 => (Vec::new(), sets(7), sets(8)),
        _ => (sets(32), sets(33), sets(34)),
    };
    let first = sps[0].clone();
    // H.265 7.3.2.2: header (2), ids (1), then profile, tier and level behind emulation prevention.
    let mut plain: Vec<u8> = Vec::new();
    for byte in &first {
        if !(*byte == 3 && plain.ends_with(&[0, 0])) {
            plain.push(*byte);
        }
    }
    let hevc = clip.video == Codec::H265;
    VideoParameters {
        codec: clip.video,
        vps,
        sps,
        pps,
        width: clip.width.into(),
        height: clip.height.into(),
        fps_milli: 25_000,
        profile: first[1],
        constraints: first[2],
        level: first[3],
        chroma_format: 1,
        bit_depth_luma: 8,
        bit_depth_chroma: 8,
        profile_tier_level: if hevc {
            plain[3..15].try_into().unwrap()
        } else {
            [0; 12]
        },
    }
}

/// A clip played `loops` times as the ingest would deliver it: pictures and sound in turn.
fn frames(clip: &Clip, loops: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    for round in 0..loops as i64 {
        for (index, picture) in clip.frames.iter().enumerate() {
            let mut data = Vec::new();
            for unit in nal_units(&picture.data) {
                if !is_parameter_set(clip.video, unit) {
                    data.extend_from_slice(&(unit.len() as u32).to_be_bytes());
                    data.extend_from_slice(unit);
                }
            }
            let dts = 90_000 + round * clip.duration + picture.pts;
            let frame = |codec, key, data: Bytes| Frame {
                codec,
                dts,
                pts: dts,
                key,
                corrupt: false,
                data,
            };
            frames.push(frame(clip.video, picture.key, data.into()));
            let sound = Bytes::copy_from_slice(clip.sound_of(index));
            frames.push(frame(Codec::G711A, false, sound));
        }
    }
    frames
}

/// AAC frames without their ADTS headers, 64 ms each.
fn aac_frames() -> Vec<Frame> {
    let stream = Bytes::from(std::fs::read(root().join("tests/wire/clips/tone.adts")).unwrap());
    let (mut at, mut frames) = (0, Vec::new());
    while at < stream.len() {
        // ISO/IEC 13818-7 6.2: frame_length is 13 bits from bit 30; the header has 7 bytes.
        let word = u32::from_be_bytes(stream[at + 2..at + 6].try_into().unwrap());
        let length = (word >> 5 & 0x1FFF) as usize;
        let dts = 90_000 + frames.len() as i64 * 5760;
        frames.push(Frame {
            codec: Codec::Aac,
            dts,
            pts: dts,
            key: false,
            corrupt: false,
            data: stream.slice(at + 7..at + length),
        });
        at += length;
    }
    frames
}

/// What a viewer gets who joins when `joined` frames are over, and stays to the end.
fn viewed(clip: &Clip, container: Container, joined: usize, loops: usize) -> Vec<u8> {
    let mut cache = GopCache::default();
    cache.set_video(Arc::new(parameters(clip)));
    cache.set_audio(Arc::new(AudioParameters {
        codec: Codec::G711A,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    }));
    let frames = frames(clip, loops);
    let (before, after) = frames.split_at(joined * 2);
    before.iter().for_each(|frame| cache.push(frame));
    let mut outlet = Outlet::new(OutletSettings::new(container, false), 0);
    outlet.join(&cache, 0);
    after.iter().for_each(|frame| outlet.push(frame, 0));
    output(&outlet)
}

fn output(outlet: &Outlet) -> Vec<u8> {
    let mut slices = Vec::new();
    outlet.slices(&mut slices, usize::MAX);
    slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

/// Sender, ingest and outlet behind each other.
fn relayed(clip: &Arc<Clip>, container: Container, loops: i64) -> Vec<u8> {
    let settings = PlayoutSettings::new(100_000_001, Framing::Datagrams);
    let mut playout = Playout::new(Arc::clone(clip), settings, 0);
    let mut ingest = Ingest::new(IngestSettings::default());
    let mut outlet = Outlet::new(OutletSettings::new(container, false), 0);
    let end = (loops * clip.duration * 100 / 9) as u64;
    let (mut now, mut content) = (0, Vec::new());
    while now < end {
        while let Some(run) = playout.due(now) {
            run.packets()
                .for_each(|packet| ingest.receive_rtp(packet, now));
        }
        while let Some(event) = ingest.next_event() {
            match event {
                IngestEvent::Video(video) => outlet.set_video(video),
                IngestEvent::Audio(audio) => outlet.set_audio(audio),
                IngestEvent::Frame(frame) => outlet.push(&frame, now),
                _ => {}
            }
        }
        let waiting = output(&outlet);
        outlet.taken(waiting.len(), now);
        content.extend(waiting);
        now = playout.next_due();
    }
    content
}

#[test]
fn a_cameras_program_stream_arrives_picture_by_picture() {
    for (name, container, suffix) in [
        ("h264", Container::Flv, "flv"),
        ("h265", Container::Flv, "flv"),
        ("h264", Container::Fmp4, "mp4"),
        ("h265", Container::Fmp4, "mp4"),
    ] {
        let content = relayed(&clip(name), container, 3);
        let Some(output) = pyav(&written(&format!("{name}_relayed.{suffix}"), &content)) else {
            return;
        };
        let numbers = list::<usize>(&output, "numbers");
        // The newest frame waits for the packet behind it.
        assert!(
            (74..=75).contains(&numbers.len()),
            "{name}: {}",
            numbers.len()
        );
        let expected: Vec<usize> = (0..numbers.len())
            .map(|index| index % CLIP_FRAMES)
            .collect();
        assert_eq!(numbers, expected);
        let times: Vec<usize> = (0..numbers.len()).map(|index| index * 40).collect();
        assert_eq!(list::<usize>(&output, "ms"), times);
    }
}

#[test]
fn aac_plays_in_both_containers() {
    let clip = clip("h264");
    let sound = aac_frames();
    assert_eq!(sound.len(), 48);
    let mut frames: Vec<Frame> = frames(&clip, 3);
    frames.retain(|frame| frame.codec == Codec::H264);
    frames.extend(sound);
    frames.sort_by_key(|frame| frame.dts);
    for (container, suffix) in [(Container::Flv, "flv"), (Container::Fmp4, "mp4")] {
        let mut outlet = Outlet::new(OutletSettings::new(container, false), 0);
        outlet.set_video(Arc::new(parameters(&clip)));
        outlet.set_audio(Arc::new(AudioParameters {
            codec: Codec::Aac,
            sample_rate: 16_000,
            channels: 1,
            config: Bytes::from_static(&[0x14, 0x08]),
        }));
        frames.iter().for_each(|frame| outlet.push(frame, 0));
        let path = written(&format!("aac.{suffix}"), &output(&outlet));
        let Some(output) = pyav(&path) else {
            return;
        };
        assert_eq!(line(&output, "sound"), format!("aac {}", 48 * 1024));
        assert_eq!(list::<usize>(&output, "numbers").len(), 75);
        if container == Container::Fmp4 {
            let samples: Vec<i64> = (0..48).map(|index| index * 1024).collect();
            assert_eq!(list::<i64>(&output, "sound_ticks"), samples);
        }
        ffmpeg_decodes(&path);
    }
}

/// From the key frame at or before frame 13 (the viewer joins there), three loops of the clip.
fn expected_numbers() -> Vec<usize> {
    (10..3 * CLIP_FRAMES)
        .map(|number| number % CLIP_FRAMES)
        .collect()
}

fn check_decoded(output: &str, name: &str) {
    let numbers = expected_numbers();
    assert_eq!(
        line(output, "codec"),
        if name == "h264" { "h264" } else { "hevc" }
    );
    assert_eq!(line(output, "size"), "256 144");
    assert_eq!(list::<usize>(output, "numbers"), numbers);
    let times: Vec<usize> = (0..numbers.len()).map(|index| index * 40).collect();
    assert_eq!(
        list::<usize>(output, "ms"),
        times,
        "a viewer's time begins at zero"
    );
}

#[test]
fn flv_of_both_codecs_decodes_in_ffmpeg_8() {
    for name in CODECS {
        let content = viewed(&clip(name), Container::Flv, 13, 3);
        let Some(output) = pyav(&written(&format!("{name}.flv"), &content)) else {
            return;
        };
        check_decoded(&output, name);
        let samples = expected_numbers().len() * 320;
        assert_eq!(line(&output, "sound"), format!("pcm_alaw {samples}"));
    }
}

#[test]
fn fmp4_of_both_codecs_decodes_in_ffmpeg_8() {
    for name in CODECS {
        let content = viewed(&clip(name), Container::Fmp4, 13, 3);
        let Some(output) = pyav(&written(&format!("{name}.mp4"), &content)) else {
            return;
        };
        check_decoded(&output, name);
        assert!(!output.contains("sound"), "G.711 is left out of MP4");
    }
}

/// `stream,codec,pts,key` of each packet by the machine's own ffprobe.
fn probed(path: &Path, format: &str) -> Option<Vec<(String, i64, bool)>> {
    let fields = "packet=codec_type,pts,flags";
    let path = path.to_str().unwrap();
    let arguments = [
        "-v",
        "warning",
        "-f",
        format,
        "-show_entries",
        fields,
        "-of",
        "csv=p=0",
        path,
    ];
    let output = run(Path::new("ffprobe"), &arguments)?;
    let packets = output.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut items = line.split(',');
        let kind = items.next().unwrap().to_owned();
        let pts = items.next().unwrap().parse().unwrap_or(i64::MIN);
        (kind, pts, items.next().unwrap().starts_with('K'))
    });
    Some(packets.collect())
}

#[test]
fn flv_and_mp4_decode_in_the_machines_ffmpeg() {
    // FFmpeg before 6.1 cannot read enhanced FLV: H.265 is checked with FFmpeg 8 above.
    for (name, container, suffix, ticks) in [
        ("h264", Container::Flv, "flv", 40),
        ("h264", Container::Fmp4, "mp4", 3600),
        ("h265", Container::Fmp4, "mp4", 3600),
    ] {
        let content = viewed(&clip(name), container, 13, 3);
        let path = written(&format!("{name}_machine.{suffix}"), &content);
        let Some(packets) = probed(&path, suffix) else {
            return;
        };
        let video: Vec<_> = packets
            .iter()
            .filter(|packet| packet.0 == "video")
            .collect();
        assert_eq!(video.len(), 65);
        for (index, (_, pts, key)) in video.iter().enumerate() {
            assert_eq!(
                (*pts, *key),
                (index as i64 * ticks, index % 5 == 0),
                "{path:?}"
            );
        }
        ffmpeg_decodes(&path);
    }
}

/// The program stream that a simulated camera sends, put together from its RTP packets.
fn sent(name: &str, loops: i64, sound: bool) -> (Vec<u8>, u32) {
    let clip = clip(name);
    let mut settings = PlayoutSettings::new(100_000_001, Framing::Datagrams);
    settings.sound = sound;
    let mut playout = Playout::new(Arc::clone(&clip), settings, 0);
    let (mut stream, mut first) = (Vec::new(), None);
    let end = (loops * clip.duration * 100 / 9) as u64;
    while playout.next_due() < end {
        while let Some(run) = playout.due(playout.next_due()) {
            for packet in run.packets() {
                let packet = RtpPacket::parse(packet).unwrap();
                first.get_or_insert(packet.timestamp());
                stream.extend_from_slice(packet.payload());
            }
            if playout.next_due() >= end {
                break;
            }
        }
    }
    (stream, first.unwrap())
}

#[test]
fn the_program_stream_is_demuxed_by_the_machines_ffprobe() {
    for name in CODECS {
        // Pictures alone: FFmpeg before 6.0 takes stream type 0x90 for MPEG sound.
        let (stream, first) = sent(name, 3, false);
        let path = written(&format!("{name}.ps"), &stream);
        let Some(packets) = probed(&path, "mpeg") else {
            return;
        };
        assert_eq!(packets.len(), 75);
        for (index, (kind, pts, key)) in packets.iter().enumerate() {
            assert_eq!((kind.as_str(), *key), ("video", index % 5 == 0), "{name}");
            assert_eq!(*pts, i64::from(first) + index as i64 * 3600, "{name}");
        }
        ffmpeg_decodes(&path);
    }
}

#[test]
fn the_program_stream_decodes_to_the_right_pictures_and_sound() {
    for name in CODECS {
        let (stream, first) = sent(name, 2, true);
        let Some(output) = pyav(&written(&format!("{name}_pyav.ps"), &stream)) else {
            return;
        };
        let ticks: Vec<i64> = (0..50)
            .map(|index| i64::from(first) + index * 3600)
            .collect();
        let numbers: Vec<usize> = (0..50).map(|number| number % CLIP_FRAMES).collect();
        assert_eq!(list::<usize>(&output, "numbers"), numbers);
        assert_eq!(list::<i64>(&output, "ticks"), ticks);
        assert_eq!(line(&output, "sound"), "pcm_alaw 16000");
        assert_eq!(list::<i64>(&output, "sound_ticks"), ticks);
    }
}
