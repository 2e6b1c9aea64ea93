//! Rows about timestamps.

use gbmedia::frame::Kind;
use gbmedia::ingest::{IngestSettings, Pace};
use gbmedia::quirk::Quirk;

use crate::camera::*;

/// Video packs with the PTS that `time` gives for each frame.
fn packs_at(count: u64, time: impl Fn(u64) -> Option<u64>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices = slices(count, 10, 500);
    let packs = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let pts = time(number as u64).map(|pts| pts & ((1 << 33) - 1));
            let picture = match slice[0] {
                0x65 => annex_b(&[SPS, PPS, slice]),
                _ => annex_b(&[slice]),
            };
            [
                key_head(pts.unwrap_or(0), H264_ONLY),
                pes(VIDEO, pts, &picture),
            ]
            .concat()
        })
        .collect();
    (slices, packs)
}

fn assert_steps(outcome: &Outcome, slices: &[Vec<u8>], quirks: &[Quirk]) {
    assert!(starts_with(&outcome.video(), &expected(slices)));
    let steps = outcome.steps(Kind::Video);
    assert!(steps.iter().all(|&step| step == 3600), "{steps:?}");
    assert_eq!(outcome.quirks(), quirks);
}

/// RTP timestamps that stand still.
fn run_with_constant_rtp_time(packs: &[Vec<u8>]) -> Outcome {
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for pack in packs {
        sender.header.timestamp = 7;
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    bench.outcome
}

#[test]
fn the_first_frame_has_the_start_time() {
    let (slices, packs) = packs_at(30, |number| Some(time_of(number)));
    let outcome = run(&packs);
    assert_eq!(outcome.dts(Kind::Video)[0], gbmedia::timestamps::START);
    assert_steps(&outcome, &slices, &[]);
}

#[test]
fn row_12_a_constant_rtp_timestamp_does_not_matter_beside_a_pts() {
    let (slices, packs) = packs_at(30, |number| Some(time_of(number)));
    assert_steps(&run_with_constant_rtp_time(&packs), &slices, &[]);
}

#[test]
fn row_12_without_any_timestamp_the_arrival_counts() {
    let (slices, packs) = packs_at(60, |_| None);
    let outcome = run_with_constant_rtp_time(&packs);
    let quirks = [Quirk::PtsMissing, Quirk::RtpTimestampConstant];
    assert_steps(&outcome, &slices, &quirks);
}

#[test]
fn row_14_without_pts_the_rtp_timestamp_counts() {
    let (slices, packs) = packs_at(60, |_| None);
    assert_steps(&run(&packs), &slices, &[Quirk::PtsMissing]);
}

#[test]
fn row_14_a_pts_on_key_frames_only() {
    let (slices, packs) = packs_at(60, |number| (number % 10 == 0).then(|| time_of(number)));
    assert_steps(&run(&packs), &slices, &[Quirk::PtsMissing]);
}

#[test]
fn row_15_a_pts_of_zero_for_all() {
    let (slices, packs) = packs_at(60, |_| Some(0));
    assert_steps(&run(&packs), &slices, &[Quirk::PtsConstant]);
}

#[test]
fn row_16_a_wrap_at_33_bits_is_no_jump() {
    let (slices, packs) = packs_at(60, |number| Some((1 << 33) - 18_000 + number * 3600));
    assert_steps(&run(&packs), &slices, &[]);
}

#[test]
fn row_16_a_wrap_at_32_bits_is_no_jump() {
    // As in the report: 8,589,932,482 is followed by 1,490.
    let base = (1_u64 << 33) - 18_000;
    let (slices, packs) = packs_at(60, |number| Some(base + number * 3600));
    assert_steps(&run(&packs), &slices, &[]);
    let (slices, packs) = packs_at(60, |number| {
        Some(((1_u64 << 32) - 18_000 + number * 3600) & 0xFFFF_FFFF)
    });
    assert_steps(&run(&packs), &slices, &[Quirk::PtsWrap32]);
}

#[test]
fn row_18_a_jump_of_the_clock_is_taken_out() {
    for jump in [10_000_000_i64, -10_000_000, 60_000, -60_000] {
        let (slices, packs) = packs_at(60, |number| {
            let shift = if number >= 25 { jump } else { 0 };
            Some((20_000_000 + number as i64 * 3600 + shift) as u64)
        });
        assert_steps(&run(&packs), &slices, &[Quirk::TimestampJump]);
    }
}

#[test]
fn row_18_sound_and_picture_stay_together_over_a_jump() {
    let slices = slices(80, 10, 500);
    let mut packs = Vec::new();
    for (number, slice) in slices.iter().enumerate() {
        let jump = if number >= 25 { 50_000_000 } else { 0 };
        let pts = time_of(number as u64) + jump;
        let picture = match slice[0] {
            0x65 => annex_b(&[SPS, PPS, slice]),
            _ => annex_b(&[slice]),
        };
        let sound = pes(AUDIO, Some(pts), &[0xD5; 320]);
        packs.push(
            [
                key_head(pts, H264_AND_SOUND),
                pes(VIDEO, Some(pts), &picture),
                sound,
            ]
            .concat(),
        );
    }
    let outcome = run(&packs);
    let (video, audio) = (outcome.dts(Kind::Video), outcome.dts(Kind::Audio));
    assert!(video.len() >= 79 && audio.len() >= 79);
    for (video, audio) in video.iter().zip(&audio) {
        assert!((video - audio).abs() <= 3600, "{video} {audio}");
    }
    assert_eq!(outcome.quirks(), [Quirk::TimestampJump]);
}

#[test]
fn row_18_a_pause_that_really_was_stays_a_pause() {
    let (_, packs) = packs_at(40, |number| {
        Some(time_of(number) + if number >= 20 { 450_000 } else { 0 })
    });
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for (number, pack) in packs.iter().enumerate() {
        if number == 20 {
            bench.now += 5_000_000;
        }
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    assert_eq!(bench.outcome.quirks(), []);
    assert_eq!(bench.outcome.steps(Kind::Video)[19], 453_600);
}

#[test]
fn row_18_a_camera_of_one_frame_a_second_is_no_jump() {
    let (_, packs) = packs_at(20, |number| Some(90_000 + number * 90_000));
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for pack in &packs {
        let packets = sender.frame(pack);
        bench.packets(&packets);
        bench.now += 1_000_000;
    }
    assert_eq!(bench.outcome.quirks(), []);
    let steps = bench.outcome.steps(Kind::Video);
    assert!(steps.iter().all(|&step| step == 90_000), "{steps:?}");
}

#[test]
fn row_19_useless_timestamps_are_replaced_by_arrival() {
    let (slices, packs) = packs_at(120, |number| Some(number * 7_919_777 % 8_589_934_592));
    let outcome = run(&packs);
    assert!(starts_with(&outcome.video(), &expected(&slices)));
    assert!(outcome.saw(Quirk::TimestampsUnusable));
    let steps = outcome.steps(Kind::Video);
    assert!(steps.iter().all(|&step| step > 0));
    assert!(steps[60..].iter().all(|&step| step == 3600), "{steps:?}");
}

#[test]
fn row_62_in_a_download_gaps_are_real_and_arrival_says_nothing() {
    let (slices, packs) = packs_at(60, |number| {
        Some(time_of(number) + if number >= 30 { 9_000_000 } else { 0 })
    });
    let settings = IngestSettings {
        pace: Pace::File,
        ..expecting()
    };
    let mut bench = Bench::new(settings);
    let mut sender = Sender::default();
    for pack in &packs {
        let packets = sender.frame(pack);
        bench.packets(&packets);
    }
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
    assert_eq!(bench.outcome.quirks(), []);
    let steps = bench.outcome.steps(Kind::Video);
    assert_eq!(steps[29], 9_003_600);
    assert!(steps
        .iter()
        .enumerate()
        .all(|(at, &step)| at == 29 || step == 3600));
}

#[test]
fn a_dts_below_the_pts_gives_a_composition_offset() {
    let slices = slices(12, 10, 500);
    let packs: Vec<_> = (slices.iter().enumerate())
        .map(|(number, slice)| {
            let dts = time_of(number as u64);
            let picture = annex_b(&[SPS, PPS, slice]);
            let video = pes_claiming(VIDEO, Some(dts + 7200), Some(dts), &picture, None);
            [key_head(dts, H264_ONLY), video].concat()
        })
        .collect();
    let outcome = run(&packs);
    for frame in outcome.frames() {
        assert_eq!(frame.pts - frame.dts, 7200);
    }
}
