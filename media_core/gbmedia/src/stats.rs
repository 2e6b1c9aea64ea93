//! Counters and short windows of one stream.

use crate::frame::Codec;
use crate::quirk::QuirkCounts;

/// A snapshot of what is known about a stream. Counters only grow.
#[derive(Clone, Debug, Default)]
pub struct StreamStats {
    /// RTP packets accepted, and their bytes with the RTP header.
    pub packets: u64,
    pub bytes: u64,
    /// Sequence numbers that never came within the reorder window.
    pub lost: u64,
    pub duplicates: u64,
    /// Packets that came out of order and were put right.
    pub reordered: u64,
    /// Packets that came after their place had been given up.
    pub late: u64,
    /// Datagrams that are neither RTP nor RTCP, or not of this stream's SSRC.
    pub rejected: u64,
    pub sequence_restarts: u64,
    pub rtcp_packets: u64,
    /// Interarrival jitter of RFC 3550 A.8, in microseconds.
    pub jitter_us: u32,
    /// Times that the program stream had to be searched for a start code.
    pub resyncs: u64,
    /// Frames delivered.
    pub video_frames: u64,
    pub audio_frames: u64,
    pub key_frames: u64,
    /// Video frames dropped because something of them was lost.
    pub corrupt_frames: u64,
    /// Whole video frames dropped while waiting for a key frame.
    pub skipped_frames: u64,
    /// Events dropped because nobody took them.
    pub dropped_events: u64,
    /// Frames per second times 1,000 and bits per second of the last full window (one second).
    pub fps_milli: u32,
    pub bitrate_bps: u64,
    /// Frames between the last two key frames; 0 before the second one.
    pub gop_frames: u32,
    pub video_codec: Option<Codec>,
    pub audio_codec: Option<Codec>,
    pub width: u32,
    pub height: u32,
    pub ssrc: Option<u32>,
    pub payload_type: Option<u8>,
    /// `now` of the first and the last accepted RTP packet, in microseconds.
    pub first_packet_at: Option<u64>,
    pub last_packet_at: Option<u64>,
    pub quirks: QuirkCounts,
}

/// Length of the window for frame rate and bit rate, in microseconds.
const WINDOW_US: u64 = 1_000_000;

/// Frames and bytes of the running second.
#[derive(Debug, Default)]
pub(crate) struct RateWindow {
    started_at: u64,
    bytes: u64,
    frames: u32,
}

impl RateWindow {
    pub fn packet(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub fn video_frame(&mut self) {
        self.frames = self.frames.saturating_add(1);
    }

    /// `(fps_milli, bits per second)` when a window has ended.
    pub fn roll(&mut self, now: u64) -> Option<(u32, u64)> {
        let elapsed = now.saturating_sub(self.started_at);
        if elapsed < WINDOW_US {
            return None;
        }
        let first = self.started_at == 0;
        let fps_milli = u64::from(self.frames) * 1_000_000_000 / elapsed;
        let bitrate = self.bytes.saturating_mul(8_000_000) / elapsed;
        *self = Self {
            started_at: now.max(1),
            ..Self::default()
        };
        (!first).then_some((u32::try_from(fps_milli).unwrap_or(u32::MAX), bitrate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_gives_rates_per_second() {
        let mut window = RateWindow::default();
        assert_eq!(window.roll(5_000_000), None);
        for _ in 0..50 {
            window.packet(10_000);
            window.video_frame();
        }
        assert_eq!(window.roll(5_900_000), None);
        assert_eq!(window.roll(7_000_000), Some((25_000, 2_000_000)));
        assert_eq!(window.roll(8_000_000), Some((0, 0)));
    }
}
