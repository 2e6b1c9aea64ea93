//! Program stream packs into RTP packets: RFC 2250 as annex C uses it.
//!
//! Packets of one frame lie behind each other in one buffer, all of the same size but the last. So
//! a UDP sender can hand the whole buffer to the kernel's segmentation offload, and a TCP sender
//! can write it as it is.

use crate::rtp::{RtpHeader, HEADER_SIZE};

/// Over UDP this fits an Ethernet frame with room for tunnels. Over TCP larger packets are legal,
/// but not every peer takes them.
pub const MAX_PAYLOAD: usize = 1400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// UDP: packets alone.
    Datagrams,
    /// TCP: RFC 4571, each packet behind its length in two bytes.
    Rfc4571,
}

impl Framing {
    /// Bytes before each packet.
    pub fn prefix(self) -> usize {
        match self {
            Self::Datagrams => 0,
            Self::Rfc4571 => 2,
        }
    }

    /// Size of all packets of a frame but the last, with their prefixes.
    pub fn stride(self) -> usize {
        self.prefix() + HEADER_SIZE + MAX_PAYLOAD
    }
}

/// Numbers the packets of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Packetizer {
    pub ssrc: u32,
    pub payload_type: u8,
    /// Of the next packet.
    pub sequence: u16,
    pub framing: Framing,
}

impl Packetizer {
    /// Appends the packets of one pack: same time stamp, marker on the last.
    pub fn packetize(&mut self, pack: &[u8], timestamp: u32, out: &mut Vec<u8>) {
        let last = pack.len().div_ceil(MAX_PAYLOAD).saturating_sub(1);
        for (number, payload) in pack.chunks(MAX_PAYLOAD).enumerate() {
            if self.framing == Framing::Rfc4571 {
                let length = (HEADER_SIZE + payload.len()) as u16;
                out.extend_from_slice(&length.to_be_bytes());
            }
            let header = RtpHeader {
                marker: number == last,
                payload_type: self.payload_type,
                sequence: self.sequence,
                timestamp,
                ssrc: self.ssrc,
            };
            out.extend_from_slice(&header.to_bytes());
            out.extend_from_slice(payload);
            self.sequence = self.sequence.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::RtpPacket;

    fn packetized(framing: Framing, size: usize) -> (Vec<u8>, u16) {
        let mut packetizer = Packetizer {
            ssrc: 100_000_001,
            payload_type: 96,
            sequence: 0xFFFF,
            framing,
        };
        let pack: Vec<u8> = (0..size).map(|index| index as u8).collect();
        let mut out = Vec::new();
        packetizer.packetize(&pack, 0x8000_0000, &mut out);
        (out, packetizer.sequence)
    }

    #[test]
    fn packets_of_a_frame() {
        let (out, next) = packetized(Framing::Datagrams, 3000);
        let packets: Vec<RtpPacket<'_>> = out
            .chunks(1412)
            .map(|packet| RtpPacket::parse(packet).unwrap())
            .collect();
        let sequences: Vec<u16> = packets.iter().map(RtpPacket::sequence).collect();
        assert_eq!(sequences, [0xFFFF, 0, 1]);
        assert_eq!(next, 2);
        let markers: Vec<bool> = packets.iter().map(RtpPacket::marker).collect();
        assert_eq!(markers, [false, false, true]);
        assert!(packets
            .iter()
            .all(|packet| packet.timestamp() == 0x8000_0000
                && packet.payload_type() == 96
                && packet.ssrc() == 100_000_001));
        let payload: Vec<u8> = packets
            .iter()
            .flat_map(|packet| packet.payload().to_vec())
            .collect();
        assert!(payload
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == index as u8));
        assert_eq!(payload.len(), 3000);
    }

    #[test]
    fn a_full_last_packet_has_the_marker() {
        let (out, _) = packetized(Framing::Datagrams, 2800);
        assert_eq!(out.len(), 2 * 1412);
        assert!(RtpPacket::parse(&out[1412..]).unwrap().marker());
    }

    #[test]
    fn over_tcp_each_packet_has_its_length() {
        let (out, _) = packetized(Framing::Rfc4571, 1500);
        assert_eq!(out[..2], 1412u16.to_be_bytes());
        assert_eq!(out[1414..1416], 112u16.to_be_bytes());
        assert_eq!(out.len(), 1414 + 114);
        assert!(!RtpPacket::parse(&out[2..1414]).unwrap().marker());
    }

    #[test]
    fn nothing_makes_no_packet() {
        assert!(packetized(Framing::Datagrams, 0).0.is_empty());
    }
}
