//! A TCP connection to a shared port before anybody knows whose it is: the SSRC of its first packet
//! will tell.

use std::io::{self, Read};
use std::net::TcpStream;

use gbmedia::rfc4571::Framer;

use crate::packet::{classify, Kind};
use crate::tcp_in::Connection;

/// Bytes taken from a connection before it is a stream's (annex C.6, pitfall 5).
pub const HOLD_BYTES: usize = 64 << 10;
/// Microseconds that a connection may be nobody's.
pub const HOLD_TIME: u64 = 10_000_000;

/// What the bytes so far tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing yet.
    More,
    /// The first RTP packet is there.
    Ssrc(u32),
    /// [`HOLD_BYTES`] without a packet, or the connection has ended.
    Over,
}

/// The bytes of one connection, cut into packets, until one of them is RTP.
#[derive(Default)]
pub struct Hold {
    framer: Framer,
    taken: usize,
    packets: Vec<u8>,
    ends: Vec<usize>,
}

impl Hold {
    /// Bytes that may still be taken.
    pub fn room(&self) -> usize {
        HOLD_BYTES - self.taken
    }

    /// `bytes`: no more than there is room for.
    pub fn take(&mut self, bytes: &[u8]) -> Look {
        self.taken += bytes.len();
        let (packets, ends) = (&mut self.packets, &mut self.ends);
        let mut found = None;
        let framed = self.framer.receive(bytes, |packet| {
            packets.extend_from_slice(packet);
            ends.push(packets.len());
            if let (None, Kind::Rtp(numbers, _)) = (found, classify(packet)) {
                found = Some(numbers.ssrc);
            }
        });
        match found {
            Some(ssrc) => Look::Ssrc(ssrc),
            None if framed.is_err() || self.room() == 0 => Look::Over,
            None => Look::More,
        }
    }
}

/// One such connection.
pub struct Unbound {
    pub connection: Connection,
    hold: Hold,
    pub since: u64,
    /// Known, but nobody expects it yet: the answer that names it may still be on its way.
    pub ssrc: Option<u32>,
}

impl Unbound {
    pub fn new(stream: TcpStream, now: u64) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::new(stream)?,
            hold: Hold::default(),
            since: now,
            ssrc: None,
        })
    }

    pub fn is_overdue(&self, now: u64) -> bool {
        now.saturating_sub(self.since) >= HOLD_TIME
    }

    /// Packets held.
    pub fn packets(&self) -> u64 {
        self.hold.ends.len() as u64
    }

    pub fn read(&mut self, scratch: &mut [u8]) -> Look {
        let room = self.hold.room().min(scratch.len());
        match self.connection.stream.read(&mut scratch[..room]) {
            Ok(0) => Look::Over,
            Ok(count) => self.hold.take(&scratch[..count]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Look::More
            }
            Err(_) => Look::Over,
        }
    }

    /// The connection, its framing where it stands; the packets so far and their ends are appended.
    pub fn open(self, packets: &mut Vec<u8>, ends: &mut Vec<usize>) -> Connection {
        let start = packets.len();
        packets.extend_from_slice(&self.hold.packets);
        ends.extend(self.hold.ends.iter().map(|end| start + end));
        Connection {
            framer: self.hold.framer,
            ..self.connection
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(ssrc: u32, payload: usize) -> Vec<u8> {
        let mut packet = vec![0u8; 12 + payload];
        packet[0] = 0x80;
        packet[1] = 96;
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
    }

    #[test]
    fn the_first_packet_tells_byte_by_byte_too() {
        let mut hold = Hold::default();
        let bytes = framed(7, 100);
        for byte in &bytes[..bytes.len() - 1] {
            assert_eq!(hold.take(&[*byte]), Look::More);
        }
        assert_eq!(hold.take(&bytes[bytes.len() - 1..]), Look::Ssrc(7));
        assert_eq!(hold.packets, bytes[2..]);
    }

    #[test]
    fn a_report_before_the_media_tells_nothing_and_is_kept() {
        let mut report = vec![0u8; 28];
        report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
        report[7] = 9;
        let bytes = [&28u16.to_be_bytes()[..], &report].concat();
        let mut hold = Hold::default();
        assert_eq!(hold.take(&bytes), Look::More);
        assert_eq!(hold.take(&framed(7, 10)), Look::Ssrc(7));
        assert_eq!(hold.ends, [28, 50]);
    }

    #[test]
    fn the_first_of_several_ssrcs_counts() {
        let mut hold = Hold::default();
        let bytes = [framed(7, 10), framed(8, 10)].concat();
        assert_eq!(hold.take(&bytes), Look::Ssrc(7));
    }

    #[test]
    fn a_packet_of_the_largest_size_fits_and_garbage_ends_with_the_room() {
        let mut hold = Hold::default();
        let bytes = framed(7, HOLD_BYTES - 14);
        assert_eq!(hold.take(&bytes), Look::Ssrc(7));

        let mut hold = Hold::default();
        assert_eq!(hold.take(&[b'G'; HOLD_BYTES - 1]), Look::More);
        assert_eq!(hold.room(), 1);
        assert_eq!(hold.take(b"G"), Look::Over);
    }
}
