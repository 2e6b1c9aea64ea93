//! RTP over TCP: the two-byte length of RFC 4571, and what devices send instead.

use crate::quirk::Quirk;
use crate::rtp::{is_rtcp, HEADER_SIZE};

/// Bytes searched for a new beginning before the connection is given up (annex C.6, pitfall 3).
pub const MAX_RESYNC: usize = 2 << 20;

/// Rows 47 and 50: Hikvision's private header before each packet, and the byte after the RTP header.
const EHOME_HEADER: usize = 256;
const EHOME_EXTRA_BYTE: u8 = 0x0D;

/// Length, RTP header and the start of a pack: what a new beginning is recognised by.
const RESYNC_SIZE: usize = 4 + HEADER_SIZE + 4;

/// Packets in a row after which a new beginning counts as right.
const PROOF: u8 = 8;

/// Row 49: larger packets are legal and worth a remark.
const LARGE_PACKET: usize = 8192;

/// No new beginning within [`MAX_RESYNC`]: close the connection and invite again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramingLost;

impl std::fmt::Display for FramingLost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "no RTP packet found in {MAX_RESYNC} bytes of the TCP stream"
        )
    }
}

impl std::error::Error for FramingLost {}

/// How packets are marked off, decided on the first of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    Undecided,
    /// RFC 4571: a length of two bytes.
    Length,
    /// RTSP's `$`, channel, length (row 46).
    Interleaved,
    /// 256 bytes, then as `Interleaved`, and one byte too many inside (rows 47, 50).
    Ehome,
}

impl Framing {
    /// Bytes before the RTP header; the last two are its length.
    fn prefix(self) -> usize {
        match self {
            Self::Undecided | Self::Length => 2,
            Self::Interleaved => 4,
            Self::Ehome => EHOME_HEADER + 4,
        }
    }
}

/// Splits the bytes of one TCP connection into packets.
///
/// Packets that lie whole in the bytes given are handed on in place; only the remainder is kept, at
/// most one packet.
pub struct Framer {
    framing: Framing,
    carry: Vec<u8>,
    /// Payload type and SSRC of the first packet: how the framing is checked and found again.
    known: Option<(u8, u32)>,
    searched: usize,
    /// Packets since the last search: a few in a row prove that the right place was found.
    proven: u8,
    lost: bool,
    resyncs: u64,
    quirks: Vec<Quirk>,
    scratch: Vec<u8>,
}

/// What stands at the beginning of the bytes at hand.
enum Next {
    /// The packet's place.
    Packet(usize, usize),
    /// So many bytes carry nothing.
    Skip(usize),
    /// At least so many bytes are needed.
    Need(usize),
    Lost,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer {
    pub fn new() -> Self {
        Self {
            framing: Framing::Undecided,
            carry: Vec::new(),
            known: None,
            searched: 0,
            proven: 0,
            lost: false,
            resyncs: 0,
            quirks: Vec::new(),
            scratch: Vec::new(),
        }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Times that the framing was lost and found again.
    pub fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// Bytes kept for the packet that is not yet whole.
    pub fn buffered(&self) -> usize {
        self.carry.len()
    }

    /// Quirks seen since the last call; give them to `Ingest::note_quirk`.
    pub fn take_quirk(&mut self) -> Option<Quirk> {
        self.quirks.pop()
    }

    /// Feed bytes of the connection; `deliver` gets each packet, RTP header first.
    ///
    /// # Errors
    /// [`FramingLost`] when the stream cannot be understood any more.
    pub fn receive(
        &mut self,
        mut data: &[u8],
        mut deliver: impl FnMut(&[u8]),
    ) -> Result<(), FramingLost> {
        while !self.carry.is_empty() && !data.is_empty() {
            data = self.complete_carry(data, &mut deliver)?;
        }
        let used = self.split(data, &mut deliver)?;
        self.carry.extend_from_slice(&data[used..]);
        Ok(())
    }

    /// Move as much into the carry as its beginning needs, and split that.
    fn complete_carry<'a>(
        &mut self,
        data: &'a [u8],
        deliver: &mut impl FnMut(&[u8]),
    ) -> Result<&'a [u8], FramingLost> {
        let wanted = match self.next(&self.carry) {
            Next::Need(size) => size.saturating_sub(self.carry.len()).max(1),
            _ => 0,
        };
        let (part, rest) = data.split_at(wanted.min(data.len()));
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(part);
        let used = self.split(&carry, deliver)?;
        carry.drain(..used);
        self.carry = carry;
        Ok(rest)
    }

    /// Hand on what is whole; the number of bytes used.
    fn split(
        &mut self,
        data: &[u8],
        deliver: &mut impl FnMut(&[u8]),
    ) -> Result<usize, FramingLost> {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            if self.framing == Framing::Undecided && !self.decide(rest) {
                return Ok(at);
            }
            match self.next(rest) {
                Next::Packet(begin, end) => {
                    self.take(&rest[begin..end], deliver);
                    at += end;
                }
                Next::Skip(size) => {
                    at += size;
                    if self.lost {
                        self.searched += size;
                        if self.searched > MAX_RESYNC {
                            return Err(FramingLost);
                        }
                    }
                }
                Next::Need(_) => return Ok(at),
                Next::Lost => {
                    self.lost = true;
                    self.proven = 0;
                }
            }
        }
    }

    /// The framing of a connection is that of its first packet. False: more bytes are needed.
    fn decide(&mut self, data: &[u8]) -> bool {
        if data.len() < 2 {
            return false;
        }
        // A length of 256 begins with `01 00` as well: look for '$' behind the private header.
        if data[0] == 1 && data[1] == 0 {
            let Some(behind) = data.get(EHOME_HEADER..EHOME_HEADER + 5) else {
                return false;
            };
            if behind[0] == b'$' && behind[4] >> 6 == 2 {
                self.framing = Framing::Ehome;
                self.quirks.push(Quirk::EhomeHeader);
                return true;
            }
        }
        if data[0] == b'$' {
            // Row 49: a length of 0x24xx begins with '$' as well, then byte 2 is the RTP header's.
            if data.len() < 6 {
                return false;
            }
            let plausible_type = data[5] & 0x7F >= 8 || data[5] == 0;
            if data[4] >> 6 == 2 && plausible_type && data[2] != 0x80 {
                self.framing = Framing::Interleaved;
                self.quirks.push(Quirk::InterleavedFraming);
                return true;
            }
        }
        self.framing = Framing::Length;
        true
    }

    fn next(&self, data: &[u8]) -> Next {
        if self.lost {
            return self.search(data);
        }
        if self.framing == Framing::Undecided {
            return Next::Need(match data {
                [1, 0, ..] => EHOME_HEADER + 5,
                _ => 6,
            });
        }
        let prefix = self.framing.prefix();
        if self.framing != Framing::Length && !self.marks_prefix(data) {
            return Next::Lost;
        }
        let Some(length) = data.get(prefix - 2..prefix) else {
            return Next::Need(prefix);
        };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let end = prefix + length;
        if length < HEADER_SIZE {
            // Too short for RTP, but RTCP such as an empty RR of 8 bytes may come so.
            let Some(packet) = data.get(prefix..end) else {
                return Next::Need(end);
            };
            let harmless = length == 0 || is_rtcp(packet);
            return if harmless {
                Next::Skip(end)
            } else {
                Next::Lost
            };
        }
        let Some(head) = data.get(prefix..prefix + HEADER_SIZE) else {
            return Next::Need(prefix + HEADER_SIZE);
        };
        if !self.belongs(head) {
            return Next::Lost;
        }
        if data.len() < end {
            return Next::Need(end);
        }
        Next::Packet(prefix, end)
    }

    /// Does `$`, or the private header, stand where it must?
    fn marks_prefix(&self, data: &[u8]) -> bool {
        match self.framing {
            Framing::Interleaved => data.first().is_none_or(|&byte| byte == b'$'),
            Framing::Ehome => {
                data.first().is_none_or(|&byte| byte == 1)
                    && data.get(EHOME_HEADER).is_none_or(|&byte| byte == b'$')
            }
            _ => true,
        }
    }

    /// Is this the header of an RTP packet of the stream, or of RTCP? An encoder may change its SSRC or
    /// its payload type, but not both at once (rows 7 and 44).
    fn belongs(&self, head: &[u8]) -> bool {
        if head[0] >> 6 != 2 {
            return false;
        }
        let Some((payload_type, ssrc)) = self.known else {
            return true;
        };
        head[1] & 0x7F == payload_type || head[8..12] == ssrc.to_be_bytes() || is_rtcp(head)
    }

    /// A place where a plausible length is followed by a header of the known stream, or by any header
    /// and a pack.
    fn search(&self, data: &[u8]) -> Next {
        for at in 0..data.len().saturating_sub(RESYNC_SIZE - 1) {
            let window = &data[at..at + RESYNC_SIZE];
            let (prefix, marked) = match self.framing {
                Framing::Length | Framing::Undecided => (2, true),
                Framing::Interleaved | Framing::Ehome => (4, window[0] == b'$'),
            };
            let head = &window[prefix..];
            if marked && head[0] >> 6 == 2 && self.is_beginning(&window[prefix - 2..]) {
                if self.framing == Framing::Ehome {
                    // The private header before it is gone: go on behind this packet.
                    let length = usize::from(u16::from_be_bytes([window[2], window[3]]));
                    let end = at + 4 + length;
                    return match data.len() < end {
                        true if at > 0 => Next::Skip(at),
                        true => Next::Need(end),
                        false => Next::Packet(at + 4, end),
                    };
                }
                return match self.found(&data[at..], prefix) {
                    Next::Packet(begin, end) => Next::Packet(at + begin, at + end),
                    Next::Need(_) if at > 0 => Next::Skip(at),
                    other => other,
                };
            }
        }
        match data.len().checked_sub(RESYNC_SIZE - 1) {
            Some(size) if size > 0 => Next::Skip(size),
            _ => Next::Need(RESYNC_SIZE),
        }
    }

    fn found(&self, data: &[u8], prefix: usize) -> Next {
        let length = usize::from(u16::from_be_bytes([data[prefix - 2], data[prefix - 1]]));
        let end = prefix + length;
        if data.len() < end {
            Next::Need(end)
        } else {
            Next::Packet(prefix, end)
        }
    }

    /// `data`: two bytes of length, an RTP header, four bytes of payload.
    fn is_beginning(&self, data: &[u8]) -> bool {
        let length = usize::from(u16::from_be_bytes([data[0], data[1]]));
        let head = &data[2..];
        if length < HEADER_SIZE + 4 {
            return false;
        }
        let same_stream = self.known.is_some_and(|(payload_type, ssrc)| {
            head[1] & 0x7F == payload_type && head[8..12] == ssrc.to_be_bytes()
        });
        let payload = &head[HEADER_SIZE..];
        let pack = payload.len() >= 4 && payload[..3] == [0, 0, 1] && payload[3] | 1 == 0xBB;
        // A camera with SSRC 0 makes the header too ordinary to be believed alone.
        pack || (same_stream && self.known.is_some_and(|(_, ssrc)| ssrc != 0))
    }

    fn take(&mut self, packet: &[u8], deliver: &mut impl FnMut(&[u8])) {
        if self.lost {
            self.lost = false;
            self.resyncs += 1;
            self.quirks.push(Quirk::FramingLost);
        }
        self.proven = self.proven.saturating_add(1);
        if self.proven == PROOF {
            self.searched = 0;
        }
        if self.known.is_none() && !is_rtcp(packet) {
            let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
            self.known = Some((packet[1] & 0x7F, ssrc));
        }
        if packet.len() > LARGE_PACKET && !self.quirks.contains(&Quirk::LargePackets) {
            self.quirks.push(Quirk::LargePackets);
        }
        if self.framing == Framing::Ehome && packet.get(HEADER_SIZE) == Some(&EHOME_EXTRA_BYTE) {
            self.scratch.clear();
            self.scratch.extend_from_slice(&packet[..HEADER_SIZE]);
            self.scratch.extend_from_slice(&packet[HEADER_SIZE + 1..]);
            deliver(&self.scratch);
        } else {
            deliver(packet);
        }
    }
}
