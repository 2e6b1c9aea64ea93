//! RTP packets of one batch: where they lie and the few header fields the node itself needs.

use gbmedia::rtp::{is_rtcp, RtpPacket, HEADER_SIZE};

use crate::continuity::Numbers;

/// One packet inside a buffer of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub offset: usize,
    pub len: usize,
    pub numbers: Numbers,
    pub marker: bool,
}

/// What a datagram on an RTP port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rtp(Numbers, bool),
    Rtcp,
    Other,
}

/// RTCP may come on the RTP port, or inside the framing of RTP over TCP.
#[inline]
pub fn classify(bytes: &[u8]) -> Kind {
    if is_rtcp(bytes) {
        return Kind::Rtcp;
    }
    let Ok(packet) = RtpPacket::parse(bytes) else {
        return Kind::Other;
    };
    let numbers = Numbers {
        ssrc: packet.ssrc(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
    };
    Kind::Rtp(numbers, packet.marker())
}

impl Packet {
    #[inline]
    pub fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        &buffer[self.offset..self.offset + self.len]
    }

    /// Put other numbers into the header that lies in `buffer`.
    #[inline]
    pub fn write_numbers(&self, buffer: &mut [u8], numbers: Numbers) {
        let header = &mut buffer[self.offset..self.offset + HEADER_SIZE];
        header[2..4].copy_from_slice(&numbers.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&numbers.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&numbers.ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_rtp_from_rtcp_and_noise() {
        let mut rtp = [0u8; 20];
        rtp[0] = 0x80;
        rtp[1] = 0x80 | 96;
        rtp[2..4].copy_from_slice(&7u16.to_be_bytes());
        rtp[4..8].copy_from_slice(&3600u32.to_be_bytes());
        rtp[8..12].copy_from_slice(&42u32.to_be_bytes());
        let numbers = Numbers {
            ssrc: 42,
            sequence: 7,
            timestamp: 3600,
        };
        assert_eq!(classify(&rtp), Kind::Rtp(numbers, true));
        assert_eq!(classify(&rtp[..11]), Kind::Other);
        rtp[1] = 201;
        assert_eq!(classify(&rtp[..8]), Kind::Rtcp);
        assert_eq!(classify(b"\r\n\r\n\r\n\r\n\r\n\r\n"), Kind::Other);
        assert_eq!(classify(&[]), Kind::Other);
    }

    #[test]
    fn rewrites_in_place() {
        let mut buffer = [0u8; 30];
        buffer[5] = 0x80;
        buffer[6] = 96;
        let packet = Packet {
            offset: 5,
            len: 20,
            numbers: Numbers {
                ssrc: 0,
                sequence: 0,
                timestamp: 0,
            },
            marker: false,
        };
        let other = Numbers {
            ssrc: 1,
            sequence: 2,
            timestamp: 3,
        };
        packet.write_numbers(&mut buffer, other);
        assert_eq!(classify(packet.bytes(&buffer)), Kind::Rtp(other, false));
    }
}
