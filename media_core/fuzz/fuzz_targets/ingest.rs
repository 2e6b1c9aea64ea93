//! A whole stream: frames are well formed, time grows, memory stays bounded.
#![no_main]

use gbmedia::frame::{Codec, Frame, Kind};
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings, OnLoss, Pace, PortUse};
use gbmedia::rtp::RtpHeader;
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: usize = 100_000;
/// A frame and room to grow, held packets, a PES of sound, headers.
const MAX_BUFFERED: usize = 2 * MAX_FRAME + 2 * (2 << 20) + 3 * 65_536;

fn settings(choice: u8) -> IngestSettings {
    IngestSettings {
        expected_ssrc: (choice & 1 == 0).then_some(7),
        port_use: if choice & 2 == 0 {
            PortUse::Dedicated
        } else {
            PortUse::Shared
        },
        reliable: choice & 4 != 0,
        elementary: match choice >> 3 & 3 {
            1 => Some(Codec::H264),
            2 => Some(Codec::H265),
            3 => Some(Codec::G711A),
            _ => None,
        },
        pace: if choice & 32 == 0 {
            Pace::Live
        } else {
            Pace::File
        },
        on_loss: match choice >> 6 {
            0 => OnLoss::DropUntilKey,
            1 => OnLoss::DropFrame,
            _ => OnLoss::Keep,
        },
        max_frame_size: MAX_FRAME,
        ..IngestSettings::default()
    }
}

/// Whole NAL units behind their lengths.
fn assert_well_formed(frame: &Frame) {
    assert!(frame.data.len() <= MAX_FRAME);
    let mut rest = &frame.data[..];
    while let Some((size, behind)) = rest.split_first_chunk::<4>() {
        rest = &behind[u32::from_be_bytes(*size) as usize..];
    }
    assert!(rest.is_empty());
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, mut data)) = data.split_first() else {
        return;
    };
    let mut ingest = Ingest::new(settings(choice));
    let mut last = [0; 2];
    let mut now = 1_000_000;
    let mut sequence = 65_530_u16;
    // Each packet: size, a step of the sequence, of the timestamp and of time, then its payload.
    while let Some((head, rest)) = data.split_first_chunk::<4>() {
        let (payload, behind) = rest.split_at((usize::from(head[0]) * 4).min(rest.len()));
        data = behind;
        sequence = match head[1] {
            0..=199 => sequence.wrapping_add(1),
            step => sequence.wrapping_add(u16::from(step - 200).wrapping_mul(37)),
        };
        let header = RtpHeader {
            marker: head[2] & 1 == 1,
            payload_type: 96,
            sequence,
            timestamp: u32::from(head[2]) * 900,
            ssrc: if head[3] == 255 { 8 } else { 7 },
        };
        now += u64::from(head[3]) * 500;
        ingest.receive_rtp(&[&header.to_bytes()[..], payload].concat(), now);
        if head[1] == 255 {
            ingest.receive_rtp(payload, now);
            ingest.receive_rtcp(payload, now);
            ingest.handle_timer(now);
        }
        ingest.rtcp_to_send(now);
        assert!(ingest.buffered() <= MAX_BUFFERED);
        while let Some(event) = ingest.next_event() {
            let IngestEvent::Frame(frame) = event else {
                continue;
            };
            let track = usize::from(frame.kind() == Kind::Audio);
            assert!(
                frame.dts > last[track],
                "{} after {}",
                frame.dts,
                last[track]
            );
            assert!(frame.pts >= frame.dts);
            last[track] = frame.dts;
            if frame.kind() == Kind::Video {
                assert_well_formed(&frame);
            }
        }
    }
    let stats = ingest.stats();
    assert!(stats.lost < 1 << 40);
});
