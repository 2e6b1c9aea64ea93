//! Rows about the video codec and its access units.

use gbmedia::frame::Codec;
use gbmedia::ingest::{IngestEvent, IngestSettings, OnLoss};
use gbmedia::quirk::Quirk;

use crate::camera::*;

fn idr_265(size: usize, seed: u32) -> Vec<u8> {
    nal(&[0x28, 1, 0xAC], size, seed)
}

fn p_265(size: usize, seed: u32) -> Vec<u8> {
    nal(&[0x02, 1, 0xD0], size, seed)
}

fn slices_265(count: u64) -> Vec<Vec<u8>> {
    (0..count as u32)
        .map(|number| match number % 10 {
            0 => idr_265(4000, number),
            _ => p_265(1500, number),
        })
        .collect()
}

/// H.265 packs whose key frames have what `head` says.
fn packs_265(slices: &[Vec<u8>], head: impl Fn(u64) -> Vec<u8>) -> Vec<Vec<u8>> {
    (slices.iter().enumerate())
        .map(|(number, slice)| {
            let pts = time_of(number as u64);
            let picture = match slice[0] {
                0x28 => annex_b(&[VPS_265, SPS_265, PPS_265, slice]),
                _ => annex_b(&[slice]),
            };
            [
                pack_header(pts, &[]),
                head(number as u64),
                pes(VIDEO, Some(pts), &picture),
            ]
            .concat()
        })
        .collect()
}

fn assert_h265(outcome: &Outcome, slices: &[Vec<u8>]) {
    assert!(starts_with(&outcome.video(), &expected(slices)));
    let parameters = outcome.events.iter().find_map(|event| match event {
        IngestEvent::Video(parameters) => Some(parameters.clone()),
        _ => None,
    });
    let parameters = parameters.unwrap();
    assert_eq!(parameters.codec, Codec::H265);
    assert_eq!((parameters.width, parameters.height), (1920, 1080));
    assert_eq!((parameters.fps_milli, parameters.profile), (25_000, 1));
    assert_eq!(parameters.profile_tier_level[..2], [1, 0x60]);
    assert_eq!(parameters.vps[0], VPS_265);
}

#[test]
fn h265_of_the_standard() {
    let slices = slices_265(40);
    let packs = packs_265(&slices, |number| match number % 10 {
        0 => map(&[(0x24, VIDEO)]),
        _ => Vec::new(),
    });
    let outcome = run(&packs);
    assert_h265(&outcome, &slices);
    assert_eq!(outcome.quirks(), []);
}

#[test]
fn row_20_without_a_map_the_codec_is_recognised() {
    let slices = slices_265(40);
    let outcome = run(&packs_265(&slices, |_| Vec::new()));
    assert_h265(&outcome, &slices);
    assert_eq!(outcome.quirks(), [Quirk::MapMissing]);
    let slices = crate::camera::slices(40, 10, 1000);
    let packs: Vec<_> = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let pts = time_of(number as u64);
            let picture = annex_b(&[SPS, PPS, slice]);
            [pack_header(pts, &[]), pes(VIDEO, Some(pts), &picture)].concat()
        })
        .collect();
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
}

#[test]
fn row_21_the_map_says_h264_and_the_data_is_h265() {
    let slices = slices_265(40);
    let outcome = run(&packs_265(&slices, |_| map(H264_ONLY)));
    assert_h265(&outcome, &slices);
    assert_eq!(outcome.quirks(), [Quirk::CodecMismatch]);
}

#[test]
fn row_22_the_map_alternates() {
    let slices = slices_265(40);
    let outcome = run(&packs_265(&slices, |number| {
        map(&[(if number % 2 == 0 { 0x24 } else { 0x1B }, VIDEO)])
    }));
    assert_h265(&outcome, &slices);
    assert!(outcome.saw(Quirk::MapAlternates));
}

#[test]
fn row_28_a_map_of_wrong_lengths_is_read_all_the_same() {
    let slices = slices_265(40);
    let outcome = run(&packs_265(&slices, |_| {
        let mut map = map(&[(0x24, VIDEO), (0x90, AUDIO)]);
        map[10..12].copy_from_slice(&[0, 0x44]);
        map
    }));
    assert_h265(&outcome, &slices);
    assert_eq!(outcome.quirks(), [Quirk::MapMalformed]);
}

#[test]
fn svac_and_mpeg_video_are_named_and_not_guessed_at() {
    let slices = slices(20, 10, 1000);
    for kind in [0x80, 0x10, 0x01, 0x02] {
        let packs: Vec<_> = (slices.iter().enumerate())
            .map(|(number, slice)| {
                let pts = time_of(number as u64);
                let picture = annex_b(&[slice]);
                [
                    key_head(pts, &[(kind, VIDEO)]),
                    pes(VIDEO, Some(pts), &picture),
                ]
                .concat()
            })
            .collect();
        let outcome = run(&packs);
        assert!(outcome.saw(Quirk::UnsupportedVideo), "{kind:#X}");
        assert!(outcome.frames().is_empty());
    }
}

#[test]
fn two_fields_of_an_interlaced_frame_are_one_frame() {
    // x264, high, 704x576 interlaced.
    let sps = [
        0x67, 0x64, 0, 0x1E, 0xAC, 0xD9, 0x40, 0xB0, 0x24, 0xD0, 0x80, 0, 0, 3, 0, 0x80, 0, 0,
        0x19, 0x0F, 0x8A, 0x14, 0xCB,
    ];
    let fields: Vec<_> = slices(40, 10, 1000);
    let packs: Vec<_> = (fields.chunks(2).enumerate())
        .map(|(number, pair)| {
            let pts = time_of(number as u64);
            let picture = match pair[0][0] {
                0x65 => annex_b(&[&sps, PPS, &pair[0], &pair[1]]),
                _ => annex_b(&[&pair[0], &pair[1]]),
            };
            [key_head(pts, H264_ONLY), pes(VIDEO, Some(pts), &picture)].concat()
        })
        .collect();
    let outcome = run(&packs);
    let frames: Vec<_> = (fields.chunks(2))
        .map(|pair| with_lengths(&[&pair[0], &pair[1]]))
        .collect();
    assert!(starts_with(&outcome.video(), &frames[..19]));
    assert_eq!(outcome.quirks(), []);
}

#[test]
fn row_38_slices_in_pes_of_their_own_make_one_frame() {
    let slices = slices(40, 10, 1000);
    let second = |number: u64| nal(&[0x41, 0x20], 700, 500 + number as u32);
    let third = |number: u64| nal(&[0x41, 0x11], 900, 900 + number as u32);
    for several_packs in [false, true] {
        let packs: Vec<_> = (slices.iter().enumerate())
            .map(|(number, slice)| {
                let number = number as u64;
                let pts = Some(time_of(number));
                let first = match slice[0] {
                    0x65 => annex_b(&[SPS, PPS, slice]),
                    _ => annex_b(&[slice]),
                };
                let between = match several_packs {
                    true => pack_header(time_of(number), &[]),
                    false => Vec::new(),
                };
                [
                    key_head(time_of(number), H264_ONLY),
                    pes(VIDEO, pts, &first),
                    between.clone(),
                    pes(VIDEO, pts, &annex_b(&[&second(number)])),
                    between,
                    pes(VIDEO, pts, &annex_b(&[&third(number)])),
                ]
                .concat()
            })
            .collect();
        let outcome = run(&packs);
        let frames: Vec<_> = (slices.iter().enumerate())
            .map(|(number, slice)| {
                with_lengths(&[slice, &second(number as u64), &third(number as u64)])
            })
            .collect();
        assert!(starts_with(&outcome.video(), &frames[..39]));
        assert_eq!(outcome.quirks(), [Quirk::SliceAsFrame]);
    }
}

#[test]
fn row_39_several_frames_in_one_pes_are_split() {
    let slices = slices(40, 10, 1000);
    let packs: Vec<_> = (slices.chunks(2).enumerate())
        .map(|(number, pair)| {
            let pts = time_of(number as u64 * 2);
            let first = match pair[0][0] {
                0x65 => annex_b(&[SPS, PPS, &pair[0]]),
                _ => annex_b(&[&pair[0]]),
            };
            let picture = [first, annex_b(&[&[9, 0x30], &pair[1]])].concat();
            [key_head(pts, H264_ONLY), pes(VIDEO, Some(pts), &picture)].concat()
        })
        .collect();
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), [Quirk::SeveralFramesInPes]);
    let steps = outcome.steps(gbmedia::frame::Kind::Video);
    assert!(steps.iter().all(|&step| step > 0), "{steps:?}");
}

#[test]
fn row_40_parameter_sets_only_once() {
    let slices = slices(40, 10, 1000);
    let mut packs = packs(&slices);
    for number in [10, 20, 30] {
        packs[number] = p_pack(number as u64, &slices[number]);
    }
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), [Quirk::ParameterSetsOnce]);
    let keys = outcome.frames().iter().filter(|frame| frame.key).count();
    assert_eq!(keys, 4);
}

#[test]
fn row_41_an_i_frame_with_parameter_sets_is_a_key() {
    let slices: Vec<_> = (0..40_u32)
        .map(|number| match number % 10 {
            // first_mb 0, slice_type 7.
            0 => nal(&[0x61, 0x88], 3000, number),
            _ => p_slice(1000, number),
        })
        .collect();
    let packs: Vec<_> = (slices.iter().enumerate())
        .map(|(number, slice)| match slice[0] {
            0x61 => key_pack(number as u64, slice),
            _ => p_pack(number as u64, slice),
        })
        .collect();
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), [Quirk::NonIdrKey]);
}

#[test]
fn row_42_frames_before_the_first_key_are_dropped() {
    let slices = slices(40, 10, 1000);
    let packs = packs(&slices);
    let outcome = run(&packs[4..]);
    assert!(outcome.saw(Quirk::StartsWithoutKey));
    let frames = outcome.video();
    assert!(starts_with(&frames, &expected(&slices)[10..]));
    // Without a single map or key frame nothing can be shown.
    assert!(run(&packs[1..10]).frames().is_empty());
}

#[test]
fn parameter_sets_are_told_again_only_when_they_change() {
    let slices = slices(40, 10, 1000);
    let mut packs = packs(&slices);
    let other = [PPS, &[0x80]].concat();
    let pts = time_of(20);
    let picture = annex_b(&[SPS, &other, &slices[20]]);
    packs[20] = [key_head(pts, H264_ONLY), pes(VIDEO, Some(pts), &picture)].concat();
    let outcome = run(&packs);
    let told = outcome.events.iter();
    let told = told.filter(|event| matches!(event, IngestEvent::Video(_)));
    // Once at first, once for the change, once for the change back.
    assert_eq!(told.count(), 3);
}

#[test]
fn after_a_loss_the_policy_decides_what_is_delivered() {
    let slices = slices(40, 10, 3000);
    let expected = expected(&slices);
    for (on_loss, kept) in [
        (
            OnLoss::DropUntilKey,
            [&expected[..13], &expected[20..]].concat(),
        ),
        (
            OnLoss::DropFrame,
            [&expected[..13], &expected[14..]].concat(),
        ),
    ] {
        let settings = IngestSettings {
            on_loss,
            ..expecting()
        };
        let mut bench = Bench::new(settings);
        let mut sender = Sender::default();
        for (number, pack) in packs(&slices).iter().enumerate() {
            let mut packets = sender.frame(pack);
            if number == 13 {
                packets.remove(1);
            }
            bench.frame(&packets);
        }
        assert!(starts_with(&bench.outcome.video(), &kept), "{on_loss:?}");
        let stats = bench.ingest.stats();
        assert_eq!((stats.lost, stats.corrupt_frames), (1, 1));
        let lost = IngestEvent::Lost { packets: 1 };
        assert!(bench.outcome.events.contains(&lost));
    }
}

#[test]
fn a_damaged_frame_can_be_had() {
    let slices = slices(20, 10, 3000);
    let settings = IngestSettings {
        on_loss: OnLoss::Keep,
        reliable: true,
        ..expecting()
    };
    let mut bench = Bench::new(settings);
    let mut sender = Sender::default();
    for (number, pack) in packs(&slices).iter().enumerate() {
        let mut packets = sender.frame(pack);
        if number == 13 {
            packets.remove(1);
        }
        bench.frame(&packets);
    }
    let frames = bench.outcome.frames();
    assert_eq!(frames.len(), 20);
    let corrupt: Vec<_> = frames.iter().map(|frame| frame.corrupt).collect();
    assert_eq!(corrupt.iter().position(|&corrupt| corrupt), Some(13));
    assert_eq!(corrupt.iter().filter(|&&corrupt| corrupt).count(), 1);
}

#[test]
fn a_frame_beyond_the_limit_is_dropped_and_the_stream_goes_on() {
    let mut slices = slices(30, 10, 1000);
    slices[0] = idr(70_000, 1);
    let settings = IngestSettings {
        max_frame_size: 50_000,
        ..expecting()
    };
    let outcome = run_with(settings, Sender::default(), &packs_with_long_pes(&slices));
    assert!(outcome.saw(Quirk::FrameTooLarge));
    assert!(starts_with(&outcome.video(), &expected(&slices)[10..]));
}

fn packs_with_long_pes(slices: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (slices.iter().enumerate())
        .map(|(number, slice)| {
            let pts = time_of(number as u64);
            let picture = match slice[0] {
                0x65 => annex_b(&[SPS, PPS, slice]),
                _ => annex_b(&[slice]),
            };
            let mut bytes = key_head(pts, H264_ONLY);
            for (part, chunk) in picture.chunks(60_000).enumerate() {
                bytes.extend(pes(VIDEO, (part == 0).then_some(pts), chunk));
            }
            bytes
        })
        .collect()
}

#[test]
fn row_63_an_encrypted_stream_is_named_and_not_shown() {
    let slices = slices(10, 5, 500);
    let mut descriptors = vec![0x40, 14];
    descriptors.extend_from_slice(b"HK\x00\x01\x18\x10\x00\x00\x00");
    descriptors.extend_from_slice(&[0xF9, 0, 0, 0, 0, 0x80, 2, 0, 0]);
    let mut map = vec![
        0,
        0,
        1,
        0xBC,
        0,
        14 + descriptors.len() as u8,
        0xE1,
        0xFF,
        0,
    ];
    map.push(descriptors.len() as u8);
    map.extend_from_slice(&descriptors);
    map.extend_from_slice(&[0, 4, 0x1B, VIDEO, 0, 0, 0, 0, 0, 0]);
    let packs: Vec<_> = (packs(&slices).iter())
        .map(|pack| {
            // The other map lies behind the first.
            let at = pack
                .windows(4)
                .position(|bytes| bytes == [0, 0, 1, VIDEO])
                .unwrap();
            [&pack[..at], &map, &pack[at..]].concat()
        })
        .collect();
    let outcome = run(&packs);
    assert!(outcome.saw(Quirk::VendorEncrypted));
    assert!(outcome.frames().is_empty());
}
