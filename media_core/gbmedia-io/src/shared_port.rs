//! Single-port mode: many streams on one UDP port, told apart by SSRC (and checked by source).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use socket2::Socket;

use crate::buffers::Buffers;
use crate::context::{Context, Token};
use crate::error::Result;
use crate::packet::{classify, Kind, Packet};
use crate::routes::Routes;
use crate::stream::Stream;
use crate::sys::BATCH;
use crate::udp;

const BATCHES_PER_TURN: usize = 16;
pub struct SharedPort {
    rtp: Socket,
    rtcp: Socket,
    pub routes: Routes,
}

impl SharedPort {
    pub fn open(id: u32, host: IpAddr, port: u16, cx: &Context) -> Result<Self> {
        let (rtp, rtcp) = udp::open_pair(host, port)?;
        cx.watch_reading(&rtp, Token::SharedRtp(id))?;
        cx.watch_reading(&rtcp, Token::SharedRtcp(id))?;
        let routes = Routes::new(id, udp::local_address(&rtp)?);
        Ok(Self { rtp, rtcp, routes })
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
                let owner = self.routes.owner(numbers.ssrc);
                let owner = owner.or_else(|| self.adopt(streams, numbers.ssrc, message.from));
                match owner.and_then(|id| streams.get_mut(&id)) {
                    Some(stream) => {
                        let id = stream.id;
                        if stream.admit(&packet, message.from, cx, now) {
                            sorted.push((id, packet));
                        }
                    }
                    None => self.routes.stranger(numbers.ssrc, message.from, 1, cx, now),
                }
            }
        }
        sorted
    }

    fn adopt(
        &mut self,
        streams: &mut HashMap<u32, Stream>,
        ssrc: u32,
        from: SocketAddr,
    ) -> Option<u32> {
        let waiting = |id: u32| streams.get(&id).and_then(Stream::waiting_for);
        let id = self.routes.adopt(ssrc, from.ip(), waiting)?;
        streams.get_mut(&id)?.adopt(ssrc);
        Some(id)
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
            if let Some(stream) = self.routes.owner(ssrc).and_then(|id| streams.get_mut(&id)) {
                stream.take_rtcp(bytes, message.from, now);
            }
        }
    }
}
