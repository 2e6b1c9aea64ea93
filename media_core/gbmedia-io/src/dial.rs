//! TCP connections we open: from a fixed local port, tried again when the peer is not ready yet.
//!
//! GB/T 28181-2022 annex D: the connecting side repeats a failed connect at least three times, at
//! least one second apart. As TCP-active receiver we come from the port that our SDP offered.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{bind_error, Result};

/// The first try and three repetitions.
pub const TRIES: u32 = 4;
/// Microseconds between the end of a try and the next one.
pub const TRY_AGAIN_AFTER: u64 = 1_000_000;
/// A try without an answer ends after this (the kernel alone would take two minutes).
pub const TRY_TIMEOUT: u64 = 5_000_000;

/// A bound TCP socket that holds a local port; it may listen or connect later.
pub fn reserve(local: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(local),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket
        .bind(&local.into())
        .map_err(|error| bind_error(local, error))?;
    Ok(socket)
}

/// A listening socket. A few connections may wait: the newest one wins anyway.
pub fn listen(local: SocketAddr) -> Result<Socket> {
    listen_for_many(local, 8)
}

/// A listening socket before which `backlog` connections may wait.
pub fn listen_for_many(local: SocketAddr, backlog: i32) -> Result<Socket> {
    let socket = reserve(local)?;
    socket
        .listen(backlog)
        .map_err(|error| bind_error(local, error))?;
    Ok(socket)
}

/// What became of a connection so far.
#[derive(Debug)]
pub enum Progress {
    /// Wait for the socket to become writable or for the next tick.
    Pending,
    /// A new socket was made: it must be watched for writability.
    Started,
    Connected(TcpStream),
    /// All tries are used up; the text is the last error.
    Failed(String),
}

/// One outgoing connection and its tries.
#[derive(Debug)]
pub struct Dialer {
    local: SocketAddr,
    remote: SocketAddr,
    socket: Option<Socket>,
    tries: u32,
    /// While a try runs its deadline, else when the next one begins; microseconds.
    at: u64,
}

impl Dialer {
    /// `reserved` is a socket bound to `local` already, used for the first try.
    pub fn start(
        local: SocketAddr,
        remote: SocketAddr,
        reserved: Option<Socket>,
        now: u64,
    ) -> (Self, Progress) {
        let mut dialer = Self {
            local,
            remote,
            socket: None,
            tries: 0,
            at: now,
        };
        let progress = dialer.attempt(reserved, now);
        (dialer, progress)
    }

    /// The socket of the running try, to be watched.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn attempt(&mut self, reserved: Option<Socket>, now: u64) -> Progress {
        self.tries += 1;
        let begun =
            reserved
                .map_or_else(|| reserve(self.local), Ok)
                .and_then(|socket| match socket.connect(&self.remote.into()) {
                    Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                        Err(error.into())
                    }
                    _ => Ok(socket),
                });
        match begun {
            Ok(socket) => {
                self.socket = Some(socket);
                self.at = now + TRY_TIMEOUT;
                Progress::Started
            }
            Err(error) => self.failed(error.to_string(), now),
        }
    }

    fn failed(&mut self, reason: String, now: u64) -> Progress {
        self.socket = None;
        if self.tries >= TRIES {
            return Progress::Failed(format!("{} ({} tries): {reason}", self.remote, self.tries));
        }
        self.at = now + TRY_AGAIN_AFTER;
        Progress::Pending
    }

    /// The socket is writable or in error.
    pub fn ready(&mut self, now: u64) -> Progress {
        let Some(socket) = &self.socket else {
            return Progress::Pending;
        };
        match socket.take_error() {
            Ok(Some(error)) | Err(error) => self.failed(error.to_string(), now),
            Ok(None) if socket.peer_addr().is_err() => Progress::Pending,
            Ok(None) => match self.socket.take() {
                Some(socket) => Progress::Connected(socket.into()),
                None => Progress::Pending,
            },
        }
    }

    /// Time has passed: end a try that hangs, begin the next one.
    pub fn tick(&mut self, now: u64) -> Progress {
        if now < self.at {
            return Progress::Pending;
        }
        if self.socket.is_some() {
            return self.failed("no answer to the connection request".into(), now);
        }
        self.attempt(None, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    fn free() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    fn settle(dialer: &mut Dialer, now: u64) -> Progress {
        for _ in 0..1000 {
            match dialer.ready(now) {
                Progress::Pending if dialer.descriptor().is_some() => std::thread::yield_now(),
                other => return other,
            }
        }
        panic!("the loopback connection neither opens nor fails");
    }

    #[test]
    fn comes_from_the_offered_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = free();
        let held = reserve(local).unwrap();
        let (mut dialer, progress) =
            Dialer::start(local, listener.local_addr().unwrap(), Some(held), 0);
        assert!(matches!(progress, Progress::Started));
        let Progress::Connected(stream) = settle(&mut dialer, 0) else {
            panic!("not connected");
        };
        assert_eq!(stream.local_addr().unwrap(), local);
        assert!(stream.as_raw_fd() >= 0);
        assert_eq!(listener.accept().unwrap().1, local);
    }

    #[test]
    fn tries_four_times_a_second_apart() {
        let (mut dialer, mut progress) = Dialer::start(free(), free(), None, 0);
        let mut now = 0;
        let mut starts = 0;
        loop {
            match progress {
                Progress::Started => {
                    starts += 1;
                    progress = settle(&mut dialer, now);
                }
                Progress::Pending => {
                    assert!(matches!(
                        dialer.tick(now + TRY_AGAIN_AFTER - 1),
                        Progress::Pending
                    ));
                    now += TRY_AGAIN_AFTER;
                    progress = dialer.tick(now);
                }
                Progress::Failed(reason) => {
                    assert!(reason.contains("4 tries"), "{reason}");
                    break;
                }
                Progress::Connected(_) => panic!("nobody listens there"),
            }
        }
        assert_eq!((starts, now), (4, 3 * TRY_AGAIN_AFTER));
    }
}
