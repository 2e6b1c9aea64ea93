//! From what devices stamp on their frames to a time that only grows.
//!
//! Each track advances by steps. A step comes from the PES timestamps, else from the RTP timestamp, else
//! from the length of the sound or the time of arrival; in live streams an impossible step is replaced by
//! the last good one (rows 12-19 of the quirk table).

use crate::ingest::Pace;
use crate::output::Output;
use crate::quirk::Quirk;

/// Ticks per second of PES timestamps, and of all times that leave this module.
pub const CLOCK_RATE: i64 = 90_000;

/// The first frame's time: room for a sound that begins earlier.
pub const START: i64 = CLOCK_RATE;

/// 40 ms: the step of a track that has shown no other.
const DEFAULT_STEP: i64 = 3600;
/// Row 18: ZLM takes a live step over 300 ms for a jump. We do so only when the arrival disagrees.
const JUMP: i64 = 300 * 90;
/// Row 15: lalmax leaves the PTS after 10 that did not change.
const CONSTANT_LIMIT: u32 = 10;
/// Row 17: frames in a row whose steps count 8 kHz.
const SCALE_PROOF: u32 = 3;
/// Composition offsets beyond 2 s are errors.
const MAX_COMPOSITION: i64 = 2 * CLOCK_RATE;
/// A bad step adds 3, a good one takes 1: above this a quarter of the steps was bad.
const UNUSABLE: u32 = 90;
/// Tracks further apart than 10 s do not count by the same clock.
const MAX_SKEW: i64 = 10 * CLOCK_RATE;

const MODULUS_33: i64 = 1 << 33;
const MODULUS_32: i64 = 1 << 32;

/// What is known of a frame's time.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// 33 bits.
    pub pts: Option<u64>,
    pub dts: Option<u64>,
    /// RTP timestamp, in units of 90 kHz.
    pub rtp: u32,
    /// In microseconds.
    pub arrival: u64,
    /// Not the first frame of its PES: it follows the one before by that one's length.
    pub follows: bool,
}

impl Stamp {
    fn decode(&self) -> Option<i64> {
        self.dts.or(self.pts).map(|time| time as i64)
    }
}

/// The signed way from `from` to `to` modulo 2^33, or modulo 2^32 if that is shorter (row 16). The flag
/// tells that only 2^32 explains the step.
pub fn difference(to: i64, from: i64) -> (i64, bool) {
    let modulo = |modulus: i64| {
        let step = (to - from).rem_euclid(modulus);
        if step >= modulus / 2 {
            step - modulus
        } else {
            step
        }
    };
    let (long, short) = (modulo(MODULUS_33), modulo(MODULUS_32));
    if long.abs() <= short.abs() {
        (long, false)
    } else {
        (short, true)
    }
}

/// Where the tracks of a stream stand: `[video, audio]`, each the last PES time and what became of it.
#[derive(Default, Debug)]
pub struct Clock {
    anchors: [Option<(i64, i64)>; 2],
    last: Option<(u64, i64)>,
}

/// The time line of one track.
#[derive(Debug)]
pub struct Timeline {
    track: usize,
    pace: Pace,
    started: bool,
    /// Last PES time, or what it should have been.
    pes: i64,
    rtp: u32,
    arrival: u64,
    out: i64,
    /// Last good step.
    step: i64,
    constant_pes: u32,
    constant_rtp: u32,
    /// Length of the frame before, if known.
    duration: Option<i64>,
    scaled: bool,
    scale_proof: u32,
    badness: u32,
    unusable: bool,
}

impl Timeline {
    pub fn video(pace: Pace) -> Self {
        Self::new(0, pace)
    }

    pub fn audio(pace: Pace) -> Self {
        Self::new(1, pace)
    }

    fn new(track: usize, pace: Pace) -> Self {
        Self {
            track,
            pace,
            started: false,
            pes: 0,
            rtp: 0,
            arrival: 0,
            out: 0,
            step: DEFAULT_STEP,
            constant_pes: 0,
            constant_rtp: 0,
            duration: None,
            scaled: false,
            scale_proof: 0,
            badness: 0,
            unusable: false,
        }
    }

    /// The next frame's `(dts, pts)`. `duration` is that of this frame, in ticks, where it is known.
    pub(crate) fn next(
        &mut self,
        stamp: &Stamp,
        duration: Option<i64>,
        clock: &mut Clock,
        output: &mut Output,
    ) -> (i64, i64) {
        if self.started {
            let step = self.choose_step(stamp, clock, output);
            self.out += step.max(1);
        } else {
            self.start(stamp, clock);
        }
        self.rtp = stamp.rtp;
        self.arrival = stamp.arrival;
        self.duration = duration;
        if let Some(time) = stamp.decode() {
            self.pes = time;
            clock.anchors[self.track] = Some((time, self.out));
        }
        clock.last = Some((stamp.arrival, self.out));
        (self.out, self.out + composition(stamp))
    }

    /// A track begins where the other one stands.
    fn start(&mut self, stamp: &Stamp, clock: &Clock) {
        self.started = true;
        let other = clock.anchors[1 - self.track];
        let aligned = stamp.decode().zip(other).and_then(|(time, anchor)| {
            let (way, _) = difference(time, anchor.0);
            (way.abs() < MAX_SKEW).then_some(anchor.1 + way)
        });
        self.out = aligned.unwrap_or_else(|| match clock.last {
            Some((arrival, out)) => out + elapsed(stamp.arrival, arrival),
            None => START,
        });
        self.out = self.out.max(1);
    }

    fn choose_step(&mut self, stamp: &Stamp, clock: &Clock, output: &mut Output) -> i64 {
        let waited = elapsed(stamp.arrival, self.arrival);
        if stamp.follows {
            let step = self.duration.unwrap_or(self.step);
            self.pes += step;
            return step;
        }
        if self.unusable {
            return self.arrival_step(waited);
        }
        match self.pes_step(stamp, output) {
            Some(step) => self.judge(step, waited, stamp, clock, output),
            None => {
                let step = self.other_step(stamp, waited, output);
                self.pes += step;
                step
            }
        }
    }

    /// `None` when there is no PTS or it stands still.
    fn pes_step(&mut self, stamp: &Stamp, output: &mut Output) -> Option<i64> {
        let Some(time) = stamp.decode() else {
            output.quirk(Quirk::PtsMissing);
            return None;
        };
        let (mut step, wrapped_at_32) = difference(time, self.pes);
        if step == 0 {
            self.constant_pes += 1;
            if self.constant_pes == CONSTANT_LIMIT {
                output.quirk(Quirk::PtsConstant);
            }
            return None;
        }
        self.constant_pes = 0;
        if wrapped_at_32 {
            output.quirk(Quirk::PtsWrap32);
        }
        if let Some(duration) = self.duration {
            step = self.scale(step, duration, output);
        }
        Some(step)
    }

    /// Row 17: sound that counts samples of 8 kHz has steps of 8/90 of its length.
    fn scale(&mut self, step: i64, duration: i64, output: &mut Output) -> i64 {
        let off_by_scale = (step * 90 - duration * 8).abs() * 8 <= duration * 8;
        if off_by_scale {
            self.scale_proof = (self.scale_proof + 1).min(SCALE_PROOF);
        } else if (step - duration).abs() * 8 <= duration {
            self.scale_proof = 0;
            self.scaled = false;
        }
        if self.scale_proof == SCALE_PROOF && !self.scaled {
            self.scaled = true;
            output.quirk(Quirk::AudioClock8k);
        }
        if self.scaled || (off_by_scale && self.scale_proof > 0) {
            step * 90 / 8
        } else {
            step
        }
    }

    /// Take a plausible step, replace another.
    fn judge(
        &mut self,
        step: i64,
        waited: i64,
        stamp: &Stamp,
        clock: &Clock,
        output: &mut Output,
    ) -> i64 {
        let longest = match self.pace {
            Pace::Live => JUMP.max(waited * 2 + JUMP / 3),
            Pace::File => i64::MAX,
        };
        if step > 0 && step <= longest {
            self.badness = self.badness.saturating_sub(1);
            if step <= JUMP {
                self.step = step;
            }
            return step;
        }
        output.quirk(Quirk::TimestampJump);
        self.badness += 3;
        if self.badness > UNUSABLE && self.pace == Pace::Live {
            self.unusable = true;
            output.quirk(Quirk::TimestampsUnusable);
        }
        self.rejoin(stamp, clock)
            .unwrap_or_else(|| self.duration.unwrap_or(self.step))
    }

    /// When the clock of the device jumped, both tracks jump: follow the one that was repaired first.
    fn rejoin(&self, stamp: &Stamp, clock: &Clock) -> Option<i64> {
        if self.scaled {
            return None;
        }
        let (anchor_time, anchor_out) = clock.anchors[1 - self.track]?;
        let (way, _) = difference(stamp.decode()?, anchor_time);
        let step = anchor_out + way - self.out;
        (way.abs() < 2 * CLOCK_RATE && step > 0 && step < 2 * CLOCK_RATE).then_some(step)
    }

    /// Rows 12, 14, 15: without a PTS.
    fn other_step(&mut self, stamp: &Stamp, waited: i64, output: &mut Output) -> i64 {
        if let Some(duration) = self.duration {
            // A pause of the sound shows in its arrival only.
            let pause = self.pace == Pace::Live && waited > duration + CLOCK_RATE;
            return if pause { waited } else { duration };
        }
        let step = i64::from(stamp.rtp.wrapping_sub(self.rtp) as i32);
        if step == 0 {
            self.constant_rtp += 1;
            if self.constant_rtp == CONSTANT_LIMIT {
                output.quirk(Quirk::RtpTimestampConstant);
            }
        } else {
            self.constant_rtp = 0;
            let longest = match self.pace {
                Pace::Live => JUMP.max(waited * 2 + JUMP / 3),
                Pace::File => i64::MAX,
            };
            if step > 0 && step <= longest {
                self.step = step;
                return step;
            }
            output.quirk(Quirk::TimestampJump);
            return self.step;
        }
        if self.constant_rtp < CONSTANT_LIMIT || self.pace == Pace::File {
            return self.step;
        }
        self.arrival_step(waited)
    }

    fn arrival_step(&self, waited: i64) -> i64 {
        waited.clamp(1, 5 * CLOCK_RATE)
    }
}

/// Ticks between two arrivals.
fn elapsed(to: u64, from: u64) -> i64 {
    i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX / 9) * 9 / 100
}

/// `pts - dts`, where the device sends both and they make sense.
fn composition(stamp: &Stamp) -> i64 {
    match (stamp.pts, stamp.dts) {
        (Some(pts), Some(dts)) => {
            let (offset, _) = difference(pts as i64, dts as i64);
            if (0..=MAX_COMPOSITION).contains(&offset) {
                offset
            } else {
                0
            }
        }
        _ => 0,
    }
}
