//! UDP sockets: a pair of RTP and RTCP ports, and sending runs of packets in one call (GSO).

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{sendmsg, setsockopt, sockopt, ControlMessage, MsgFlags, SockaddrStorage};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{bind_error, Error, Result};
use crate::packet::Packet;

/// Room for the burst of a key frame (C.5; the kernel may grant less, see [`granted`]).
pub const RECEIVE_BUFFER: usize = 4 << 20;
/// Segments of one GSO send: the kernel's limit is 64, and 65,507 bytes in all.
const MAX_SEGMENTS: usize = 64;
const MAX_GSO_BYTES: usize = 65_000;
const PAIR_ATTEMPTS: usize = 200;

/// A bound, non-blocking UDP socket with a large receive buffer and GRO on.
pub fn open(address: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    // Best effort: without them the node works as well, only slower or less observed.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
    let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
    socket
        .bind(&address.into())
        .map_err(|error| bind_error(address, error))?;
    Ok(socket)
}

/// The receive buffer the kernel granted in bytes (it doubles what it was asked for).
pub fn granted(socket: &Socket) -> usize {
    socket.recv_buffer_size().unwrap_or(0) / 2
}

pub fn local_address(socket: &Socket) -> Result<SocketAddr> {
    let address = socket.local_addr()?;
    address
        .as_socket()
        .ok_or_else(|| Error::Invalid("not an IP socket".into()))
}

/// RTP on an even port and RTCP on the next. `port` 0: any free pair.
pub fn open_pair(host: IpAddr, port: u16) -> Result<(Socket, Socket)> {
    if port != 0 {
        if port % 2 != 0 || port == u16::MAX {
            return Err(Error::Invalid(format!("RTP port {port} is not even")));
        }
        let rtp = open(SocketAddr::new(host, port))?;
        let rtcp = open(SocketAddr::new(host, port + 1))?;
        return Ok((rtp, rtcp));
    }
    for _ in 0..PAIR_ATTEMPTS {
        let probe = open(SocketAddr::new(host, 0))?;
        let even = local_address(&probe)?.port() & !1;
        drop(probe);
        match open_pair_at(host, even) {
            Err(Error::PortInUse(_)) => continue,
            other => return other,
        }
    }
    Err(Error::PortInUse(
        "no free pair of RTP and RTCP ports".into(),
    ))
}

fn open_pair_at(host: IpAddr, even: u16) -> Result<(Socket, Socket)> {
    let rtp = open(SocketAddr::new(host, even))?;
    let rtcp = open(SocketAddr::new(host, even + 1))?;
    Ok((rtp, rtcp))
}

/// What sending did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
    pub calls: u64,
}

/// Sends packets to one address, runs of equal length in one call while the path allows it.
pub struct Sender {
    gso: bool,
}

impl Default for Sender {
    fn default() -> Self {
        Self { gso: true }
    }
}

impl Sender {
    /// `gso` false: each packet by a call of its own, whatever the path can do.
    pub fn new(gso: bool) -> Self {
        Self { gso }
    }

    /// `packets` lie in `buffer`; each becomes one datagram, in order. `to`: None when connected.
    pub fn send(
        &mut self,
        socket: &Socket,
        to: Option<&SockaddrStorage>,
        buffer: &[u8],
        packets: &[Packet],
    ) -> Sent {
        let mut sent = Sent::default();
        let mut first = 0;
        while first < packets.len() {
            let run = if self.gso {
                run_length(&packets[first..])
            } else {
                1
            };
            let end = first + run;
            self.send_run(socket, to, buffer, &packets[first..end], &mut sent);
            first = end;
        }
        sent
    }

    fn send_run(
        &mut self,
        socket: &Socket,
        to: Option<&SockaddrStorage>,
        buffer: &[u8],
        run: &[Packet],
        sent: &mut Sent,
    ) {
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = gather(buffer, run, &mut slices);
        let segment = run[0].len as u16;
        let control = [ControlMessage::UdpGsoSegments(&segment)];
        let control = if run.len() > 1 { &control[..] } else { &[] };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let send = || sendmsg(socket.as_raw_fd(), &slices[..count], control, flags, to);
        sent.calls += 1;
        let result = match send() {
            // ICMP for an earlier packet (the peer is not there yet) fails this call, not the next.
            Err(Errno::ECONNREFUSED) => send(),
            result => result,
        };
        match result {
            Ok(bytes) => {
                sent.packets += run.len() as u64;
                sent.bytes += bytes as u64;
            }
            // The interface cannot segment: one by one from now on.
            Err(Errno::EIO | Errno::EINVAL) if run.len() > 1 => {
                self.gso = false;
                for packet in run.chunks(1) {
                    self.send_run(socket, to, buffer, packet, sent);
                }
            }
            Err(_) => sent.dropped += run.len() as u64,
        }
    }
}

/// The packets as slices, neighbours joined (a run that came in as one message is one slice).
fn gather<'a>(buffer: &'a [u8], run: &[Packet], slices: &mut [IoSlice<'a>]) -> usize {
    let mut count = 0;
    let mut first = 0;
    while first < run.len() {
        let start = run[first].offset;
        let mut end = start + run[first].len;
        first += 1;
        while first < run.len() && run[first].offset == end {
            end += run[first].len;
            first += 1;
        }
        slices[count] = IoSlice::new(&buffer[start..end]);
        count += 1;
    }
    count
}

/// How many packets from the first on can go as one: equal lengths, the last may be shorter.
fn run_length(packets: &[Packet]) -> usize {
    let segment = packets[0].len;
    let mut total = segment;
    let mut count = 1;
    while count < packets.len().min(MAX_SEGMENTS) {
        let len = packets[count].len;
        if len > segment || len == 0 || total + len > MAX_GSO_BYTES {
            break;
        }
        total += len;
        count += 1;
        if len < segment {
            break;
        }
    }
    count
}

/// Where RTCP for a stream goes: the port after the RTP source (RFC 3550 section 11).
pub fn rtcp_address(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))
}

pub fn send_to(socket: &Socket, packet: &[u8], to: SocketAddr) -> io::Result<usize> {
    socket.send_to(packet, &to.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RecvBatch;

    fn loopback() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn a_pair_is_even_and_odd_and_taken_once() {
        let (rtp, rtcp) = open_pair(loopback(), 0).unwrap();
        let port = local_address(&rtp).unwrap().port();
        assert_eq!(port % 2, 0);
        assert_eq!(local_address(&rtcp).unwrap().port(), port + 1);
        assert!(matches!(
            open_pair(loopback(), port),
            Err(Error::PortInUse(_))
        ));
        assert!(matches!(
            open_pair(loopback(), 5001),
            Err(Error::Invalid(_))
        ));
    }

    fn packets(lengths: &[usize]) -> Vec<Packet> {
        let mut offset = 0;
        lengths
            .iter()
            .map(|&len| {
                let numbers = crate::continuity::Numbers::default();
                let packet = Packet {
                    offset,
                    len,
                    numbers,
                    marker: false,
                };
                offset += len;
                packet
            })
            .collect()
    }

    #[test]
    fn runs_end_at_a_shorter_packet() {
        let mixed = packets(&[1400, 1400, 100, 1400, 100]);
        assert_eq!(run_length(&mixed), 3);
        assert_eq!(run_length(&mixed[2..]), 1);
        assert_eq!(run_length(&packets(&[1400; 100])), 46);
        assert_eq!(run_length(&packets(&[100; 100])), MAX_SEGMENTS);
    }

    #[test]
    fn neighbours_are_joined() {
        let buffer = vec![0u8; 10_000];
        let mut run = packets(&[1000, 1000, 1000]);
        run[2].offset += 64;
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        assert_eq!(gather(&buffer, &run, &mut slices), 2);
        assert_eq!((slices[0].len(), slices[1].len()), (2000, 1000));
    }

    #[test]
    fn a_run_arrives_as_single_packets_or_one_joined() {
        let receiver = open(SocketAddr::new(loopback(), 0)).unwrap();
        let sender = open(SocketAddr::new(loopback(), 0)).unwrap();
        let to = SockaddrStorage::from(local_address(&receiver).unwrap());
        let run = packets(&[1000, 1000, 1000, 1000, 50]);
        let buffer: Vec<u8> = (0..4050u32).map(|i| (i / 7) as u8).collect();
        let sent = Sender::default().send(&sender, Some(&to), &buffer, &run);
        assert_eq!((sent.packets, sent.bytes, sent.dropped), (5, 4050, 0));
        let mut batch = RecvBatch::new();
        let mut messages = Vec::new();
        batch.receive(&receiver, &mut messages).unwrap();
        let mut got = Vec::new();
        let mut count = 0;
        for message in &messages {
            let bytes = &batch.bytes()[message.offset..message.offset + message.len];
            got.extend_from_slice(bytes);
            count += bytes.chunks(message.segment).count();
        }
        assert_eq!((got, count), (buffer, 5));
    }
}
