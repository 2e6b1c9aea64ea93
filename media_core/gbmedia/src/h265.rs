//! H.265 NAL units as far as a receiver must understand them: ITU-T H.265 7.3.

use crate::bits::{unescape, BitReader};
use crate::nal::{NalClass, SpsInfo};

/// VPS, SPS or PPS of the base layer, by the two bytes of the NAL header (7.3.1.2): types 32-34, layer 0,
/// temporal id 1. As H.264 they would be types 0, 2 and 4, which no camera sends.
pub fn is_parameter_set(head: [u8; 3]) -> bool {
    matches!(head[0], 0x40 | 0x42 | 0x44) && head[1] == 1
}

/// Table 7-1. `head` is the NAL header and the first byte behind it.
#[inline]
pub fn classify(head: [u8; 3]) -> NalClass {
    let first = head[2] & 0x80 != 0;
    match head[0] >> 1 & 0x3F {
        0..=9 => NalClass::Slice {
            first,
            random_access: false,
            intra: false,
        },
        // BLA, IDR, CRA: the random access points.
        16..=21 => NalClass::Slice {
            first,
            random_access: true,
            intra: true,
        },
        32 => NalClass::Vps,
        33 => NalClass::Sps,
        34 => NalClass::Pps,
        35 => NalClass::Delimiter,
        39 => NalClass::Prefix,
        40 => NalClass::Other,
        // Reserved ones that stand before the first slice, 7.4.2.4.4.
        41..=44 | 48..=55 => NalClass::Prefix,
        _ => NalClass::Drop,
    }
}

/// 7.3.2.2, up to the timing of the VUI. `nal` begins with its header.
pub fn parse_sps(nal: &[u8]) -> Option<SpsInfo> {
    let bytes = unescape(nal.get(2..)?);
    let mut reader = BitReader::new(&bytes);
    reader.bits(4)?;
    let sub_layers = reader.bits(3)?;
    reader.flag()?;
    let profile_tier_level: [u8; 12] = bytes.get(1..13)?.try_into().ok()?;
    let mut info = SpsInfo {
        profile: profile_tier_level[0] & 0x1F,
        level: profile_tier_level[11],
        profile_tier_level,
        ..SpsInfo::default()
    };
    reader.skip(12 * 8)?;
    skip_sub_layers(&mut reader, sub_layers)?;
    info.id = reader.unsigned().filter(|&id| id < 16)?;
    info.chroma_format = reader.unsigned().filter(|&format| format < 4)? as u8;
    if info.chroma_format == 3 {
        reader.flag()?;
    }
    read_size(&mut reader, &mut info)?;
    info.bit_depth_luma = 8 + reader.unsigned().filter(|&depth| depth <= 8)? as u8;
    info.bit_depth_chroma = 8 + reader.unsigned().filter(|&depth| depth <= 8)? as u8;
    info.fps_milli = read_frame_rate(&mut reader, sub_layers).unwrap_or(0);
    Some(info)
}

/// 7.3.3 behind the general part.
fn skip_sub_layers(reader: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    if sub_layers == 0 {
        return Some(());
    }
    let mut bits = 0;
    for layer in 0..8 {
        let present = reader.bits(2)?;
        if layer < sub_layers {
            bits += if present & 2 != 0 { 88 } else { 0 };
            bits += if present & 1 != 0 { 8 } else { 0 };
        }
    }
    reader.skip(bits)
}

fn read_size(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Option<()> {
    info.width = reader.unsigned().filter(|&width| width <= 1 << 15)?;
    info.height = reader.unsigned().filter(|&height| height <= 1 << 15)?;
    if reader.flag()? {
        // Table 6-1: the window counts in chroma samples.
        let (unit_x, unit_y) = match info.chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let mut crop = || reader.unsigned().filter(|&crop| crop < 1 << 15);
        let (left, right, top, bottom) = (crop()?, crop()?, crop()?, crop()?);
        info.width = info.width.checked_sub((left + right) * unit_x)?;
        info.height = info.height.checked_sub((top + bottom) * unit_y)?;
    }
    (info.width > 0 && info.height > 0).then_some(())
}

/// The rest of the SPS has to be walked through to reach the VUI.
fn read_frame_rate(reader: &mut BitReader<'_>, sub_layers: u32) -> Option<u32> {
    let poc_bits = reader.unsigned().filter(|&bits| bits <= 12)? + 4;
    let all_layers = reader.flag()?;
    let layers = if all_layers { sub_layers + 1 } else { 1 };
    // Three numbers per layer, then the six sizes of blocks.
    for _ in 0..layers * 3 + 6 {
        reader.unsigned()?;
    }
    if reader.flag()? && reader.flag()? {
        skip_scaling_lists(reader)?;
    }
    reader.skip(2)?;
    if reader.flag()? {
        reader.skip(8)?;
        reader.unsigned()?;
        reader.unsigned()?;
        reader.flag()?;
    }
    skip_short_term_sets(reader)?;
    if reader.flag()? {
        let count = reader.unsigned().filter(|&count| count <= 32)?;
        reader.skip((count * (poc_bits + 1)) as usize)?;
    }
    reader.skip(2)?;
    if !reader.flag()? {
        return None;
    }
    read_vui_frame_rate(reader)
}

/// 7.3.4
fn skip_scaling_lists(reader: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4_u32 {
        let step = if size == 3 { 3 } else { 1 };
        for _ in (0..6).step_by(step) {
            if !reader.flag()? {
                reader.unsigned()?;
                continue;
            }
            if size > 1 {
                reader.signed()?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                reader.signed()?;
            }
        }
    }
    Some(())
}

/// 7.3.7
fn skip_short_term_sets(reader: &mut BitReader<'_>) -> Option<()> {
    let count = reader.unsigned().filter(|&count| count <= 64)?;
    let mut pictures = 0;
    for index in 0..count {
        if index > 0 && reader.flag()? {
            reader.flag()?;
            reader.unsigned()?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = reader.flag()?;
                if used || reader.flag()? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            let negative = reader.unsigned().filter(|&count| count <= 16)?;
            let positive = reader.unsigned().filter(|&count| count <= 16)?;
            pictures = negative + positive;
            for _ in 0..pictures {
                reader.unsigned()?;
                reader.flag()?;
            }
        }
    }
    Some(())
}

/// E.2.1, up to the timing.
fn read_vui_frame_rate(reader: &mut BitReader<'_>) -> Option<u32> {
    if reader.flag()? && reader.bits(8)? == 255 {
        reader.skip(32)?;
    }
    if reader.flag()? {
        reader.flag()?;
    }
    if reader.flag()? {
        reader.skip(4)?;
        if reader.flag()? {
            reader.skip(24)?;
        }
    }
    if reader.flag()? {
        reader.unsigned()?;
        reader.unsigned()?;
    }
    reader.skip(3)?;
    if reader.flag()? {
        for _ in 0..4 {
            reader.unsigned()?;
        }
    }
    if !reader.flag()? {
        return None;
    }
    let ticks = reader.bits(32)?;
    let scale = reader.bits(32)?;
    let fps_milli = u64::from(scale) * 1000 / u64::from(ticks).max(1);
    u32::try_from(fps_milli).ok().filter(|&fps| fps <= 480_000)
}

/// The number of a VPS (7.3.2.1) or PPS (7.3.2.3).
pub fn vps_id(nal: &[u8]) -> Option<u32> {
    nal.get(2).map(|byte| u32::from(byte >> 4))
}

pub fn pps_id(nal: &[u8]) -> Option<u32> {
    let bytes = unescape(nal.get(2..nal.len().min(10))?);
    BitReader::new(&bytes).unsigned().filter(|&id| id < 64)
}
