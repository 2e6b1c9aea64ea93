//! A camera made of bytes: program streams with every deviation a test asks for, and RTP around them.

use bytes::Bytes;
use gbmedia::frame::{Frame, Kind};
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings};
use gbmedia::quirk::Quirk;
use gbmedia::rtp::RtpHeader;

/// x264, baseline, 640x360, 25 frames a second.
pub const SPS: &[u8] = &[
    0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0xC8,
    0x3C, 0x58, 0xBA, 0x80,
];
pub const PPS: &[u8] = &[0x68, 0xCE, 0x0F, 0xC8];

/// x265, main, 1920x1080, 25 frames a second.
pub const VPS_265: &[u8] = &[
    0x40, 1, 0x0C, 1, 0xFF, 0xFF, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x78, 0x95, 0x94,
    9,
];
pub const SPS_265: &[u8] = &[
    0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x78, 0xA0, 3, 0xC0, 0x80, 0x11, 7,
    0xCB, 0x96, 0x56, 0x54, 0xA4, 0xC2, 0xE6, 0x80, 0x80, 0, 0, 3, 0, 0x80, 0, 0, 0x0C, 0x84,
];
pub const PPS_265: &[u8] = &[0x44, 1, 0xC0, 0x73, 0xC1, 0x89];

pub const VIDEO: u8 = 0xE0;
pub const AUDIO: u8 = 0xC0;
pub const SSRC: u32 = 100_000_001;
/// Ticks and microseconds between frames.
pub const FRAME_TICKS: u64 = 3600;
pub const FRAME_US: u64 = 40_000;

/// A NAL unit of `size` bytes that begins with `head`; no byte behind it is zero.
pub fn nal(head: &[u8], size: usize, seed: u32) -> Vec<u8> {
    let mut bytes = head.to_vec();
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    while bytes.len() < size {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        bytes.push((state >> 16) as u8 | 1);
    }
    bytes
}

pub fn idr(size: usize, seed: u32) -> Vec<u8> {
    nal(&[0x65, 0x88], size, seed)
}

/// The first slice of a P picture.
pub fn p_slice(size: usize, seed: u32) -> Vec<u8> {
    nal(&[0x41, 0x9A], size, seed)
}

pub fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for nal in nals {
        bytes.extend_from_slice(&[0, 0, 0, 1]);
        bytes.extend_from_slice(nal);
    }
    bytes
}

/// The form in which frames are delivered.
pub fn with_lengths(nals: &[&[u8]]) -> Bytes {
    let mut bytes = Vec::new();
    for nal in nals {
        bytes.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        bytes.extend_from_slice(nal);
    }
    bytes.into()
}

pub fn pack_header(scr: u64, stuffing: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0xBA];
    let scr = scr & ((1 << 33) - 1);
    let bits: u64 = 1 << 46
        | (scr >> 30) << 43
        | 1 << 42
        | (scr >> 15 & 0x7FFF) << 27
        | 1 << 26
        | (scr & 0x7FFF) << 11
        | 1 << 10
        | 1;
    bytes.extend_from_slice(&bits.to_be_bytes()[2..]);
    bytes.extend_from_slice(&[1, 0x5F, 0x6B, 0xF8 | stuffing.len() as u8]);
    bytes.extend_from_slice(stuffing);
    bytes
}

pub const SYSTEM_HEADER: [u8; 18] = [
    0, 0, 1, 0xBB, 0, 0x0C, 0x80, 0xCC, 0xF5, 4, 0xE1, 0x7F, 0xE0, 0xE1, 0x90, 0xC0, 0xC0, 0x20,
];

/// A map of `(stream type, stream id)` with a CRC of zero.
pub fn map(streams: &[(u8, u8)]) -> Vec<u8> {
    let length = streams.len() as u16 * 4;
    let mut bytes = vec![0, 0, 1, 0xBC];
    bytes.extend_from_slice(&(10 + length).to_be_bytes());
    bytes.extend_from_slice(&[0xE1, 0xFF, 0, 0]);
    bytes.extend_from_slice(&length.to_be_bytes());
    for &(kind, id) in streams {
        bytes.extend_from_slice(&[kind, id, 0, 0]);
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

fn timestamp(mark: u8, time: u64) -> [u8; 5] {
    [
        mark << 4 | ((time >> 30 & 7) as u8) << 1 | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// `claimed` replaces the length of the PES.
pub fn pes_claiming(
    id: u8,
    pts: Option<u64>,
    dts: Option<u64>,
    payload: &[u8],
    claimed: Option<u16>,
) -> Vec<u8> {
    let mut options = Vec::new();
    let flags = match (pts, dts) {
        (Some(pts), Some(dts)) => {
            options.extend_from_slice(&timestamp(3, pts));
            options.extend_from_slice(&timestamp(1, dts));
            0xC0
        }
        (Some(pts), None) => {
            options.extend_from_slice(&timestamp(2, pts));
            0x80
        }
        _ => 0,
    };
    let length = claimed.unwrap_or((3 + options.len() + payload.len()) as u16);
    let mut bytes = vec![0, 0, 1, id];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0x80, flags, options.len() as u8]);
    bytes.extend_from_slice(&options);
    bytes.extend_from_slice(payload);
    bytes
}

pub fn pes(id: u8, pts: Option<u64>, payload: &[u8]) -> Vec<u8> {
    pes_claiming(id, pts, None, payload, None)
}

/// Pack header, system header and map.
pub fn key_head(pts: u64, streams: &[(u8, u8)]) -> Vec<u8> {
    [pack_header(pts, &[]), SYSTEM_HEADER.to_vec(), map(streams)].concat()
}

pub const H264_ONLY: &[(u8, u8)] = &[(0x1B, VIDEO)];
pub const H264_AND_SOUND: &[(u8, u8)] = &[(0x1B, VIDEO), (0x90, AUDIO)];

pub fn time_of(number: u64) -> u64 {
    90_000 + number * FRAME_TICKS
}

/// A standard key frame's pack.
pub fn key_pack(number: u64, slice: &[u8]) -> Vec<u8> {
    let picture = annex_b(&[SPS, PPS, slice]);
    let pts = time_of(number);
    [key_head(pts, H264_ONLY), pes(VIDEO, Some(pts), &picture)].concat()
}

/// A standard P frame's pack.
pub fn p_pack(number: u64, slice: &[u8]) -> Vec<u8> {
    let pts = time_of(number);
    let picture = annex_b(&[slice]);
    [pack_header(pts, &[]), pes(VIDEO, Some(pts), &picture)].concat()
}

/// Slices of a stream with a key frame every `gop` frames.
pub fn slices(count: u64, gop: u64, size: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            if number % gop == 0 {
                idr(size * 3, number as u32)
            } else {
                p_slice(size, number as u32)
            }
        })
        .collect()
}

/// Standard packs of those slices, one per frame.
pub fn packs(slices: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let pack = |(number, slice): (usize, &Vec<u8>)| match slice[0] {
        0x65 => key_pack(number as u64, slice),
        _ => p_pack(number as u64, slice),
    };
    slices.iter().enumerate().map(pack).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    LastOfFrame,
    Never,
    Always,
}

/// Cuts frames into RTP packets.
pub struct Sender {
    pub header: RtpHeader,
    pub size: usize,
    pub marker: Marker,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            header: RtpHeader {
                marker: false,
                payload_type: 96,
                sequence: 65_000,
                timestamp: 0xFFFF_0000,
                ssrc: SSRC,
            },
            size: 1400,
            marker: Marker::LastOfFrame,
        }
    }
}

impl Sender {
    pub fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = [&self.header.to_bytes()[..], payload].concat();
        self.header.sequence = self.header.sequence.wrapping_add(1);
        packet
    }

    /// The packets of one frame; the timestamp goes on by a frame.
    pub fn frame(&mut self, pack: &[u8]) -> Vec<Vec<u8>> {
        let last = pack.len().div_ceil(self.size) - 1;
        let packets = (pack.chunks(self.size).enumerate())
            .map(|(number, payload)| {
                self.header.marker = match self.marker {
                    Marker::LastOfFrame => number == last,
                    Marker::Never => false,
                    Marker::Always => true,
                };
                self.packet(payload)
            })
            .collect();
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME_TICKS as u32);
        packets
    }
}

/// Everything that came out of an ingest.
#[derive(Default)]
pub struct Outcome {
    pub events: Vec<IngestEvent>,
}

fn frame_of(event: &IngestEvent) -> Option<&Frame> {
    match event {
        IngestEvent::Frame(frame) => Some(frame),
        _ => None,
    }
}

impl Outcome {
    pub fn frames(&self) -> Vec<&Frame> {
        self.events.iter().filter_map(frame_of).collect()
    }

    pub fn of_kind(&self, kind: Kind) -> Vec<&Frame> {
        let mut frames = self.frames();
        frames.retain(|frame| frame.kind() == kind);
        frames
    }

    pub fn video(&self) -> Vec<Bytes> {
        let video = self.of_kind(Kind::Video);
        video.iter().map(|frame| frame.data.clone()).collect()
    }

    pub fn dts(&self, kind: Kind) -> Vec<i64> {
        self.of_kind(kind).iter().map(|frame| frame.dts).collect()
    }

    pub fn steps(&self, kind: Kind) -> Vec<i64> {
        let dts = self.dts(kind);
        dts.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    pub fn quirks(&self) -> Vec<Quirk> {
        let quirk = |event: &_| match event {
            IngestEvent::Quirk(quirk) => Some(*quirk),
            _ => None,
        };
        self.events.iter().filter_map(quirk).collect()
    }

    pub fn saw(&self, quirk: Quirk) -> bool {
        self.quirks().contains(&quirk)
    }
}

/// An ingest and its clock.
pub struct Bench {
    pub ingest: Ingest,
    pub now: u64,
    pub outcome: Outcome,
}

impl Bench {
    pub fn new(settings: IngestSettings) -> Self {
        Self {
            ingest: Ingest::new(settings),
            now: 1_000_000,
            outcome: Outcome::default(),
        }
    }

    pub fn packets(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            self.ingest.receive_rtp(packet, self.now);
            self.take();
        }
    }

    /// A frame's packets, and the time to the next frame.
    pub fn frame(&mut self, packets: &[Vec<u8>]) {
        self.packets(packets);
        self.now += FRAME_US;
    }

    pub fn take(&mut self) {
        while let Some(event) = self.ingest.next_event() {
            self.outcome.events.push(event);
        }
    }
}

pub fn expecting() -> IngestSettings {
    IngestSettings {
        expected_ssrc: Some(SSRC),
        ..IngestSettings::default()
    }
}

/// Send each pack as a frame of its own, in real time.
pub fn run(packs: &[Vec<u8>]) -> Outcome {
    run_with(expecting(), Sender::default(), packs)
}

pub fn run_with(settings: IngestSettings, mut sender: Sender, packs: &[Vec<u8>]) -> Outcome {
    let mut bench = Bench::new(settings);
    for pack in packs {
        let packets = sender.frame(pack);
        bench.frame(&packets);
    }
    bench.outcome
}

/// All frames but the last: that one may still be waiting for its end.
pub fn expected(slices: &[Vec<u8>]) -> Vec<Bytes> {
    let frame = |slice: &Vec<u8>| with_lengths(&[slice]);
    slices[..slices.len() - 1].iter().map(frame).collect()
}

pub fn starts_with(frames: &[Bytes], expected: &[Bytes]) -> bool {
    frames.len() <= expected.len() + 1 && frames.starts_with(expected)
}
