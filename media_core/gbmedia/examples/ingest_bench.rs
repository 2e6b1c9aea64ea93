//! Milliseconds of CPU per stream and second for RTP in, access units out: no sockets.
//!
//! `cargo run --release -p gbmedia --example ingest_bench [streams] [seconds]`

use gbmedia::frame::Codec;
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings};
use gbmedia::packetize::{Framing, Packetizer};
use gbmedia::ps::mux::{PictureUnit, PsMuxer, SoundUnit};
use gbmedia::rtp::HEADER_SIZE;

/// 1080p25 of 4 Mbit/s with a key frame every two seconds, a fifth of the bytes in it.
const FPS: usize = 25;
const GOP: usize = 50;
const KEY_SIZE: usize = 200_000;
const OTHER_SIZE: usize = (1_000_000 - KEY_SIZE) / (GOP - 1);
const SSRC: u32 = 100_000_001;

const SPS: &[u8] = &[
    0x67, 0x64, 0, 0x28, 0xAC, 0xD9, 0x40, 0x78, 2, 0x27, 0xE5, 0x84, 0, 0, 3, 0, 4, 0, 0, 3, 0,
    0xC8, 0x3C, 0x60, 0xC6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xEF, 0x8F, 0xCB];

/// A NAL unit like a compressed one: every byte value, no start code.
fn slice(head: [u8; 2], size: usize, state: &mut u32) -> Vec<u8> {
    let mut bytes = head.to_vec();
    while bytes.len() < size {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = (*state >> 24) as u8;
        let escaped = byte <= 3 && bytes.ends_with(&[0, 0]);
        bytes.push(if escaped { 0x5A } else { byte });
    }
    bytes.push(0x80);
    bytes
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for nal in nals {
        bytes.extend_from_slice(&[0, 0, 0, 1]);
        bytes.extend_from_slice(nal);
    }
    bytes
}

/// CPU seconds of this thread, from the scheduler: other programs on the machine do not count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.expect("a number of nanoseconds") / 1e9
}

/// Two seconds of packets, frame by frame.
fn packets(sound: bool) -> Vec<Vec<Vec<u8>>> {
    let muxer = PsMuxer::new(Some(Codec::H264), sound.then_some(Codec::G711A));
    let mut packetizer = Packetizer {
        ssrc: SSRC,
        payload_type: 96,
        sequence: 0,
        framing: Framing::Datagrams,
    };
    let mut state = 1;
    let frame = |number: usize| {
        let key = number == 0;
        let data = if key {
            annex_b(&[SPS, PPS, &slice([0x65, 0x88], KEY_SIZE, &mut state)])
        } else {
            annex_b(&[&slice([0x41, 0x9A], OTHER_SIZE, &mut state)])
        };
        let pts = 90_000 + number as i64 * 3600;
        let picture = PictureUnit {
            pts,
            dts: pts,
            key,
            data: &data,
        };
        let alaw = [0xD5; 320];
        let unit = SoundUnit { pts, data: &alaw };
        let mut pack = Vec::new();
        muxer.pack(
            picture,
            if sound {
                std::slice::from_ref(&unit)
            } else {
                &[]
            },
            &mut pack,
        );
        let mut bytes = Vec::new();
        packetizer.packetize(&pack, pts as u32, &mut bytes);
        let stride = packetizer.framing.stride();
        bytes.chunks(stride).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    (0..GOP).map(frame).collect()
}

/// Sequence numbers and timestamps go on from loop to loop; the PTS inside wraps and is repaired.
fn renumber(packet: &mut [u8], sequence: u16, timestamp: u32) {
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
}

fn measure(streams: usize, seconds: usize, sound: bool) {
    let mut clip = packets(sound);
    let per_loop: usize = clip.iter().map(Vec::len).sum();
    let mut ingests: Vec<_> = (0..streams)
        .map(|_| {
            Ingest::new(IngestSettings {
                expected_ssrc: Some(SSRC),
                ..IngestSettings::default()
            })
        })
        .collect();
    // The last frames of each stream stay alive, as in a cached GOP.
    let mut cached: Vec<Vec<gbmedia::frame::Frame>> = vec![Vec::new(); streams];
    let (mut sequence, mut timestamp, mut now) = (0_u16, 0_u32, 1_000_000_u64);
    let (mut frames, mut bytes) = (0_u64, 0_u64);
    let started = cpu_seconds();
    for number in 0..seconds * FPS {
        let frame = &mut clip[number % GOP];
        for packet in frame.iter_mut() {
            renumber(packet, sequence, timestamp);
            sequence = sequence.wrapping_add(1);
        }
        timestamp = timestamp.wrapping_add(3600);
        for (ingest, cache) in ingests.iter_mut().zip(&mut cached) {
            for packet in frame.iter() {
                bytes += (packet.len() - HEADER_SIZE) as u64;
                ingest.receive_rtp(packet, now);
                while let Some(event) = ingest.next_event() {
                    if let IngestEvent::Frame(frame) = event {
                        frames += 1;
                        if frame.key && frame.codec == Codec::H264 {
                            cache.clear();
                        }
                        cache.push(frame);
                    }
                }
            }
        }
        now += 40_000;
    }
    let elapsed = cpu_seconds() - started;
    let per_stream = elapsed * 1000.0 / (streams * seconds) as f64;
    println!(
        "{streams:4} streams, sound {sound:5}: {per_stream:.4} ms per stream-second, {:.2} us per packet, \
         {frames} frames, {:.0} MB/s, {per_loop} packets per 2 s",
        per_stream * 1000.0 / (per_loop as f64 / 2.0),
        bytes as f64 / elapsed / 1e6,
    );
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let streams = arguments.next().unwrap_or(200);
    let seconds = arguments.next().unwrap_or(20);
    for sound in [false, true] {
        measure(1, seconds * 20, sound);
        measure(streams, seconds, sound);
    }
}
