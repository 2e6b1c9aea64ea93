//! One incoming stream from RTP packets to access units.

use std::sync::Arc;

use crate::es::{is_transport_stream, recognise, Depacketizer};
use crate::frame::{AudioParameters, Codec, Frame, Kind, VideoParameters};
use crate::ps::demux::PsDemux;
use crate::quirk::Quirk;
use crate::reorder::{Gap, Reorder};
use crate::rtcp::{self, Reception, RtcpItem};
use crate::rtp::{is_rtcp, RtpPacket};
use crate::ssrc::{SsrcGate, SsrcVerdict};
use crate::stats::StreamStats;
use crate::timestamps::Stamp;
use crate::tracks::Tracks;
use crate::video::VideoTrack;

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

/// RTP clock of PS and of video.
const VIDEO_CLOCK: u32 = 90_000;
/// RTP clock of G.711 and its kin.
const AUDIO_CLOCK: u32 = 8_000;
/// RFC 3551: PCMU and PCMA.
const STATIC_AUDIO: [u8; 2] = [0, 8];

/// RFC 3550 A.1 MAX_DROPOUT: a longer jump is a restart and no loss.
const MAX_GAP: u16 = 3000;

/// How payloads are understood. A program stream is the rule and always wins.
enum Payload {
    ProgramStream,
    Video(Depacketizer),
    Audio,
    /// Counted only: vendor-private, or a transport stream.
    Opaque,
}

/// A stream's receiver: bytes and time go in, events come out.
///
/// `now` is in microseconds of any monotonic clock and must not go back. After each `receive_*` and
/// `handle_timer` take events until [`Ingest::next_event`] gives `None`.
pub struct Ingest {
    gate: SsrcGate,
    reorder: Reorder,
    reception: Reception,
    reliable: bool,
    reporter_ssrc: u32,
    /// Set while packets are counted and not looked into.
    counting: Option<Counting>,
    /// Lost while counting only.
    lost_uncounted: u64,
    stream: Stream,
}

/// Losses without a reorder window: a late packet takes its loss back.
#[derive(Default)]
struct Counting {
    next: Option<u16>,
    lost: u64,
}

impl Counting {
    fn receive(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        if ahead < MAX_GAP {
            self.lost += u64::from(ahead);
        } else if ahead > u16::MAX - MAX_GAP {
            self.lost = self.lost.saturating_sub(1);
            return;
        }
        self.next = Some(sequence.wrapping_add(1));
    }
}

/// Everything behind the sequence of packets.
struct Stream {
    payload: Payload,
    payload_type: u8,
    demux: PsDemux,
    tracks: Tracks,
    /// RTP timestamp of elementary streams, unwrapped.
    extended: i64,
    /// Timestamp of the packet before.
    timestamp: Option<u32>,
}

impl Ingest {
    pub fn new(settings: IngestSettings) -> Self {
        let mut tracks = Tracks::new(&settings);
        let payload = match settings.elementary {
            _ if settings.private_payload => {
                tracks.output.quirk(Quirk::PrivatePayload);
                Payload::Opaque
            }
            None => Payload::ProgramStream,
            Some(codec) => {
                tracks.declare(codec);
                match codec.kind() {
                    Kind::Video => Payload::Video(Depacketizer::new(codec)),
                    Kind::Audio => Payload::Audio,
                }
            }
        };
        let clock_rate = match payload {
            Payload::Audio => AUDIO_CLOCK,
            _ => VIDEO_CLOCK,
        };
        Self {
            gate: SsrcGate::new(settings.expected_ssrc, settings.port_use),
            reorder: Reorder::new(
                settings.reorder_packets,
                settings.reorder_us,
                settings.reliable,
            ),
            reception: Reception::new(clock_rate),
            reliable: settings.reliable,
            reporter_ssrc: settings.reporter_ssrc,
            counting: None,
            lost_uncounted: 0,
            stream: Stream {
                payload,
                payload_type: settings.payload_type,
                demux: PsDemux::default(),
                tracks,
                extended: 0,
                timestamp: None,
            },
        }
    }

    /// Change the expected SSRC in place, without touching the socket (row 52).
    pub fn expect_ssrc(&mut self, ssrc: Option<u32>) {
        self.gate.expect(ssrc);
    }

    /// Count packets, their loss and jitter, and look no further: for streams that are only relayed.
    /// Switched off again, frames begin with the next key frame.
    pub fn set_counting_only(&mut self, counting_only: bool) {
        if counting_only == self.counting.is_some() {
            return;
        }
        if let Some(counting) = self.counting.take() {
            self.lost_uncounted += counting.lost;
        } else {
            self.counting = Some(Counting::default());
            self.reorder.reset();
            self.stream.lost();
            self.stream.tracks.with_video(VideoTrack::join_late);
        }
    }

    /// One datagram of the RTP port, or one packet of the RFC 4571 framing. RTCP is told apart.
    pub fn receive_rtp(&mut self, packet: &[u8], now: u64) {
        if is_rtcp(packet) {
            self.stream.tracks.output.quirk(Quirk::RtcpOnRtpPort);
            self.receive_rtcp(packet, now);
            return;
        }
        let size = packet.len();
        let Ok(packet) = RtpPacket::parse(packet) else {
            self.stream.tracks.output.stats.rejected += 1;
            return;
        };
        if !self.admit(packet.ssrc(), now) {
            self.stream.tracks.output.stats.rejected += 1;
            return;
        }
        self.stream.count(&packet, size, now);
        self.reception.receive(&packet, now);
        if let Some(counting) = &mut self.counting {
            counting.receive(packet.sequence());
            return;
        }
        let stream = &mut self.stream;
        self.reorder
            .receive(&packet, now, |gap, packet| stream.packet(gap, packet, now));
    }

    /// SSRC rules; false for packets of others.
    #[inline]
    fn admit(&mut self, ssrc: u32, now: u64) -> bool {
        let verdict = self.gate.check(ssrc, now);
        verdict == SsrcVerdict::Same || self.admit_new(verdict, ssrc)
    }

    fn admit_new(&mut self, verdict: SsrcVerdict, ssrc: u32) -> bool {
        let output = &mut self.stream.tracks.output;
        match verdict {
            SsrcVerdict::Same => return true,
            SsrcVerdict::Foreign => return false,
            SsrcVerdict::Mixed => {
                output.quirk(Quirk::SsrcMixed);
                return false;
            }
            SsrcVerdict::Matched => output.event(IngestEvent::SsrcMatched(ssrc)),
            SsrcVerdict::Adopted => {
                let expected = self.gate.expected();
                output.event(IngestEvent::SsrcAdopted { expected, ssrc });
                if expected.is_some() {
                    output.quirk(Quirk::SsrcMismatch);
                }
            }
            SsrcVerdict::Changed => {
                output.quirk(Quirk::SsrcChanged);
                self.reorder.reset();
                self.reception.restart();
                self.stream.interrupt();
            }
        }
        let output = &mut self.stream.tracks.output;
        if ssrc == 0 {
            output.quirk(Quirk::SsrcZero);
        }
        output.stats.ssrc = Some(ssrc);
        true
    }

    /// One datagram of the RTCP port.
    pub fn receive_rtcp(&mut self, packet: &[u8], now: u64) {
        self.stream.tracks.output.stats.rtcp_packets += 1;
        for item in rtcp::parse(packet) {
            if let RtcpItem::SenderReport(report) = item {
                if self.gate.current() == Some(report.ssrc) {
                    self.reception.receive_sender_report(&report, now);
                }
            }
        }
    }

    /// When [`Ingest::handle_timer`] wants to be called, if at all.
    pub fn next_timeout(&self) -> Option<u64> {
        self.reorder.next_timeout()
    }

    /// Give up waiting for packets that are overdue.
    pub fn handle_timer(&mut self, now: u64) {
        let stream = &mut self.stream;
        self.reorder
            .handle_timer(now, |gap, packet| stream.packet(gap, packet, now));
    }

    /// A receiver report, when one is due: every 5 s after the first packet (row 56). Over TCP there are
    /// none, the standard is silent and devices do not expect them.
    pub fn rtcp_to_send(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.reliable {
            return None;
        }
        let source = self.gate.current()?;
        self.reception
            .report_to_send(source, self.reporter_ssrc, now)
    }

    /// Report a quirk that was seen outside, for instance by the framing of RTP over TCP.
    pub fn note_quirk(&mut self, quirk: Quirk) {
        self.stream.tracks.output.quirk(quirk);
    }

    pub fn next_event(&mut self) -> Option<IngestEvent> {
        self.stream.tracks.output.events.pop_front()
    }

    /// Bytes held for packets, headers and frames that are not yet whole; events not counted.
    pub fn buffered(&self) -> usize {
        let stream = &self.stream;
        let tracks = stream.tracks.video.buffered() + stream.tracks.audio.buffered();
        self.reorder.buffered() + stream.demux.buffered() + tracks
    }

    /// A snapshot.
    pub fn stats(&self) -> StreamStats {
        let counters = self.reorder.counters();
        let counting = self.counting.as_ref().map_or(0, |counting| counting.lost);
        StreamStats {
            lost: counters.lost + self.lost_uncounted + counting,
            duplicates: counters.duplicates,
            reordered: counters.reordered,
            late: counters.late,
            sequence_restarts: counters.restarts,
            jitter_us: self.reception.jitter_us(),
            ..self.stream.tracks.output.stats.clone()
        }
    }
}

impl Stream {
    #[inline]
    fn count(&mut self, packet: &RtpPacket<'_>, size: usize, now: u64) {
        let stats = &mut self.tracks.output.stats;
        stats.packets += 1;
        stats.bytes += size as u64;
        stats.payload_type = Some(packet.payload_type());
        stats.last_packet_at = Some(now);
        if stats.first_packet_at.is_none() {
            stats.first_packet_at = Some(now);
        }
        self.tracks.rates.packet(size);
        if let Some((fps_milli, bitrate_bps)) = self.tracks.rates.roll(now) {
            stats.fps_milli = fps_milli;
            stats.bitrate_bps = bitrate_bps;
        }
    }

    /// The next packet in sequence.
    #[inline]
    fn packet(&mut self, gap: Gap, packet: &RtpPacket<'_>, now: u64) {
        if gap != Gap::None {
            self.gap(gap);
        }
        self.tracks.rtp_timestamp = packet.timestamp();
        self.tracks.now = now;
        if !self.tracks.ps_locked() {
            self.probe(packet);
        }
        match &mut self.payload {
            Payload::ProgramStream => self.program_stream(packet),
            Payload::Video(_) => self.video(packet),
            Payload::Audio => self.audio(packet),
            Payload::Opaque => {}
        }
        self.timestamp = Some(packet.timestamp());
    }

    fn gap(&mut self, gap: Gap) {
        match gap {
            Gap::None => return,
            Gap::Lost(packets) => self.tracks.output.event(IngestEvent::Lost { packets }),
            Gap::Restart => self.tracks.output.quirk(Quirk::SequenceRestart),
        }
        self.lost();
    }

    fn lost(&mut self) {
        if let Payload::Video(depacketizer) = &mut self.payload {
            depacketizer.lost();
        }
        self.demux.lost(&mut self.tracks);
        self.tracks.lost();
    }

    /// Another source goes on: nothing is lost if the one before was at the end of a frame.
    fn interrupt(&mut self) {
        if self.demux.at_boundary() {
            self.tracks.with_video(VideoTrack::end_access_unit);
        } else {
            self.lost();
        }
        self.timestamp = None;
    }

    #[inline]
    fn program_stream(&mut self, packet: &RtpPacket<'_>) {
        if self
            .timestamp
            .is_some_and(|before| before != packet.timestamp())
            && self.demux.in_payload()
        {
            self.tracks.output.quirk(Quirk::RtpTimestampDisorder);
        }
        self.demux.push(packet.payload(), &mut self.tracks);
        if packet.marker() && (self.demux.at_boundary() || self.demux.in_unbounded()) {
            self.tracks.with_video(VideoTrack::marker);
        }
    }

    /// Rows 44 and 45: what the payload is shows in itself, not in the payload type.
    #[cold]
    fn probe(&mut self, packet: &RtpPacket<'_>) {
        let payload = packet.payload();
        if matches!(self.payload, Payload::Opaque) {
            return;
        }
        if payload.starts_with(&[0, 0, 1, 0xBA]) {
            self.payload = Payload::ProgramStream;
            if packet.payload_type() != self.payload_type {
                self.tracks.output.quirk(Quirk::UnknownPayloadType);
            }
            return;
        }
        if !matches!(self.payload, Payload::ProgramStream) {
            return;
        }
        if is_transport_stream(payload) {
            self.tracks.output.quirk(Quirk::TransportStream);
            self.payload = Payload::Opaque;
        } else if let Some(codec) = recognise(payload) {
            self.tracks.output.quirk(match codec {
                Codec::H265 => Quirk::ElementaryH265,
                _ => Quirk::ElementaryH264,
            });
            self.tracks.declare(codec);
            self.payload = Payload::Video(Depacketizer::new(codec));
        } else if STATIC_AUDIO.contains(&packet.payload_type()) {
            let law = if packet.payload_type() == 8 {
                Codec::G711A
            } else {
                Codec::G711U
            };
            self.tracks.declare(law);
            self.payload = Payload::Audio;
        }
    }

    /// The time of an elementary stream is its RTP timestamp.
    fn stamp(&mut self, packet: &RtpPacket<'_>, clock_rate: u32) -> Stamp {
        let before = self.timestamp.unwrap_or(packet.timestamp());
        self.extended += i64::from(packet.timestamp().wrapping_sub(before) as i32);
        let ticks = self.extended * i64::from(VIDEO_CLOCK) / i64::from(clock_rate);
        Stamp {
            pts: Some(ticks.rem_euclid(1 << 33) as u64),
            dts: None,
            rtp: packet.timestamp(),
            arrival: self.tracks.now,
            follows: false,
        }
    }

    fn video(&mut self, packet: &RtpPacket<'_>) {
        let new = self.timestamp != Some(packet.timestamp());
        let stamp = self.stamp(packet, VIDEO_CLOCK);
        if new {
            self.tracks.with_video(|video, context| {
                video.end_access_unit(context);
                video.set_stamp(stamp);
            });
        }
        let Payload::Video(depacketizer) = &mut self.payload else {
            return;
        };
        depacketizer.push(packet.payload(), self.tracks.video.nal_sink());
        self.tracks.with_video(|video, context| {
            if packet.marker() {
                video.end_access_unit(context);
            } else {
                video.deliver(context);
            }
        });
    }

    fn audio(&mut self, packet: &RtpPacket<'_>) {
        let stamp = self.stamp(packet, AUDIO_CLOCK);
        let payload = packet.payload();
        if !payload.is_empty() {
            self.tracks
                .with_audio(|audio, context| audio.packet(stamp, payload, context));
        }
    }
}
