//! RTP fixed header, RFC 3550 section 5.1: read in place, or written.

/// Bytes of the header without CSRC list and extension.
pub const HEADER_SIZE: usize = 12;

/// Why a datagram is no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    TooShort,
    NotVersion2,
    /// The CSRC list, the extension or the padding is longer than the packet.
    Truncated,
}

impl std::fmt::Display for RtpError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::TooShort => "shorter than an RTP header",
            Self::NotVersion2 => "not RTP version 2",
            Self::Truncated => "CSRC list, extension or padding exceeds the packet",
        })
    }
}

impl std::error::Error for RtpError {}

/// A datagram whose RTP header was checked.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |                             SSRC                              |
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    head: &'a [u8; HEADER_SIZE],
    payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<Self, RtpError> {
        let (head, rest) = data
            .split_first_chunk::<HEADER_SIZE>()
            .ok_or(RtpError::TooShort)?;
        match head[0] {
            0x80 => Ok(Self {
                head,
                payload: rest,
            }),
            first if first >> 6 == 2 => Ok(Self {
                head,
                payload: Self::payload_behind_options(first, rest)?,
            }),
            _ => Err(RtpError::NotVersion2),
        }
    }

    /// A packet taken apart before, and checked then.
    pub(crate) fn from_parts(head: &'a [u8; HEADER_SIZE], payload: &'a [u8]) -> Self {
        Self { head, payload }
    }

    pub(crate) fn head(&self) -> &'a [u8; HEADER_SIZE] {
        self.head
    }

    #[cold]
    fn payload_behind_options(first: u8, rest: &[u8]) -> Result<&[u8], RtpError> {
        let csrc = usize::from(first & 0x0F) * 4;
        let mut payload = rest.get(csrc..).ok_or(RtpError::Truncated)?;
        if first & 0x10 != 0 {
            // Section 5.3.1: two bytes of profile, then the length in 32-bit words.
            let (extension, behind) = payload
                .split_first_chunk::<4>()
                .ok_or(RtpError::Truncated)?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            payload = behind.get(words * 4..).ok_or(RtpError::Truncated)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(RtpError::Truncated)?);
            let length = payload
                .len()
                .checked_sub(padding)
                .ok_or(RtpError::Truncated)?;
            payload = &payload[..length];
        }
        Ok(payload)
    }

    #[inline]
    pub fn marker(&self) -> bool {
        self.head[1] & 0x80 != 0
    }

    #[inline]
    pub fn payload_type(&self) -> u8 {
        self.head[1] & 0x7F
    }

    #[inline]
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.head[2], self.head[3]])
    }

    #[inline]
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.head[4], self.head[5], self.head[6], self.head[7]])
    }

    #[inline]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.head[8], self.head[9], self.head[10], self.head[11]])
    }

    /// Without CSRC list, extension and padding.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The header that we send: no CSRC, no extension, no padding (annex C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl RtpHeader {
    pub fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[0] = 0x80;
        bytes[1] = (self.payload_type & 0x7F) | (u8::from(self.marker) << 7);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// Is this RTCP on an RTP port or in the RTP framing? RFC 5761 section 4: the second byte is 200-204.
#[inline]
pub fn is_rtcp(data: &[u8]) -> bool {
    data.len() >= 4 && data[0] >> 6 == 2 && (200..=204).contains(&data[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 96,
        sequence: 0xFFFE,
        timestamp: 0x0102_0304,
        ssrc: 100_000_001,
    };

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes.extend_from_slice(b"payload");
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 96);
        assert_eq!(packet.sequence(), 0xFFFE);
        assert_eq!(packet.timestamp(), 0x0102_0304);
        assert_eq!(packet.ssrc(), 100_000_001);
        assert_eq!(packet.payload(), b"payload");
    }

    #[test]
    fn csrc_extension_and_padding_are_taken_off() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] |= 0x20 | 0x10 | 2;
        bytes.extend_from_slice(&[9; 8]);
        bytes.extend_from_slice(&[0xBE, 0xDE, 0, 1, 1, 2, 3, 4]);
        bytes.extend_from_slice(b"PS");
        bytes.extend_from_slice(&[0, 0, 3]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload(), b"PS");
        for length in 12..29 {
            let result = RtpPacket::parse(&bytes[..length]);
            assert!(result.is_err() || length >= 29, "{length}");
        }
    }

    #[test]
    fn noise_is_refused() {
        assert_eq!(
            RtpPacket::parse(&[0x80; 11]).err(),
            Some(RtpError::TooShort)
        );
        assert_eq!(
            RtpPacket::parse(&[0; 12]).err(),
            Some(RtpError::NotVersion2)
        );
        let mut padding_too_long = [0; 13];
        padding_too_long[0] = 0xA0;
        padding_too_long[12] = 2;
        let result = RtpPacket::parse(&padding_too_long);
        assert_eq!(result.err(), Some(RtpError::Truncated));
    }

    #[test]
    fn row_65_rtcp_is_told_apart_by_its_second_byte() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(is_rtcp(&[0x81, 204, 0, 6]));
        assert!(!is_rtcp(&[0x80, 96, 0, 6]));
        assert!(!is_rtcp(&[0x80, 199, 0, 6]));
        assert!(!is_rtcp(&[0x80, 200]));
    }
}
