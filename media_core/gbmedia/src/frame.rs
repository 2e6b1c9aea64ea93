//! What leaves the ingest: access units and the parameters that describe them.

use bytes::Bytes;

/// Codecs that GB/T 28181-2022 annex C names, by their `stream_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    H264,
    H265,
    Svac,
    Mpeg4,
    G711A,
    G711U,
    Aac,
    G7221,
    G7231,
    G729,
    SvacAudio,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Video,
    Audio,
}

impl Codec {
    pub fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::H265 | Self::Svac | Self::Mpeg4 => Kind::Video,
            _ => Kind::Audio,
        }
    }

    /// Stable name for statistics and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Svac => "svac",
            Self::Mpeg4 => "mpeg4",
            Self::G711A => "g711a",
            Self::G711U => "g711u",
            Self::Aac => "aac",
            Self::G7221 => "g722.1",
            Self::G7231 => "g723.1",
            Self::G729 => "g729",
            Self::SvacAudio => "svac_audio",
        }
    }

    /// The codec of a program stream map's `stream_type`, if we know it.
    pub fn from_stream_type(stream_type: u8) -> Option<Self> {
        Some(match stream_type {
            0x10 => Self::Mpeg4,
            0x1B => Self::H264,
            0x24 => Self::H265,
            0x80 => Self::Svac,
            0x0F => Self::Aac,
            0x90 => Self::G711A,
            0x91 => Self::G711U,
            0x92 => Self::G7221,
            0x93 => Self::G7231,
            0x99 => Self::G729,
            0x9B => Self::SvacAudio,
            _ => return None,
        })
    }

    /// The `stream_type` that a program stream map gives this codec.
    pub fn stream_type(self) -> u8 {
        match self {
            Self::Mpeg4 => 0x10,
            Self::H264 => 0x1B,
            Self::H265 => 0x24,
            Self::Svac => 0x80,
            Self::Aac => 0x0F,
            Self::G711A => 0x90,
            Self::G711U => 0x91,
            Self::G7221 => 0x92,
            Self::G7231 => 0x93,
            Self::G729 => 0x99,
            Self::SvacAudio => 0x9B,
        }
    }
}

/// One access unit.
///
/// Video: NAL units, each behind its length as four big-endian bytes (the form of `avcC` and `hvcC`
/// samples); access unit delimiters, filler and parameter sets are taken out, the latter are in
/// [`VideoParameters`]. Audio: one raw frame (AAC without its ADTS header).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub codec: Codec,
    /// 90 kHz, unwrapped and repaired, strictly increasing within a track. The first frame of a
    /// stream has 90,000, so that a sound which begins a little earlier is not negative.
    pub dts: i64,
    /// 90 kHz, never below `dts`.
    pub pts: i64,
    pub key: bool,
    /// Something of this frame was lost on the way. Only seen when the settings ask for such frames.
    pub corrupt: bool,
    pub data: Bytes,
}

impl Frame {
    pub fn kind(&self) -> Kind {
        self.codec.kind()
    }
}

/// The parameter sets in force, without start codes, and what the first SPS says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoParameters {
    pub codec: Codec,
    /// H.265 only.
    pub vps: Vec<Bytes>,
    pub sps: Vec<Bytes>,
    pub pps: Vec<Bytes>,
    /// In pixels, after cropping.
    pub width: u32,
    pub height: u32,
    /// Frames per second times 1,000; 0 when the SPS does not say.
    pub fps_milli: u32,
    /// `profile_idc` (H.264) or `general_profile_idc` (H.265).
    pub profile: u8,
    /// `level_idc` or `general_level_idc`.
    pub level: u8,
    /// H.264: `constraint_set` flags byte. H.265: 0.
    pub constraints: u8,
    pub chroma_format: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    /// H.265: the twelve bytes `general_profile_space .. general_level_idc` of the SPS, as `hvcC`
    /// repeats them. H.264: all zero.
    pub profile_tier_level: [u8; 12],
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioParameters {
    pub codec: Codec,
    /// In Hz.
    pub sample_rate: u32,
    pub channels: u8,
    /// AAC: the AudioSpecificConfig. Empty for other codecs.
    pub config: Bytes,
}
