//! Values that the tests of several modules start from.

use bytes::Bytes;

use crate::frame::{AudioParameters, Codec, Frame, VideoParameters};

pub fn h264() -> VideoParameters {
    VideoParameters {
        codec: Codec::H264,
        vps: Vec::new(),
        sps: vec![Bytes::from_static(&[0x67, 66, 0xC0, 31, 1])],
        pps: vec![Bytes::from_static(&[0x68, 0xCE])],
        width: 640,
        height: 360,
        fps_milli: 25_000,
        profile: 66,
        level: 31,
        constraints: 0xC0,
        chroma_format: 1,
        bit_depth_luma: 8,
        bit_depth_chroma: 8,
        profile_tier_level: [0; 12],
    }
}

pub fn h265() -> VideoParameters {
    VideoParameters {
        codec: Codec::H265,
        vps: vec![Bytes::from_static(&[0x40, 1, 7])],
        sps: vec![Bytes::from_static(&[0x42, 1, 1])],
        pps: vec![Bytes::from_static(&[0x44, 1, 9])],
        profile_tier_level: [0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93],
        ..h264()
    }
}

pub fn aac() -> AudioParameters {
    AudioParameters {
        codec: Codec::Aac,
        sample_rate: 48_000,
        channels: 1,
        // AAC-LC, 48 kHz, mono.
        config: Bytes::from_static(&[0x11, 0x88]),
    }
}

pub fn alaw() -> AudioParameters {
    AudioParameters {
        codec: Codec::G711A,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    }
}

pub fn frame(codec: Codec, dts: i64, key: bool, size: usize) -> Frame {
    Frame {
        codec,
        dts,
        pts: dts,
        key,
        corrupt: false,
        data: Bytes::from(vec![7; size]),
    }
}
