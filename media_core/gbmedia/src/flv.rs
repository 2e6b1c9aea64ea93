//! FLV out: Adobe's "Video File Format Specification" version 10.1 annex E, with HEVC as the
//! "Enhanced RTMP" specification v1 (veovera, 2023) carries it.
//!
//! Nothing here is kept between frames: a viewer's time begins at zero because `base_dts` is its
//! first frame's.

use bytes::Bytes;

use crate::chunk::Chunk;
use crate::decoder_config;
use crate::frame::{AudioParameters, Codec, Frame, Kind, VideoParameters};

const AUDIO_TAG: u8 = 8;
const VIDEO_TAG: u8 = 9;
const SCRIPT_TAG: u8 = 18;
const TAG_HEADER_SIZE: usize = 11;
const AVC: u8 = 7;
const SEQUENCE_HEADER: u8 = 0;
const CODED_DATA: u8 = 1;
/// Enhanced FLV: the first byte's top bit says that a FourCC follows.
const EX_HEADER: u8 = 0x80;
const HVC1: &[u8; 4] = b"hvc1";
const PACKET_SEQUENCE_START: u8 = 0;
const PACKET_CODED_FRAMES: u8 = 1;
/// As `PACKET_CODED_FRAMES` without the composition time, which is zero.
const PACKET_CODED_FRAMES_X: u8 = 3;

/// Can a viewer of FLV be given this codec?
pub fn carries(codec: Codec) -> bool {
    use Codec::{Aac, G711A, G711U, H264, H265};
    matches!(codec, H264 | H265 | Aac | G711A | G711U)
}

/// What a viewer gets first: file header, `onMetaData` and the sequence headers, at time zero.
pub fn header(video: Option<&VideoParameters>, audio: Option<&AudioParameters>) -> Bytes {
    let video = video.filter(|parameters| carries(parameters.codec));
    let audio = audio.filter(|parameters| carries(parameters.codec));
    let flags = u8::from(video.is_some()) | u8::from(audio.is_some()) << 2;
    let mut out = vec![b'F', b'L', b'V', 1, flags, 0, 0, 0, 9];
    out.extend_from_slice(&[0; 4]); // PreviousTagSize0
    put_tag(&mut out, SCRIPT_TAG, 0, &metadata(video, audio));
    put_sequence_headers(&mut out, video, audio, 0);
    out.into()
}

/// Sequence headers alone, for parameters that change while a viewer watches.
pub fn sequence_headers(
    video: Option<&VideoParameters>,
    audio: Option<&AudioParameters>,
    timestamp_ms: u32,
) -> Bytes {
    let mut out = Vec::new();
    put_sequence_headers(&mut out, video, audio, timestamp_ms);
    out.into()
}

/// Milliseconds of a viewer's time; wraps after 49 days as FLV's 32 bits do.
pub fn timestamp_ms(dts: i64, base_dts: i64) -> u32 {
    ((dts - base_dts).max(0) / 90) as u32
}

/// One frame as a tag. `None` when FLV has no place for it: another codec, or 16 MiB and more.
pub fn frame(frame: &Frame, base_dts: i64) -> Option<Chunk> {
    let timestamp = timestamp_ms(frame.dts, base_dts);
    // Rounded as the time stamps are, so that their sum is the rounded presentation time.
    let composition = i64::from(timestamp_ms(frame.pts, base_dts)) - i64::from(timestamp);
    let mut data = [0; 8];
    let used = match frame.codec {
        Codec::H264 => {
            data[..2].copy_from_slice(&[video_kind(frame.key) | AVC, CODED_DATA]);
            data[2..5].copy_from_slice(&signed_24(composition));
            5
        }
        Codec::H265 if composition == 0 => {
            data[0] = EX_HEADER | video_kind(frame.key) | PACKET_CODED_FRAMES_X;
            data[1..5].copy_from_slice(HVC1);
            5
        }
        Codec::H265 => {
            data[0] = EX_HEADER | video_kind(frame.key) | PACKET_CODED_FRAMES;
            data[1..5].copy_from_slice(HVC1);
            data[5..8].copy_from_slice(&signed_24(composition));
            8
        }
        Codec::Aac => {
            data[..2].copy_from_slice(&[sound_kind(Codec::Aac), CODED_DATA]);
            2
        }
        Codec::G711A | Codec::G711U => {
            data[0] = sound_kind(frame.codec);
            1
        }
        _ => return None,
    };
    let size = used + frame.data.len();
    if size > 0xFF_FFFF {
        return None;
    }
    let tag = match frame.kind() {
        Kind::Video => VIDEO_TAG,
        Kind::Audio => AUDIO_TAG,
    };
    let mut head = Vec::with_capacity(TAG_HEADER_SIZE + used);
    put_tag_header(&mut head, tag, timestamp, size);
    head.extend_from_slice(&data[..used]);
    Some(Chunk {
        head: head.into(),
        body: frame.data.clone(),
        tail: Bytes::copy_from_slice(&previous_tag_size(size)),
    })
}

fn put_sequence_headers(
    out: &mut Vec<u8>,
    video: Option<&VideoParameters>,
    audio: Option<&AudioParameters>,
    timestamp: u32,
) {
    if let Some(record) = video.and_then(decoder_config::record) {
        let mut data = match video.map(|parameters| parameters.codec) {
            Some(Codec::H265) => {
                let mut data = vec![EX_HEADER | video_kind(true) | PACKET_SEQUENCE_START];
                data.extend_from_slice(HVC1);
                data
            }
            _ => vec![video_kind(true) | AVC, SEQUENCE_HEADER, 0, 0, 0],
        };
        data.extend_from_slice(&record);
        put_tag(out, VIDEO_TAG, timestamp, &data);
    }
    if let Some(audio) = audio.filter(|parameters| parameters.codec == Codec::Aac) {
        let mut data = vec![sound_kind(Codec::Aac), SEQUENCE_HEADER];
        data.extend_from_slice(&audio.config);
        put_tag(out, AUDIO_TAG, timestamp, &data);
    }
}

/// FrameType in the upper half: 1 key frame, 2 other.
fn video_kind(key: bool) -> u8 {
    if key {
        0x10
    } else {
        0x20
    }
}

/// SoundFormat, SoundRate, SoundSize 16 bit, SoundType. AAC shall say 44 kHz stereo, whatever it
/// is; G.711 is 8 kHz mono whatever the rate field says.
fn sound_kind(codec: Codec) -> u8 {
    match codec {
        Codec::G711A => 0x72,
        Codec::G711U => 0x82,
        _ => 0xAF,
    }
}

fn signed_24(value: i64) -> [u8; 3] {
    let [_, high, middle, low] = (value.clamp(-0x80_0000, 0x7F_FFFF) as i32).to_be_bytes();
    [high, middle, low]
}

fn previous_tag_size(data_size: usize) -> [u8; 4] {
    ((TAG_HEADER_SIZE + data_size) as u32).to_be_bytes()
}

fn put_tag_header(out: &mut Vec<u8>, tag: u8, timestamp: u32, data_size: usize) {
    let [_, size @ ..] = (data_size as u32).to_be_bytes();
    let [extension, time @ ..] = timestamp.to_be_bytes();
    out.push(tag);
    out.extend_from_slice(&size);
    out.extend_from_slice(&time);
    out.push(extension);
    out.extend_from_slice(&[0; 3]); // StreamID
}

fn put_tag(out: &mut Vec<u8>, tag: u8, timestamp: u32, data: &[u8]) {
    put_tag_header(out, tag, timestamp, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(&previous_tag_size(data.len()));
}

/// `onMetaData` in AMF 0.
fn metadata(video: Option<&VideoParameters>, audio: Option<&AudioParameters>) -> Vec<u8> {
    let mut values: Vec<(&str, f64)> = Vec::new();
    if let Some(video) = video {
        values.push(("width", f64::from(video.width)));
        values.push(("height", f64::from(video.height)));
        if video.fps_milli > 0 {
            values.push(("framerate", f64::from(video.fps_milli) / 1000.0));
        }
        let codec = match video.codec {
            Codec::H265 => u32::from_be_bytes(*HVC1),
            _ => u32::from(AVC),
        };
        values.push(("videocodecid", f64::from(codec)));
    }
    if let Some(audio) = audio {
        values.push(("audiocodecid", f64::from(sound_kind(audio.codec) >> 4)));
        values.push(("audiosamplerate", f64::from(audio.sample_rate)));
        values.push(("audiochannels", f64::from(audio.channels)));
    }
    let mut out = vec![2]; // a string
    put_name(&mut out, "onMetaData");
    out.push(8); // an ECMA array
    out.extend_from_slice(&(values.len() as u32).to_be_bytes());
    for (name, value) in values {
        put_name(&mut out, name);
        out.push(0); // a number
        out.extend_from_slice(&value.to_be_bytes());
    }
    out.extend_from_slice(&[0, 0, 9]); // the array's end
    out
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{aac, alaw, frame as make, h264, h265};

    /// Tag type, time stamp and data of every tag; checks sizes and back pointers.
    fn tags(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let size = u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]) as usize;
            let time = u32::from_be_bytes([bytes[7], bytes[4], bytes[5], bytes[6]]);
            assert_eq!(bytes[8..11], [0, 0, 0]);
            let (tag, rest) = bytes.split_at(11 + size);
            assert_eq!(rest[..4], (tag.len() as u32).to_be_bytes());
            found.push((tag[0], time, tag[11..].to_vec()));
            bytes = &rest[4..];
        }
        found
    }

    fn one(chunk: Chunk) -> (u8, u32, Vec<u8>) {
        let whole = [chunk.head, chunk.body, chunk.tail].concat();
        let mut all = tags(&whole);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn header_of_h264_and_aac() {
        let bytes = header(Some(&h264()), Some(&aac()));
        assert_eq!(bytes[..13], *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
        let tags = tags(&bytes[13..]);
        let kinds: Vec<u8> = tags.iter().map(|tag| tag.0).collect();
        assert_eq!(kinds, [18, 9, 8]);
        assert_eq!(tags[1].2[..6], [0x17, 0, 0, 0, 0, 1]);
        assert_eq!(tags[2].2, [0xAF, 0, 0x11, 0x88]);
    }

    #[test]
    fn metadata_is_amf0() {
        let script = metadata(Some(&h264()), None);
        assert_eq!(script[..18], *b"\x02\0\x0aonMetaData\x08\0\0\0\x04");
        assert_eq!(script[18..33], *b"\0\x05width\0\x40\x84\0\0\0\0\0");
        assert_eq!(script[script.len() - 3..], [0, 0, 9]);
    }

    #[test]
    fn header_of_h265_is_enhanced() {
        let bytes = header(Some(&h265()), Some(&alaw()));
        let tags = tags(&bytes[13..]);
        assert_eq!(tags.len(), 2, "G.711 needs no sequence header");
        assert_eq!(tags[1].2[..6], *b"\x90hvc1\x01");
    }

    #[test]
    fn sound_that_flv_cannot_carry_is_not_announced() {
        let mut audio = alaw();
        audio.codec = Codec::G7221;
        assert_eq!(header(Some(&h264()), Some(&audio))[4], 1);
        let mut video = h264();
        video.codec = Codec::Svac;
        assert_eq!(header(Some(&video), Some(&alaw()))[4], 4);
    }

    #[test]
    fn frames_of_every_codec() {
        let base = 90_000;
        let first = [
            (Codec::H264, true, &[0x17u8, 1, 0, 0, 0][..]),
            (Codec::H264, false, &[0x27, 1, 0, 0, 0]),
            (Codec::H265, true, b"\x93hvc1"),
            (Codec::H265, false, b"\xA3hvc1"),
            (Codec::Aac, true, &[0xAF, 1]),
            (Codec::G711A, true, &[0x72]),
            (Codec::G711U, true, &[0x82]),
        ];
        for (codec, key, expected) in first {
            let (tag, time, data) = one(frame(&make(codec, 93_600, key, 5), base).unwrap());
            assert_eq!(tag, if codec.kind() == Kind::Video { 9 } else { 8 });
            assert_eq!(time, 40);
            assert_eq!(data, [expected, &[7; 5]].concat(), "{codec:?}");
        }
        assert_eq!(frame(&make(Codec::Svac, 0, true, 5), 0), None);
        assert_eq!(frame(&make(Codec::H264, 0, true, 0x100_0000), 0), None);
    }

    #[test]
    fn composition_time_and_long_time_stamps() {
        let mut b_frame = make(Codec::H265, 90 * 0x0102_0304, false, 1);
        b_frame.pts = b_frame.dts + 90 * 80;
        let (_, time, data) = one(frame(&b_frame, 0).unwrap());
        assert_eq!(time, 0x0102_0304);
        assert_eq!(data, b"\xA1hvc1\0\0\x50\x07");
        b_frame.codec = Codec::H264;
        let (_, _, data) = one(frame(&b_frame, 0).unwrap());
        assert_eq!(data, [0x27, 1, 0, 0, 80, 7]);
    }

    #[test]
    fn a_frame_before_the_viewers_time_is_at_zero() {
        let (_, time, _) = one(frame(&make(Codec::G711A, 10, false, 1), 900).unwrap());
        assert_eq!(time, 0);
    }

    #[test]
    fn the_payload_is_shared() {
        let original = make(Codec::H264, 0, true, 1000);
        let chunk = frame(&original, 0).unwrap();
        assert_eq!(chunk.body.as_ptr(), original.data.as_ptr());
    }
}
