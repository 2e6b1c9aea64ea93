use bytes::Bytes;

use super::*;
use crate::frame::Codec;
use crate::rtp::RtpPacket;

const H264_FILE: &[u8] = include_bytes!("../../../../tests/wire/clips/h264.gbclip");
const H265_FILE: &[u8] = include_bytes!("../../../../tests/wire/clips/h265.gbclip");

fn clip(file: &'static [u8]) -> Arc<Clip> {
    Arc::new(Clip::parse(Bytes::from_static(file)).unwrap())
}

/// A clip with one large key frame and four small ones.
fn synthetic(key_size: usize) -> Arc<Clip> {
    let mut clip = Clip::clone(&clip(H264_FILE));
    clip.frames.truncate(5);
    clip.duration = 5 * 3600;
    clip.frames[0].data = Bytes::from(vec![1; key_size]);
    Arc::new(clip)
}

/// Time, time stamp, marker, sequence, payload of all packets up to `until`.
fn play(playout: &mut Playout, until: u64) -> Vec<(u64, u32, bool, u16, Vec<u8>)> {
    let mut packets = Vec::new();
    let mut now = playout.next_due();
    while now <= until {
        while let Some(run) = playout.due(now) {
            assert!(run.bytes.len() <= 65_507);
            for bytes in run.packets() {
                let packet = RtpPacket::parse(bytes).unwrap();
                let payload = packet.payload().to_vec();
                packets.push((
                    now,
                    packet.timestamp(),
                    packet.marker(),
                    packet.sequence(),
                    payload,
                ));
            }
        }
        assert!(playout.next_due() > now, "time goes on");
        now = playout.next_due();
    }
    packets
}

#[test]
fn clip_files_of_both_codecs_are_read() {
    for (file, codec) in [(H264_FILE, Codec::H264), (H265_FILE, Codec::H265)] {
        let clip = clip(file);
        assert_eq!((clip.video, clip.audio), (codec, Some(Codec::G711A)));
        assert_eq!((clip.width, clip.height, clip.duration), (256, 144, 90_000));
        assert_eq!(clip.frames.len(), 25);
        assert_eq!(clip.frames.iter().filter(|frame| frame.key).count(), 5);
        let sound: usize = (0..25).map(|index| clip.sound_of(index).len()).sum();
        assert_eq!((sound, clip.sound.len()), (8000, 8000));
        assert_eq!(clip.sound_of(24).len(), 320);
    }
}

#[test]
fn real_time_in_a_loop() {
    let mut playout = Playout::new(
        clip(H264_FILE),
        PlayoutSettings::new(7, Framing::Datagrams),
        500,
    );
    let packets = play(&mut playout, 500 + 100_000_000);
    let ends = packets.iter().filter(|packet| packet.2).count();
    assert_eq!(ends, 2500, "100 s, 100 loops");
    assert_eq!(playout.stats().frames, 2500);
    assert_eq!(playout.stats().packets, packets.len() as u64);
    assert_eq!(playout.stats().stalls, 0);
    let mut first_of_frame: Vec<u64> = Vec::new();
    let mut previous = None;
    for (number, (at, timestamp, _, sequence, payload)) in packets.iter().enumerate() {
        assert_eq!(*sequence, packets[0].3.wrapping_add(number as u16));
        if previous != Some(*timestamp) {
            let expected = packets[0]
                .1
                .wrapping_add(3600 * first_of_frame.len() as u32);
            assert_eq!(*timestamp, expected);
            assert_eq!(payload[..4], [0, 0, 1, 0xBA], "a frame begins a packet");
            first_of_frame.push(*at);
            previous = Some(*timestamp);
        }
    }
    for (frame, at) in first_of_frame.iter().enumerate() {
        assert_eq!(*at, 500 + frame as u64 * 40_000);
    }
}

#[test]
fn a_key_frame_is_spread_over_seventy_percent_of_the_interval() {
    let settings = PlayoutSettings::new(7, Framing::Datagrams);
    let mut playout = Playout::new(synthetic(400_000), settings, 0);
    let packets = play(&mut playout, 79_999);
    let key: Vec<u64> = packets
        .iter()
        .filter(|p| p.1 == packets[0].1)
        .map(|p| p.0)
        .collect();
    assert_eq!(key.len(), 287);
    assert_eq!(key[0], 0);
    assert!(*key.last().unwrap() <= 28_000);
    let largest = key
        .iter()
        .map(|at| key.iter().filter(|other| *other == at).count())
        .max();
    assert!(
        largest.unwrap() <= 11,
        "no more than about 10 packets in a millisecond"
    );
    let other: Vec<u64> = packets
        .iter()
        .filter(|p| p.1 != packets[0].1)
        .map(|p| p.0)
        .collect();
    assert!(
        other.iter().all(|at| *at == 40_000),
        "a small frame leaves at once"
    );
}

#[test]
fn runs_fit_the_kernels_segmentation() {
    let settings = PlayoutSettings::new(7, Framing::Datagrams);
    let mut playout = Playout::new(synthetic(400_000), settings, 0);
    let mut sizes = Vec::new();
    while let Some(run) = playout.due(39_999) {
        assert_eq!(run.size, 1412);
        sizes.push(run.packets().count());
    }
    assert_eq!(sizes, [44, 44, 44, 44, 44, 44, 23]);
}

#[test]
fn over_tcp_the_run_is_the_byte_stream() {
    let settings = PlayoutSettings::new(7, Framing::Rfc4571);
    let mut playout = Playout::new(synthetic(3000), settings, 0);
    let mut stream = Vec::new();
    while let Some(run) = playout.due(39_999) {
        stream.extend_from_slice(run.bytes);
    }
    let (mut rest, mut count) = (&stream[..], 0);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (packet, later) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
        assert!(RtpPacket::parse(packet).is_ok());
        (rest, count) = (later, count + 1);
    }
    assert_eq!(count, playout.stats().packets);
}

#[test]
fn the_start_frame_falls_back_to_its_key_frame() {
    let mut settings = PlayoutSettings::new(7, Framing::Datagrams);
    let begin = |settings: PlayoutSettings| {
        let playout = Playout::new(clip(H264_FILE), settings, 0);
        playout.index
    };
    for (asked, got) in [(0, 0), (4, 0), (5, 5), (13, 10), (1000, 20)] {
        settings.start_frame = asked;
        assert_eq!(begin(settings), got);
    }
}

#[test]
fn same_seed_same_packets() {
    let bytes = |seed| {
        let mut settings = PlayoutSettings::new(7, Framing::Datagrams);
        settings.seed = seed;
        let mut playout = Playout::new(clip(H265_FILE), settings, 0);
        play(&mut playout, 200_000)
    };
    assert!(bytes(1) == bytes(1));
    assert_ne!(bytes(1)[0].1, bytes(2)[0].1, "other times");
    assert_ne!(bytes(1)[0].3, bytes(2)[0].3, "other sequence numbers");
}

#[test]
fn sound_can_be_left_out() {
    let mut settings = PlayoutSettings::new(7, Framing::Datagrams);
    let announces_sound = |settings| {
        let mut playout = Playout::new(clip(H264_FILE), settings, 0);
        let packets = play(&mut playout, 0);
        packets[0]
            .4
            .windows(4)
            .any(|bytes| bytes == [0x90, 0xC0, 0, 0])
    };
    assert!(announces_sound(settings));
    settings.sound = false;
    assert!(!announces_sound(settings));
}

#[test]
fn a_held_up_sender_goes_on_from_now() {
    let settings = PlayoutSettings::new(7, Framing::Datagrams);
    let mut playout = Playout::new(clip(H264_FILE), settings, 0);
    play(&mut playout, 430_000);
    let frames = playout.stats().frames;
    let late = 60_000_000;
    while playout.due(late).is_some() {}
    assert_eq!(playout.stats().stalls, 1);
    assert_eq!(playout.stats().frames, frames + 1, "one frame, not 1,489");
    assert_eq!(playout.next_due(), late + 40_000);
    // Half a second is caught up instead.
    while playout.due(late + 540_000).is_some() {}
    assert_eq!(playout.stats().frames, frames + 1 + 13);
    assert_eq!(playout.stats().stalls, 1);
}
