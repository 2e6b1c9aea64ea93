//! Snapshots and news as frozen values.

use gbmedia::quirk::QuirkCounts;
use gbmedia_io::counters;
use gbmedia_io::event;
use gbmedia_io::relay;
use gbmedia_io::sender;
use pyo3::prelude::*;

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[pyclass(frozen, get_all, module = "media_relay._core")]
pub struct Event {
    stream: String,
    kind: &'static str,
    at: f64,
    detail: String,
    viewer: u64,
}

impl From<event::Event> for Event {
    fn from(event: event::Event) -> Self {
        Self {
            stream: event.stream.to_string(),
            kind: event.kind.name(),
            at: seconds(event.at),
            detail: event.detail,
            viewer: event.number,
        }
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        format!(
            "Event(stream={:?}, kind={:?}, at={:.6}, detail={:?}, viewer={})",
            self.stream, self.kind, self.at, self.detail, self.viewer
        )
    }
}

#[pyclass(frozen, get_all, skip_from_py_object, module = "media_relay._core")]
#[derive(Clone)]
pub struct ViewerStats {
    number: u64,
    container: &'static str,
    websocket: bool,
    bytes: u64,
    frames: u64,
    skipped: u64,
    waiting_bytes: u64,
}

impl From<counters::ViewerStats> for ViewerStats {
    fn from(stats: counters::ViewerStats) -> Self {
        Self {
            number: stats.number,
            container: stats.container,
            websocket: stats.websocket,
            bytes: stats.bytes,
            frames: stats.frames,
            skipped: stats.skipped,
            waiting_bytes: stats.waiting_bytes,
        }
    }
}

#[pyclass(frozen, get_all, skip_from_py_object, module = "media_relay._core")]
#[derive(Clone)]
pub struct RelayStats {
    number: u64,
    stream: String,
    remote: String,
    local_port: u16,
    transport: &'static str,
    ssrc: u32,
    connected: bool,
    packets: u64,
    bytes: u64,
    dropped_packets: u64,
    dropped_frames: u64,
    waiting_bytes: u64,
    restarts: u64,
}

impl From<relay::RelayStats> for RelayStats {
    fn from(stats: relay::RelayStats) -> Self {
        Self {
            number: stats.number,
            stream: stats.stream,
            remote: stats.remote,
            local_port: stats.local_port,
            transport: stats.transport,
            ssrc: stats.ssrc,
            connected: stats.connected,
            packets: stats.packets,
            bytes: stats.bytes,
            dropped_packets: stats.dropped_packets,
            dropped_frames: stats.dropped_frames,
            waiting_bytes: stats.waiting_bytes,
            restarts: stats.restarts,
        }
    }
}

#[pyclass(frozen, get_all, module = "media_relay._core")]
pub struct SenderStats {
    name: String,
    local_port: u16,
    connected: bool,
    frames: u64,
    packets: u64,
    bytes: u64,
    dropped: u64,
    stalls: u64,
}

impl From<sender::SenderStats> for SenderStats {
    fn from(stats: sender::SenderStats) -> Self {
        Self {
            name: stats.name,
            local_port: stats.local_port,
            connected: stats.connected,
            frames: stats.frames,
            packets: stats.packets,
            bytes: stats.bytes,
            dropped: stats.dropped,
            stalls: stats.stalls,
        }
    }
}

#[pyclass(frozen, get_all, module = "media_relay._core")]
pub struct NodeStats {
    workers: usize,
    streams: usize,
    viewers: usize,
    relays: usize,
    senders: usize,
    dropped_events: u64,
    unknown_ssrc: u64,
    unbound_closed: u64,
    turns: u64,
}

impl From<counters::NodeStats> for NodeStats {
    fn from(stats: counters::NodeStats) -> Self {
        Self {
            workers: stats.workers,
            streams: stats.streams,
            viewers: stats.viewers,
            relays: stats.relays,
            senders: stats.senders,
            dropped_events: stats.dropped_events,
            unknown_ssrc: stats.unknown_ssrc,
            unbound_closed: stats.unbound_closed,
            turns: stats.turns,
        }
    }
}

#[pyclass(frozen, get_all, module = "media_relay._core")]
pub struct StreamStats {
    stream: String,
    transport: &'static str,
    port: u16,
    source: String,
    expected_ssrc: Option<u32>,
    ssrc: Option<u32>,
    payload_type: Option<u8>,
    receive_buffer: usize,
    demuxing: bool,
    paused: bool,
    silent: bool,
    packets: u64,
    bytes: u64,
    lost: u64,
    duplicates: u64,
    reordered: u64,
    late: u64,
    wrong_source: u64,
    wrong_ssrc: u64,
    noise: u64,
    kernel_drops: u64,
    reads: u64,
    connections: u64,
    reports_sent: u64,
    rtcp_packets: u64,
    jitter: f64,
    bitrate: u64,
    fps: f64,
    video_codec: Option<&'static str>,
    audio_codec: Option<&'static str>,
    width: u32,
    height: u32,
    video_frames: u64,
    audio_frames: u64,
    key_frames: u64,
    corrupt_frames: u64,
    skipped_frames: u64,
    resyncs: u64,
    gop_frames: u32,
    cached_frames: usize,
    cached_bytes: usize,
    first_packet_at: Option<f64>,
    last_packet_at: Option<f64>,
    quirks: Vec<(&'static str, u64)>,
    viewers: Vec<ViewerStats>,
    relays: Vec<RelayStats>,
}

impl From<counters::ReceiverStats> for StreamStats {
    fn from(stats: counters::ReceiverStats) -> Self {
        let (ingest, counters) = (stats.ingest, stats.counters);
        Self {
            stream: stats.stream,
            transport: stats.transport,
            port: stats.port,
            source: stats.source,
            expected_ssrc: stats.expected_ssrc,
            ssrc: ingest.ssrc,
            payload_type: ingest.payload_type,
            receive_buffer: stats.receive_buffer,
            demuxing: stats.demuxing,
            paused: stats.paused,
            silent: stats.silent,
            packets: ingest.packets,
            bytes: ingest.bytes,
            lost: ingest.lost,
            duplicates: ingest.duplicates,
            reordered: ingest.reordered,
            late: ingest.late,
            wrong_source: counters.wrong_source,
            wrong_ssrc: counters.wrong_ssrc,
            noise: counters.noise + ingest.rejected,
            kernel_drops: counters.kernel_drops,
            reads: counters.reads,
            connections: counters.connections,
            reports_sent: counters.reports_sent,
            rtcp_packets: ingest.rtcp_packets,
            jitter: f64::from(ingest.jitter_us) / 1e6,
            bitrate: ingest.bitrate_bps,
            fps: f64::from(ingest.fps_milli) / 1000.0,
            video_codec: ingest.video_codec.map(|codec| codec.name()),
            audio_codec: ingest.audio_codec.map(|codec| codec.name()),
            width: ingest.width,
            height: ingest.height,
            video_frames: ingest.video_frames,
            audio_frames: ingest.audio_frames,
            key_frames: ingest.key_frames,
            corrupt_frames: ingest.corrupt_frames,
            skipped_frames: ingest.skipped_frames,
            resyncs: ingest.resyncs,
            gop_frames: ingest.gop_frames,
            cached_frames: stats.gop_frames,
            cached_bytes: stats.gop_bytes,
            first_packet_at: ingest.first_packet_at.map(seconds),
            last_packet_at: ingest.last_packet_at.map(seconds),
            quirks: quirks(&ingest.quirks),
            viewers: stats.viewers.into_iter().map(ViewerStats::from).collect(),
            relays: stats.relays.into_iter().map(RelayStats::from).collect(),
        }
    }
}

fn quirks(counts: &QuirkCounts) -> Vec<(&'static str, u64)> {
    counts
        .seen()
        .map(|(quirk, count)| (quirk.name(), u64::from(count)))
        .collect()
}
