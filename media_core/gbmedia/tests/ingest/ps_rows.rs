//! Rows about the structure of the program stream.

use gbmedia::quirk::Quirk;

use crate::camera::*;

/// A stream whose packs are made by `pack(number, picture in Annex B form, head)`.
fn stream_of(pack: impl Fn(u64, &[u8], Vec<u8>) -> Vec<u8>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices = slices(40, 10, 3000);
    let packs = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let number = number as u64;
            let (picture, head) = match slice[0] {
                0x65 => (
                    annex_b(&[SPS, PPS, slice]),
                    [&SYSTEM_HEADER[..], &map(H264_ONLY)].concat(),
                ),
                _ => (annex_b(&[slice]), Vec::new()),
            };
            pack(number, &picture, head)
        })
        .collect();
    (slices, packs)
}

fn assert_plays(made: &(Vec<Vec<u8>>, Vec<Vec<u8>>), quirk: Quirk) {
    let (slices, packs) = made;
    for size in [1400, 100, 60_000, 13] {
        let sender = Sender {
            size,
            ..Sender::default()
        };
        let outcome = run_with(expecting(), sender, packs);
        let video = outcome.video();
        assert!(
            starts_with(&video, &expected(slices)),
            "size {size}, {} frames",
            video.len()
        );
        assert_eq!(outcome.quirks(), [quirk], "size {size}");
    }
}

#[test]
fn row_27_key_frames_without_system_header() {
    let (slices, packs) = stream_of(|number, picture, head| {
        let pts = time_of(number);
        let head = if head.is_empty() {
            head
        } else {
            map(H264_ONLY)
        };
        [pack_header(pts, &[]), head, pes(VIDEO, Some(pts), picture)].concat()
    });
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), []);
}

#[test]
fn row_29_pack_stuffing_hides_a_start_code() {
    let made = stream_of(|number, picture, head| {
        let pts = time_of(number);
        let stuffing = [0xFF, 0xFF, 0, 0, 1, 0xAF];
        [
            pack_header(pts, &stuffing),
            head,
            pes(VIDEO, Some(pts), picture),
        ]
        .concat()
    });
    assert_plays(&made, Quirk::PackStuffingStartCode);
}

#[test]
fn row_30_private_streams_are_skipped() {
    let made = stream_of(|number, picture, head| {
        let pts = time_of(number);
        // What is inside looks like video and like a pack.
        let inside = [annex_b(&[&idr(50, 1)]), pack_header(1, &[])].concat();
        let private = pes(0xBD, None, &inside);
        [
            pack_header(pts, &[]),
            head,
            private,
            pes(VIDEO, Some(pts), picture),
        ]
        .concat()
    });
    assert_plays(&made, Quirk::PrivateStream);
}

#[test]
fn row_31_unknown_stream_ids_are_skipped_by_their_length() {
    for id in [0xBF, 0xF0, 0xF3, 0xFF] {
        let made = stream_of(|number, picture, head| {
            let pts = time_of(number);
            let unknown = [&[0, 0, 1, id, 0, 9][..], &[0x33; 9]].concat();
            [
                pack_header(pts, &[]),
                unknown,
                head,
                pes(VIDEO, Some(pts), picture),
            ]
            .concat()
        });
        assert_plays(&made, Quirk::UnknownStream);
    }
}

#[test]
fn row_31_an_implausible_length_costs_one_frame_and_not_the_stream() {
    let (slices, mut packs) = stream_of(|number, picture, head| {
        let pts = time_of(number);
        [pack_header(pts, &[]), head, pes(VIDEO, Some(pts), picture)].concat()
    });
    let broken = [
        &pack_header(1, &[])[..],
        &[0, 0, 1, 0xF3, 0, 9],
        &[0x33; 30],
    ]
    .concat();
    packs.insert(10, broken);
    let outcome = run(&packs);
    assert!(outcome.saw(Quirk::UnknownStream));
    assert!(starts_with(&outcome.video(), &expected(&slices)));
}

#[test]
fn row_32_a_pack_header_without_body() {
    let made = stream_of(|number, picture, head| {
        let pts = time_of(number);
        let pack = match head.is_empty() {
            true => vec![0, 0, 1, 0xBA],
            false => pack_header(pts, &[]),
        };
        [pack, head, pes(VIDEO, Some(pts), picture)].concat()
    });
    assert_plays(&made, Quirk::PackWithoutBody);
}

#[test]
fn row_33_zeros_before_a_start_code() {
    for zeros in [1, 2, 5] {
        let made = stream_of(|number, picture, head| {
            let pts = time_of(number);
            let zeros = vec![0; zeros];
            [
                pack_header(pts, &[]),
                head,
                zeros,
                pes(VIDEO, Some(pts), picture),
            ]
            .concat()
        });
        assert_plays(&made, Quirk::ZeroBeforeStartCode);
    }
}

#[test]
fn row_34_a_pes_of_length_zero_ends_at_the_next_start_code() {
    let made = stream_of(|number, picture, head| {
        let pts = time_of(number);
        let video = pes_claiming(VIDEO, Some(pts), None, picture, Some(0));
        [pack_header(pts, &[]), head, video].concat()
    });
    assert_plays(&made, Quirk::PesLengthZero);
}

/// A key frame larger than a PES.
fn large_frames(build: impl Fn(u64, &[u8]) -> Vec<u8>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices: Vec<_> = (0..5)
        .map(|number| match number % 2 {
            0 => idr(200_000, number),
            _ => p_slice(90_000, number),
        })
        .collect();
    let packs = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let pts = time_of(number as u64);
            let picture = match slice[0] {
                0x65 => annex_b(&[SPS, PPS, slice]),
                _ => annex_b(&[slice]),
            };
            [key_head(pts, H264_ONLY), build(pts, &picture)].concat()
        })
        .collect();
    (slices, packs)
}

#[test]
fn row_35_large_frames_continue_in_pes_without_pts() {
    let (slices, packs) = large_frames(|pts, picture| {
        let mut bytes = Vec::new();
        let mut rest = picture;
        let mut time = Some(pts);
        while !rest.is_empty() {
            let header = if time.is_some() { 8 } else { 3 };
            let (part, behind) = rest.split_at(rest.len().min(0xFFFF - header));
            bytes.extend(pes(VIDEO, time.take(), part));
            rest = behind;
        }
        bytes
    });
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), []);
}

#[test]
fn row_35_a_pes_of_the_greatest_length_may_run_on() {
    let (slices, packs) =
        large_frames(|pts, picture| pes_claiming(VIDEO, Some(pts), None, picture, Some(0xFFFF)));
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert!(outcome.saw(Quirk::PesRunsOn));
}

#[test]
fn row_36_a_pes_longer_than_its_data_is_cut_at_the_next_pack() {
    let (slices, mut packs) = stream_of(|number, picture, head| {
        let pts = time_of(number);
        [pack_header(pts, &[]), head, pes(VIDEO, Some(pts), picture)].concat()
    });
    // Frame 5 says it is 500 bytes longer than it is.
    let picture = annex_b(&[&slices[5]]);
    let claimed = picture.len() as u16 + 8 + 500;
    let pts = time_of(5);
    let video = pes_claiming(VIDEO, Some(pts), None, &picture, Some(claimed));
    packs[5] = [pack_header(pts, &[]), video].concat();
    let outcome = run(&packs);
    assert!(outcome.saw(Quirk::PesTooLong));
    let expected = expected(&slices);
    // Damaged: dropped, and with it all up to the next key frame.
    let kept = [&expected[..5], &expected[10..]].concat();
    assert!(starts_with(&outcome.video(), &kept));
}

#[test]
fn row_37_headers_and_packs_split_anywhere_give_the_same_frames() {
    let slices = slices(4, 3, 60);
    let packs = packs(&slices);
    let bytes = packs.concat();
    let whole = run(&packs).video();
    assert_eq!(whole, expected(&slices));
    for split in 1..bytes.len() {
        let mut bench = Bench::new(expecting());
        let mut sender = Sender::default();
        let packets = [
            sender.packet(&bytes[..split]),
            sender.packet(&bytes[split..]),
        ];
        bench.packets(&packets);
        assert_eq!(bench.outcome.video(), whole, "split at {split}");
        assert_eq!(bench.outcome.quirks(), [], "split at {split}");
    }
}

#[test]
fn row_37_byte_by_byte_gives_the_same_frames() {
    let slices = slices(6, 3, 60);
    let bytes = packs(&slices).concat();
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for byte in bytes {
        let packet = sender.packet(&[byte]);
        bench.packets(&[packet]);
    }
    assert_eq!(bench.outcome.video(), expected(&slices));
    assert_eq!(bench.outcome.quirks(), []);
}

#[test]
fn a_program_end_code_is_ignored() {
    let (slices, packs) = stream_of(|number, picture, head| {
        let pts = time_of(number);
        let end = vec![0, 0, 1, 0xB9];
        [
            pack_header(pts, &[]),
            head,
            pes(VIDEO, Some(pts), picture),
            end,
        ]
        .concat()
    });
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert_eq!(outcome.quirks(), []);
}
