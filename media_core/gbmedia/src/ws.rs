//! WebSocket framing on the server's side, RFC 6455 section 5: our frames are whole messages and
//! never masked, the client's are masked. The handshake is not made here.

use bytes::Bytes;

/// RFC 6455 5.5: a control frame's payload.
const MAX_CONTROL_PAYLOAD: usize = 125;
const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The stream has ended; RFC 6455 7.4.1.
pub const GOING_AWAY: u16 = 1001;

/// The head of a binary message of `length` bytes.
pub fn binary_head(length: usize) -> Bytes {
    head(BINARY, length)
}

/// A whole text message.
pub fn text(message: &str) -> Bytes {
    whole(TEXT, message.as_bytes())
}

/// A whole pong; a longer payload than a ping can have is cut.
pub fn pong(payload: &[u8]) -> Bytes {
    whole(PONG, &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)])
}

/// A whole close frame.
pub fn close(code: u16) -> Bytes {
    whole(CLOSE, &code.to_be_bytes())
}

fn whole(opcode: u8, payload: &[u8]) -> Bytes {
    [&head(opcode, payload.len())[..], payload].concat().into()
}

fn head(opcode: u8, length: usize) -> Bytes {
    let mut out = [0; 10];
    out[0] = FINAL | opcode;
    let used = match length {
        0..=125 => {
            out[1] = length as u8;
            2
        }
        126..=0xFFFF => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    Bytes::copy_from_slice(&out[..used])
}

/// What a client said that asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// To be answered by [`pong`] with the same payload.
    Ping(Bytes),
    Close,
    /// Against the RFC: close the connection.
    Malformed(&'static str),
}

/// Reads a viewer's frames: control frames are events, messages are skipped whatever their length.
#[derive(Debug, Default)]
pub struct ClientFrames {
    /// Head bytes of the current frame: at most 2 + 8 + 4.
    head: Vec<u8>,
    /// Payload bytes of the current frame that are still to come.
    missing: u64,
    control: Vec<u8>,
    failed: bool,
}

impl ClientFrames {
    /// Takes some bytes from the front of `data`; `None` when all are taken. After
    /// [`ClientEvent::Malformed`] everything is ignored.
    pub fn receive(&mut self, data: &mut &[u8]) -> Option<ClientEvent> {
        while !data.is_empty() && !self.failed {
            if !self.head_complete() {
                self.head.push(data[0]);
                *data = &data[1..];
                match self.head_read() {
                    Ok(0) => continue,
                    Ok(_) => {}
                    Err(reason) => {
                        self.failed = true;
                        return Some(ClientEvent::Malformed(reason));
                    }
                }
            } else {
                self.payload_read(data);
            }
            if self.head_complete() && self.missing == 0 {
                if let Some(event) = self.finish() {
                    return Some(event);
                }
            }
        }
        *data = &[];
        None
    }

    fn head_size(&self) -> usize {
        let length = match self.head.get(1).map(|byte| byte & 0x7F) {
            Some(126) => 2,
            Some(127) => 8,
            _ => 0,
        };
        2 + length + 4
    }

    fn head_complete(&self) -> bool {
        self.head.len() == self.head_size()
    }

    fn is_control(&self) -> bool {
        self.head[0] & 0x08 != 0
    }

    /// Checks the head byte that came last; 1 when the head is complete.
    fn head_read(&mut self) -> Result<u8, &'static str> {
        if self.head.len() == 2 {
            self.check_first_two()?;
        }
        if !self.head_complete() {
            return Ok(0);
        }
        self.missing = match self.head[1] & 0x7F {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        Ok(1)
    }

    fn check_first_two(&self) -> Result<(), &'static str> {
        let [first, second] = [self.head[0], self.head[1]];
        if first & 0x70 != 0 {
            return Err("reserved bits set although no extension was agreed");
        }
        if second & 0x80 == 0 {
            return Err("a client's frame is not masked");
        }
        if self.is_control() && (first & FINAL == 0 || second & 0x7F > 125) {
            return Err("a control frame is fragmented or longer than 125 bytes");
        }
        match first & 0x0F {
            0..=2 | CLOSE..=PONG => Ok(()),
            _ => Err("unknown opcode"),
        }
    }

    fn payload_read(&mut self, data: &mut &[u8]) {
        let count =
            usize::try_from(self.missing).map_or(data.len(), |missing| missing.min(data.len()));
        let (now, later) = data.split_at(count);
        if self.is_control() {
            let mask_at = self.head.len() - 4;
            for byte in now {
                let mask = self.head[mask_at + self.control.len() % 4];
                self.control.push(byte ^ mask);
            }
        }
        self.missing -= count as u64;
        *data = later;
    }

    fn finish(&mut self) -> Option<ClientEvent> {
        let opcode = self.head[0] & 0x0F;
        self.head.clear();
        let payload = std::mem::take(&mut self.control);
        match opcode {
            PING => Some(ClientEvent::Ping(payload.into())),
            CLOSE => Some(ClientEvent::Close),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        let mut out = head(first & 0x0F, payload.len()).to_vec();
        out[0] = first;
        out[1] |= 0x80;
        out.extend_from_slice(&mask);
        out.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        out
    }

    fn all(bytes: &[u8], step: usize) -> Vec<ClientEvent> {
        let mut frames = ClientFrames::default();
        let mut events = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(event) = frames.receive(&mut piece) {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn heads_of_all_lengths() {
        assert_eq!(binary_head(0)[..], [0x82, 0]);
        assert_eq!(binary_head(125)[..], [0x82, 125]);
        assert_eq!(binary_head(126)[..], [0x82, 126, 0, 126]);
        assert_eq!(binary_head(65_535)[..], [0x82, 126, 255, 255]);
        assert_eq!(binary_head(65_536)[..], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn whole_frames_of_rfc_6455_5_7() {
        assert_eq!(text("Hello")[..], *b"\x81\x05Hello");
        assert_eq!(pong(b"Hello")[..], *b"\x8a\x05Hello");
        assert_eq!(pong(&[0; 200]).len(), 127);
        assert_eq!(close(GOING_AWAY)[..], [0x88, 2, 3, 0xE9]);
    }

    #[test]
    fn the_masked_ping_of_rfc_6455_5_7() {
        let bytes = b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let event = ClientEvent::Ping(Bytes::from_static(b"Hello"));
        assert_eq!(all(bytes, 1), std::slice::from_ref(&event));
        assert_eq!(all(bytes, 100), [event]);
    }

    #[test]
    fn messages_are_skipped_between_control_frames() {
        let bytes = [
            masked(0x81, b"hello"),
            masked(0x02, &[1; 70_000]),
            masked(0x89, b""),
            masked(0x80, &[2; 300]),
            masked(0x8A, b"late"),
            masked(0x89, b"b"),
            masked(0x88, &[3, 0xE8]),
        ]
        .concat();
        let expected = [
            ClientEvent::Ping(Bytes::new()),
            ClientEvent::Ping(Bytes::from_static(b"b")),
            ClientEvent::Close,
        ];
        for step in [1, 7, 1000, bytes.len()] {
            assert_eq!(all(&bytes, step), expected, "{step}");
        }
    }

    #[test]
    fn frames_against_the_rfc_are_told_once() {
        let cases: [&[u8]; 5] = [
            b"\x89\x05Hello and more",
            b"\xC1\x80\0\0\0\0",
            b"\x09\x80\0\0\0\0",
            b"\x89\xFE\0\0",
            b"\x83\x80\0\0",
        ];
        for case in cases {
            let events = all(case, 1);
            assert!(
                matches!(events[..], [ClientEvent::Malformed(_)]),
                "{case:?}"
            );
        }
    }

    #[test]
    fn a_huge_length_takes_no_memory() {
        let mut frames = ClientFrames::default();
        let mut bytes = vec![0x82, 0xFF];
        bytes.extend_from_slice(&u64::MAX.to_be_bytes());
        bytes.extend_from_slice(&[0; 4096]);
        assert_eq!(frames.receive(&mut &bytes[..]), None);
        assert!(frames.control.is_empty());
    }
}
