//! Loss, disorder, damage and noise: whatever comes, frames stay right and memory stays bounded.

use gbmedia::frame::Kind;
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings};
use gbmedia::rfc4571::Framer;

use crate::camera::*;

/// xorshift64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn send_in_order(packets: &[Vec<u8>], bench: &mut Bench) {
    for packet in packets {
        bench.packets(std::slice::from_ref(packet));
        bench.now += 3000;
    }
    bench.now += 1_000_000;
    bench.ingest.handle_timer(bench.now);
    bench.take();
}

#[test]
fn disorder_within_the_window_changes_nothing() {
    let slices = slices(60, 10, 4000);
    let packs = packs(&slices);
    for seed in 1..20 {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut sender = Sender::default();
        let mut packets: Vec<_> = packs.iter().flat_map(|pack| sender.frame(pack)).collect();
        for at in 1..packets.len() - 30 {
            if random.below(8) == 0 {
                packets.swap(at, at + random.below(12) as usize);
            }
        }
        let mut bench = Bench::new(expecting());
        send_in_order(&packets, &mut bench);
        assert!(
            starts_with(&bench.outcome.video(), &expected(&slices)),
            "seed {seed}"
        );
        assert_eq!(bench.ingest.stats().lost, 0);
        assert!(bench.ingest.stats().reordered > 0);
    }
}

#[test]
fn whatever_is_lost_every_delivered_frame_is_whole_and_follows_a_key() {
    let slices = slices(200, 10, 4000);
    let packs = packs(&slices);
    let whole: Vec<_> = slices.iter().map(|slice| with_lengths(&[slice])).collect();
    for seed in 1..30 {
        let mut random = Random(seed * 0x0001_2345_6789);
        let mut sender = Sender::default();
        let mut packets: Vec<_> = packs.iter().flat_map(|pack| sender.frame(pack)).collect();
        let first = packets[0].clone();
        packets.retain(|packet| *packet == first || random.below(100) != 0);
        let mut bench = Bench::new(expecting());
        send_in_order(&packets, &mut bench);
        let mut last = None;
        for frame in bench.outcome.of_kind(Kind::Video) {
            let number = whole.iter().position(|data| *data == frame.data);
            let number = number.expect("only whole frames are delivered");
            if !frame.key {
                assert_eq!(
                    last,
                    Some(number - 1),
                    "seed {seed}: a frame without its reference"
                );
            }
            last = Some(number);
        }
        assert!(bench.outcome.video().len() > 50, "seed {seed}");
        assert!(bench.ingest.stats().lost > 0);
        let steps = bench.outcome.steps(Kind::Video);
        assert!(steps.iter().all(|&step| step > 0));
    }
}

#[test]
fn a_stream_that_is_only_counted_can_be_looked_into_later() {
    let slices = slices(60, 10, 4000);
    let mut bench = Bench::new(expecting());
    bench.ingest.set_counting_only(true);
    let mut sender = Sender::default();
    for (number, pack) in packs(&slices).iter().enumerate() {
        let mut packets = sender.frame(pack);
        match number {
            5 => drop(packets.remove(1)),
            8 => packets.swap(0, 1),
            25 => bench.ingest.set_counting_only(false),
            _ => {}
        }
        bench.frame(&packets);
        if number < 25 {
            assert!(bench.outcome.frames().is_empty());
        }
    }
    assert_eq!(bench.ingest.stats().lost, 1);
    assert!(starts_with(
        &bench.outcome.video(),
        &expected(&slices)[30..]
    ));
    assert_eq!(bench.outcome.quirks(), []);
    bench.ingest.set_counting_only(true);
    assert!(bench.ingest.buffered() < 1000);
}

#[test]
fn duplicates_are_counted_and_dropped() {
    let slices = slices(30, 10, 4000);
    let mut bench = Bench::new(expecting());
    let mut sender = Sender::default();
    for pack in packs(&slices) {
        let packets = sender.frame(&pack);
        bench.packets(&packets);
        bench.frame(&packets);
    }
    let stats = bench.ingest.stats();
    assert_eq!(stats.duplicates * 2, stats.packets);
    assert!(starts_with(&bench.outcome.video(), &expected(&slices)));
}

#[test]
fn bytes_changed_on_the_way_never_stop_the_stream() {
    let slices = slices(300, 10, 2000);
    let packs = packs(&slices);
    for seed in 1..20 {
        let mut random = Random(seed * 0x0BAD_CAFE);
        let mut sender = Sender::default();
        let mut bench = Bench::new(expecting());
        for (number, pack) in packs.iter().enumerate() {
            let mut packets = sender.frame(pack);
            if number < 200 {
                let packet = &mut packets[0];
                let at = 12 + random.below(60) as usize;
                packet[at] = random.below(256) as u8;
            }
            bench.frame(&packets);
        }
        let video = bench.outcome.video();
        let tail = &expected(&slices)[210..];
        let found = video.windows(tail.len()).any(|frames| frames == tail);
        assert!(found, "seed {seed}");
    }
}

#[test]
fn events_that_nobody_takes_are_bounded() {
    let mut ingest = Ingest::new(expecting());
    let mut sender = Sender::default();
    let slices = slices(3000, 10, 100);
    for pack in packs(&slices) {
        for packet in sender.frame(&pack) {
            ingest.receive_rtp(&packet, 1);
        }
    }
    assert!(ingest.stats().dropped_events > 1000);
    let mut taken = 0;
    while ingest.next_event().is_some() {
        taken += 1;
    }
    assert_eq!(taken, 1024);
}

#[test]
fn noise_gives_no_frames_and_no_panic() {
    let mut random = Random(77);
    let mut ingest = Ingest::new(IngestSettings::default());
    let mut framer = Framer::new();
    for round in 0..3000 {
        let size = random.below(1500) as usize;
        let mut packet: Vec<u8> = (0..size).map(|_| random.below(256) as u8).collect();
        if size > 16 && round % 2 == 0 {
            packet[0] = 0x80;
            packet[8..12].fill(7);
            packet[12..16].copy_from_slice(&[0, 0, 1, 0xB9 + random.below(50) as u8]);
        }
        ingest.receive_rtp(&packet, round * 1000);
        ingest.receive_rtcp(&packet, round * 1000);
        while let Some(event) = ingest.next_event() {
            assert!(!matches!(event, IngestEvent::Frame(_)));
        }
        if framer.receive(&packet, |_| {}).is_err() {
            framer = Framer::new();
        }
    }
}
