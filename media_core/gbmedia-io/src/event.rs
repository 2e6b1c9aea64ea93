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

/// Shared by all workers of a node. When nobody takes the news, the oldest are dropped and counted.
pub struct EventQueue {
    waiting: Mutex<VecDeque<Event>>,
    capacity: usize,
    ready: EventFd,
    dropped: AtomicU64,
}

impl EventQueue {
    pub fn new(capacity: usize) -> Result<Self> {
        Ok(Self {
            waiting: Mutex::new(VecDeque::new()),
            capacity,
            ready: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            dropped: AtomicU64::new(0),
        })
    }

    pub fn push(&self, event: Event) {
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        if waiting.len() == self.capacity {
            waiting.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back(event);
        if waiting.len() == 1 {
            // A full counter (EAGAIN) is readable all the same.
            let _ = self.ready.write(1);
        }
    }

    /// The oldest `limit` pieces of news; the descriptor stays readable while more wait.
    pub fn take(&self, limit: usize) -> Vec<Event> {
        let mut waiting = self.waiting.lock().expect("no holder of this lock panics");
        let count = limit.min(waiting.len());
        let taken = waiting.drain(..count).collect();
        let _ = self.ready.read();
        if !waiting.is_empty() {
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
        Event {
            stream: "s".into(),
            kind: EventKind::Connected,
            at: 0,
            detail: String::new(),
            number,
        }
    }

    #[test]
    fn drops_the_oldest_when_nobody_listens() {
        let queue = EventQueue::new(2).unwrap();
        for number in 1..=3 {
            queue.push(event(number));
        }
        let numbers: Vec<u64> = queue.take(10).iter().map(|e| e.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert_eq!(queue.dropped(), 1);
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
