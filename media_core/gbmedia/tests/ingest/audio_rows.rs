//! Rows about sound.

use bytes::Bytes;
use gbmedia::frame::{AudioParameters, Codec, Kind};
use gbmedia::ingest::{IngestEvent, IngestSettings};
use gbmedia::quirk::Quirk;

use crate::camera::*;

/// Packs with a picture and what `sound(number)` gives.
fn with_sound(
    count: u64,
    streams: &[(u8, u8)],
    sound: impl Fn(u64) -> Vec<u8>,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices = slices(count, 10, 500);
    let packs = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let number = number as u64;
            let pts = time_of(number);
            let (head, picture) = match slice[0] {
                0x65 => (key_head(pts, streams), annex_b(&[SPS, PPS, slice])),
                _ => (pack_header(pts, &[]), annex_b(&[slice])),
            };
            [head, pes(VIDEO, Some(pts), &picture), sound(number)].concat()
        })
        .collect();
    (slices, packs)
}

fn parameters(outcome: &Outcome) -> Vec<AudioParameters> {
    let told = outcome.events.iter().filter_map(|event| match event {
        IngestEvent::Audio(parameters) => Some((**parameters).clone()),
        _ => None,
    });
    told.collect()
}

/// AAC-LC, 16 kHz, mono: a frame of 64 ms.
fn adts(body: &[u8]) -> Vec<u8> {
    let size = 7 + body.len();
    let mut bytes = vec![
        0xFF,
        0xF1,
        0x60,
        0x40 | (size >> 11) as u8,
        (size >> 3) as u8,
    ];
    bytes.extend_from_slice(&[(size << 5) as u8 | 0x1F, 0xFC]);
    bytes.extend_from_slice(body);
    bytes
}

fn assert_g711(outcome: &Outcome, codec: Codec) {
    let told = parameters(outcome);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].codec, told[0].sample_rate, told[0].channels),
        (codec, 8000, 1)
    );
    let steps = outcome.steps(Kind::Audio);
    assert!(!steps.is_empty());
    assert!(steps.iter().all(|&step| step == 3600), "{steps:?}");
}

#[test]
fn g711_of_the_standard() {
    for (kind, codec) in [(0x90, Codec::G711A), (0x91, Codec::G711U)] {
        let (slices, packs) = with_sound(30, &[(0x1B, VIDEO), (kind, AUDIO)], |number| {
            pes(AUDIO, Some(time_of(number)), &[0xD5; 320])
        });
        let outcome = run(&packs);
        assert_g711(&outcome, codec);
        assert!(starts_with(&outcome.video(), &expected(&slices)));
        assert_eq!(outcome.quirks(), []);
        assert_eq!(
            outcome.of_kind(Kind::Audio)[0].data,
            Bytes::from(vec![0xD5; 320])
        );
        assert_eq!(outcome.dts(Kind::Audio)[0], outcome.dts(Kind::Video)[0]);
    }
}

#[test]
fn row_14_sound_without_pts_goes_by_its_length() {
    let (_, packs) = with_sound(30, H264_AND_SOUND, |_| pes(AUDIO, None, &[0xD5; 320]));
    let outcome = run(&packs);
    assert_g711(&outcome, Codec::G711A);
    assert_eq!(outcome.quirks(), [Quirk::PtsMissing]);
}

#[test]
fn row_17_a_pts_that_counts_8_khz_is_scaled() {
    let (_, packs) = with_sound(60, H264_AND_SOUND, |number| {
        pes(AUDIO, Some(90_000 + number * 320), &[0xD5; 320])
    });
    let outcome = run(&packs);
    assert_g711(&outcome, Codec::G711A);
    assert_eq!(outcome.quirks(), [Quirk::AudioClock8k]);
}

#[test]
fn row_20_sound_without_a_map_entry_is_guessed() {
    let (_, packs) = with_sound(120, H264_ONLY, |number| {
        pes(AUDIO, Some(time_of(number)), &[0xD5; 320])
    });
    let outcome = run(&packs);
    assert_g711(&outcome, Codec::G711A);
    assert_eq!(outcome.quirks(), [Quirk::AudioMapMissing]);
    let (_, packs) = with_sound(30, H264_ONLY, |number| {
        pes(AUDIO, Some(time_of(number)), &adts(&[7; 100]))
    });
    let outcome = run(&packs);
    assert_eq!(parameters(&outcome)[0].codec, Codec::Aac);
}

#[test]
fn row_23_aac_announced_as_g711_is_recognised() {
    let (_, packs) = with_sound(30, H264_AND_SOUND, |number| {
        pes(AUDIO, Some(time_of(number)), &adts(&[7; 100]))
    });
    let outcome = run(&packs);
    let told = parameters(&outcome);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].codec, told[0].sample_rate), (Codec::Aac, 16_000));
    assert_eq!(told[0].config[..], [0x14, 0x08]);
    assert!(outcome.saw(Quirk::AacAsG711));
    let sound = outcome.of_kind(Kind::Audio);
    assert!(sound.iter().all(|frame| frame.data == vec![7; 100]));
}

#[test]
fn row_23_announced_aac_without_adts_is_reported() {
    let (_, packs) = with_sound(30, &[(0x1B, VIDEO), (0x0F, AUDIO)], |number| {
        pes(AUDIO, Some(time_of(number)), &[0x21; 100])
    });
    let outcome = run(&packs);
    assert_eq!(outcome.quirks(), [Quirk::AacWithoutAdts]);
    assert!(outcome.of_kind(Kind::Audio).is_empty());
}

#[test]
fn row_24_the_law_of_g711_can_be_set() {
    let (_, packs) = with_sound(30, H264_AND_SOUND, |number| {
        pes(AUDIO, Some(time_of(number)), &[0x55; 320])
    });
    let settings = IngestSettings {
        g711: Codec::G711U,
        ..expecting()
    };
    let outcome = run_with(settings, Sender::default(), &packs);
    assert_g711(&outcome, Codec::G711U);
    assert_eq!(outcome.quirks(), [Quirk::G711LawFromSettings]);
}

#[test]
fn row_25_sound_that_begins_late_stands_where_the_picture_stands() {
    let (_, packs) = with_sound(200, H264_AND_SOUND, |number| match number {
        150.. => pes(AUDIO, Some(time_of(number)), &[0xD5; 320]),
        _ => Vec::new(),
    });
    let outcome = run(&packs);
    assert_g711(&outcome, Codec::G711A);
    assert_eq!(outcome.dts(Kind::Audio)[0], outcome.dts(Kind::Video)[150]);
    assert_eq!(outcome.quirks(), []);
}

#[test]
fn row_26_announced_sound_that_never_comes_holds_nothing_up() {
    let (slices, packs) = with_sound(30, H264_AND_SOUND, |_| Vec::new());
    let outcome = run(&packs);
    assert_eq!(outcome.video().len(), slices.len());
}

#[test]
fn row_64_several_aac_frames_in_one_pes_are_split() {
    let streams = [(0x1B, VIDEO), (0x0F, AUDIO)];
    let (_, packs) = with_sound(40, &streams, |number| match number % 8 {
        // Five frames of 64 ms each in 320 ms.
        0 => {
            let frames: Vec<_> = (0..5).flat_map(|frame| adts(&[frame; 60])).collect();
            pes(AUDIO, Some(time_of(number)), &frames)
        }
        _ => Vec::new(),
    });
    let outcome = run(&packs);
    let sound = outcome.of_kind(Kind::Audio);
    assert_eq!(sound.len(), 25);
    assert!(sound
        .iter()
        .enumerate()
        .all(|(at, frame)| frame.data == vec![at as u8 % 5; 60]));
    let steps = outcome.steps(Kind::Audio);
    assert!(steps.iter().all(|&step| step == 5760), "{steps:?}");
    assert_eq!(outcome.quirks(), [Quirk::AacFramesInPes]);
}

#[test]
fn row_64_an_aac_frame_across_two_pes_is_joined() {
    let streams = [(0x1B, VIDEO), (0x0F, AUDIO)];
    let frame = adts(&[9; 100]);
    let (_, packs) = with_sound(40, &streams, |number| {
        let (first, second) = frame.split_at(50);
        let part = match number % 2 {
            0 => [&frame[..], first].concat(),
            _ => [second, &frame[..]].concat(),
        };
        pes(AUDIO, Some(time_of(number)), &part)
    });
    let outcome = run(&packs);
    let sound = outcome.of_kind(Kind::Audio);
    assert_eq!(sound.len(), 60);
    assert!(sound.iter().all(|frame| frame.data == vec![9; 100]));
}

#[test]
fn sound_alone_in_its_own_session() {
    let settings = IngestSettings {
        elementary: Some(Codec::G711A),
        payload_type: 8,
        ..expecting()
    };
    let mut bench = Bench::new(settings);
    let mut sender = Sender::default();
    sender.header.payload_type = 8;
    for _ in 0..50 {
        let packet = sender.packet(&[0xD5; 160]);
        sender.header.timestamp = sender.header.timestamp.wrapping_add(160);
        bench.packets(&[packet]);
        bench.now += 20_000;
    }
    assert_eq!(bench.outcome.quirks(), []);
    let steps = bench.outcome.steps(Kind::Audio);
    assert_eq!(steps.len(), 49);
    assert!(steps.iter().all(|&step| step == 1800), "{steps:?}");
}
