//! One relay: the packets of a stream passed on to one address under our own numbers.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

use crate::continuity::Continuity;
use crate::dial::{self, Dialer, Progress};
use crate::error::{bind_error, Result};
use crate::framed::FramedQueue;
use crate::packet::Packet;
use crate::settings::{RelaySettings, Transport};
use crate::udp;

/// Bytes that may wait for a slow TCP peer: about two seconds of 4 Mbit/s.
const TCP_QUEUE_BYTES: usize = 1 << 20;

const UNREAD_BYTES: usize = 4096;

/// Counters of one relay; they never go back.
#[derive(Clone, Debug, Default)]
pub struct RelayStats {
    pub number: u64,
    pub stream: String,
    pub remote: String,
    pub local_port: u16,
    pub transport: &'static str,
    pub ssrc: u32,
    pub connected: bool,
    pub packets: u64,
    pub bytes: u64,
    /// Packets not sent: no connection yet, send error, or a slow TCP peer.
    pub dropped_packets: u64,
    /// Whole frames left out for a slow TCP peer.
    pub dropped_frames: u64,
    /// Bytes waiting for a TCP peer.
    pub waiting_bytes: u64,
    /// Times the numbering was continued over a change of the source.
    pub restarts: u64,
}

enum Path {
    Udp {
        socket: Socket,
        sender: udp::Sender,
    },
    Listening(Socket),
    Dialing(Dialer),
    Connected {
        stream: TcpStream,
        blocked: bool,
    },
    /// Gave up; the counters stay readable until the relay is closed.
    Ended,
}

/// What the worker must do after a step of a relay.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Watch [`Relay::descriptor`] anew: it is another socket than before.
    Watch,
    Connected(String),
    Failed(String),
}

pub struct Relay {
    pub number: u64,
    settings: RelaySettings,
    local: SocketAddr,
    continuity: Continuity,
    path: Path,
    queue: FramedQueue,
    packets: u64,
    bytes: u64,
    dropped: u64,
    sends: u64,
}

impl Relay {
    /// `random` gives the first sequence number and timestamp (RFC 3550 section 5.1).
    pub fn open(
        number: u64,
        settings: RelaySettings,
        random: u64,
        now: u64,
    ) -> Result<(Self, Step)> {
        let local = SocketAddr::new(settings.local_host, settings.local_port);
        let mut step = Step::Watch;
        let (path, local) = match settings.transport {
            Transport::Udp => {
                // Nothing is read from it: RTCP of the receiver is left to the kernel to drop.
                step = Step::Nothing;
                let socket = udp::open(local)?;
                socket.set_recv_buffer_size(UNREAD_BYTES)?;
                socket
                    .connect(&settings.remote.into())
                    .map_err(|error| bind_error(settings.remote, error))?;
                let local = udp::local_address(&socket)?;
                let sender = udp::Sender::default();
                (Path::Udp { socket, sender }, local)
            }
            Transport::TcpPassive => {
                let socket = dial::listen(local)?;
                let local = udp::local_address(&socket)?;
                (Path::Listening(socket), local)
            }
            Transport::TcpActive => {
                let socket = dial::reserve(local)?;
                let local = udp::local_address(&socket)?;
                let (dialer, progress) = Dialer::start(local, settings.remote, Some(socket), now);
                if !matches!(progress, Progress::Started) {
                    step = Step::Nothing;
                }
                (Path::Dialing(dialer), local)
            }
        };
        let continuity = Continuity::new(settings.ssrc, random as u16, (random >> 16) as u32);
        let relay = Self {
            number,
            settings,
            local,
            continuity,
            path,
            queue: FramedQueue::new(TCP_QUEUE_BYTES),
            packets: 0,
            bytes: 0,
            dropped: 0,
            sends: 0,
        };
        Ok((relay, step))
    }

    pub fn local_port(&self) -> u16 {
        self.local.port()
    }

    /// The socket to watch, and whether also for reading (to accept, or to see the peer leave).
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.path {
            Path::Udp { socket, .. } | Path::Listening(socket) => Some(socket.as_fd()),
            Path::Dialing(dialer) => dialer.descriptor(),
            Path::Connected { stream, .. } => Some(stream.as_fd()),
            Path::Ended => None,
        }
    }

    /// Pass on packets that lie in `buffer`; their headers there are overwritten.
    pub fn forward(&mut self, buffer: &mut [u8], packets: &[Packet]) -> Step {
        for packet in packets {
            let numbers = self.continuity.next(packet.numbers);
            packet.write_numbers(buffer, numbers);
        }
        match &mut self.path {
            Path::Udp { socket, sender } => {
                let sent = sender.send(socket, None, buffer, packets);
                self.packets += sent.packets;
                self.bytes += sent.bytes;
                self.dropped += sent.dropped;
                self.sends += sent.calls;
                Step::Nothing
            }
            Path::Connected { .. } => {
                for packet in packets {
                    let timestamp = packet.numbers.timestamp;
                    self.queue
                        .push(packet.bytes(buffer), timestamp, packet.marker);
                }
                self.flush()
            }
            _ => {
                self.dropped += packets.len() as u64;
                Step::Nothing
            }
        }
    }

    fn flush(&mut self) -> Step {
        let Path::Connected { stream, blocked } = &mut self.path else {
            return Step::Nothing;
        };
        if *blocked {
            return Step::Nothing;
        }
        self.sends += 1;
        match self.queue.flush(stream) {
            Ok(all) => {
                *blocked = !all;
                Step::Nothing
            }
            Err(error) => self.end(format!("{}: {error}", self.settings.remote)),
        }
    }

    fn end(&mut self, reason: String) -> Step {
        self.path = Path::Ended;
        Step::Failed(reason)
    }

    /// The watched socket is readable or writable.
    pub fn ready(&mut self, readable: bool, writable: bool, now: u64) -> Step {
        match &mut self.path {
            Path::Listening(socket) => match socket.accept() {
                Ok((socket, _)) => self.connected(socket.into()),
                Err(_) => Step::Nothing,
            },
            Path::Dialing(dialer) => {
                let progress = dialer.ready(now);
                self.progress(progress)
            }
            Path::Connected { stream, blocked } => {
                if writable {
                    *blocked = false;
                }
                if readable && peer_left(stream) {
                    return self.end(format!("{} closed the connection", self.settings.remote));
                }
                self.flush()
            }
            Path::Udp { .. } | Path::Ended => Step::Nothing,
        }
    }

    fn connected(&mut self, stream: TcpStream) -> Step {
        let prepared = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| stream.peer_addr());
        match prepared {
            Ok(peer) => {
                let blocked = false;
                self.path = Path::Connected { stream, blocked };
                Step::Connected(peer.to_string())
            }
            Err(error) => self.end(error.to_string()),
        }
    }

    fn progress(&mut self, progress: Progress) -> Step {
        match progress {
            Progress::Pending => Step::Nothing,
            Progress::Started => Step::Watch,
            Progress::Connected(stream) => self.connected(stream),
            Progress::Failed(reason) => self.end(reason),
        }
    }

    pub fn tick(&mut self, now: u64) -> Step {
        match &mut self.path {
            Path::Dialing(dialer) => {
                let progress = dialer.tick(now);
                self.progress(progress)
            }
            _ => Step::Nothing,
        }
    }

    pub fn stats(&self, stream: &str) -> RelayStats {
        let queue = self.queue.counters;
        RelayStats {
            number: self.number,
            stream: stream.to_owned(),
            remote: self.settings.remote.to_string(),
            local_port: self.local.port(),
            transport: self.settings.transport.name(),
            ssrc: self.settings.ssrc,
            connected: matches!(self.path, Path::Udp { .. } | Path::Connected { .. }),
            packets: self.packets + queue.packets,
            bytes: self.bytes + queue.bytes,
            dropped_packets: self.dropped + queue.dropped_packets,
            dropped_frames: queue.dropped_frames,
            waiting_bytes: self.queue.waiting() as u64,
            restarts: self.continuity.restarts,
        }
    }
}

/// A receiver of media sends nothing but RTCP, which is read and thrown away here.
pub(crate) fn peer_left(stream: &mut TcpStream) -> bool {
    use std::io::Read;
    let mut scratch = [0; 2048];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
