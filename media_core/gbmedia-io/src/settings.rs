//! Values that say how a node, a receiver, a relay or a sender shall be.

use std::net::{IpAddr, SocketAddr};

/// How media travels, seen from us: passive means that we listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    TcpPassive,
    TcpActive,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::TcpPassive => "tcp-passive",
            Transport::TcpActive => "tcp-active",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Transport::Udp, Transport::TcpPassive, Transport::TcpActive]
            .into_iter()
            .find(|transport| transport.name() == name)
    }
}

#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Worker threads; each owns its streams.
    pub workers: usize,
    /// Microseconds between two looks at the sockets under load: packets of one frame are then
    /// taken together. Bounds the added latency.
    pub coalesce: u64,
    /// Microseconds without RTP before a stream is reported silent.
    pub silence: u64,
    /// Events that may wait for the control side.
    pub event_queue: usize,
    pub max_streams: usize,
    /// Viewers of one stream.
    pub max_viewers: usize,
    pub max_relays: usize,
    /// Bound of the cached GOP of one stream.
    pub gop_bytes: usize,
    pub gop_frames: usize,
}

impl Default for NodeSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: (cores / 2).max(1),
            coalesce: 1_000,
            silence: 10_000_000,
            event_queue: 65_536,
            max_streams: 10_000,
            max_viewers: 2_000,
            max_relays: 64,
            gop_bytes: 16 << 20,
            gop_frames: 1_500,
        }
    }
}

#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    pub stream: String,
    pub host: IpAddr,
    /// 0: any free (pair of) port(s).
    pub port: u16,
    pub transport: Transport,
    pub ssrc: Option<u32>,
    /// Many streams on one UDP port, or on one listening TCP port, told apart by SSRC.
    pub single_port: bool,
    /// Take packets from this host only.
    pub source: Option<IpAddr>,
    /// Demux and keep a GOP even while nobody looks; false: from the first viewer on.
    pub ready: bool,
    /// RTP/AVP encoding is not PS but this elementary stream.
    pub payload_type: u8,
    /// Playback and download: gaps in time are real, silence is not reported before `set_paused`.
    pub live: bool,
    /// Meaning of stream type 0x90: A-law (the standard) or mu-law (some old devices).
    pub mu_law: bool,
}

#[derive(Clone, Debug)]
pub struct RelaySettings {
    pub stream: String,
    pub remote: SocketAddr,
    pub transport: Transport,
    pub ssrc: u32,
    pub local_host: IpAddr,
    pub local_port: u16,
}

#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// In events.
    pub name: String,
    /// Whom to send to; passive: not used.
    pub remote: SocketAddr,
    pub transport: Transport,
    pub local_host: IpAddr,
    pub local_port: u16,
    pub ssrc: u32,
    pub payload_type: u8,
    /// Send the clip's sound, if it has any.
    pub sound: bool,
    /// Index of the first frame; the key frame at or before it is taken.
    pub start_frame: usize,
    /// First sequence number and times are drawn from it.
    pub seed: u64,
    /// Fault: this part of the packets is not sent, chosen by `drop_seed`.
    pub drop_fraction: f64,
    pub drop_seed: u64,
    /// Hand runs of packets to the kernel at once (UDP); false: as a camera does it.
    pub gso: bool,
}
