//! H.264 NAL units as far as a receiver must understand them: ITU-T H.264 7.3.

use crate::bits::{unescape, BitReader};
use crate::nal::{NalClass, SpsInfo};

/// `profile_idc` values of annex A and H: what the byte behind an SPS header may be.
const PROFILES: [u8; 15] = [
    44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139,
];

/// Those whose SPS has the chroma fields, 7.3.2.1.1.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Is this an SPS, by its first two bytes? None of them can begin an H.265 NAL unit of the base layer.
pub fn is_sps(head: [u8; 3]) -> bool {
    matches!(head[0], 0x27 | 0x47 | 0x67) && (PROFILES.contains(&head[1]) || head[1] == 244)
}

/// Table 7-1. `head` is the NAL header and the first two bytes behind it, or zeros.
#[inline]
pub fn classify(head: [u8; 3]) -> NalClass {
    match head[0] & 0x1F {
        5 => NalClass::Slice {
            first: head[1] & 0x80 != 0,
            random_access: true,
            intra: true,
        },
        1 | 2 => {
            let first = head[1] & 0x80 != 0;
            NalClass::Slice {
                first,
                random_access: false,
                intra: first && is_intra_slice(head[1]),
            }
        }
        // Partitions B and C, auxiliary and extension slices follow their primary slice.
        3 | 4 | 19..=21 => NalClass::Other,
        6 => NalClass::Prefix,
        7 => NalClass::Sps,
        8 => NalClass::Pps,
        9 => NalClass::Delimiter,
        // End of sequence, end of stream, filler: of no use to a player.
        10..=12 => NalClass::Drop,
        13..=18 => NalClass::Prefix,
        _ => NalClass::Drop,
    }
}

/// 7.3.3: `first_mb_in_slice` 0 is one bit, then `slice_type` as ue(v): 2 and 7 are I.
fn is_intra_slice(byte: u8) -> bool {
    let code = byte << 1;
    code >> 5 == 0b011 || code >> 1 == 0b000_1000
}

/// 7.3.2.1.1, up to the timing of the VUI. `nal` begins with its header.
pub fn parse_sps(nal: &[u8]) -> Option<SpsInfo> {
    let bytes = unescape(nal.get(1..)?);
    let mut reader = BitReader::new(&bytes);
    let profile = reader.bits(8)? as u8;
    let constraints = reader.bits(8)? as u8;
    let level = reader.bits(8)? as u8;
    let id = reader.unsigned().filter(|&id| id < 32)?;
    let mut info = SpsInfo {
        id,
        profile,
        level,
        constraints,
        ..SpsInfo::default()
    };
    if HIGH_PROFILES.contains(&profile) {
        read_chroma(&mut reader, &mut info)?;
    }
    reader.unsigned()?; // log2_max_frame_num_minus4
    match reader.unsigned()? {
        0 => {
            reader.unsigned()?;
        }
        1 => {
            reader.flag()?;
            reader.signed()?;
            reader.signed()?;
            let cycle = reader.unsigned().filter(|&cycle| cycle < 256)?;
            for _ in 0..cycle {
                reader.signed()?;
            }
        }
        _ => {}
    }
    reader.unsigned()?; // max_num_ref_frames
    reader.flag()?;
    read_size(&mut reader, &mut info)?;
    info.fps_milli = read_frame_rate(&mut reader).unwrap_or(0);
    Some(info)
}

fn read_chroma(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Option<()> {
    info.chroma_format = reader.unsigned().filter(|&format| format < 4)? as u8;
    if info.chroma_format == 3 {
        reader.flag()?;
    }
    info.bit_depth_luma = 8 + reader.unsigned().filter(|&depth| depth <= 6)? as u8;
    info.bit_depth_chroma = 8 + reader.unsigned().filter(|&depth| depth <= 6)? as u8;
    reader.flag()?;
    if reader.flag()? {
        let lists = if info.chroma_format == 3 { 12 } else { 8 };
        for list in 0..lists {
            if reader.flag()? {
                skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(())
}

/// 7.3.2.1.1.1
fn skip_scaling_list(reader: &mut BitReader<'_>, size: u32) -> Option<()> {
    let mut last = 8_i32;
    let mut next = 8_i32;
    for _ in 0..size {
        if next != 0 {
            next = (last + reader.signed()? % 256 + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn read_size(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Option<()> {
    let width = reader.unsigned().filter(|&width| width < 2048)? + 1;
    let height = reader.unsigned().filter(|&height| height < 2048)? + 1;
    let frames_only = reader.flag()?;
    info.interlaced = !frames_only;
    if !frames_only {
        reader.flag()?;
    }
    reader.flag()?;
    let fields = if frames_only { 1 } else { 2 };
    info.width = width * 16;
    info.height = height * 16 * fields;
    if reader.flag()? {
        // Table 6-1: cropping counts in chroma samples, and in fields where there are such.
        let (unit_x, unit_y) = match info.chroma_format {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        let mut crop = || reader.unsigned().filter(|&crop| crop < 1 << 15);
        let (left, right, top, bottom) = (crop()?, crop()?, crop()?, crop()?);
        info.width = info.width.checked_sub((left + right) * unit_x)?;
        info.height = info.height.checked_sub((top + bottom) * unit_y)?;
    }
    (info.width > 0 && info.height > 0).then_some(())
}

/// E.1.1, up to the timing. Frames are two ticks of `time_scale`.
fn read_frame_rate(reader: &mut BitReader<'_>) -> Option<u32> {
    if !reader.flag()? {
        return None;
    }
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
    if !reader.flag()? {
        return None;
    }
    let ticks = reader.bits(32)?;
    let scale = reader.bits(32)?;
    let fps_milli = u64::from(scale) * 500 / u64::from(ticks).max(1);
    u32::try_from(fps_milli).ok().filter(|&fps| fps <= 480_000)
}

/// 7.3.2.2: the number of a PPS.
pub fn pps_id(nal: &[u8]) -> Option<u32> {
    let bytes = unescape(nal.get(1..nal.len().min(9))?);
    BitReader::new(&bytes).unsigned().filter(|&id| id < 256)
}
