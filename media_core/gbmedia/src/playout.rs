//! A simulated camera's sender: which packets of a clip are due at which time.
//!
//! Real time: frame `n` is due at its own time, and a key frame's packets are spread over at most
//! 70 % of the frame interval (annex C: the sender shall limit its peak rate). The clip is played
//! in a loop with times that go on rising. Faults are no business of this module.

use std::sync::Arc;

use crate::clip::Clip;
use crate::packetize::{Framing, Packetizer};
use crate::ps::mux::{PictureUnit, PsMuxer, SoundUnit};

/// What one run of packets may hold: Linux segments 64 packets and 65,507 bytes at once.
const MAX_RUN: usize = 44;
/// A key frame leaves in steps of this size, so that a sender of hundreds of streams sleeps between.
const STEP_US: u64 = 1000;
/// A sender that was held up for longer goes on from now instead of catching up.
const MAX_LAG_US: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub struct PlayoutSettings {
    pub ssrc: u32,
    pub payload_type: u8,
    pub framing: Framing,
    /// Send the clip's sound, if it has any.
    pub sound: bool,
    /// Index of the first frame; the key frame at or before it is taken.
    pub start_frame: usize,
    /// Sequence number and times begin at values drawn from it.
    pub seed: u64,
}

impl PlayoutSettings {
    pub fn new(ssrc: u32, framing: Framing) -> Self {
        Self {
            ssrc,
            payload_type: 96,
            framing,
            sound: true,
            start_frame: 0,
            seed: u64::from(ssrc),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    pub frames: u64,
    pub packets: u64,
    /// With RTP headers and prefixes.
    pub bytes: u64,
    /// How often the sender was held up for more than a second.
    pub stalls: u64,
}

/// Packets that are due: all of `size` bytes, but the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    pub bytes: &'a [u8],
    pub size: usize,
}

impl<'a> Run<'a> {
    pub fn packets(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.size)
    }
}

/// One sender. Time is microseconds of any monotonic clock.
#[derive(Debug)]
pub struct Playout {
    clip: Arc<Clip>,
    muxer: PsMuxer,
    packetizer: Packetizer,
    sound: bool,
    /// Time of the wire at the clip's beginning; rises by the clip's length with every loop.
    base_pts: i64,
    /// Frame whose packets lie in `buffer`.
    index: usize,
    /// When that frame is due, in units of 1/90 us so that loops do not drift, from `origin`.
    due_ticks: i64,
    origin_us: u64,
    pack: Vec<u8>,
    buffer: Vec<u8>,
    /// Packets of `buffer`, and how many of them have left.
    packets: usize,
    sent: usize,
    stats: PlayoutStats,
}

impl Playout {
    /// The first frame is due at `now`.
    pub fn new(clip: Arc<Clip>, settings: PlayoutSettings, now: u64) -> Self {
        let mut seed = settings.seed;
        let asked = settings.start_frame.min(clip.frames.len() - 1);
        let index = (0..=asked)
            .rfind(|index| clip.frames[*index].key)
            .unwrap_or(0);
        let audio = clip.audio.filter(|_| settings.sound);
        let mut playout = Self {
            muxer: PsMuxer::new(Some(clip.video), audio),
            packetizer: Packetizer {
                ssrc: settings.ssrc,
                payload_type: settings.payload_type,
                sequence: split_mix(&mut seed) as u16,
                framing: settings.framing,
            },
            sound: audio.is_some(),
            base_pts: i64::from(split_mix(&mut seed) as u32),
            index,
            due_ticks: 0,
            origin_us: now,
            pack: Vec::new(),
            buffer: Vec::new(),
            packets: 0,
            sent: 0,
            stats: PlayoutStats::default(),
            clip,
        };
        playout.load();
        playout
    }

    /// When [`Playout::due`] has something to give next.
    pub fn next_due(&self) -> u64 {
        self.due_of(self.sent)
    }

    /// The next packets that are due; call it until it gives `None`.
    pub fn due(&mut self, now: u64) -> Option<Run<'_>> {
        if self.next_due() > now {
            return None;
        }
        self.forgive_lag(now);
        if self.sent == self.packets {
            self.advance();
        }
        let begin = self.sent;
        let last = (begin + MAX_RUN).min(self.packets);
        let count = (begin..last)
            .take_while(|packet| self.due_of(*packet) <= now)
            .count();
        if count == 0 {
            return None;
        }
        self.sent += count;
        let size = self.packetizer.framing.stride();
        let bytes = &self.buffer[begin * size..(self.sent * size).min(self.buffer.len())];
        self.stats.packets += count as u64;
        self.stats.bytes += bytes.len() as u64;
        self.stats.frames += u64::from(self.sent == self.packets);
        Some(Run { bytes, size })
    }

    pub fn stats(&self) -> PlayoutStats {
        self.stats
    }

    /// When packet `number` of the loaded frame is due; behind the last: when the next frame is.
    fn due_of(&self, number: usize) -> u64 {
        let interval = self.clip.interval(self.index);
        if number >= self.packets {
            return self.origin_us + micros(self.due_ticks + interval);
        }
        let frame = self.origin_us + micros(self.due_ticks);
        if !self.clip.frames[self.index].key {
            return frame;
        }
        let spread = micros(interval * 7 / 10);
        frame + spread * number as u64 / self.packets as u64 / STEP_US * STEP_US
    }

    fn forgive_lag(&mut self, now: u64) {
        let lag = now - self.next_due();
        if lag > MAX_LAG_US {
            self.origin_us += lag;
            self.stats.stalls += 1;
        }
    }

    fn advance(&mut self) {
        self.due_ticks += self.clip.interval(self.index);
        self.index += 1;
        if self.index == self.clip.frames.len() {
            self.index = 0;
            self.base_pts += self.clip.duration;
        }
        self.load();
    }

    fn load(&mut self) {
        let frame = &self.clip.frames[self.index];
        let pts = self.base_pts + frame.pts;
        let picture = PictureUnit {
            pts,
            dts: pts,
            key: frame.key,
            data: &frame.data,
        };
        let sound = SoundUnit {
            pts,
            data: self.clip.sound_of(self.index),
        };
        let with_sound = self.sound && !sound.data.is_empty();
        self.pack.clear();
        self.muxer
            .pack(picture, &[sound][..usize::from(with_sound)], &mut self.pack);
        self.buffer.clear();
        self.packetizer
            .packetize(&self.pack, pts as u32, &mut self.buffer);
        self.packets = self.buffer.len().div_ceil(self.packetizer.framing.stride());
        self.sent = 0;
    }
}

fn micros(ticks: i64) -> u64 {
    (ticks.max(0) * 100 / 9) as u64
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed's next number.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut value = *state;
    value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

#[cfg(test)]
mod tests;
