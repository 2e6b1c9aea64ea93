//! Snapshots for the control side.

use gbmedia::stats::StreamStats;

use crate::relay::RelayStats;

/// What the node itself counts about one receiver, beside [`StreamStats`] of its ingest.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiverCounters {
    /// Dropped: came from another address than the bound one.
    pub wrong_source: u64,
    /// Dropped: carried an SSRC that is not this stream's.
    pub wrong_ssrc: u64,
    /// Dropped: neither RTP nor RTCP.
    pub noise: u64,
    /// Datagrams the kernel dropped because the receive buffer was full (SO_MEMINFO).
    pub kernel_drops: u64,
    /// System calls that took packets.
    pub reads: u64,
    /// TCP connections accepted or opened so far.
    pub connections: u64,
    /// Receiver reports sent.
    pub reports_sent: u64,
}

/// A snapshot of one receiver.
#[derive(Clone, Debug)]
pub struct ReceiverStats {
    pub stream: String,
    pub transport: &'static str,
    pub port: u16,
    /// Address the media comes from, empty before the first packet.
    pub source: String,
    pub expected_ssrc: Option<u32>,
    /// Bytes the kernel granted for SO_RCVBUF; 0 over TCP.
    pub receive_buffer: usize,
    pub demuxing: bool,
    pub paused: bool,
    pub silent: bool,
    pub counters: ReceiverCounters,
    pub ingest: StreamStats,
    pub viewers: Vec<ViewerStats>,
    pub relays: Vec<RelayStats>,
    /// Cached since the last key frame.
    pub gop_frames: usize,
    pub gop_bytes: usize,
}

/// A snapshot of one viewer.
#[derive(Clone, Debug, Default)]
pub struct ViewerStats {
    pub number: u64,
    pub container: &'static str,
    pub websocket: bool,
    pub bytes: u64,
    pub frames: u64,
    /// Frames left out because the viewer was slow.
    pub skipped: u64,
    /// Bytes that wait for the viewer.
    pub waiting_bytes: u64,
}

/// A snapshot of the node.
#[derive(Clone, Debug, Default)]
pub struct NodeStats {
    pub workers: usize,
    pub streams: usize,
    pub viewers: usize,
    pub relays: usize,
    pub senders: usize,
    /// Events dropped because nobody took them.
    pub dropped_events: u64,
    /// Packets on shared ports whose SSRC nobody expects.
    pub unknown_ssrc: u64,
    /// Connections to shared ports that ended before they were any stream's.
    pub unbound_closed: u64,
    /// Turns of the worker loops, and how many of them found something to do.
    pub turns: u64,
}
