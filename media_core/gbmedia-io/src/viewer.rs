//! One viewer: a socket whose HTTP or WebSocket handshake was made by somebody else, and its outlet.

use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use gbmedia::frame::Frame;
use gbmedia::gop::GopCache;
use gbmedia::outlet::{Container, Outlet, OutletSettings, OutletState};
use gbmedia::ws::{ClientEvent, ClientFrames};
use socket2::Socket;

use crate::counters::ViewerStats;

/// Slices of one `writev`: a frame is up to three.
const MAX_SLICES: usize = 64;
/// What a viewer says is read in such pieces and mostly thrown away.
const READ_BYTES: usize = 4096;
const READS_PER_TURN: usize = 16;

/// How the control side wants a viewer to be served.
pub struct ViewerSettings {
    pub container: Container,
    pub websocket: bool,
    /// Sent before everything else: the HTTP response head.
    pub head: Bytes,
}

pub struct Viewer {
    pub number: u64,
    socket: Socket,
    outlet: Outlet,
    settings: ViewerSettings,
    client: ClientFrames,
    writable: bool,
    first_byte_told: bool,
}

/// What a step showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Stays,
    /// The first byte of media went out.
    FirstByte,
    /// Close it, for this reason.
    Leaves(&'static str),
}

impl Viewer {
    /// `descriptor` is an own duplicate of a connected, non-blocking stream socket.
    pub fn new(
        number: u64,
        descriptor: OwnedFd,
        settings: ViewerSettings,
        now: u64,
    ) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        socket.set_nonblocking(true)?;
        // Not TCP: a TLS proxy's pipe. Nagle is none of its business.
        let _ = socket.set_tcp_nodelay(true);
        let outlet_settings = OutletSettings::new(settings.container, settings.websocket);
        let mut outlet = Outlet::new(outlet_settings, now);
        outlet.queue_raw(settings.head.clone(), now);
        Ok(Self {
            number,
            socket,
            outlet,
            settings,
            client: ClientFrames::default(),
            writable: true,
            first_byte_told: false,
        })
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }

    pub fn join(&mut self, cache: &GopCache, now: u64) {
        self.outlet.join(cache, now);
    }

    #[inline]
    pub fn push(&mut self, frame: &Frame, now: u64) {
        self.outlet.push(frame, now);
    }

    /// Write what the socket takes.
    pub fn flush(&mut self, now: u64) -> Step {
        while self.writable && self.outlet.has_output() {
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(MAX_SLICES);
            self.outlet.slices(&mut slices, MAX_SLICES);
            let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
            let written = self
                .socket
                .send_vectored_with_flags(&slices, libc::MSG_NOSIGNAL);
            drop(slices);
            match written {
                Ok(count) => {
                    self.outlet.taken(count, now);
                    self.writable = count == wanted;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Step::Leaves(lost(&error)),
            }
        }
        match self.outlet.state() {
            OutletState::Dropped => Step::Leaves("too slow"),
            OutletState::Ended => Step::Leaves("stream closed"),
            _ => self.told(),
        }
    }

    fn told(&mut self) -> Step {
        let head = self.settings.head.len() as u64;
        if self.first_byte_told || self.outlet.stats().bytes_taken <= head {
            return Step::Stays;
        }
        self.first_byte_told = true;
        Step::FirstByte
    }

    pub fn ready(&mut self, readable: bool, writable: bool, now: u64) -> Step {
        if readable {
            if let Some(reason) = self.read(now) {
                return Step::Leaves(reason);
            }
        }
        self.writable |= writable;
        self.flush(now)
    }

    /// What the client says: a ping is answered, everything else is skipped. Some: it leaves.
    fn read(&mut self, now: u64) -> Option<&'static str> {
        let mut bytes = [0; READ_BYTES];
        for _ in 0..READS_PER_TURN {
            let count = match (&self.socket).read(&mut bytes) {
                Ok(0) => return Some("closed by the viewer"),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Some(lost(&error)),
            };
            if !self.settings.websocket {
                continue;
            }
            let mut rest = &bytes[..count];
            while let Some(event) = self.client.receive(&mut rest) {
                match event {
                    ClientEvent::Ping(payload) => self.outlet.queue_pong(&payload, now),
                    ClientEvent::Close => {
                        self.finish(now);
                        return Some("closed by the viewer");
                    }
                    ClientEvent::Malformed(_) => return Some("malformed WebSocket frame"),
                }
            }
        }
        // More than 64 KiB in one turn is no viewer: the rest would never be told again.
        Some("sends too much")
    }

    pub fn tick(&mut self, now: u64) -> Step {
        self.outlet.handle_timer(now);
        match self.outlet.state() {
            OutletState::Dropped => Step::Leaves("too slow"),
            _ => Step::Stays,
        }
    }

    /// The stream ends: say so as far as the socket takes it now.
    pub fn finish(&mut self, now: u64) {
        self.outlet.finish(now);
        let _ = self.flush(now);
    }

    /// No more bytes follow; the owner of the original descriptor closes it.
    pub fn shut(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    pub fn stats(&self) -> ViewerStats {
        let stats = self.outlet.stats();
        ViewerStats {
            number: self.number,
            container: container_name(self.settings.container),
            websocket: self.settings.websocket,
            bytes: stats.bytes_taken,
            frames: stats.frames_queued,
            skipped: stats.frames_skipped,
            waiting_bytes: self.outlet.queued_bytes() as u64,
        }
    }
}

fn lost(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => "closed by the viewer",
        _ => "connection lost",
    }
}

pub fn container_name(container: Container) -> &'static str {
    match container {
        Container::Flv => "flv",
        Container::Fmp4 => "fmp4",
    }
}

pub fn container_from_name(name: &str) -> Option<Container> {
    [Container::Flv, Container::Fmp4]
        .into_iter()
        .find(|container| container_name(*container) == name)
}
