//! Single-port mode over TCP: many streams behind one listener. A connection is nobody's until its
//! first RTP packet; then it is handed over to the stream that expects its SSRC.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use socket2::Socket;

use crate::buffers::Buffers;
use crate::context::{Context, Token, NUMBER_MASK};
use crate::dial;
use crate::error::Result;
use crate::routes::Routes;
use crate::stream::Stream;
use crate::udp;
use crate::unbound::{Look, Unbound};

/// Connections that are nobody's, at most; for one more the oldest is closed. With what each may
/// hold this bounds the memory of a port to 16 MiB.
const MAX_UNBOUND: usize = 256;
/// As many may wait in the kernel: a thousand devices may come back at once.
const BACKLOG: i32 = 1024;
const ACCEPTS_PER_TURN: usize = 64;

pub struct SharedDoor {
    listener: Socket,
    pub routes: Routes,
    unbound: HashMap<u32, Unbound>,
    next_number: u32,
    limit: usize,
}

impl SharedDoor {
    pub fn open(id: u32, host: IpAddr, port: u16, cx: &Context) -> Result<Self> {
        let listener = dial::listen_for_many(SocketAddr::new(host, port), BACKLOG)?;
        cx.watch_reading(&listener, Token::SharedDoor(id))?;
        let routes = Routes::new(id, udp::local_address(&listener)?);
        Ok(Self {
            listener,
            routes,
            unbound: HashMap::new(),
            next_number: 0,
            limit: MAX_UNBOUND,
        })
    }

    /// Somebody knocks.
    pub fn accept(&mut self, cx: &Context, now: u64) {
        for _ in 0..ACCEPTS_PER_TURN {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Without a free descriptor the listener would stay ready, turn after turn.
                    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                        self.drop_oldest(cx);
                    }
                    return;
                }
            };
            let Ok(unbound) = Unbound::new(socket.into(), now) else {
                count_closed(cx, 1);
                continue;
            };
            if self.unbound.len() >= self.limit {
                self.drop_oldest(cx);
            }
            self.next_number = (self.next_number + 1) & NUMBER_MASK;
            let token = Token::Unbound(self.routes.shared.id, self.next_number);
            if cx.watch_reading(&unbound.connection.stream, token).is_err() {
                count_closed(cx, 1);
                continue;
            }
            self.unbound.insert(self.next_number, unbound);
        }
    }

    fn drop_oldest(&mut self, cx: &Context) {
        let oldest = self
            .unbound
            .iter()
            .min_by_key(|(number, unbound)| (unbound.since, **number))
            .map(|(number, _)| *number);
        if let Some(number) = oldest {
            self.unbound.remove(&number);
            count_closed(cx, 1);
        }
    }

    /// Bytes wait on a connection that is nobody's. While they are looked at it is out of the
    /// table: a fault ends it.
    pub fn read(
        &mut self,
        number: u32,
        streams: &mut HashMap<u32, Stream>,
        buffers: &mut Buffers,
        cx: &Context,
        now: u64,
    ) {
        let Some(mut unbound) = self.unbound.remove(&number) else {
            return;
        };
        match unbound.read(&mut buffers.scratch) {
            Look::More => {
                self.unbound.insert(number, unbound);
            }
            Look::Over => count_closed(cx, 1),
            Look::Ssrc(ssrc) => match self.find(ssrc, &unbound, streams) {
                Some(stream) => hand_over(unbound, stream, buffers, cx, now),
                None => self.keep_stranger(number, ssrc, unbound, cx, now),
            },
        }
    }

    fn find<'a>(
        &mut self,
        ssrc: u32,
        unbound: &Unbound,
        streams: &'a mut HashMap<u32, Stream>,
    ) -> Option<&'a mut Stream> {
        if let Some(id) = self.routes.owner(ssrc) {
            return streams.get_mut(&id).filter(|stream| stream.takes(ssrc));
        }
        let from = unbound.connection.peer.ip();
        let waiting = |id: u32| streams.get(&id).and_then(Stream::waiting_for);
        let id = self.routes.adopt(ssrc, from, waiting)?;
        let stream = streams.get_mut(&id)?;
        stream.adopt(ssrc);
        Some(stream)
    }

    /// Nobody expects it; the answer that does may still be on its way. Until then it is not read:
    /// the kernel holds the sender back.
    fn keep_stranger(
        &mut self,
        number: u32,
        ssrc: u32,
        mut unbound: Unbound,
        cx: &Context,
        now: u64,
    ) {
        let peer = unbound.connection.peer;
        self.routes.stranger(ssrc, peer, unbound.packets(), cx, now);
        unbound.ssrc = Some(ssrc);
        match cx.epoll.delete(unbound.connection.stream.as_fd()) {
            Ok(()) => {
                self.unbound.insert(number, unbound);
            }
            Err(_) => count_closed(cx, 1),
        }
    }

    /// The stream expects another SSRC now, or is new: the newest connection that has waited for it
    /// is its.
    pub fn claim(&mut self, stream: &mut Stream, buffers: &mut Buffers, cx: &Context, now: u64) {
        let newest = self
            .unbound
            .iter()
            .filter(|(_, unbound)| {
                unbound.ssrc.is_some_and(|ssrc| {
                    self.routes.owner(ssrc) == Some(stream.id) && stream.takes(ssrc)
                })
            })
            .max_by_key(|(number, unbound)| (unbound.since, **number))
            .map(|(number, _)| *number);
        if let Some(unbound) = newest.and_then(|number| self.unbound.remove(&number)) {
            hand_over(unbound, stream, buffers, cx, now);
        }
    }

    /// Close those that were nobody's for too long.
    pub fn tick(&mut self, cx: &Context, now: u64) {
        let before = self.unbound.len();
        self.unbound.retain(|_, unbound| !unbound.is_overdue(now));
        count_closed(cx, before - self.unbound.len());
    }

    /// The last stream has gone.
    pub fn close(&mut self, cx: &Context) {
        count_closed(cx, self.unbound.len());
        self.unbound.clear();
    }
}

fn hand_over(unbound: Unbound, stream: &mut Stream, buffers: &mut Buffers, cx: &Context, now: u64) {
    if !stream.take_over(unbound, buffers, cx, now) {
        count_closed(cx, 1);
    }
}

fn count_closed(cx: &Context, connections: usize) {
    let closed = connections as u64;
    cx.shared
        .unbound_closed
        .fetch_add(closed, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Shared;
    use crate::unbound::HOLD_TIME;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::sync::Arc;

    fn context() -> Context {
        let shared = Arc::new(Shared::new(Default::default()).unwrap());
        Context::new(shared).unwrap()
    }

    fn door(cx: &Context) -> SharedDoor {
        SharedDoor::open(1, Ipv4Addr::LOCALHOST.into(), 0, cx).unwrap()
    }

    fn knock(door: &mut SharedDoor, cx: &Context, now: u64) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, door.routes.shared.port)).unwrap();
        let last = door.next_number;
        while door.next_number == last {
            door.accept(cx, now);
        }
        stream
    }

    fn closed(cx: &Context) -> u64 {
        cx.shared.unbound_closed.load(Ordering::Relaxed)
    }

    /// The first `prefix` bytes of a framed packet.
    fn send(camera: &mut TcpStream, ssrc: u32, prefix: usize) {
        let mut packet = [0u8; 102];
        packet[..4].copy_from_slice(&[0, 100, 0x80, 96]);
        packet[10..14].copy_from_slice(&ssrc.to_be_bytes());
        camera.write_all(&packet[..prefix]).unwrap();
    }

    fn read_until(door: &mut SharedDoor, cx: &Context, done: impl Fn(&SharedDoor) -> bool) {
        let (mut streams, mut buffers) = (HashMap::new(), Buffers::default());
        while !done(door) {
            let number = door.next_number;
            door.read(number, &mut streams, &mut buffers, cx, 0);
        }
    }

    #[test]
    fn for_one_too_many_the_oldest_is_closed() {
        let cx = context();
        let mut door = door(&cx);
        door.limit = 2;
        let mut cameras: Vec<_> = (0..3).map(|_| knock(&mut door, &cx, 0)).collect();
        assert_eq!((door.unbound.len(), closed(&cx)), (2, 1));
        assert_eq!(cameras[0].read(&mut [0; 1]).unwrap(), 0, "the first");
    }

    #[test]
    fn a_connection_that_says_too_little_is_closed_in_time() {
        let cx = context();
        let mut door = door(&cx);
        let mut camera = knock(&mut door, &cx, 5);
        send(&mut camera, 7, 20);
        let number = door.next_number;
        let (mut streams, mut buffers) = (HashMap::new(), Buffers::default());
        for now in [6, HOLD_TIME] {
            door.read(number, &mut streams, &mut buffers, &cx, now);
            door.tick(&cx, now);
            assert_eq!((door.unbound.len(), closed(&cx)), (1, 0));
        }
        door.tick(&cx, HOLD_TIME + 5);
        assert_eq!((door.unbound.len(), closed(&cx)), (0, 1));
    }

    #[test]
    fn an_unknown_ssrc_is_told_and_waits() {
        let cx = context();
        let mut door = door(&cx);
        let mut camera = knock(&mut door, &cx, 0);
        send(&mut camera, 7, 102);
        read_until(&mut door, &cx, |door| {
            door.unbound.values().any(|unbound| unbound.ssrc.is_some())
        });
        assert_eq!(cx.shared.unknown_ssrc.load(Ordering::Relaxed), 1);
        let told = cx.shared.events.take(9);
        assert!(told[0].detail.starts_with("0000000007 from 127.0.0.1:"));
        door.close(&cx);
        assert_eq!(closed(&cx), 1);
    }

    #[test]
    fn garbage_and_hang_ups_are_counted() {
        let cx = context();
        let mut door = door(&cx);
        let mut scanner = knock(&mut door, &cx, 0);
        let writer = std::thread::spawn(move || {
            // Reset while we write: that is the point.
            let _ = scanner.write_all(&[b'G'; 256 << 10]);
        });
        read_until(&mut door, &cx, |door| door.unbound.is_empty());
        writer.join().unwrap();
        drop(knock(&mut door, &cx, 0));
        read_until(&mut door, &cx, |door| door.unbound.is_empty());
        assert_eq!(closed(&cx), 2);
    }
}
