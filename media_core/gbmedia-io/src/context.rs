//! What every part of a worker needs: the epoll instance, the settings, the way to tell news.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::error::Result;
use crate::event::{Event, EventKind, EventQueue};
use crate::settings::NodeSettings;

/// Shared by the workers and the control side of one node.
pub struct Shared {
    pub settings: NodeSettings,
    pub events: EventQueue,
    pub unknown_ssrc: AtomicU64,
    pub unbound_closed: AtomicU64,
    pub turns: AtomicU64,
    /// The last number given to a viewer or a relay.
    pub numbers: AtomicU64,
}

impl Shared {
    pub fn new(settings: NodeSettings) -> Result<Self> {
        Ok(Self {
            events: EventQueue::new(settings.event_queue)?,
            settings,
            unknown_ssrc: AtomicU64::new(0),
            unbound_closed: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
        })
    }
}

/// What a watched descriptor is, packed into the 64 bits that epoll gives back. Stream numbers are
/// never used twice, so that a late event of a closed stream finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Wake,
    Rtp(u32),
    Rtcp(u32),
    SharedRtp(u32),
    SharedRtcp(u32),
    SharedDoor(u32),
    /// A connection to a shared door that is no stream's yet.
    Unbound(u32, u32),
    Door(u32),
    Connection(u32),
    Relay(u32, u32),
    Viewer(u32, u32),
    Sender(u32),
}

const NUMBER_BITS: u32 = 28;
/// As much of a stream's, viewer's or relay's number as a token carries.
pub const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;

impl Token {
    pub fn pack(self) -> u64 {
        let (kind, stream, number) = match self {
            Token::Wake => (0, 0, 0),
            Token::Rtp(stream) => (1, stream, 0),
            Token::Rtcp(stream) => (2, stream, 0),
            Token::SharedRtp(port) => (3, port, 0),
            Token::SharedRtcp(port) => (4, port, 0),
            Token::Door(stream) => (5, stream, 0),
            Token::Connection(stream) => (6, stream, 0),
            Token::Relay(stream, number) => (7, stream, number),
            Token::Viewer(stream, number) => (8, stream, number),
            Token::Sender(sender) => (9, sender, 0),
            Token::SharedDoor(door) => (10, door, 0),
            Token::Unbound(door, number) => (11, door, number),
        };
        kind << (2 * NUMBER_BITS)
            | u64::from(stream & NUMBER_MASK) << NUMBER_BITS
            | u64::from(number & NUMBER_MASK)
    }

    /// The stream that it is about, when it is one of a stream's own descriptors.
    pub fn stream(self) -> Option<u32> {
        match self {
            Token::Rtp(stream)
            | Token::Rtcp(stream)
            | Token::Door(stream)
            | Token::Connection(stream)
            | Token::Relay(stream, _)
            | Token::Viewer(stream, _) => Some(stream),
            _ => None,
        }
    }

    pub fn unpack(packed: u64) -> Self {
        let stream = (packed >> NUMBER_BITS) as u32 & NUMBER_MASK;
        let number = packed as u32 & NUMBER_MASK;
        match packed >> (2 * NUMBER_BITS) {
            1 => Token::Rtp(stream),
            2 => Token::Rtcp(stream),
            3 => Token::SharedRtp(stream),
            4 => Token::SharedRtcp(stream),
            5 => Token::Door(stream),
            6 => Token::Connection(stream),
            7 => Token::Relay(stream, number),
            8 => Token::Viewer(stream, number),
            9 => Token::Sender(stream),
            10 => Token::SharedDoor(stream),
            11 => Token::Unbound(stream, number),
            _ => Token::Wake,
        }
    }
}

/// One worker's hands.
pub struct Context {
    pub shared: Arc<Shared>,
    pub epoll: Epoll,
}

impl Context {
    pub fn new(shared: Arc<Shared>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { shared, epoll })
    }

    pub fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }

    /// Watch for reading; told again and again while something waits.
    pub fn watch_reading(&self, descriptor: impl AsFd, token: Token) -> nix::Result<()> {
        self.watch(
            descriptor,
            EpollEvent::new(EpollFlags::EPOLLIN, token.pack()),
        )
    }

    /// Watch for everything, told once per change.
    pub fn watch_changes(&self, descriptor: impl AsFd, token: Token) -> nix::Result<()> {
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        self.watch(descriptor, EpollEvent::new(flags, token.pack()))
    }

    /// A socket that was connecting is watched already when it becomes the connection.
    fn watch(&self, descriptor: impl AsFd, mut event: EpollEvent) -> nix::Result<()> {
        match self.epoll.add(&descriptor, event) {
            Err(nix::errno::Errno::EEXIST) => self.epoll.modify(&descriptor, &mut event),
            result => result,
        }
    }

    pub fn tell(&self, stream: &Arc<str>, kind: EventKind, at: u64, detail: impl Into<String>) {
        self.tell_number(stream, kind, at, detail, 0);
    }

    pub fn tell_number(
        &self,
        stream: &Arc<str>,
        kind: EventKind,
        at: u64,
        detail: impl Into<String>,
        number: u64,
    ) {
        self.shared.events.push(Event {
            stream: Arc::clone(stream),
            kind,
            at,
            detail: detail.into(),
            number,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        let tokens = [
            Token::Wake,
            Token::Rtp(1),
            Token::Rtcp(2),
            Token::SharedRtp(3),
            Token::SharedRtcp(4),
            Token::Door(5),
            Token::Connection(6),
            Token::Relay(7, (1 << 28) - 1),
            Token::Viewer((1 << 28) - 1, 8),
            Token::Sender(9),
            Token::SharedDoor(10),
            Token::Unbound(11, 12),
        ];
        for token in tokens {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
