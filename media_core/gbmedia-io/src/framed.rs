//! Outgoing RTP over TCP (RFC 4571) that never grows without bound.
//!
//! Packets wait in groups of one RTP timestamp. When too much waits, every group of which nothing
//! was sent yet is dropped whole, and sending goes on with the first packet of a later group: the
//! receiver never sees half a frame of ours.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

/// A group larger than this ends at the next packet (a source whose timestamp never changes).
const MAX_GROUP_BYTES: usize = 1 << 20;
const MAX_SLICES: usize = 32;
/// Buffers kept for later groups: a usual frame each, not the rare key frame.
const SPARE_BUFFERS: usize = 2;
const SPARE_BYTES: usize = 32 << 10;

#[derive(Default)]
struct Group {
    timestamp: u32,
    bytes: Vec<u8>,
    packets: u64,
    sent: usize,
    ended: bool,
}

/// Counters since the connection was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramedCounters {
    pub packets: u64,
    pub bytes: u64,
    pub dropped_packets: u64,
    pub dropped_frames: u64,
}

pub struct FramedQueue {
    groups: VecDeque<Group>,
    /// Buffers of sent groups, used again.
    spare: Vec<Vec<u8>>,
    waiting: usize,
    limit: usize,
    /// Timestamp and bytes so far of a dropped group whose rest passes by.
    skipping: Option<(u32, usize)>,
    pub counters: FramedCounters,
}

impl FramedQueue {
    /// `limit`: bytes that may wait.
    pub fn new(limit: usize) -> Self {
        Self {
            groups: VecDeque::new(),
            spare: Vec::new(),
            waiting: 0,
            limit,
            skipping: None,
            counters: FramedCounters::default(),
        }
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }

    pub fn push(&mut self, packet: &[u8], timestamp: u32, marker: bool) {
        let Ok(length) = u16::try_from(packet.len()) else {
            return;
        };
        let skipped = match self.skipping {
            Some((skipping, bytes)) if skipping == timestamp && bytes <= MAX_GROUP_BYTES => bytes,
            _ => 0,
        };
        let full = self.waiting + packet.len() > self.limit;
        if skipped > 0 || full && self.drop_unsent(timestamp) {
            self.counters.dropped_packets += 1;
            self.skipping = (!marker).then_some((timestamp, skipped + packet.len()));
            return;
        }
        self.skipping = None;
        let group = self.open_group(timestamp);
        group.bytes.extend_from_slice(&length.to_be_bytes());
        group.bytes.extend_from_slice(packet);
        group.packets += 1;
        group.ended = marker || group.bytes.len() > MAX_GROUP_BYTES;
        self.waiting += packet.len() + 2;
    }

    fn open_group(&mut self, timestamp: u32) -> &mut Group {
        let goes_on = self
            .groups
            .back()
            .is_some_and(|group| group.timestamp == timestamp && !group.ended);
        if !goes_on {
            self.groups.push_back(Group {
                timestamp,
                bytes: self.spare.pop().unwrap_or_default(),
                ..Group::default()
            });
        }
        self.groups.back_mut().expect("pushed above when missing")
    }

    /// Drop every group of which no byte was sent. False when the packet at hand belongs to the
    /// group that is being sent: that one must be ended.
    fn drop_unsent(&mut self, timestamp: u32) -> bool {
        let keep = usize::from(self.groups.front().is_some_and(|group| group.sent > 0));
        let mut counted = false;
        for group in self.groups.drain(keep..) {
            self.waiting -= group.bytes.len();
            self.counters.dropped_packets += group.packets;
            self.counters.dropped_frames += 1;
            counted = group.timestamp == timestamp && !group.ended;
        }
        let in_flight = self
            .groups
            .front()
            .is_some_and(|group| group.timestamp == timestamp && !group.ended);
        if in_flight && self.waiting <= 2 * self.limit {
            return false;
        }
        self.counters.dropped_frames += u64::from(!counted);
        true
    }

    /// Write what the socket takes. `Ok(true)`: nothing waits any more.
    pub fn flush(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        while self.waiting > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for group in self.groups.iter().take(MAX_SLICES) {
                slices[count] = IoSlice::new(&group.bytes[group.sent..]);
                count += 1;
            }
            match stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut written: usize) {
        self.waiting -= written;
        self.counters.bytes += written as u64;
        while let Some(group) = self.groups.front_mut() {
            let step = written.min(group.bytes.len() - group.sent);
            group.sent += step;
            written -= step;
            if group.sent < group.bytes.len() {
                return;
            }
            self.counters.packets += group.packets;
            if let Some(mut group) = self.groups.pop_front() {
                if self.spare.len() < SPARE_BUFFERS && group.bytes.capacity() <= SPARE_BYTES {
                    group.bytes.clear();
                    self.spare.push(group.bytes);
                }
            }
            if self.groups.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = bytes;
        let mut all = Vec::new();
        while rest.len() >= 2 {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            all.push(rest[2..2 + length].to_vec());
            rest = &rest[2 + length..];
        }
        assert!(rest.is_empty());
        all
    }

    #[test]
    fn frames_each_packet() {
        let (mut near, mut far) = pair();
        let mut queue = FramedQueue::new(1 << 20);
        queue.push(b"one", 1, false);
        queue.push(b"two", 1, true);
        queue.push(b"three", 2, true);
        assert!(queue.flush(&mut near).unwrap());
        drop(near);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).unwrap();
        assert_eq!(packets(&bytes), [&b"one"[..], b"two", b"three"]);
        assert_eq!((queue.counters.packets, queue.counters.bytes), (3, 17));
    }

    #[test]
    fn drops_whole_frames_when_the_peer_is_slow() {
        let (mut near, mut far) = pair();
        near.set_nonblocking(true).unwrap();
        let mut queue = FramedQueue::new(200_000);
        // 2,000 frames of 10 packets; the peer reads nothing until the end.
        for frame in 0..2000u32 {
            for part in 0..10u32 {
                let mut packet = vec![0u8; 1000];
                packet[..4].copy_from_slice(&frame.to_be_bytes());
                packet[4..8].copy_from_slice(&part.to_be_bytes());
                queue.push(&packet, frame * 3600, part == 9);
                assert!(queue.waiting() <= 420_000);
            }
            queue.flush(&mut near).unwrap();
        }
        assert!(queue.counters.dropped_frames > 0);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).unwrap();
            bytes
        });
        while !queue.flush(&mut near).unwrap() {
            std::thread::yield_now();
        }
        drop(near);
        let got = packets(&reader.join().unwrap());
        assert_eq!(got.len() as u64, queue.counters.packets);
        assert_eq!(got.len() as u64 + queue.counters.dropped_packets, 20_000);
        for frame in got.chunks(10) {
            assert!(
                frame.iter().all(|p| p[..4] == frame[0][..4]),
                "half a frame"
            );
            assert_eq!(frame[9][7], 9);
        }
    }

    #[test]
    fn a_timestamp_that_never_changes_is_bounded_too() {
        let mut queue = FramedQueue::new(100_000);
        for _ in 0..10_000 {
            queue.push(&[0; 1000], 0, false);
            assert!(queue.waiting() < 3_000_000);
        }
    }
}
