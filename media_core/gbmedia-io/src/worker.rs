//! One thread: an epoll loop that owns its streams. Nobody else touches them, so there is no lock
//! on the way of a packet; the control side sends closures, which run between two turns.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::Arc;

use nix::poll::{ppoll, PollFd, PollFlags};
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::time::{TimeSpec, TimeValLike};

use crate::buffers::Buffers;
use crate::clock::now_micros;
use crate::context::{Context, Shared, Token};
use crate::counters::NodeStats;
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::routes::SharedId;
use crate::senders::Senders;
use crate::settings::{ReceiverSettings, RelaySettings, Transport};
use crate::shared_door::SharedDoor;
use crate::shared_port::SharedPort;
use crate::stream::Stream;
use crate::viewer::ViewerSettings;

/// Microseconds between two looks at timers: overdue packets, reports, retries, silence.
const TICK: u64 = 50_000;
const EVENTS_PER_TURN: usize = 512;

/// Work that the control side wants done on the worker's thread.
pub type Command = Box<dyn FnOnce(&mut Worker) + Send>;

pub struct Worker {
    pub cx: Context,
    wake: Arc<EventFd>,
    commands: Receiver<Command>,
    pub streams: HashMap<u32, Stream>,
    names: HashMap<Arc<str>, u32>,
    ports: HashMap<u32, SharedPort>,
    doors: HashMap<u32, SharedDoor>,
    pub senders: Senders,
    buffers: Buffers,
    next_id: u32,
    next_tick: u64,
    closing: bool,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        wake: Arc<EventFd>,
        commands: Receiver<Command>,
    ) -> Result<Self> {
        let cx = Context::new(shared)?;
        cx.watch_reading(wake.as_fd(), Token::Wake)?;
        Ok(Self {
            cx,
            wake,
            commands,
            streams: HashMap::new(),
            names: HashMap::new(),
            ports: HashMap::new(),
            doors: HashMap::new(),
            senders: Senders::default(),
            buffers: Buffers::default(),
            next_id: 1,
            next_tick: 0,
            closing: false,
        })
    }

    /// Runs until [`Worker::close`] was called.
    pub fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS_PER_TURN];
        while !self.closing {
            let timeout = self.timeout(now_micros());
            // EINTR and the like: look again.
            let count = self.cx.epoll.wait(&mut events, timeout).unwrap_or(0);
            let now = now_micros();
            for event in &events[..count] {
                self.dispatch(Token::unpack(event.data()), event.events(), now);
            }
            self.run_commands();
            self.senders.send_due(&self.cx, now_micros());
            if now >= self.next_tick {
                self.next_tick = now + TICK;
                self.tick(now);
            }
            self.cx.shared.turns.fetch_add(1, Ordering::Relaxed);
            if count > 0 {
                self.coalesce(now);
            }
        }
    }

    fn timeout(&self, now: u64) -> EpollTimeout {
        if self.streams.is_empty() && self.senders.is_empty() {
            return EpollTimeout::NONE;
        }
        let next = self
            .senders
            .next_due()
            .map_or(self.next_tick, |due| due.min(self.next_tick));
        let micros = next.saturating_sub(now);
        EpollTimeout::try_from(micros.div_ceil(1000)).unwrap_or(EpollTimeout::ZERO)
    }

    /// Wait until a turn has lasted `coalesce` microseconds, or a command comes: the packets of one
    /// frame follow each other within that time and are then taken by one call instead of many.
    fn coalesce(&self, began: u64) {
        let used = now_micros().saturating_sub(began);
        let Some(rest) = self.cx.settings().coalesce.checked_sub(used) else {
            return;
        };
        let mut wake = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        let _ = ppoll(&mut wake, Some(TimeSpec::microseconds(rest as i64)), None);
    }

    fn run_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            // Whoever waits for the answer learns of the fault by not getting one.
            let _ = catch_unwind(AssertUnwindSafe(|| command(self)));
        }
    }

    /// A fault in the handling of one stream ends that stream, not the thousand others.
    fn dispatch(&mut self, token: Token, flags: EpollFlags, now: u64) {
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle(token, flags, now)));
        if handled.is_err() {
            if let Some(id) = token.stream() {
                self.abandon(id, now);
            }
        }
    }

    fn abandon(&mut self, id: u32, now: u64) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        let name = Arc::clone(&stream.name);
        self.names.remove(&name);
        // Its state may be broken, but whoever waits for a viewer to leave must hear of it.
        let _ = catch_unwind(AssertUnwindSafe(|| stream.close(&self.cx, now)));
        self.leave_shared_port(id);
        let detail = "internal fault; the stream was closed";
        self.cx.tell(&name, EventKind::Disconnected, now, detail);
    }

    fn handle(&mut self, token: Token, flags: EpollFlags, now: u64) {
        let Self {
            streams,
            ports,
            doors,
            buffers,
            cx,
            senders,
            wake,
            ..
        } = self;
        let readable = flags.intersects(
            EpollFlags::EPOLLIN
                | EpollFlags::EPOLLRDHUP
                | EpollFlags::EPOLLHUP
                | EpollFlags::EPOLLERR,
        );
        let writable = flags.contains(EpollFlags::EPOLLOUT);
        match token {
            Token::Wake => {
                let _ = wake.read();
            }
            Token::SharedRtp(id) => {
                if let Some(port) = ports.get_mut(&id) {
                    port.read(streams, buffers, cx, now);
                }
            }
            Token::SharedRtcp(id) => {
                if let Some(port) = ports.get_mut(&id) {
                    port.read_rtcp(streams, buffers, now);
                }
            }
            Token::SharedDoor(id) => {
                if let Some(door) = doors.get_mut(&id) {
                    door.accept(cx, now);
                }
            }
            Token::Unbound(id, number) => {
                if let Some(door) = doors.get_mut(&id) {
                    door.read(number, streams, buffers, cx, now);
                }
            }
            Token::Sender(id) => senders.ready(id, readable, cx, now),
            Token::Rtp(id)
            | Token::Rtcp(id)
            | Token::Door(id)
            | Token::Connection(id)
            | Token::Relay(id, _)
            | Token::Viewer(id, _) => {
                let Some(stream) = streams.get_mut(&id) else {
                    return;
                };
                match token {
                    Token::Rtp(_) => stream.read_udp(buffers, cx, now),
                    Token::Rtcp(_) => stream.read_rtcp(buffers, now),
                    Token::Door(_) => stream.door_ready(cx, now),
                    Token::Connection(_) => stream.read_tcp(buffers, cx, now),
                    Token::Relay(_, number) => {
                        stream.relay_ready(number, readable, writable, cx, now);
                    }
                    Token::Viewer(_, number) => {
                        stream.viewer_ready(number, readable, writable, cx, now);
                    }
                    _ => {}
                }
            }
        }
    }

    fn tick(&mut self, now: u64) {
        self.senders.tick(&self.cx, now);
        let mut broken = Vec::new();
        for stream in self.streams.values_mut() {
            let ticked = catch_unwind(AssertUnwindSafe(|| stream.tick(&self.cx, now)));
            let Ok(Some((report, to))) = ticked else {
                if ticked.is_err() {
                    broken.push(stream.id);
                }
                continue;
            };
            let port = stream.shared.and_then(|shared| self.ports.get(&shared.id));
            if let Some(port) = port {
                port.send_report(&report, to);
            }
        }
        for door in self.doors.values_mut() {
            door.tick(&self.cx, now);
        }
        for id in broken {
            self.abandon(id, now);
        }
    }

    // ------------------------------------------------------------------ commands

    pub fn stream(&mut self, name: &str) -> Result<&mut Stream> {
        let id = self.names.get(name);
        id.and_then(|id| self.streams.get_mut(id))
            .ok_or_else(|| Error::Unknown(format!("stream {name}")))
    }

    /// The port that the stream receives on.
    pub fn open_stream(&mut self, settings: ReceiverSettings) -> Result<u16> {
        if self.names.contains_key(settings.stream.as_str()) {
            return Err(Error::Exists(format!("stream {}", settings.stream)));
        }
        let id = self.next_id;
        self.next_id += 1;
        let now = now_micros();
        let shared = match (settings.single_port, settings.transport) {
            (false, _) => None,
            (true, Transport::TcpActive) => {
                let why = "single-port mode is for udp and tcp-passive";
                return Err(Error::Invalid(why.into()));
            }
            (true, _) => Some(self.join(&settings, id)?),
        };
        match Stream::open(id, settings, shared, &self.cx, now) {
            Ok(stream) => {
                let port = stream.port();
                self.names.insert(Arc::clone(&stream.name), id);
                self.streams.insert(id, stream);
                self.next_tick = self.next_tick.min(now + TICK);
                self.claim(id, now);
                Ok(port)
            }
            Err(error) => {
                self.leave_shared_port(id);
                Err(error)
            }
        }
    }

    /// Find or open the shared port, and put the stream into its table.
    fn join(&mut self, settings: &ReceiverSettings, stream: u32) -> Result<SharedId> {
        let ssrc = settings
            .ssrc
            .ok_or_else(|| Error::Invalid("single-port mode needs the expected SSRC".into()))?;
        let (host, port) = (settings.host, settings.port);
        let over_udp = settings.transport == Transport::Udp;
        let mut ports = self.ports.values_mut().map(|port| &mut port.routes);
        let mut doors = self.doors.values_mut().map(|door| &mut door.routes);
        let open = match over_udp {
            true => ports.find(|routes| routes.is_at(host, port)),
            false => doors.find(|routes| routes.is_at(host, port)),
        };
        if let Some(routes) = open {
            routes.add(ssrc, stream)?;
            return Ok(routes.shared);
        }
        let routes = if over_udp {
            let opened = SharedPort::open(stream, host, port, &self.cx)?;
            &mut self.ports.entry(stream).or_insert(opened).routes
        } else {
            let opened = SharedDoor::open(stream, host, port, &self.cx)?;
            &mut self.doors.entry(stream).or_insert(opened).routes
        };
        routes.add(ssrc, stream)?;
        Ok(routes.shared)
    }

    fn leave_shared_port(&mut self, stream: u32) {
        let Self {
            ports, doors, cx, ..
        } = self;
        ports.retain(|_, port| {
            port.routes.remove(stream);
            !port.routes.is_empty()
        });
        doors.retain(|_, door| {
            door.routes.remove(stream);
            if door.routes.is_empty() {
                door.close(cx);
            }
            !door.routes.is_empty()
        });
    }

    pub fn expect(&mut self, name: &str, ssrc: Option<u32>) -> Result<()> {
        let now = now_micros();
        let stream = self.stream(name)?;
        let (id, shared) = (stream.id, stream.shared);
        if let (Some(shared), Some(ssrc)) = (shared, ssrc) {
            if let Some(port) = self.ports.get_mut(&shared.id) {
                port.routes.add(ssrc, id)?;
            } else if let Some(door) = self.doors.get_mut(&shared.id) {
                door.routes.add(ssrc, id)?;
            }
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.expect(ssrc, &self.cx, now);
        }
        self.claim(id, now);
        Ok(())
    }

    /// A device may have connected to the shared port before its SSRC was expected.
    fn claim(&mut self, id: u32, now: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let door = stream
            .shared
            .and_then(|shared| self.doors.get_mut(&shared.id));
        if let Some(door) = door {
            door.claim(stream, &mut self.buffers, &self.cx, now);
        }
    }

    pub fn connect(&mut self, name: &str, remote: SocketAddr) -> Result<()> {
        let id = self.stream(name)?.id;
        let now = now_micros();
        match self.streams.get_mut(&id) {
            Some(stream) => stream.connect(remote, &self.cx, now),
            None => Ok(()),
        }
    }

    pub fn open_relay(
        &mut self,
        name: &str,
        number: u64,
        settings: RelaySettings,
        random: u64,
    ) -> Result<u16> {
        let id = self.stream(name)?.id;
        let now = now_micros();
        match self.streams.get_mut(&id) {
            Some(stream) => stream.open_relay(number, settings, random, &self.cx, now),
            None => Err(Error::Unknown(format!("stream {name}"))),
        }
    }

    pub fn add_viewer(
        &mut self,
        name: &str,
        number: u64,
        descriptor: OwnedFd,
        settings: ViewerSettings,
    ) -> Result<()> {
        let id = self.stream(name)?.id;
        let now = now_micros();
        match self.streams.get_mut(&id) {
            Some(stream) => stream.add_viewer(number, descriptor, settings, &self.cx, now),
            None => Err(Error::Unknown(format!("stream {name}"))),
        }
    }

    /// False: the viewer has left already.
    pub fn remove_viewer(&mut self, name: &str, number: u64) -> bool {
        let now = now_micros();
        let stream = self.names.get(name).and_then(|id| self.streams.get_mut(id));
        stream.is_some_and(|stream| stream.remove_viewer(number, &self.cx, now))
    }

    pub fn counts(&self) -> NodeStats {
        NodeStats {
            streams: self.streams.len(),
            viewers: self
                .streams
                .values()
                .map(|stream| stream.media.viewer_count())
                .sum(),
            relays: self.streams.values().map(Stream::relay_count).sum(),
            senders: self.senders.len(),
            ..NodeStats::default()
        }
    }

    /// Closes sockets, relays and viewers. False: there was no such stream.
    pub fn close_stream(&mut self, name: &str) -> bool {
        let Some(id) = self.names.remove(name) else {
            return false;
        };
        if let Some(mut stream) = self.streams.remove(&id) {
            stream.close(&self.cx, now_micros());
        }
        self.leave_shared_port(id);
        true
    }

    pub fn close(&mut self) {
        let names: Vec<Arc<str>> = self.names.keys().cloned().collect();
        for name in names {
            self.close_stream(&name);
        }
        self.senders = Senders::default();
        self.closing = true;
    }
}
