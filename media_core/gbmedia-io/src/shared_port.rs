//! Single-port mode: many streams on one UDP port, told apart by SSRC (and checked by source).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use socket2::Socket;

use crate::buffers::Buffers;
use crate::context::{Context, Token};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::packet::{classify, Kind, Packet};
use crate::stream::Stream;
use crate::sys::BATCH;
use crate::udp;

const BATCHES_PER_TURN: usize = 16;
/// Microseconds between two reports of SSRCs that nobody expects: a device that goes on after its
/// BYE, or a scanner, must not fill the log.
const UNKNOWN_REPORT_INTERVAL: u64 = 10_000_000;

pub struct SharedPort {
    pub id: u32,
    pub host: IpAddr,
    pub port: u16,
    rtp: Socket,
    rtcp: Socket,
    by_ssrc: HashMap<u32, u32>,
    unknown: u64,
    reported_at: Option<u64>,
}

impl SharedPort {
    pub fn open(id: u32, host: IpAddr, port: u16, cx: &Context) -> Result<Self> {
        let (rtp, rtcp) = udp::open_pair(host, port)?;
        cx.watch_reading(&rtp, Token::SharedRtp(id))?;
        cx.watch_reading(&rtcp, Token::SharedRtcp(id))?;
        let port = udp::local_address(&rtp)?.port();
        Ok(Self {
            id,
            host,
            port,
            rtp,
            rtcp,
            by_ssrc: HashMap::new(),
            unknown: 0,
            reported_at: None,
        })
    }

    /// Streams on one port must expect different SSRCs.
    pub fn add(&mut self, ssrc: u32, stream: u32) -> Result<()> {
        match self.by_ssrc.get(&ssrc) {
            Some(other) if *other != stream => Err(Error::Exists(format!(
                "SSRC {ssrc:010} on port {}",
                self.port
            ))),
            _ => {
                self.by_ssrc.insert(ssrc, stream);
                Ok(())
            }
        }
    }

    pub fn remove(&mut self, stream: u32) {
        self.by_ssrc.retain(|_, owner| *owner != stream);
    }

    pub fn is_empty(&self) -> bool {
        self.by_ssrc.is_empty()
    }

    pub fn send_report(&self, report: &[u8], to: SocketAddr) {
        let _ = udp::send_to(&self.rtcp, report, to);
    }

    /// Take what waits and give each stream its packets, in order.
    pub fn read(
        &mut self,
        streams: &mut HashMap<u32, Stream>,
        buffers: &mut Buffers,
        cx: &Context,
        now: u64,
    ) {
        for _ in 0..BATCHES_PER_TURN {
            if buffers
                .batch
                .receive(&self.rtp, &mut buffers.messages)
                .is_err()
            {
                return;
            }
            let mut sorted = self.sort(streams, buffers, cx, now);
            sorted.sort_by_key(|(stream, _)| *stream);
            for group in sorted.chunk_by(|one, other| one.0 == other.0) {
                let Some(stream) = streams.get_mut(&group[0].0) else {
                    continue;
                };
                stream.counters.reads += 1;
                buffers.packets.clear();
                buffers
                    .packets
                    .extend(group.iter().map(|(_, packet)| *packet));
                stream.deliver(buffers.batch.bytes_mut(), &buffers.packets, cx, now);
            }
            if buffers.messages.len() < BATCH {
                return;
            }
        }
    }

    fn sort(
        &mut self,
        streams: &mut HashMap<u32, Stream>,
        buffers: &Buffers,
        cx: &Context,
        now: u64,
    ) -> Vec<(u32, Packet)> {
        let mut sorted = Vec::with_capacity(buffers.messages.len());
        for message in &buffers.messages {
            let end = message.offset + message.len;
            for offset in (message.offset..end).step_by(message.segment) {
                let len = message.segment.min(end - offset);
                let Kind::Rtp(numbers, marker) =
                    classify(&buffers.batch.bytes()[offset..offset + len])
                else {
                    continue;
                };
                let packet = Packet {
                    offset,
                    len,
                    numbers,
                    marker,
                };
                let owner = self.by_ssrc.get(&numbers.ssrc).copied();
                let owner = owner.or_else(|| self.adopt(streams, numbers.ssrc, message.from));
                let stream = owner.and_then(|id| streams.get_mut(&id));
                match stream {
                    Some(stream) => {
                        let id = stream.id;
                        if stream.admit(&packet, message.from, cx, now) {
                            sorted.push((id, packet));
                        }
                    }
                    None => self.stranger(numbers.ssrc, message.from, cx, now),
                }
            }
        }
        sorted
    }

    /// An unknown SSRC from the one host that a stream still waits for is that stream's.
    fn adopt(
        &mut self,
        streams: &mut HashMap<u32, Stream>,
        ssrc: u32,
        from: SocketAddr,
    ) -> Option<u32> {
        let mut waiting = self
            .by_ssrc
            .values()
            .copied()
            .filter(|id| streams.get(id).and_then(Stream::waiting_for) == Some(from.ip()));
        let id = waiting.next()?;
        if waiting.next().is_some() {
            return None;
        }
        streams.get_mut(&id)?.adopt(ssrc);
        self.by_ssrc.insert(ssrc, id);
        Some(id)
    }

    fn stranger(&mut self, ssrc: u32, from: SocketAddr, cx: &Context, now: u64) {
        use std::sync::atomic::Ordering;
        self.unknown += 1;
        cx.shared.unknown_ssrc.fetch_add(1, Ordering::Relaxed);
        let due = self
            .reported_at
            .is_none_or(|at| now.saturating_sub(at) >= UNKNOWN_REPORT_INTERVAL);
        if due {
            self.reported_at = Some(now);
            let detail = format!("{ssrc:010} from {from}, {} packets so far", self.unknown);
            cx.tell(&"".into(), EventKind::UnknownSsrc, now, detail);
        }
    }

    /// Sender reports: each goes to the stream of its SSRC.
    pub fn read_rtcp(
        &mut self,
        streams: &mut HashMap<u32, Stream>,
        buffers: &mut Buffers,
        now: u64,
    ) {
        if buffers
            .batch
            .receive(&self.rtcp, &mut buffers.messages)
            .is_err()
        {
            return;
        }
        for message in &buffers.messages {
            let bytes = &buffers.batch.bytes()[message.offset..message.offset + message.len];
            let Some(ssrc) = bytes.get(4..8) else {
                continue;
            };
            let ssrc = u32::from_be_bytes([ssrc[0], ssrc[1], ssrc[2], ssrc[3]]);
            if let Some(stream) = self.by_ssrc.get(&ssrc).and_then(|id| streams.get_mut(id)) {
                stream.take_rtcp(bytes, message.from, now);
            }
        }
    }
}
