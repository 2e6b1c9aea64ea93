//! Program stream out: the reference sender of annex C, whose every byte a strict receiver accepts.
//!
//! One video frame is one pack: pack header, on key frames system header and program stream map,
//! video PES packets, sound PES packets. Layouts: ISO/IEC 13818-1 2.5.3, 2.5.4 and 2.4.3.6.

use crate::frame::Codec;

pub const VIDEO_STREAM_ID: u8 = 0xE0;
pub const AUDIO_STREAM_ID: u8 = 0xC0;
/// A whole PES packet's limit. Some recorders break on packets of 65,535 bytes.
pub const MAX_PES_SIZE: usize = 0xFF80;
/// The system clock reference lies 40 ms before the decoding time.
const SCR_LEAD: i64 = 3600;
/// In units of 50 bytes a second, as in the standard's own example of a pack header.
const PROGRAM_MUX_RATE: u32 = 6106;
const RATE_BOUND: u32 = 26_234;
/// `buffer_bound_scale` and `buffer_size_bound`: 400 times 1024 bytes, 32 times 128 bytes.
const VIDEO_BUFFER: u16 = 0x2000 | 400;
const AUDIO_BUFFER: u16 = 32;
const TIME_MASK: i64 = (1 << 33) - 1;

/// Sound that goes into a pack behind its picture.
#[derive(Clone, Copy, Debug)]
pub struct SoundUnit<'a> {
    /// 90 kHz.
    pub pts: i64,
    /// Whole frames: 20 to 180 ms of G.711, or AAC with its ADTS headers.
    pub data: &'a [u8],
}

/// A picture in Annex B form. Times are 90 kHz and wrap at 33 bits on the wire.
#[derive(Clone, Copy, Debug)]
pub struct PictureUnit<'a> {
    pub pts: i64,
    pub dts: i64,
    pub key: bool,
    pub data: &'a [u8],
}

/// Writes packs of one program.
#[derive(Clone, Copy, Debug)]
pub struct PsMuxer {
    video: Option<Codec>,
    audio: Option<Codec>,
}

impl PsMuxer {
    /// Name only what really flows: players wait for sound that is announced.
    pub fn new(video: Option<Codec>, audio: Option<Codec>) -> Self {
        Self { video, audio }
    }

    /// Appends a pack with a picture and the sound that belongs to it.
    pub fn pack(&self, picture: PictureUnit<'_>, sound: &[SoundUnit<'_>], out: &mut Vec<u8>) {
        put_pack_header(out, picture.dts - SCR_LEAD);
        if picture.key {
            self.put_system_header(out);
            self.put_stream_map(out);
        }
        let dts = (picture.dts != picture.pts).then_some(picture.dts);
        put_pes(out, VIDEO_STREAM_ID, picture.pts, dts, picture.data);
        for unit in sound {
            put_pes(out, AUDIO_STREAM_ID, unit.pts, None, unit.data);
        }
    }

    /// Appends a pack of sound alone. A program without pictures has no key frames: ask for the map
    /// once a second.
    pub fn sound_pack(&self, sound: SoundUnit<'_>, with_map: bool, out: &mut Vec<u8>) {
        put_pack_header(out, sound.pts - SCR_LEAD);
        if with_map {
            self.put_system_header(out);
            self.put_stream_map(out);
        }
        put_pes(out, AUDIO_STREAM_ID, sound.pts, None, sound.data);
    }

    fn put_system_header(&self, out: &mut Vec<u8>) {
        let mut streams = Vec::with_capacity(6);
        for (present, id, buffer) in [
            (self.video.is_some(), VIDEO_STREAM_ID, VIDEO_BUFFER),
            (self.audio.is_some(), AUDIO_STREAM_ID, AUDIO_BUFFER),
        ] {
            if present {
                streams.push(id);
                streams.extend_from_slice(&(0xC000 | buffer).to_be_bytes());
            }
        }
        out.extend_from_slice(&[0, 0, 1, 0xBB]);
        out.extend_from_slice(&(6 + streams.len() as u16).to_be_bytes());
        let [_, rate @ ..] = (0x80_0001 | RATE_BOUND << 1).to_be_bytes();
        out.extend_from_slice(&rate);
        out.push(u8::from(self.audio.is_some()) << 2); // audio_bound, no fixed rate, no CSPS
        out.push(0xE0 | u8::from(self.video.is_some())); // both locked, marker, video_bound
        out.push(0x7F); // no restriction of the packet rate
        out.extend_from_slice(&streams);
    }

    fn put_stream_map(&self, out: &mut Vec<u8>) {
        let mut streams = Vec::with_capacity(8);
        for (codec, id) in [(self.video, VIDEO_STREAM_ID), (self.audio, AUDIO_STREAM_ID)] {
            if let Some(codec) = codec {
                streams.extend_from_slice(&[codec.stream_type(), id, 0, 0]);
            }
        }
        let start = out.len();
        let length = streams.len() as u16;
        out.extend_from_slice(&[0, 0, 1, 0xBC]);
        out.extend_from_slice(&(10 + length).to_be_bytes());
        out.extend_from_slice(&[0xE1, 0xFF, 0, 0]); // current, version 1, no descriptors
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&streams);
        let crc = crc_32(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
    }
}

/// 2.5.3.4; `scr` in 90 kHz, no extension, no stuffing.
fn put_pack_header(out: &mut Vec<u8>, scr: i64) {
    let scr = (scr & TIME_MASK) as u64;
    // '01', SCR 32..30, 1, SCR 29..15, 1, SCR 14..0, 1, extension (9), 1
    let bits: u64 = 1 << 46
        | (scr >> 30) << 43
        | 1 << 42
        | (scr >> 15 & 0x7FFF) << 27
        | 1 << 26
        | (scr & 0x7FFF) << 11
        | 1 << 10
        | 1;
    let [_, _, clock @ ..] = bits.to_be_bytes();
    let [_, rate @ ..] = (PROGRAM_MUX_RATE << 2 | 3).to_be_bytes();
    out.extend_from_slice(&[0, 0, 1, 0xBA]);
    out.extend_from_slice(&clock);
    out.extend_from_slice(&rate);
    out.push(0xF8);
}

/// As many PES packets as the data needs; only the first has times and begins with a start code.
fn put_pes(out: &mut Vec<u8>, stream_id: u8, pts: i64, dts: Option<i64>, data: &[u8]) {
    let mut times = Vec::with_capacity(10);
    times.extend_from_slice(&time_field(if dts.is_some() { 3 } else { 2 }, pts));
    if let Some(dts) = dts {
        times.extend_from_slice(&time_field(1, dts));
    }
    let flags = if dts.is_some() { 0xC0 } else { 0x80 };
    let room = |header: usize| MAX_PES_SIZE - 9 - header;
    let (first, mut rest) = data.split_at(data.len().min(room(times.len())));
    put_pes_packet(out, stream_id, [0x84, flags], &times, first); // data_alignment_indicator
    while !rest.is_empty() {
        let (next, later) = rest.split_at(rest.len().min(room(0)));
        put_pes_packet(out, stream_id, [0x80, 0], &[], next);
        rest = later;
    }
}

fn put_pes_packet(out: &mut Vec<u8>, stream_id: u8, flags: [u8; 2], header: &[u8], data: &[u8]) {
    let length = (3 + header.len() + data.len()) as u16;
    out.extend_from_slice(&[0, 0, 1, stream_id]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[flags[0], flags[1], header.len() as u8]);
    out.extend_from_slice(header);
    out.extend_from_slice(data);
}

/// Four bits of prefix, then 33 bits in three groups, each with a marker bit behind.
fn time_field(prefix: u8, time: i64) -> [u8; 5] {
    let time = time & TIME_MASK;
    [
        prefix << 4 | (time >> 29 & 0x0E) as u8 | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 & 0xFE | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// ISO/IEC 13818-1 annex A: polynomial 0x04C11DB7, all ones at first, nothing reflected or inverted.
fn crc_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            (crc << 1) ^ ((crc >> 31) * 0x04C1_1DB7)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.split(' ')
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn pack_header_known_answer() {
        let expected = hex("00 00 01 BA 44 00 16 8C 04 01 00 5F 6B F8");
        assert_eq!(written(|out| put_pack_header(out, 86_400)), expected);
    }

    #[test]
    fn system_header_known_answer() {
        let muxer = PsMuxer::new(Some(Codec::H264), Some(Codec::G711A));
        let expected = hex("00 00 01 BB 00 0C 80 CC F5 04 E1 7F E0 E1 90 C0 C0 20");
        assert_eq!(written(|out| muxer.put_system_header(out)), expected);
    }

    #[test]
    fn stream_map_known_answers() {
        let known = [
            (
                Codec::H264,
                None,
                "00 0E E1 FF 00 00 00 04 1B E0 00 00 74 4C 1D 22",
            ),
            (
                Codec::H264,
                Some(Codec::G711A),
                "00 12 E1 FF 00 00 00 08 1B E0 00 00 90 C0 00 00 B9 28 7F 16",
            ),
            (
                Codec::H265,
                Some(Codec::G711A),
                "00 12 E1 FF 00 00 00 08 24 E0 00 00 90 C0 00 00 19 A8 5C 03",
            ),
            (
                Codec::H265,
                Some(Codec::Aac),
                "00 12 E1 FF 00 00 00 08 24 E0 00 00 0F C0 00 00 AD 32 2A DC",
            ),
        ];
        for (video, audio, expected) in known {
            let muxer = PsMuxer::new(Some(video), audio);
            let bytes = written(|out| muxer.put_stream_map(out));
            assert_eq!(bytes, hex(&format!("00 00 01 BC {expected}")));
        }
    }

    #[test]
    fn time_field_known_answers() {
        assert_eq!(time_field(2, 90_000)[..], hex("21 00 05 BF 21"));
        assert_eq!(time_field(2, TIME_MASK)[..], hex("2F FF FF FF FF"));
        assert_eq!(time_field(1, TIME_MASK + 1)[..], hex("11 00 01 00 01"));
        assert_eq!(
            time_field(3, -1)[..],
            hex("3F FF FF FF FF"),
            "wraps below zero too"
        );
    }

    /// Start codes at their places, following the lengths: (stream id, packet).
    fn packets(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[..3], [0, 0, 1]);
            let size = match bytes[3] {
                0xBA => 14,
                _ => 6 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]])),
            };
            found.push((bytes[3], bytes[..size].to_vec()));
            bytes = &bytes[size..];
        }
        found
    }

    fn picture(key: bool, data: &[u8]) -> PictureUnit<'_> {
        PictureUnit {
            pts: 90_000,
            dts: 90_000,
            key,
            data,
        }
    }

    #[test]
    fn a_key_frame_is_a_pack_in_the_order_of_annex_c() {
        let muxer = PsMuxer::new(Some(Codec::H264), Some(Codec::G711A));
        let data = vec![0x65; 150_000];
        let sound = [SoundUnit {
            pts: 90_000,
            data: &[0xD5; 320],
        }];
        let packets = packets(&written(|out| {
            muxer.pack(picture(true, &data), &sound, out)
        }));
        let ids: Vec<u8> = packets.iter().map(|packet| packet.0).collect();
        assert_eq!(ids, [0xBA, 0xBB, 0xBC, 0xE0, 0xE0, 0xE0, 0xC0]);
        assert_eq!(packets[3].1.len(), MAX_PES_SIZE);
        assert_eq!(packets[3].1[6..14], hex("84 80 05 21 00 05 BF 21"));
        assert_eq!(
            packets[4].1[6..9],
            hex("80 00 00"),
            "only the first has a time"
        );
        let joined: Vec<u8> = packets[3..6]
            .iter()
            .flat_map(|(_, packet)| packet[9 + usize::from(packet[8])..].to_vec())
            .collect();
        assert_eq!(joined, data);
        assert_eq!(packets[6].1[14..], sound[0].data[..]);
    }

    #[test]
    fn other_frames_have_neither_system_header_nor_map() {
        let muxer = PsMuxer::new(Some(Codec::H265), None);
        let packets = packets(&written(|out| muxer.pack(picture(false, &[1]), &[], out)));
        let ids: Vec<u8> = packets.iter().map(|packet| packet.0).collect();
        assert_eq!(ids, [0xBA, 0xE0]);
    }

    #[test]
    fn frames_out_of_order_have_both_times() {
        let muxer = PsMuxer::new(Some(Codec::H265), None);
        let mut unit = picture(false, &[1]);
        unit.pts += 7200;
        let packets = packets(&written(|out| muxer.pack(unit, &[], out)));
        assert_eq!(
            packets[1].1[6..19],
            hex("84 C0 0A 31 00 05 F7 61 11 00 05 BF 21")
        );
    }

    #[test]
    fn sound_alone() {
        let muxer = PsMuxer::new(None, Some(Codec::G711A));
        let unit = SoundUnit {
            pts: 3600,
            data: &[0xD5; 320],
        };
        let ids = |with_map| -> Vec<u8> {
            packets(&written(|out| muxer.sound_pack(unit, with_map, out)))
                .iter()
                .map(|packet| packet.0)
                .collect()
        };
        assert_eq!(ids(true), [0xBA, 0xBB, 0xBC, 0xC0]);
        assert_eq!(ids(false), [0xBA, 0xC0]);
    }
}
