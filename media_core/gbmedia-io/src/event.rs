//! News for the control side: a bounded queue and an eventfd that is readable while news wait.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::Result;

/// What happened to a stream, a viewer or a relay. `name()` is the word the control side sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Connected,
    ConnectFailed,
    Disconnected,
    FirstPacket,
    SsrcMatched,
    SsrcAdopted,
    PsLocked,
    ParameterSets,
    KeyFrame,
    Video,
    Audio,
    Quirk,
    Silent,
    Resumed,
    ViewerFirstByte,
    ViewerLeft,
    RelayConnected,
    RelayFailed,
    UnknownSsrc,
    SenderConnected,
    SenderFailed,
}

impl EventKind {
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Connected => "connected",
            EventKind::ConnectFailed => "connect_failed",
            EventKind::Disconnected => "disconnected",
            EventKind::FirstPacket => "first_packet",
            EventKind::SsrcMatched => "ssrc_matched",
            EventKind::SsrcAdopted => "ssrc_adopted",
            EventKind::PsLocked => "ps_locked",
            EventKind::ParameterSets => "parameter_sets",
            EventKind::KeyFrame => "key_frame",
            EventKind::Video => "video",
            EventKind::Audio => "audio",
            EventKind::Quirk => "quirk",
            EventKind::Silent => "silent",
            EventKind::Resumed => "resumed",
            EventKind::ViewerFirstByte => "viewer_first_byte",
            EventKind::ViewerLeft => "viewer_left",
            EventKind::RelayConnected => "relay_connected",
            EventKind::RelayFailed => "relay_failed",
            EventKind::UnknownSsrc => "unknown_ssrc",
            EventKind::SenderConnected => "sender_connected",
            EventKind::SenderFailed => "sender_failed",
        }
    }
}

/// What may be forgotten first when nobody takes the news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// Tells how a stream came along; its counters tell the same.
    Passing,
    /// Whoever acts on it acts wrongly without it; the network can make it come again and again.
    Turning,
    /// The end of something that the control side has asked for: somebody waits for it, and there
    /// are no more of them than were asked for.
    Last,
}

impl Weight {
    const COUNT: usize = 3;
}

impl EventKind {
    fn weight(self) -> Weight {
        match self {
            EventKind::ViewerLeft | EventKind::RelayFailed | EventKind::SenderFailed => {
                Weight::Last
            }
            EventKind::Connected
            | EventKind::ConnectFailed
            | EventKind::Disconnected
            | EventKind::KeyFrame
            | EventKind::Silent
            | EventKind::Resumed => Weight::Turning,
            _ => Weight::Passing,
        }
    }
}

/// One piece of news.
#[derive(Clone, Debug)]
pub struct Event {
    pub stream: Arc<str>,
    pub kind: EventKind,
    /// Microseconds of [`crate::clock::now_micros`].
    pub at: u64,
    pub detail: String,
    /// Viewer or relay number; 0 when the news is about the stream itself.
    pub number: u64,
}

/// Shared by all workers of a node. When nobody takes the news, the oldest of the least weight are
/// dropped and counted; last words never are.
pub struct EventQueue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    ready: EventFd,
    dropped: AtomicU64,
}

/// A line for each weight; the numbers put them back in order.
#[derive(Default)]
struct Waiting {
    lines: [VecDeque<(u64, Event)>; Weight::COUNT],
    pushed: u64,
}

impl Waiting {
    fn len(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    fn push(&mut self, event: Event) {
        self.pushed += 1;
        self.lines[event.kind.weight() as usize].push_back((self.pushed, event));
    }

    /// Whether there was anything that may be forgotten.
    fn forget_one(&mut self) -> bool {
        let [passing, turning, _] = &mut self.lines;
        passing
            .pop_front()
            .or_else(|| turning.pop_front())
            .is_some()
    }

    fn pop(&mut self) -> Option<Event> {
        let oldest = self
            .lines
            .iter_mut()
            .filter(|line| !line.is_empty())
            .min_by_key(|line| line[0].0)?;
        oldest.pop_front().map(|(_, event)| event)
    }
}

impl EventQueue {
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self {
            waiting: Mutex::new(Waiting::default()),
            capacity,
            ready: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            dropped: AtomicU64::new(0),
        })
    }

    pub fn push(&self, event: Event) {
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        waiting.push(event);
        if waiting.len() > self.capacity && waiting.forget_one() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if waiting.len() == 1 {
            // A full counter (EAGAIN) is readable all the same.
            let _ = self.ready.write(1);
        }
    }

    /// The oldest `limit` pieces of news; the descriptor stays readable while more wait.
    pub fn take(&self, limit: usize) -> Vec<Event> {
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        let taken = std::iter::from_fn(|| waiting.pop()).take(limit).collect();
        let _ = self.ready.read();
        if waiting.len() > 0 {
            let _ = self.ready.write(1);
        }
        taken
    }

    pub fn descriptor(&self) -> RawFd {
        use std::os::fd::AsFd;
        self.ready.as_fd().as_raw_fd()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> Event {
        of(EventKind::Connected, number)
    }

    fn of(kind: EventKind, number: u64) -> Event {
        Event {
            stream: "s".into(),
            kind,
            at: 0,
            detail: String::new(),
            number,
        }
    }

    fn numbers(queue: &EventQueue) -> Vec<u64> {
        queue.take(100).iter().map(|e| e.number).collect()
    }

    #[test]
    fn drops_the_oldest_when_nobody_listens() {
        let queue = EventQueue::new(2).unwrap();
        for number in 1..=3 {
            queue.push(event(number));
        }
        assert_eq!(numbers(&queue), [2, 3]);
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn a_flood_never_drops_the_word_that_a_viewer_has_left() {
        let queue = EventQueue::new(3).unwrap();
        queue.push(of(EventKind::ViewerLeft, 1));
        queue.push(of(EventKind::Disconnected, 2));
        for number in 3..=50 {
            queue.push(of(EventKind::Quirk, number));
        }
        assert_eq!(numbers(&queue), [1, 2, 50]);
        assert_eq!(queue.dropped(), 47);
    }

    #[test]
    fn a_flapping_connection_is_bounded_and_last_words_outlive_it() {
        let queue = EventQueue::new(3).unwrap();
        for number in 1..=4 {
            queue.push(of(EventKind::ViewerLeft, number));
        }
        for number in 5..=50 {
            queue.push(of(EventKind::Disconnected, number));
        }
        queue.push(of(EventKind::RelayFailed, 51));
        assert_eq!(numbers(&queue), [1, 2, 3, 4, 51]);
        assert_eq!(queue.dropped(), 46);
        assert!(queue.ready.read().is_err());
    }

    #[test]
    fn news_of_every_weight_come_in_the_order_they_happened() {
        let queue = EventQueue::new(8).unwrap();
        let kinds = [
            EventKind::Quirk,
            EventKind::ViewerLeft,
            EventKind::Connected,
            EventKind::Quirk,
            EventKind::Disconnected,
        ];
        for (number, kind) in (1..).zip(kinds) {
            queue.push(of(kind, number));
        }
        assert_eq!(numbers(&queue), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn stays_readable_while_news_wait() {
        let queue = EventQueue::new(8).unwrap();
        queue.push(event(1));
        queue.push(event(2));
        assert_eq!(queue.take(1).len(), 1);
        assert!(queue.ready.read().is_ok());
        assert_eq!(queue.take(1).len(), 1);
        assert!(queue.ready.read().is_err());
    }
}
