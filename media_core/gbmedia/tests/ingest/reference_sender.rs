//! What our own reference sender emits comes back frame by frame, over both framings.

use bytes::Bytes;
use gbmedia::clip::Clip;
use gbmedia::frame::{Codec, Kind};
use gbmedia::ingest::{IngestEvent, IngestSettings};
use gbmedia::packetize::{Framing, Packetizer};
use gbmedia::ps::mux::{PictureUnit, PsMuxer, SoundUnit};
use gbmedia::rfc4571::Framer;

use crate::camera::*;

fn clip(name: &str) -> Clip {
    let path = format!(
        "{}/../../tests/wire/clips/{name}.gbclip",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Clip::parse(Bytes::from(bytes)).unwrap()
}

/// NAL units of an Annex B frame that a delivered frame keeps.
fn kept(codec: Codec, data: &[u8]) -> Bytes {
    let mut nals = Vec::new();
    let mut starts: Vec<_> = (0..data.len().saturating_sub(2))
        .filter(|&at| data[at..at + 3] == [0, 0, 1])
        .map(|at| at + 3)
        .collect();
    starts.push(data.len() + 3);
    for pair in starts.windows(2) {
        let nal = &data[pair[0]..pair[1] - 3];
        let end = nal
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |at| at + 1);
        let dropped = match codec {
            Codec::H264 => matches!(nal[0] & 0x1F, 7..=9 | 12),
            _ => matches!(nal[0] >> 1 & 0x3F, 32..=35 | 38),
        };
        if !dropped {
            nals.push(&nal[..end]);
        }
    }
    with_lengths(&nals)
}

fn play(name: &str, framing: Framing, max_pes_frames: usize) -> (Clip, Outcome) {
    let clip = clip(name);
    let muxer = PsMuxer::new(Some(clip.video), Some(Codec::G711A));
    let mut packetizer = Packetizer {
        ssrc: SSRC,
        payload_type: 96,
        sequence: 65_500,
        framing,
    };
    let mut bench = Bench::new(IngestSettings {
        reliable: framing == Framing::Rfc4571,
        ..expecting()
    });
    let mut framer = Framer::new();
    for frame in clip.frames.iter().take(max_pes_frames) {
        let pts = frame.pts + 5000;
        let picture = PictureUnit {
            pts,
            dts: pts,
            key: frame.key,
            data: &frame.data,
        };
        let sound = SoundUnit {
            pts,
            data: &[0xD5; 320],
        };
        let mut pack = Vec::new();
        muxer.pack(picture, &[sound], &mut pack);
        let mut bytes = Vec::new();
        packetizer.packetize(&pack, pts as u32, &mut bytes);
        match framing {
            Framing::Datagrams => {
                for packet in bytes.chunks(framing.stride()) {
                    bench.packets(&[packet.to_vec()]);
                }
            }
            Framing::Rfc4571 => {
                for part in bytes.chunks(1000) {
                    let now = bench.now;
                    let ingest = &mut bench.ingest;
                    let result = framer.receive(part, |packet| ingest.receive_rtp(packet, now));
                    assert_eq!(result, Ok(()));
                }
                bench.take();
            }
        }
        bench.now += FRAME_US;
    }
    (clip, bench.outcome)
}

#[test]
fn the_clips_come_back_frame_by_frame() {
    for name in ["h264", "h265"] {
        for framing in [Framing::Datagrams, Framing::Rfc4571] {
            let (clip, outcome) = play(name, framing, usize::MAX);
            let expected: Vec<_> = (clip.frames.iter())
                .map(|frame| kept(clip.video, &frame.data))
                .collect();
            assert!(outcome.video() == expected, "{name}");
            let keys = outcome.of_kind(Kind::Video);
            let keys: Vec<_> = keys.iter().map(|frame| frame.key).collect();
            let wanted: Vec<_> = clip.frames.iter().map(|frame| frame.key).collect();
            assert_eq!(keys, wanted);
            assert_eq!(outcome.quirks(), []);
            assert_eq!(outcome.of_kind(Kind::Audio).len(), clip.frames.len());
            let told = outcome.events.iter().find_map(|event| match event {
                IngestEvent::Video(parameters) => Some(parameters.clone()),
                _ => None,
            });
            let told = told.unwrap();
            assert_eq!(told.codec, clip.video);
            assert_eq!(
                (told.width, told.height),
                (clip.width.into(), clip.height.into())
            );
            assert_eq!(told.fps_milli, 25_000);
        }
    }
}
