//! Rows about SSRC, sequence, marker and payload type.

use gbmedia::ingest::{IngestEvent, IngestSettings, PortUse};
use gbmedia::quirk::Quirk;

use crate::camera::*;

fn stream() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices = slices(60, 12, 3000);
    let packs = packs(&slices);
    (slices, packs)
}

#[test]
fn a_standard_stream_gives_its_frames_and_no_quirk() {
    let (slices, packs) = stream();
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), []);
    assert_eq!(outcome.events[0], IngestEvent::SsrcMatched(SSRC));
    assert_eq!(outcome.events[1], IngestEvent::PsLocked);
    let IngestEvent::Video(parameters) = &outcome.events[2] else {
        panic!("{:?}", outcome.events[2])
    };
    assert_eq!((parameters.width, parameters.height), (640, 360));
    assert_eq!(parameters.fps_milli, 25_000);
    let keys = outcome.frames().iter().filter(|frame| frame.key).count();
    assert_eq!(keys, 5);
    assert!(outcome.frames()[0].key);
}

#[test]
fn frames_are_delivered_with_their_last_packet_once_the_device_is_known() {
    let (slices, packs) = stream();
    let outcome = run(&packs);
    assert_eq!(outcome.video().len(), slices.len());
}

#[test]
fn row_02_another_ssrc_is_adopted_on_a_dedicated_port() {
    let (slices, packs) = stream();
    let settings = IngestSettings {
        expected_ssrc: Some(77),
        ..IngestSettings::default()
    };
    let outcome = run_with(settings, Sender::default(), &packs);
    assert!(outcome.saw(Quirk::SsrcMismatch));
    let adopted = IngestEvent::SsrcAdopted {
        expected: Some(77),
        ssrc: SSRC,
    };
    assert!(outcome.events.contains(&adopted));
    assert!(starts_with(&outcome.video(), &expected(&slices)));
}

#[test]
fn row_03_ssrc_zero_plays_and_is_reported() {
    let (slices, packs) = stream();
    let mut sender = Sender::default();
    sender.header.ssrc = 0;
    let outcome = run_with(expecting(), sender, &packs);
    assert!(outcome.saw(Quirk::SsrcZero));
    assert!(starts_with(&outcome.video(), &expected(&slices)));
}

#[test]
fn row_07_a_new_ssrc_per_gop_loses_no_frame() {
    let (slices, packs) = stream();
    let mut sender = Sender::default();
    let mut bench = Bench::new(expecting());
    for (number, pack) in packs.iter().enumerate() {
        if number > 0 && number % 12 == 0 {
            sender.header.ssrc += 1;
            sender.header.sequence = 17;
        }
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    assert!(bench.outcome.saw(Quirk::SsrcChanged));
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
}

#[test]
fn row_09_and_10_a_shared_port_takes_only_its_own_ssrc() {
    let (slices, packs) = stream();
    let settings = IngestSettings {
        port_use: PortUse::Shared,
        ..expecting()
    };
    let mut bench = Bench::new(settings);
    let mut sender = Sender::default();
    let mut stranger = Sender::default();
    stranger.header.ssrc = 5;
    for pack in &packs {
        let foreign = stranger.frame(pack);
        bench.packets(&foreign);
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
    assert_eq!(
        bench.ingest.stats().rejected,
        stranger.header.sequence.wrapping_sub(65_000).into()
    );
}

#[test]
fn row_10_two_streams_on_one_port_do_not_mix() {
    let (slices, packs) = stream();
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    let mut stranger = Sender::default();
    stranger.header.ssrc = 5;
    for (number, pack) in packs.iter().enumerate() {
        let packets = sender.frame(pack);
        bench.packets(&packets);
        if number >= 3 {
            let foreign = stranger.frame(pack);
            bench.packets(&foreign);
        }
        bench.now += FRAME_US;
    }
    assert!(bench.outcome.saw(Quirk::SsrcMixed));
    let video = bench.outcome.video();
    let tail = &expected(&slices)[13..];
    assert!(video.windows(tail.len()).any(|frames| frames == tail));
}

#[test]
fn row_11_the_marker_bit_is_never_needed_and_never_believed_blindly() {
    let (slices, packs) = stream();
    for marker in [Marker::Never, Marker::Always] {
        let sender = Sender {
            marker,
            ..Sender::default()
        };
        let outcome = run_with(expecting(), sender, &packs);
        assert!(starts_with(&outcome.video(), &expected(&slices)));
        assert_eq!(
            outcome.saw(Quirk::MarkerUnreliable),
            marker == Marker::Never
        );
    }
}

#[test]
fn row_13_the_structure_overrides_the_rtp_timestamp() {
    let (slices, packs) = stream();
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for pack in &packs {
        for payload in pack.chunks(1400) {
            let packet = sender.packet(payload);
            bench.packets(&[packet]);
            sender.header.timestamp = sender.header.timestamp.wrapping_add(900);
        }
        bench.now += FRAME_US;
    }
    assert!(bench.outcome.saw(Quirk::RtpTimestampDisorder));
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
}

#[test]
fn row_44_a_program_stream_under_any_payload_type() {
    let (slices, packs) = stream();
    for payload_type in [68, 69, 34, 108, 8] {
        let mut sender = Sender::default();
        sender.header.payload_type = payload_type;
        let outcome = run_with(expecting(), sender, &packs);
        assert!(outcome.saw(Quirk::UnknownPayloadType));
        assert!(starts_with(&outcome.video(), &expected(&slices)));
    }
}

#[test]
fn row_43_a_private_payload_is_counted_only() {
    let (_, packs) = stream();
    let settings = IngestSettings {
        private_payload: true,
        ..expecting()
    };
    let outcome = run_with(settings, Sender::default(), &packs);
    assert!(outcome.saw(Quirk::PrivatePayload));
    assert!(outcome.frames().is_empty());
}

#[test]
fn row_45_a_transport_stream_is_named_and_not_guessed_at() {
    let mut payload = vec![0x11; 188 * 7];
    payload
        .iter_mut()
        .step_by(188)
        .for_each(|byte| *byte = 0x47);
    let outcome = run(&vec![payload; 5]);
    assert!(outcome.saw(Quirk::TransportStream));
    assert!(outcome.frames().is_empty());
}

/// RFC 6184 packets of a frame.
fn h264_packets(sender: &mut Sender, nals: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for nal in nals {
        if nal.len() <= 1000 {
            payloads.push(nal.to_vec());
            continue;
        }
        let chunks: Vec<_> = nal[1..].chunks(1000).collect();
        for (number, chunk) in chunks.iter().enumerate() {
            let start = u8::from(number == 0) << 7;
            let end = u8::from(number + 1 == chunks.len()) << 6;
            let head = [nal[0] & 0xE0 | 28, start | end | nal[0] & 0x1F];
            payloads.push([&head[..], chunk].concat());
        }
    }
    let last = payloads.len() - 1;
    let mut packets = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        sender.header.marker = number == last;
        packets.push(sender.packet(payload));
    }
    sender.header.timestamp = sender.header.timestamp.wrapping_add(3600);
    packets
}

#[test]
fn row_45_plain_h264_in_rtp_plays() {
    let slices = slices(40, 10, 2500);
    let mut sender = Sender::default();
    let mut bench = Bench::new(expecting());
    for slice in &slices {
        let nals: Vec<&[u8]> = match slice[0] {
            0x65 => vec![SPS, PPS, slice],
            _ => vec![slice],
        };
        let packets = h264_packets(&mut sender, &nals);
        bench.frame(&packets);
    }
    assert_eq!(bench.outcome.video().len(), slices.len());
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
    assert!(bench.outcome.saw(Quirk::ElementaryH264));
    assert_eq!(bench.outcome.quirks().len(), 1);
    let steps = bench.outcome.steps(gbmedia::frame::Kind::Video);
    assert!(steps.iter().all(|&step| step == 3600), "{steps:?}");
}

#[test]
fn row_45_plain_h265_in_rtp_plays() {
    let slices: Vec<_> = (0..40)
        .map(|number| match number % 10 {
            0 => nal(&[0x28, 1, 0xAC], 900, number),
            _ => nal(&[0x02, 1, 0xD0], 700, number),
        })
        .collect();
    let mut sender = Sender::default();
    let mut bench = Bench::new(expecting());
    for slice in &slices {
        let nals: Vec<&[u8]> = match slice[0] {
            0x28 => vec![VPS_265, SPS_265, PPS_265, slice],
            _ => vec![slice],
        };
        let packets = h264_packets(&mut sender, &nals);
        bench.frame(&packets);
    }
    assert_eq!(bench.outcome.video().len(), slices.len());
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
    assert_eq!(bench.outcome.quirks(), [Quirk::ElementaryH265]);
}

#[test]
fn row_59_a_restarted_sequence_is_followed() {
    let (slices, packs) = stream();
    let mut sender = Sender::default();
    let mut bench = Bench::new(expecting());
    for (number, pack) in packs.iter().enumerate() {
        if number == 24 {
            sender.header.sequence = sender.header.sequence.wrapping_add(20_000);
        }
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    let video = bench.outcome.video();
    assert!(bench.outcome.saw(Quirk::SequenceRestart));
    assert_eq!(bench.ingest.stats().sequence_restarts, 1);
    assert!(video.starts_with(&expected(&slices)[..24]));
    assert!(video.len() >= 59);
}

#[test]
fn row_65_rtcp_among_the_packets_is_no_media() {
    let (slices, packs) = stream();
    let mut sender = Sender::default();
    let mut bench = Bench::new(expecting());
    for pack in &packs {
        let packets = sender.frame(pack);
        bench.packets(&[
            vec![0x80, 200, 0, 1, 0, 0, 0, 7],
            vec![0x81, 203, 0, 1, 5, 245, 225, 1],
        ]);
        bench.frame(&packets);
    }
    assert!(bench.outcome.saw(Quirk::RtcpOnRtpPort));
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
    assert_eq!(bench.ingest.stats().rtcp_packets, 120);
}

#[test]
fn row_56_receiver_reports_are_due_over_udp_only() {
    let (_, packs) = stream();
    for reliable in [false, true] {
        let settings = IngestSettings {
            reliable,
            ..expecting()
        };
        let mut bench = Bench::new(settings);
        let mut sender = Sender::default();
        let packets = sender.frame(&packs[0]);
        bench.packets(&packets);
        assert_eq!(bench.ingest.rtcp_to_send(5_999_999), None);
        assert_eq!(bench.ingest.rtcp_to_send(6_000_000).is_some(), !reliable);
    }
}
