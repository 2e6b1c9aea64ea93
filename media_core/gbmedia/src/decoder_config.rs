//! Decoder configuration records, ISO/IEC 14496-15 5.3.3.1 (`avcC`) and 8.3.3.1 (`hvcC`), and the
//! names of codecs for browsers, RFC 6381.

use bytes::Bytes;

use crate::frame::{AudioParameters, Codec, VideoParameters};

/// Length prefixes of four bytes, as [`crate::frame::Frame`] has them.
const LENGTH_SIZE_MINUS_ONE: u8 = 3;

/// `avcC` or `hvcC` content; `None` for codecs that have none.
pub fn record(video: &VideoParameters) -> Option<Vec<u8>> {
    match video.codec {
        Codec::H264 => Some(avc_record(video)),
        Codec::H265 => Some(hevc_record(video)),
        _ => None,
    }
}

fn avc_record(video: &VideoParameters) -> Vec<u8> {
    let sps: Vec<&Bytes> = usable(&video.sps).take(31).collect();
    let pps: Vec<&Bytes> = usable(&video.pps).take(255).collect();
    let mut out = vec![
        1,
        video.profile,
        video.constraints,
        video.level,
        0xFC | LENGTH_SIZE_MINUS_ONE,
        0xE0 | sps.len() as u8,
    ];
    sps.into_iter().for_each(|set| put_set(&mut out, set));
    out.push(pps.len() as u8);
    pps.into_iter().for_each(|set| put_set(&mut out, set));
    if matches!(video.profile, 100 | 110 | 122 | 144) {
        out.extend_from_slice(&[
            0xFC | (video.chroma_format & 3),
            0xF8 | (video.bit_depth_luma.saturating_sub(8) & 7),
            0xF8 | (video.bit_depth_chroma.saturating_sub(8) & 7),
            0, // no SPS extensions
        ]);
    }
    out
}

fn hevc_record(video: &VideoParameters) -> Vec<u8> {
    // Third byte of the SPS: vps id (4), max_sub_layers_minus1 (3), temporal_id_nesting (1).
    let layers = video.sps.first().and_then(|sps| sps.get(2)).copied();
    let (layers, nested) = layers.map_or((1, 1), |byte| ((byte >> 1 & 7) + 1, byte & 1));
    let mut out = vec![1];
    out.extend_from_slice(&video.profile_tier_level);
    out.extend_from_slice(&[
        0xF0, // min_spatial_segmentation_idc: 0, unknown
        0x00,
        0xFC, // parallelismType: 0, unknown
        0xFC | (video.chroma_format & 3),
        0xF8 | (video.bit_depth_luma.saturating_sub(8) & 7),
        0xF8 | (video.bit_depth_chroma.saturating_sub(8) & 7),
        0, // avgFrameRate: unspecified
        0,
        (layers & 7) << 3 | nested << 2 | LENGTH_SIZE_MINUS_ONE,
        3, // arrays
    ]);
    for (unit_type, sets) in [(32, &video.vps), (33, &video.sps), (34, &video.pps)] {
        let sets: Vec<&Bytes> = usable(sets).take(64).collect();
        // array_completeness: no parameter sets inside the samples.
        out.push(0x80 | unit_type);
        out.extend_from_slice(&(sets.len() as u16).to_be_bytes());
        sets.into_iter().for_each(|set| put_set(&mut out, set));
    }
    out
}

fn usable(sets: &[Bytes]) -> impl Iterator<Item = &Bytes> {
    sets.iter().filter(|set| set.len() <= usize::from(u16::MAX))
}

fn put_set(out: &mut Vec<u8>, set: &Bytes) {
    out.extend_from_slice(&(set.len() as u16).to_be_bytes());
    out.extend_from_slice(set);
}

/// The codec as a browser wants to hear it, such as `avc1.64001F`, `hvc1.1.6.L93.90`; `None` when
/// no browser plays it from MP4.
pub fn video_codec_string(video: &VideoParameters) -> Option<String> {
    match video.codec {
        Codec::H264 => Some(format!(
            "avc1.{:02X}{:02X}{:02X}",
            video.profile, video.constraints, video.level
        )),
        Codec::H265 => Some(hevc_codec_string(&video.profile_tier_level)),
        _ => None,
    }
}

/// ISO/IEC 14496-15 annex E.3.
fn hevc_codec_string(profile_tier_level: &[u8; 12]) -> String {
    let [first, c0, c1, c2, c3, constraints @ .., level] = profile_tier_level;
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([*c0, *c1, *c2, *c3]).reverse_bits();
    let mut text = format!(
        "hvc1.{space}{}.{compatibility:X}.{tier}{level}",
        first & 0x1F
    );
    let used = constraints.iter().rposition(|byte| *byte != 0);
    for byte in constraints.iter().take(used.map_or(0, |last| last + 1)) {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}

/// `mp4a.40.2` and the like; `None` when no browser plays the sound from MP4 (G.711 and others).
pub fn audio_codec_string(audio: &AudioParameters) -> Option<String> {
    let first = audio.config.first()?;
    let object_type = match first >> 3 {
        // ISO/IEC 14496-3 1.6.2.1: 31 announces six more bits.
        31 => 32 + (first & 7) * 8 + (audio.config.get(1)? >> 5),
        short => short,
    };
    (audio.codec == Codec::Aac).then(|| format!("mp4a.40.{object_type}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{aac, h264, h265};

    #[test]
    fn avc_record_of_a_high_profile_stream() {
        let mut video = h264();
        video.sps = vec![Bytes::from_static(&[0x67, 100, 0, 31, 9])];
        video.pps = vec![Bytes::from_static(&[0x68, 1])];
        (video.profile, video.constraints, video.level) = (100, 0, 31);
        assert_eq!(
            record(&video).unwrap(),
            [
                1, 100, 0, 31, 0xFF, 0xE1, 0, 5, 0x67, 100, 0, 31, 9, 1, 0, 2, 0x68, 1, 0xFD, 0xF8,
                0xF8, 0
            ]
        );
        (video.profile, video.constraints) = (66, 0xC0);
        let baseline = record(&video).unwrap();
        assert_eq!(baseline.len(), 18, "no chroma fields below High");
        assert_eq!(video_codec_string(&video).unwrap(), "avc1.42C01F");
    }

    #[test]
    fn hevc_record_has_three_arrays() {
        let mut video = h265();
        video.vps = vec![Bytes::from_static(&[0x40, 1])];
        video.sps = vec![Bytes::from_static(&[0x42, 1, 0x03])];
        video.pps = vec![
            Bytes::from_static(&[0x44, 1]),
            Bytes::from_static(&[0x44, 2]),
        ];
        let bytes = record(&video).unwrap();
        assert_eq!(bytes[..13], [&[1][..], &video.profile_tier_level].concat());
        assert_eq!(
            bytes[13..],
            [
                0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x17, 3, //
                0xA0, 0, 1, 0, 2, 0x40, 1, //
                0xA1, 0, 1, 0, 3, 0x42, 1, 3, //
                0xA2, 0, 2, 0, 2, 0x44, 1, 0, 2, 0x44, 2
            ]
        );
    }

    #[test]
    fn hevc_names() {
        // Main profile, level 3.1, progressive and frame only: what browsers document.
        let main = [0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc_codec_string(&main), "hvc1.1.6.L93.90");
        let high_tier = [0xA2, 0x20, 0, 0, 0, 0xB0, 0, 0x01, 0, 0, 0, 120];
        assert_eq!(hevc_codec_string(&high_tier), "hvc1.B2.4.H120.B0.0.1");
        assert_eq!(hevc_codec_string(&[0; 12]), "hvc1.0.0.L0");
    }

    #[test]
    fn sound_names() {
        assert_eq!(audio_codec_string(&aac()).unwrap(), "mp4a.40.2");
        let mut alaw = aac();
        alaw.codec = Codec::G711A;
        assert_eq!(audio_codec_string(&alaw), None);
        alaw.config = Bytes::new();
        assert_eq!(audio_codec_string(&alaw), None);
        let mut long = aac();
        long.config = Bytes::from_static(&[0xF8 | 1, 0x40]);
        assert_eq!(audio_codec_string(&long).unwrap(), "mp4a.40.42");
    }
}
