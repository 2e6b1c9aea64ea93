//! NAL units: their classes, the Annex B byte stream, and the parameter sets of a stream.

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::frame::{Codec, VideoParameters};
use crate::{h264, h265};

/// What a NAL unit means for the assembly of access units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalClass {
    /// A coded slice; `first` is the first of its picture.
    Slice {
        first: bool,
        random_access: bool,
        intra: bool,
    },
    Vps,
    Sps,
    Pps,
    Delimiter,
    /// Belongs to the slices that follow (SEI).
    Prefix,
    /// Belongs to the access unit at hand.
    Other,
    /// Filler, ends of sequence, unspecified.
    Drop,
}

/// What an SPS says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpsInfo {
    pub id: u32,
    pub profile: u8,
    pub level: u8,
    pub constraints: u8,
    pub width: u32,
    pub height: u32,
    pub fps_milli: u32,
    pub chroma_format: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    pub profile_tier_level: [u8; 12],
    /// Fields may be coded apart (H.264 `frame_mbs_only_flag` 0).
    pub interlaced: bool,
}

impl Default for SpsInfo {
    fn default() -> Self {
        Self {
            id: 0,
            profile: 0,
            level: 0,
            constraints: 0,
            width: 0,
            height: 0,
            fps_milli: 0,
            chroma_format: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            profile_tier_level: [0; 12],
            interlaced: false,
        }
    }
}

/// Takes the NAL units of a byte stream piece by piece.
pub trait NalSink {
    fn nal_begin(&mut self);
    /// Never empty.
    fn nal_data(&mut self, data: &[u8]);
    fn nal_end(&mut self);
}

/// Splits an Annex B byte stream (H.264 B.1, H.265 B.2) that comes in arbitrary pieces.
pub struct AnnexB {
    finder: Finder<'static>,
    /// Zero bytes at the end of the last piece: part of a start code, trailing zeros, or content.
    zeros: usize,
    inside: bool,
}

impl Default for AnnexB {
    fn default() -> Self {
        Self {
            finder: Finder::new(&[0, 0, 1]),
            zeros: 0,
            inside: false,
        }
    }
}

const ZEROS: [u8; 64] = [0; 64];

impl AnnexB {
    pub fn push(&mut self, mut data: &[u8], sink: &mut impl NalSink) {
        if self.zeros > 0 {
            let Some(rest) = self.join_zeros(data, sink) else {
                return;
            };
            data = rest;
        }
        while let Some(position) = self.finder.find(data) {
            self.body(&data[..position], sink);
            self.zeros = 0;
            if self.inside {
                sink.nal_end();
            }
            sink.nal_begin();
            self.inside = true;
            data = &data[position + 3..];
        }
        self.body(data, sink);
    }

    /// Zeros of the last piece and of this one together. `None` when there is nothing else.
    fn join_zeros<'a>(&mut self, data: &'a [u8], sink: &mut impl NalSink) -> Option<&'a [u8]> {
        let leading = data.iter().take_while(|&&byte| byte == 0).count();
        self.zeros += leading;
        let rest = &data[leading..];
        let first = rest.first()?;
        if *first == 1 && self.zeros >= 2 {
            self.zeros = 0;
            if self.inside {
                sink.nal_end();
            }
            sink.nal_begin();
            self.inside = true;
            return Some(&rest[1..]);
        }
        while self.zeros > 0 {
            let count = self.zeros.min(ZEROS.len());
            if self.inside {
                sink.nal_data(&ZEROS[..count]);
            }
            self.zeros -= count;
        }
        Some(rest)
    }

    /// Content without its trailing zeros, which are kept back.
    #[inline]
    fn body(&mut self, data: &[u8], sink: &mut impl NalSink) {
        let mut end = data.len();
        while end > 0 && data[end - 1] == 0 {
            end -= 1;
        }
        self.zeros = data.len() - end;
        if self.inside && end > 0 {
            sink.nal_data(&data[..end]);
        }
    }

    /// No NAL unit is open and no start code has begun.
    pub fn is_outside(&self) -> bool {
        !self.inside && self.zeros == 0
    }

    /// The access unit is over: the last NAL unit ends here.
    pub fn end(&mut self, sink: &mut impl NalSink) {
        if self.inside {
            sink.nal_end();
        }
        self.reset();
    }

    /// Bytes are missing: skip to the next start code.
    pub fn reset(&mut self) {
        self.inside = false;
        self.zeros = 0;
    }
}

/// The parameter sets in force, by kind and number. A repetition changes nothing.
#[derive(Default)]
pub struct ParameterSets {
    vps: Vec<(u32, Bytes)>,
    sps: Vec<(u32, Bytes)>,
    pps: Vec<(u32, Bytes)>,
    info: SpsInfo,
    changed: bool,
}

/// Sets kept of each kind: encoders use one or two.
const MAX_SETS: usize = 8;

impl ParameterSets {
    /// False when the NAL unit cannot be read.
    pub fn store(&mut self, codec: Codec, class: NalClass, nal: &[u8]) -> bool {
        let hevc = codec == Codec::H265;
        let (list, id) = match class {
            NalClass::Vps => (&mut self.vps, h265::vps_id(nal)),
            NalClass::Sps => {
                if self.sps.iter().any(|(_, known)| known == nal) {
                    return true;
                }
                let info = if hevc {
                    h265::parse_sps(nal)
                } else {
                    h264::parse_sps(nal)
                };
                let Some(info) = info else { return false };
                self.info = info;
                (&mut self.sps, Some(info.id))
            }
            NalClass::Pps if hevc => (&mut self.pps, h265::pps_id(nal)),
            NalClass::Pps => (&mut self.pps, h264::pps_id(nal)),
            _ => return false,
        };
        let Some(id) = id else { return false };
        match list.iter().position(|(known, _)| *known == id) {
            Some(place) if list[place].1 == nal => return true,
            Some(place) => list[place].1 = Bytes::copy_from_slice(nal),
            None if list.len() < MAX_SETS => list.push((id, Bytes::copy_from_slice(nal))),
            None => return false,
        }
        self.changed = true;
        true
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn interlaced(&self) -> bool {
        self.info.interlaced
    }

    pub fn is_complete(&self, codec: Codec) -> bool {
        let vps = codec != Codec::H265 || !self.vps.is_empty();
        vps && !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// The parameters, when they are complete and have changed since the last call.
    pub fn take_changed(&mut self, codec: Codec) -> Option<VideoParameters> {
        if !self.changed || !self.is_complete(codec) {
            return None;
        }
        self.changed = false;
        let all = |list: &Vec<(u32, Bytes)>| list.iter().map(|(_, nal)| nal.clone()).collect();
        Some(VideoParameters {
            codec,
            vps: all(&self.vps),
            sps: all(&self.sps),
            pps: all(&self.pps),
            width: self.info.width,
            height: self.info.height,
            fps_milli: self.info.fps_milli,
            profile: self.info.profile,
            level: self.info.level,
            constraints: self.info.constraints,
            chroma_format: self.info.chroma_format,
            bit_depth_luma: self.info.bit_depth_luma,
            bit_depth_chroma: self.info.bit_depth_chroma,
            profile_tier_level: self.info.profile_tier_level,
        })
    }
}
