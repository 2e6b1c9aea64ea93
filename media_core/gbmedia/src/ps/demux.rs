//! Program stream demultiplexer: a byte stream in arbitrary pieces goes in, PES payloads come out in place.
//!
//! Only headers that lie across two pieces are kept (at most one program stream map); payload is handed
//! on as it comes. When the structure breaks, everything up to the next start code of a pack, a map or a
//! PES is skipped.

use memchr::memmem::Finder;

use super::map::StreamMap;
use super::stream_id::{is_audio, is_video, MAP, PACK, PADDING, PRIVATE_1, PROGRAM_END, SYSTEM};
use crate::quirk::Quirk;

/// A map may have 1018 bytes (2.5.4.1); devices that write more are broken.
const MAX_MAP: usize = 4096;

/// Start of a PES, its header read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PesHeader {
    pub stream_id: u8,
    /// 33 bits, 90 kHz.
    pub pts: Option<u64>,
    pub dts: Option<u64>,
    /// Payload to come; `None` when the PES has length 0 and ends at the next start code (row 34).
    pub payload_size: Option<usize>,
}

/// What stands in the program stream.
pub trait PsSink {
    fn pack(&mut self);
    fn map(&mut self, map: &StreamMap);
    fn pes_begin(&mut self, pes: &PesHeader);
    fn pes_data(&mut self, stream_id: u8, data: &[u8]);
    /// `intact` is false when the end of the payload is missing.
    fn pes_end(&mut self, stream_id: u8, intact: bool);
    /// The structure broke here and is searched for.
    fn sync_lost(&mut self);
    fn quirk(&mut self, quirk: Quirk);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A start code comes next.
    Unit,
    Payload {
        stream_id: u8,
        left: usize,
    },
    /// PES of length 0.
    Unbounded {
        stream_id: u8,
    },
    Skip {
        left: usize,
    },
    /// Looking for a start code.
    Search,
}

/// What the bytes at a unit's beginning are.
enum Unit {
    /// At least so many bytes are needed.
    Need(usize),
    Pack {
        size: usize,
    },
    Map {
        size: usize,
    },
    Pes {
        header: PesHeader,
        size: usize,
    },
    /// So many bytes carry nothing.
    Ignore {
        size: usize,
        quirk: Option<Quirk>,
    },
    /// As many bytes after a header of six.
    Skip {
        body: usize,
        quirk: Option<Quirk>,
    },
    Broken,
}

pub struct PsDemux {
    state: State,
    /// The beginning of a unit that lies across pieces.
    carry: Vec<u8>,
    /// The stream whose last PES had the greatest length (row 35).
    may_run_on: Option<u8>,
    finder: Finder<'static>,
}

impl Default for PsDemux {
    fn default() -> Self {
        Self {
            state: State::Search,
            carry: Vec::new(),
            may_run_on: None,
            finder: Finder::new(&[0, 0, 1]),
        }
    }
}

impl PsDemux {
    /// Does a unit begin next? Then everything before is complete.
    pub fn at_boundary(&self) -> bool {
        self.state == State::Unit && self.carry.is_empty()
    }

    /// Bytes kept for the header that is not yet whole.
    pub fn buffered(&self) -> usize {
        self.carry.len()
    }

    /// Is the payload of a PES open?
    pub fn in_payload(&self) -> bool {
        matches!(self.state, State::Payload { .. })
    }

    /// Is a PES of unknown length open?
    pub fn in_unbounded(&self) -> bool {
        matches!(self.state, State::Unbounded { .. })
    }

    /// Bytes are missing before those that come next.
    pub fn lost(&mut self, sink: &mut impl PsSink) {
        self.close_payload(sink);
        self.carry.clear();
        self.may_run_on = None;
        self.state = State::Search;
    }

    /// The next piece; pieces are RTP payloads.
    pub fn push(&mut self, data: &[u8], sink: &mut impl PsSink) {
        if data.starts_with(&[0, 0, 1, PACK]) && self.pack_would_cut() {
            self.cut(sink);
        }
        let mut rest = data;
        while !rest.is_empty() {
            rest = match self.state {
                State::Payload { stream_id, left } => self.payload(stream_id, left, rest, sink),
                State::Unit => self.unit(rest, sink),
                State::Skip { left } => self.skip(left, rest),
                State::Unbounded { stream_id } => self.unbounded(stream_id, rest, sink),
                State::Search => self.search(rest, sink),
            };
        }
    }

    /// Inside of a payload or a header no pack may begin, unless it is what the stuffing of a pack hides.
    fn pack_would_cut(&self) -> bool {
        match self.state {
            State::Payload { left, .. } => left > 4,
            State::Skip { left } => left > 4,
            State::Unit => self.carry.len() >= 4 && self.carry[3] != PACK,
            State::Unbounded { .. } | State::Search => false,
        }
    }

    /// Row 36: the claimed length was not sent.
    fn cut(&mut self, sink: &mut impl PsSink) {
        sink.quirk(Quirk::PesTooLong);
        self.close_payload(sink);
        if !self.carry.is_empty() {
            self.carry.clear();
            sink.sync_lost();
        }
        self.state = State::Unit;
    }

    fn close_payload(&mut self, sink: &mut impl PsSink) {
        if let State::Payload { stream_id, .. } | State::Unbounded { stream_id } = self.state {
            sink.pes_end(stream_id, false);
        }
    }

    #[inline]
    fn payload<'a>(
        &mut self,
        stream_id: u8,
        left: usize,
        data: &'a [u8],
        sink: &mut impl PsSink,
    ) -> &'a [u8] {
        let (part, rest) = data.split_at(left.min(data.len()));
        sink.pes_data(stream_id, part);
        if part.len() == left {
            self.state = State::Unit;
            sink.pes_end(stream_id, true);
        } else {
            self.state = State::Payload {
                stream_id,
                left: left - part.len(),
            };
        }
        rest
    }

    fn skip<'a>(&mut self, left: usize, data: &'a [u8]) -> &'a [u8] {
        let part = left.min(data.len());
        self.state = if part == left {
            State::Unit
        } else {
            State::Skip { left: left - part }
        };
        &data[part..]
    }

    /// Read one header, from the piece in place or from the carry.
    fn unit<'a>(&mut self, data: &'a [u8], sink: &mut impl PsSink) -> &'a [u8] {
        if self.carry.is_empty() {
            return match examine(data) {
                Unit::Need(_) => {
                    self.carry.extend_from_slice(data);
                    &[]
                }
                unit => {
                    let used = self.apply(&unit, data, sink);
                    &data[used..]
                }
            };
        }
        // The carry takes no more than the header needs, so that what follows stays in place.
        let mut rest = data;
        let mut carry = std::mem::take(&mut self.carry);
        loop {
            match examine(&carry) {
                Unit::Need(_) if rest.is_empty() => break,
                Unit::Need(size) => {
                    let missing = size.saturating_sub(carry.len()).clamp(1, rest.len());
                    carry.extend_from_slice(&rest[..missing]);
                    rest = &rest[missing..];
                }
                unit => {
                    let used = self.apply(&unit, &carry, sink);
                    carry.drain(..used);
                    if !carry.is_empty() && self.state != State::Unit {
                        self.push_left_over(&carry, sink);
                        carry.clear();
                        // What is left over may have left its own remainder.
                        if !self.carry.is_empty() {
                            return rest;
                        }
                    }
                    if carry.is_empty() {
                        break;
                    }
                }
            }
        }
        self.carry = carry;
        rest
    }

    /// Bytes of the carry that turned out to be no header.
    fn push_left_over(&mut self, data: &[u8], sink: &mut impl PsSink) {
        let mut rest = data;
        while !rest.is_empty() && self.state != State::Unit {
            rest = match self.state {
                State::Payload { stream_id, left } => self.payload(stream_id, left, rest, sink),
                State::Skip { left } => self.skip(left, rest),
                State::Unbounded { stream_id } => self.unbounded(stream_id, rest, sink),
                State::Search => self.search(rest, sink),
                State::Unit => rest,
            };
        }
        self.carry.extend_from_slice(rest);
    }

    /// Do what the unit at the beginning of `data` says; the number of bytes used.
    fn apply(&mut self, unit: &Unit, data: &[u8], sink: &mut impl PsSink) -> usize {
        let run_on = self.may_run_on.take();
        match unit {
            Unit::Need(_) => 0,
            Unit::Pack { size } => {
                if size - 14 >= 3 && self.finder.find(&data[14..*size]).is_some() {
                    sink.quirk(Quirk::PackStuffingStartCode);
                }
                sink.pack();
                *size
            }
            Unit::Map { size } => {
                sink.map(&StreamMap::parse(&data[6..*size]));
                *size
            }
            Unit::Pes { header, size } => {
                self.begin_pes(header, *size, sink);
                *size
            }
            Unit::Ignore { size, quirk } => {
                if let Some(quirk) = *quirk {
                    sink.quirk(quirk);
                }
                *size
            }
            Unit::Skip { body, quirk } => {
                if let Some(quirk) = *quirk {
                    sink.quirk(quirk);
                }
                if *body > 0 {
                    self.state = State::Skip { left: *body };
                }
                6
            }
            Unit::Broken => self.break_off(run_on, sink),
        }
    }

    fn begin_pes(&mut self, header: &PesHeader, size: usize, sink: &mut impl PsSink) {
        let stream_id = header.stream_id;
        sink.pes_begin(header);
        match header.payload_size {
            None => {
                sink.quirk(Quirk::PesLengthZero);
                self.state = State::Unbounded { stream_id };
            }
            Some(0) => sink.pes_end(stream_id, true),
            Some(left) => {
                if left + size == 6 + 0xFFFF {
                    self.may_run_on = Some(stream_id);
                }
                self.state = State::Payload { stream_id, left };
            }
        }
    }

    /// No start code where one must stand. The search begins behind the first byte, lest it find the
    /// same place again.
    fn break_off(&mut self, run_on: Option<u8>, sink: &mut impl PsSink) -> usize {
        if let Some(stream_id) = run_on {
            sink.quirk(Quirk::PesRunsOn);
            self.state = State::Unbounded { stream_id };
            return 0;
        }
        sink.sync_lost();
        self.state = State::Search;
        1
    }

    /// Row 34: payload up to a start code that no elementary stream contains.
    fn unbounded<'a>(&mut self, stream_id: u8, data: &'a [u8], sink: &mut impl PsSink) -> &'a [u8] {
        if !self.carry.is_empty() {
            return self.with_carry(data, sink);
        }
        if let Some(at) = self.find_unit(data) {
            if at > 0 {
                sink.pes_data(stream_id, &data[..at]);
            }
            self.state = State::Unit;
            sink.pes_end(stream_id, true);
            return &data[at..];
        }
        let kept = possible_start(data);
        let (part, tail) = data.split_at(data.len() - kept);
        if !part.is_empty() {
            sink.pes_data(stream_id, part);
        }
        self.carry.extend_from_slice(tail);
        &[]
    }

    fn search<'a>(&mut self, data: &'a [u8], sink: &mut impl PsSink) -> &'a [u8] {
        if !self.carry.is_empty() {
            return self.with_carry(data, sink);
        }
        if let Some(at) = self.find_unit(data) {
            self.state = State::Unit;
            return &data[at..];
        }
        let kept = possible_start(data);
        self.carry.extend_from_slice(&data[data.len() - kept..]);
        &[]
    }

    /// The up to three bytes kept, and enough of the piece to decide whether they begin a start code.
    fn with_carry<'a>(&mut self, data: &'a [u8], sink: &mut impl PsSink) -> &'a [u8] {
        let carry = std::mem::take(&mut self.carry);
        let taken = data.len().min(3);
        let mut joined = [0_u8; 6];
        let size = carry.len() + taken;
        joined[..carry.len()].copy_from_slice(&carry);
        joined[carry.len()..size].copy_from_slice(&data[..taken]);
        let joined = &joined[..size];
        match self.find_unit(joined) {
            Some(at) if at < carry.len() => {
                if let State::Unbounded { stream_id } = self.state {
                    if at > 0 {
                        sink.pes_data(stream_id, &joined[..at]);
                    }
                    sink.pes_end(stream_id, true);
                }
                self.state = State::Unit;
                self.carry.extend_from_slice(&carry[at..]);
                data
            }
            _ if taken < 3 => {
                // Still too short to decide.
                let kept = possible_start(joined);
                let (part, tail) = joined.split_at(size - kept);
                if let (State::Unbounded { stream_id }, false) = (self.state, part.is_empty()) {
                    sink.pes_data(stream_id, part);
                }
                self.carry.extend_from_slice(tail);
                &[]
            }
            _ => {
                if let State::Unbounded { stream_id } = self.state {
                    sink.pes_data(stream_id, &carry);
                }
                data
            }
        }
    }

    /// The place of a start code whose last byte no H.264, H.265 or AAC data can have behind `00 00 01`:
    /// as a NAL header its forbidden bit would be set.
    fn find_unit(&self, data: &[u8]) -> Option<usize> {
        let mut places = self.finder.find_iter(data);
        places.find(|&at| data.get(at + 3).is_some_and(|&id| begins_unit(id)))
    }
}

/// Start codes by which the structure is found again.
fn begins_unit(id: u8) -> bool {
    (PROGRAM_END..=PADDING).contains(&id) || is_audio(id) || is_video(id)
}

/// Bytes at the end that may begin a start code.
fn possible_start(data: &[u8]) -> usize {
    if data.ends_with(&[0, 0, 1]) {
        3
    } else if data.ends_with(&[0, 0]) {
        2
    } else {
        usize::from(data.last() == Some(&0))
    }
}

fn examine(data: &[u8]) -> Unit {
    let Some(&[zero_0, zero_1, one, id]) = data.first_chunk::<4>() else {
        let begins = [0_u8, 0, 1];
        let plausible = data.iter().zip(begins).all(|(&byte, want)| byte == want)
            || data.iter().all(|&byte| byte == 0);
        return if plausible {
            Unit::Need(4)
        } else {
            Unit::Broken
        };
    };
    match (zero_0, zero_1, one) {
        (0, 0, 1) => {}
        (0, 0, 0) => return zeros(data),
        _ => return Unit::Broken,
    }
    match id {
        PACK => examine_pack(data),
        PROGRAM_END => Unit::Ignore {
            size: 4,
            quirk: None,
        },
        0..PROGRAM_END => Unit::Broken,
        _ => examine_sized(id, data),
    }
}

/// Row 33: zeros before a start code.
fn zeros(data: &[u8]) -> Unit {
    let count = data.iter().take_while(|&&byte| byte == 0).count();
    match data.get(count) {
        Some(1) | None => Unit::Ignore {
            size: count - 2,
            quirk: Some(Quirk::ZeroBeforeStartCode),
        },
        Some(_) => Unit::Broken,
    }
}

/// 2.5.3.3; 14 bytes and the stuffing that its last three bits count (row 29).
fn examine_pack(data: &[u8]) -> Unit {
    match data.get(4) {
        None => Unit::Need(5),
        Some(byte) if byte >> 6 == 1 => match data.get(13) {
            None => Unit::Need(14),
            Some(stuffing) => {
                let size = 14 + usize::from(stuffing & 7);
                if data.len() < size {
                    Unit::Need(size)
                } else {
                    Unit::Pack { size }
                }
            }
        },
        // Row 32: a start code follows at once.
        Some(0) => match data.get(4..7) {
            None => Unit::Need(7),
            Some([0, 0, 1]) => Unit::Ignore {
                size: 4,
                quirk: Some(Quirk::PackWithoutBody),
            },
            Some(_) => Unit::Broken,
        },
        // MPEG-1 (ISO/IEC 11172-1 2.4.3.2): 12 bytes.
        Some(byte) if byte >> 4 == 2 => {
            if data.len() < 12 {
                Unit::Need(12)
            } else {
                Unit::Ignore {
                    size: 12,
                    quirk: None,
                }
            }
        }
        Some(_) => Unit::Broken,
    }
}

/// Everything else has its length in 16 bits.
fn examine_sized(id: u8, data: &[u8]) -> Unit {
    let Some(size) = data.get(4..6) else {
        return Unit::Need(6);
    };
    let body = usize::from(u16::from_be_bytes([size[0], size[1]]));
    let skip = |quirk| Unit::Skip { body, quirk };
    match id {
        SYSTEM | PADDING => skip(None),
        MAP if body > MAX_MAP => Unit::Broken,
        MAP if data.len() < 6 + body => Unit::Need(6 + body),
        MAP => Unit::Map { size: 6 + body },
        PRIVATE_1 => skip(Some(Quirk::PrivateStream)),
        _ if is_video(id) || is_audio(id) => examine_pes(id, body, data),
        _ => skip(Some(Quirk::UnknownStream)),
    }
}

/// 2.4.3.6: flags, the length of the header, PTS, DTS.
fn examine_pes(stream_id: u8, body: usize, data: &[u8]) -> Unit {
    if body > 0 && body < 3 {
        return Unit::Skip { body, quirk: None };
    }
    let Some(flags) = data.get(6..9) else {
        return Unit::Need(9);
    };
    let options = usize::from(flags[2]);
    if flags[0] >> 6 != 2 || (body > 0 && body < 3 + options) {
        return Unit::Broken;
    }
    let size = 9 + options;
    let Some(options) = data.get(9..size) else {
        return Unit::Need(size);
    };
    let pts = (flags[1] & 0x80 != 0).then(|| timestamp(options.get(..5)));
    let dts = (flags[1] & 0xC0 == 0xC0).then(|| timestamp(options.get(5..10)));
    Unit::Pes {
        header: PesHeader {
            stream_id,
            pts: pts.flatten(),
            dts: dts.flatten(),
            payload_size: (body > 0).then(|| 6 + body - size),
        },
        size,
    }
}

/// Five bytes: 3, 15 and 15 bits, each behind other bits and before a marker.
fn timestamp(bytes: Option<&[u8]>) -> Option<u64> {
    let bytes = bytes?.first_chunk::<5>()?.map(u64::from);
    Some(
        (bytes[0] >> 1 & 7) << 30
            | bytes[1] << 22
            | (bytes[2] >> 1) << 15
            | bytes[3] << 7
            | bytes[4] >> 1,
    )
}
