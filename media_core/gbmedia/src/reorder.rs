//! Puts RTP packets into sequence: a short window for the late, counters for the lost.

use std::collections::VecDeque;

use crate::rtp::{RtpPacket, HEADER_SIZE};

/// RFC 3550 A.1 MAX_DROPOUT: a longer jump is a restart and no loss.
const MAX_DROPOUT: u16 = 3000;
/// Row 59: consecutive packets that prove a jump of the sequence number.
const PROBATION: usize = 3;
/// Sequence numbers behind the next one whose arrival is remembered, to tell a duplicate from a late one.
const HISTORY: u16 = 256;
/// Old packets in a row, none in order between them, that prove a restart to a lower number.
const STALE_RUN: u16 = 64;
/// Held payload per stream; a packet over TCP may have 64 KB.
const MAX_HELD_BYTES: usize = 2 << 20;

/// What stands between a delivered packet and the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    None,
    /// So many packets were given up.
    Lost(u32),
    /// The sequence began anew.
    Restart,
}

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct ReorderCounters {
    pub lost: u64,
    pub reordered: u64,
    pub late: u64,
    pub duplicates: u64,
    pub restarts: u64,
}

struct Held {
    head: [u8; HEADER_SIZE],
    payload: Vec<u8>,
    arrived_at: u64,
}

impl Held {
    fn new(packet: &RtpPacket<'_>, now: u64) -> Self {
        Self {
            head: *packet.head(),
            payload: packet.payload().to_vec(),
            arrived_at: now,
        }
    }
}

/// The window of one stream. In order it only compares and counts: nothing is copied or kept.
pub struct Reorder {
    window: u16,
    max_wait: u64,
    /// A gap over TCP cannot close: it is a loss at once.
    reliable: bool,
    next: Option<u16>,
    /// `slots[i]` is the place of sequence number `next + i`; the first is always empty between calls.
    slots: VecDeque<Option<Held>>,
    held: usize,
    held_bytes: usize,
    /// Packets of a possible restart, each following the other.
    candidates: Vec<Held>,
    /// Old packets in a row while none was in order.
    stale_run: u16,
    seen: [u64; HISTORY as usize / 64],
    counters: ReorderCounters,
}

impl Reorder {
    /// `window` in packets, `max_wait` in microseconds.
    pub fn new(window: u16, max_wait: u64, reliable: bool) -> Self {
        Self {
            window: window.clamp(2, HISTORY),
            max_wait,
            reliable,
            next: None,
            slots: VecDeque::new(),
            held: 0,
            held_bytes: 0,
            candidates: Vec::new(),
            stale_run: 0,
            seen: [0; HISTORY as usize / 64],
            counters: ReorderCounters::default(),
        }
    }

    pub fn counters(&self) -> &ReorderCounters {
        &self.counters
    }

    /// Bytes of the packets that wait for others.
    pub fn buffered(&self) -> usize {
        let candidates = self.candidates.iter();
        self.held_bytes + candidates.map(|held| held.payload.len()).sum::<usize>()
    }

    /// Take the next packet as the first one, whatever was before. Held packets are dropped.
    pub fn reset(&mut self) {
        self.next = None;
        self.slots.clear();
        self.held = 0;
        self.held_bytes = 0;
        self.candidates.clear();
        self.stale_run = 0;
        self.seen = [0; HISTORY as usize / 64];
    }

    /// Feed one packet; `deliver` gets it and whatever it releases, in sequence.
    #[inline]
    pub fn receive(
        &mut self,
        packet: &RtpPacket<'_>,
        now: u64,
        mut deliver: impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        let sequence = packet.sequence();
        if self.next == Some(sequence) && self.held == 0 {
            self.advance(sequence);
            self.stale_run = 0;
            if !self.candidates.is_empty() {
                self.candidates.clear();
            }
            deliver(Gap::None, packet);
            return;
        }
        self.receive_out_of_order(packet, now, &mut deliver);
    }

    fn receive_out_of_order(
        &mut self,
        packet: &RtpPacket<'_>,
        now: u64,
        deliver: &mut impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        let sequence = packet.sequence();
        let Some(next) = self.next else {
            self.advance(sequence);
            deliver(Gap::None, packet);
            return;
        };
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            self.slots.pop_front();
            self.advance(sequence);
            self.stale_run = 0;
            deliver(Gap::None, packet);
            self.release_consecutive(deliver);
            self.give_up_overdue(now, deliver);
        } else if ahead < self.window {
            if self.reliable {
                self.jump(Gap::Lost(u32::from(ahead)), packet, deliver);
            } else {
                self.hold(ahead, packet, now, deliver);
                self.give_up_overdue(now, deliver);
            }
        } else if ahead < MAX_DROPOUT && self.held > 0 {
            self.make_room(sequence, deliver);
            self.receive_out_of_order(packet, now, deliver);
        } else if next.wrapping_sub(sequence) <= HISTORY {
            self.receive_stale(packet, deliver);
        } else {
            self.probe_restart(packet, now, deliver);
        }
    }

    fn hold(
        &mut self,
        ahead: u16,
        packet: &RtpPacket<'_>,
        now: u64,
        deliver: &mut impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        let index = usize::from(ahead);
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        if self.slots[index].is_some() {
            self.counters.duplicates += 1;
            return;
        }
        self.held_bytes += packet.payload().len();
        self.held += 1;
        self.slots[index] = Some(Held::new(packet, now));
        while self.held_bytes > MAX_HELD_BYTES {
            self.give_up_gap(deliver);
        }
    }

    /// Give up as much as brings `sequence` into the window.
    fn make_room(&mut self, sequence: u16, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        while self.held > 0 {
            let ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
            if ahead < self.window {
                return;
            }
            self.give_up_gap(deliver);
        }
    }

    /// Older than the next one: late, repeated, or a restart to a slightly lower number.
    fn receive_stale(
        &mut self,
        packet: &RtpPacket<'_>,
        deliver: &mut impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        self.stale_run += 1;
        if self.stale_run > STALE_RUN {
            self.flush(deliver);
            self.counters.restarts += 1;
            self.jump(Gap::Restart, packet, deliver);
            return;
        }
        let (word, bit) = Self::history_place(packet.sequence());
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.counters.late += 1;
        } else {
            self.counters.duplicates += 1;
        }
    }

    /// An impossible number: believe it when further packets follow it.
    fn probe_restart(
        &mut self,
        packet: &RtpPacket<'_>,
        now: u64,
        deliver: &mut impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        let sequence = packet.sequence();
        let follows = self.candidates.last().is_some_and(|last| {
            let last = u16::from_be_bytes([last.head[2], last.head[3]]);
            last.wrapping_add(1) == sequence
        });
        if !follows {
            self.candidates.clear();
        }
        self.candidates.push(Held::new(packet, now));
        if self.candidates.len() < PROBATION {
            return;
        }
        self.flush(deliver);
        let candidates = std::mem::take(&mut self.candidates);
        let first = sequence.wrapping_sub(PROBATION as u16 - 1);
        let ahead = first.wrapping_sub(self.next.unwrap_or(first));
        let mut gap = if ahead < MAX_DROPOUT {
            Gap::Lost(u32::from(ahead))
        } else {
            self.counters.restarts += 1;
            Gap::Restart
        };
        for held in &candidates {
            let packet = RtpPacket::from_parts(&held.head, &held.payload);
            self.jump(gap, &packet, deliver);
            gap = Gap::None;
        }
    }

    /// Deliver `packet` as the next one, over whatever lies between.
    fn jump(
        &mut self,
        gap: Gap,
        packet: &RtpPacket<'_>,
        deliver: &mut impl FnMut(Gap, &RtpPacket<'_>),
    ) {
        match gap {
            Gap::None => {}
            Gap::Lost(packets) => self.skip(packets),
            Gap::Restart => self.seen = [0; HISTORY as usize / 64],
        }
        self.stale_run = 0;
        self.advance(packet.sequence());
        deliver(gap, packet);
    }

    /// Call when `next_timeout` is reached.
    pub fn handle_timer(&mut self, now: u64, mut deliver: impl FnMut(Gap, &RtpPacket<'_>)) {
        self.give_up_overdue(now, &mut deliver);
    }

    /// When the oldest gap is given up.
    pub fn next_timeout(&self) -> Option<u64> {
        let first = self.slots.iter().flatten().next()?;
        Some(first.arrived_at + self.max_wait)
    }

    fn give_up_overdue(&mut self, now: u64, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        while self.next_timeout().is_some_and(|at| now >= at) {
            self.give_up_gap(deliver);
        }
    }

    /// Deliver everything held, over all gaps.
    fn flush(&mut self, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        while self.held > 0 {
            self.give_up_gap(deliver);
        }
    }

    fn give_up_gap(&mut self, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        let mut lost = 0;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            lost += 1;
        }
        self.skip(lost);
        if let Some(Some(held)) = self.slots.pop_front() {
            self.release(Gap::Lost(lost), &held, deliver);
        }
        self.release_consecutive(deliver);
    }

    fn release_consecutive(&mut self, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        while let Some(Some(_)) = self.slots.front() {
            if let Some(Some(held)) = self.slots.pop_front() {
                self.counters.reordered += 1;
                self.release(Gap::None, &held, deliver);
            }
        }
    }

    fn release(&mut self, gap: Gap, held: &Held, deliver: &mut impl FnMut(Gap, &RtpPacket<'_>)) {
        self.held -= 1;
        self.held_bytes -= held.payload.len();
        let packet = RtpPacket::from_parts(&held.head, &held.payload);
        self.advance(packet.sequence());
        deliver(gap, &packet);
    }

    /// Count `packets` sequence numbers from the next one on as lost.
    fn skip(&mut self, packets: u32) {
        self.counters.lost += u64::from(packets);
        let next = self.next.unwrap_or(0);
        for offset in 0..packets.min(u32::from(HISTORY)) {
            let (word, bit) = Self::history_place(next.wrapping_add(offset as u16));
            self.seen[word] &= !bit;
        }
        if packets > u32::from(HISTORY) {
            self.seen = [0; HISTORY as usize / 64];
        }
        self.next = Some(next.wrapping_add(packets as u16));
    }

    #[inline]
    fn advance(&mut self, sequence: u16) {
        let (word, bit) = Self::history_place(sequence);
        self.seen[word] |= bit;
        self.next = Some(sequence.wrapping_add(1));
    }

    #[inline]
    fn history_place(sequence: u16) -> (usize, u64) {
        let index = sequence % HISTORY;
        (usize::from(index / 64), 1 << (index % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::RtpHeader;

    #[derive(Default)]
    struct Sink(Vec<(Gap, u16)>);

    fn send(reorder: &mut Reorder, sink: &mut Sink, sequence: u16, now: u64) {
        let header = RtpHeader {
            marker: false,
            payload_type: 96,
            sequence,
            timestamp: 0,
            ssrc: 7,
        };
        let bytes = header.to_bytes();
        let packet = RtpPacket::parse(&bytes).unwrap();
        reorder.receive(&packet, now, |gap, packet| {
            sink.0.push((gap, packet.sequence()));
        });
    }

    fn run(reorder: &mut Reorder, sequences: &[u16]) -> Vec<(Gap, u16)> {
        let mut sink = Sink::default();
        for &sequence in sequences {
            send(reorder, &mut sink, sequence, 0);
        }
        sink.0
    }

    fn udp() -> Reorder {
        Reorder::new(64, 200_000, false)
    }

    #[test]
    fn disorder_over_the_wrap_is_put_right() {
        let mut reorder = udp();
        let out = run(&mut reorder, &[65_534, 0, 1, 65_535, 3, 2, 4]);
        let numbers: Vec<_> = out.iter().map(|&(_, number)| number).collect();
        assert_eq!(numbers, [65_534, 65_535, 0, 1, 2, 3, 4]);
        assert!(out.iter().all(|&(gap, _)| gap == Gap::None));
        assert_eq!(reorder.counters().reordered, 3);
        assert_eq!(reorder.counters().lost, 0);
    }

    #[test]
    fn a_gap_is_given_up_after_the_wait() {
        let mut reorder = udp();
        let mut sink = Sink::default();
        send(&mut reorder, &mut sink, 10, 0);
        send(&mut reorder, &mut sink, 13, 5_000);
        assert_eq!(reorder.next_timeout(), Some(205_000));
        reorder.handle_timer(204_999, |_, _| panic!("too early"));
        reorder.handle_timer(205_000, |gap, packet| {
            sink.0.push((gap, packet.sequence()));
        });
        assert_eq!(sink.0, [(Gap::None, 10), (Gap::Lost(2), 13)]);
        assert_eq!(reorder.next_timeout(), None);
        send(&mut reorder, &mut sink, 12, 206_000);
        send(&mut reorder, &mut sink, 12, 206_000);
        send(&mut reorder, &mut sink, 13, 206_000);
        let counters = *reorder.counters();
        assert_eq!(
            (counters.lost, counters.late, counters.duplicates),
            (2, 1, 2)
        );
    }

    #[test]
    fn a_full_window_gives_the_gap_up() {
        let mut reorder = udp();
        let mut sequences = vec![0];
        sequences.extend(2..70);
        let out = run(&mut reorder, &sequences);
        assert_eq!(out[1], (Gap::Lost(1), 2));
        assert_eq!(out.len(), sequences.len());
    }

    #[test]
    fn a_burst_loss_beyond_the_window_is_counted() {
        let mut reorder = udp();
        let out = run(&mut reorder, &[0, 1, 1000, 1001, 1002, 1003]);
        assert_eq!(out[2], (Gap::Lost(998), 1000));
        assert_eq!(out.len(), 6);
        assert_eq!(reorder.counters().lost, 998);
    }

    #[test]
    fn row_59_a_restart_is_believed_after_three_packets_in_order() {
        let mut reorder = udp();
        let out = run(
            &mut reorder,
            &[100, 101, 30_000, 102, 40_000, 40_001, 40_002, 40_003],
        );
        let numbers: Vec<_> = out.iter().map(|&(_, number)| number).collect();
        assert_eq!(numbers, [100, 101, 102, 40_000, 40_001, 40_002, 40_003]);
        assert_eq!(out[3].0, Gap::Restart);
        assert_eq!(reorder.counters().restarts, 1);
        assert_eq!(reorder.counters().lost, 0);
    }

    #[test]
    fn row_59_a_restart_to_a_slightly_lower_number_is_found() {
        let mut reorder = udp();
        run(&mut reorder, &(0..200).collect::<Vec<_>>());
        let again: Vec<_> = (0..600).collect();
        let out = run(&mut reorder, &again);
        assert_eq!(out[0], (Gap::Restart, STALE_RUN));
        assert_eq!(out.len(), 600 - usize::from(STALE_RUN));
    }

    #[test]
    fn over_tcp_a_gap_is_a_loss_at_once() {
        let mut reorder = Reorder::new(64, 200_000, true);
        let out = run(&mut reorder, &[1, 3, 4]);
        assert_eq!(out, [(Gap::None, 1), (Gap::Lost(1), 3), (Gap::None, 4)]);
    }

    /// Every number that arrives in the window comes out once and in order, whatever the disorder.
    #[test]
    fn random_disorder_and_loss_keep_the_order() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % limit
        };
        for _ in 0..200 {
            let start = random(65_536) as u16;
            let mut sequences: Vec<u16> = (0..500).map(|i| start.wrapping_add(i)).collect();
            for index in 1..480 {
                if random(10) == 0 {
                    let other = index + random(20) as usize;
                    sequences.swap(index, other);
                }
            }
            let mut dropped = Vec::new();
            sequences.retain(|&number| {
                let drop = number != start && random(50) == 0;
                if drop {
                    dropped.push(number);
                }
                !drop
            });
            let mut reorder = udp();
            let mut out = run(&mut reorder, &sequences);
            reorder.handle_timer(u64::MAX, |gap, packet| {
                out.push((gap, packet.sequence()));
            });
            assert_eq!(out.len(), sequences.len());
            for pair in out.windows(2) {
                let step = pair[1].1.wrapping_sub(pair[0].1);
                match pair[1].0 {
                    Gap::None => assert_eq!(step, 1),
                    Gap::Lost(lost) => assert_eq!(u32::from(step), lost + 1),
                    Gap::Restart => panic!("no restart was sent"),
                }
            }
        }
    }
}
