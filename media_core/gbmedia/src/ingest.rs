//! One incoming stream from RTP packets to access units.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::frame::{AudioParameters, Codec, Frame, VideoParameters};
use crate::quirk::Quirk;
use crate::stats::StreamStats;

/// Whether the port belongs to one session or is shared by many (annex C.5 of our reference).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PortUse {
    /// Whatever SSRC arrives is this session's.
    #[default]
    Dedicated,
    /// Only the expected SSRC is.
    Shared,
}

/// What to do with video after a loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnLoss {
    /// Drop the damaged frame and all that follow up to the next key frame.
    #[default]
    DropUntilKey,
    /// Drop the damaged frame only.
    DropFrame,
    /// Deliver the damaged frame with `corrupt` set.
    Keep,
}

/// Where the timestamps come from, which decides how they may be repaired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pace {
    /// Real time: jumps are taken out, the time of arrival may help.
    #[default]
    Live,
    /// Playback or download: gaps are real and arrival says nothing.
    File,
}

#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// SSRC of the 200 if it has one, else that of the INVITE.
    pub expected_ssrc: Option<u32>,
    pub port_use: PortUse,
    /// Over TCP packets cannot come out of order: a gap is a loss at once.
    pub reliable: bool,
    /// Payload type of the answer; 96 by the standard.
    pub payload_type: u8,
    /// The SDP's encoding, when it is not PS: audio in `m=audio`, or an elementary stream.
    pub elementary: Option<Codec>,
    /// `HIKVISION/90000` and the like: count only.
    pub private_payload: bool,
    /// Meaning of stream type 0x90 and of sound without any map: `G711A` or `G711U`.
    pub g711: Codec,
    pub pace: Pace,
    pub on_loss: OnLoss,
    /// Reorder window in packets (64-256) and in microseconds.
    pub reorder_packets: u16,
    pub reorder_us: u64,
    /// In bytes. Default 4 MiB: a 4K key frame at 50 Mbit/s is below 2 MiB.
    pub max_frame_size: usize,
    /// Our own SSRC in receiver reports.
    pub reporter_ssrc: u32,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            expected_ssrc: None,
            port_use: PortUse::Dedicated,
            reliable: false,
            payload_type: 96,
            elementary: None,
            private_payload: false,
            g711: Codec::G711A,
            pace: Pace::Live,
            on_loss: OnLoss::DropUntilKey,
            reorder_packets: 128,
            reorder_us: 200_000,
            max_frame_size: 4 << 20,
            reporter_ssrc: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IngestEvent {
    /// The first RTP packet, or the first since the SSRC was changed, has the expected SSRC.
    SsrcMatched(u32),
    /// Another SSRC than expected was taken, or any when none was expected.
    SsrcAdopted {
        expected: Option<u32>,
        ssrc: u32,
    },
    /// The first pack header of a program stream was found.
    PsLocked,
    /// Parameter sets changed; valid for the frames that follow.
    Video(Arc<VideoParameters>),
    Audio(Arc<AudioParameters>),
    Frame(Frame),
    /// Seen for the first time in this stream.
    Quirk(Quirk),
    /// Packets were lost.
    Lost {
        packets: u32,
    },
}

/// Events kept for a caller that does not take them; more are dropped and counted.
const MAX_EVENTS: usize = 1024;

/// A stream's receiver: bytes and time go in, events come out.
///
/// `now` is in microseconds of any monotonic clock and must not go back. After each `receive_*` and
/// `handle_timer` take events until [`Ingest::next_event`] gives `None`.
pub struct Ingest {
    settings: IngestSettings,
    stats: StreamStats,
    events: VecDeque<IngestEvent>,
}

impl Ingest {
    pub fn new(settings: IngestSettings) -> Self {
        Self {
            settings,
            stats: StreamStats::default(),
            events: VecDeque::new(),
        }
    }

    /// Change the expected SSRC in place, without touching the socket (row 52).
    pub fn expect_ssrc(&mut self, ssrc: Option<u32>) {
        self.settings.expected_ssrc = ssrc;
    }

    /// One datagram of the RTP port, or one packet of the RFC 4571 framing. RTCP is told apart.
    pub fn receive_rtp(&mut self, packet: &[u8], now: u64) {
        let _ = (packet, now, MAX_EVENTS);
    }

    /// One datagram of the RTCP port.
    pub fn receive_rtcp(&mut self, packet: &[u8], now: u64) {
        let _ = (packet, now);
    }

    /// When [`Ingest::handle_timer`] wants to be called, if at all.
    pub fn next_timeout(&self) -> Option<u64> {
        None
    }

    /// Give up waiting for packets that are overdue.
    pub fn handle_timer(&mut self, now: u64) {
        let _ = now;
    }

    /// A receiver report, when one is due: every 5 s after the first packet (row 56).
    pub fn rtcp_to_send(&mut self, now: u64) -> Option<Vec<u8>> {
        let _ = now;
        None
    }

    /// Report a quirk that was seen outside, for instance by the framing of RTP over TCP.
    pub fn note_quirk(&mut self, quirk: Quirk) {
        if self.stats.quirks.note(quirk) {
            self.events.push_back(IngestEvent::Quirk(quirk));
        }
    }

    pub fn next_event(&mut self) -> Option<IngestEvent> {
        self.events.pop_front()
    }

    pub fn stats(&self) -> &StreamStats {
        &self.stats
    }
}
