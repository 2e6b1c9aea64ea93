//! One stream: where its packets come from, whose they are, and who gets them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use gbmedia::ingest::PortUse;
use socket2::Socket;

use crate::buffers::Buffers;
use crate::context::{Context, Token, NUMBER_MASK};
use crate::counters::{ReceiverCounters, ReceiverStats};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::media::Media;
use crate::packet::{classify, Kind, Packet};
use crate::relay::{Relay, RelayStats, Step};
use crate::routes::SharedId;
use crate::settings::{ReceiverSettings, RelaySettings, Transport};
use crate::source::{SourceGuard, Verdict};
use crate::sys::{kernel_drops, Message, BATCH};
use crate::tcp_in::{Change, TcpIn};
use crate::udp;
use crate::unbound::Unbound;
use crate::viewer::ViewerSettings;

/// Batches of one socket per turn, so that one stream cannot starve the others.
const BATCHES_PER_TURN: usize = 8;

pub enum Ingress {
    Udp {
        rtp: Socket,
        rtcp: Socket,
    },
    /// One of many on a port that the worker owns.
    Shared,
    Tcp(Box<TcpIn>),
}

/// Is media flowing? (GB/T 28181-2022 9.2: a lost stream must be noticed.)
#[derive(Debug, Default)]
struct Activity {
    first_seen: bool,
    /// Last packet, or since when packets are waited for; microseconds.
    since: u64,
    silent: bool,
    paused: bool,
}

pub struct Stream {
    pub id: u32,
    pub name: Arc<str>,
    settings: ReceiverSettings,
    /// The port of single-port mode.
    pub shared: Option<SharedId>,
    pub ingress: Ingress,
    guard: SourceGuard,
    pub media: Media,
    relays: Vec<Relay>,
    pub counters: ReceiverCounters,
    activity: Activity,
}

impl Stream {
    /// Open the sockets and watch them. `shared`: the port of single-port mode, opened already.
    pub fn open(
        id: u32,
        settings: ReceiverSettings,
        shared: Option<SharedId>,
        cx: &Context,
        now: u64,
    ) -> Result<Self> {
        let local = SocketAddr::new(settings.host, settings.port);
        let ingress = match (settings.transport, shared) {
            (Transport::Udp, Some(_)) => Ingress::Shared,
            (_, Some(SharedId { port, .. })) => {
                let local = SocketAddr::new(settings.host, port);
                Ingress::Tcp(Box::new(TcpIn::behind(local)))
            }
            (Transport::Udp, None) => {
                let (rtp, rtcp) = udp::open_pair(settings.host, settings.port)?;
                cx.watch_reading(&rtp, Token::Rtp(id))?;
                cx.watch_reading(&rtcp, Token::Rtcp(id))?;
                Ingress::Udp { rtp, rtcp }
            }
            (Transport::TcpPassive, None) => Ingress::Tcp(Box::new(TcpIn::passive(local)?)),
            (Transport::TcpActive, None) => Ingress::Tcp(Box::new(TcpIn::active(local)?)),
        };
        if let Ingress::Tcp(tcp) = &ingress {
            if let Some(door) = tcp.door() {
                cx.watch_reading(door, Token::Door(id))?;
            }
        }
        let port_use = shared.map_or(PortUse::Dedicated, |_| PortUse::Shared);
        Ok(Self {
            id,
            name: settings.stream.as_str().into(),
            guard: SourceGuard::new(settings.ssrc, settings.source, port_use),
            media: Media::new(id, &settings, cx.settings()),
            settings,
            shared,
            ingress,
            relays: Vec::new(),
            counters: ReceiverCounters::default(),
            activity: Activity {
                since: now,
                ..Activity::default()
            },
        })
    }

    pub fn port(&self) -> u16 {
        match &self.ingress {
            Ingress::Udp { rtp, .. } => udp::local_address(rtp).map_or(0, |local| local.port()),
            Ingress::Shared => self.shared.map_or(0, |shared| shared.port),
            Ingress::Tcp(tcp) => tcp.port(),
        }
    }

    /// The answer names another SSRC, or the host that will send: changed in place, the socket stays
    /// (a device aborts when its listener is closed and opened again).
    pub fn expect(&mut self, ssrc: Option<u32>, cx: &Context, now: u64) {
        self.media.expect(ssrc);
        if self.guard.expect(ssrc) {
            let detail = ssrc.map_or_else(String::new, |ssrc| format!("{ssrc:010}"));
            cx.tell(&self.name, EventKind::SsrcMatched, now, detail);
        }
    }

    /// Shared port: the host we wait for sends under another SSRC than agreed.
    pub fn adopt(&mut self, ssrc: u32) {
        let expected = self.guard.expected();
        self.guard = SourceGuard::new(expected, self.guard.host(), PortUse::Dedicated);
        self.media.expect(Some(ssrc));
    }

    pub fn set_paused(&mut self, paused: bool, now: u64) {
        self.activity.paused = paused;
        self.activity.since = now;
    }

    // ------------------------------------------------------------------ packets in

    /// Take what waits on our own RTP port.
    pub fn read_udp(&mut self, buffers: &mut Buffers, cx: &Context, now: u64) {
        for _ in 0..BATCHES_PER_TURN {
            let Ingress::Udp { rtp, .. } = &self.ingress else {
                return;
            };
            let received = buffers.batch.receive(rtp, &mut buffers.messages);
            self.counters.reads += 1;
            if received.is_err() {
                return;
            }
            buffers.packets.clear();
            for message in &buffers.messages {
                self.sort(
                    message,
                    buffers.batch.bytes(),
                    &mut buffers.packets,
                    cx,
                    now,
                );
            }
            self.deliver(buffers.batch.bytes_mut(), &buffers.packets, cx, now);
            if buffers.messages.len() < BATCH {
                return;
            }
        }
    }

    /// The packets of one message that are ours.
    fn sort(
        &mut self,
        message: &Message,
        bytes: &[u8],
        packets: &mut Vec<Packet>,
        cx: &Context,
        now: u64,
    ) {
        let end = message.offset + message.len;
        for offset in (message.offset..end).step_by(message.segment) {
            let len = message.segment.min(end - offset);
            match classify(&bytes[offset..offset + len]) {
                Kind::Rtp(numbers, marker) => {
                    let packet = Packet {
                        offset,
                        len,
                        numbers,
                        marker,
                    };
                    if self.admit(&packet, message.from, cx, now) {
                        packets.push(packet);
                    }
                }
                Kind::Rtcp => self.take_rtcp(&bytes[offset..offset + len], message.from, now),
                Kind::Other => self.counters.noise += 1,
            }
        }
    }

    /// Judge one packet by SSRC and source; count it when it is not ours.
    pub fn admit(&mut self, packet: &Packet, from: SocketAddr, cx: &Context, now: u64) -> bool {
        match self.guard.judge(packet.numbers.ssrc, from, now) {
            Verdict::Accept => {}
            Verdict::AcceptNew { matched } => {
                self.tell_source(packet.numbers.ssrc, matched, from, cx, now);
            }
            Verdict::WrongSource => {
                self.counters.wrong_source += 1;
                return false;
            }
            Verdict::WrongSsrc => {
                self.counters.wrong_ssrc += 1;
                return false;
            }
        }
        if self.activity.silent {
            self.activity.silent = false;
            cx.tell(&self.name, EventKind::Resumed, now, "");
        }
        self.activity.since = now;
        true
    }

    #[cold]
    fn tell_source(&mut self, ssrc: u32, matched: bool, from: SocketAddr, cx: &Context, now: u64) {
        if !self.activity.first_seen {
            self.activity.first_seen = true;
            cx.tell(&self.name, EventKind::FirstPacket, now, from.to_string());
        }
        if matched {
            cx.tell(
                &self.name,
                EventKind::SsrcMatched,
                now,
                format!("{ssrc:010}"),
            );
        } else {
            let detail = match self.guard.expected() {
                Some(expected) => format!("{ssrc:010} (expected {expected:010})"),
                None => format!("{ssrc:010}"),
            };
            cx.tell(&self.name, EventKind::SsrcAdopted, now, detail);
        }
    }

    pub fn take_rtcp(&mut self, bytes: &[u8], from: SocketAddr, now: u64) {
        let known = self
            .guard
            .source()
            .is_some_and(|source| source.ip() == from.ip());
        if known {
            self.media.receive_rtcp(bytes, now);
        } else {
            self.counters.wrong_source += 1;
        }
    }

    pub fn read_rtcp(&mut self, buffers: &mut Buffers, now: u64) {
        let Ingress::Udp { rtcp, .. } = &self.ingress else {
            return;
        };
        if buffers.batch.receive(rtcp, &mut buffers.messages).is_err() {
            return;
        }
        for message in &buffers.messages {
            let bytes = &buffers.batch.bytes()[message.offset..message.offset + message.len];
            for packet in bytes.chunks(message.segment) {
                self.take_rtcp(packet, message.from, now);
            }
        }
    }

    /// The listener or the running connect is ready.
    pub fn door_ready(&mut self, cx: &Context, now: u64) {
        let host = self.guard.host();
        if let Ingress::Tcp(tcp) = &mut self.ingress {
            let change = tcp.door_ready(host, now);
            self.apply(change, cx, now);
        }
    }

    pub fn connect(&mut self, remote: SocketAddr, cx: &Context, now: u64) -> Result<()> {
        let Ingress::Tcp(tcp) = &mut self.ingress else {
            return Err(Error::Invalid("the receiver is not TCP-active".into()));
        };
        let change = tcp.connect(remote, now)?;
        self.apply(change, cx, now);
        Ok(())
    }

    fn apply(&mut self, change: Change, cx: &Context, now: u64) {
        let Ingress::Tcp(tcp) = &self.ingress else {
            return;
        };
        let watched = match &change {
            Change::WatchDoor => tcp
                .door()
                .map(|door| cx.watch_changes(door, Token::Door(self.id))),
            Change::Connected(_) => tcp
                .connection()
                .map(|socket| cx.watch_reading(socket, Token::Connection(self.id))),
            _ => None,
        };
        if let Some(Err(error)) = watched {
            cx.tell(&self.name, EventKind::ConnectFailed, now, error.to_string());
        }
        match change {
            Change::Nothing | Change::WatchDoor => {}
            Change::Connected(peer) => {
                self.guard.unbind();
                self.activity.since = now;
                self.counters.connections += 1;
                cx.tell(&self.name, EventKind::Connected, now, peer.to_string());
            }
            Change::Refused(_) => self.counters.wrong_source += 1,
            Change::ConnectFailed(why) => cx.tell(&self.name, EventKind::ConnectFailed, now, why),
            Change::Disconnected(why) => cx.tell(&self.name, EventKind::Disconnected, now, why),
        }
    }

    pub fn read_tcp(&mut self, buffers: &mut Buffers, cx: &Context, now: u64) {
        let Ingress::Tcp(tcp) = &mut self.ingress else {
            return;
        };
        let Some(peer) = tcp.peer() else {
            return;
        };
        buffers.framed.clear();
        buffers.ends.clear();
        let change = tcp.read(&mut buffers.scratch, &mut buffers.framed, &mut buffers.ends);
        self.counters.reads = tcp.reads;
        self.deliver_framed(peer, buffers, cx, now);
        self.apply(change, cx, now);
    }

    /// A connection to the shared port, whose first packet says that it is ours. False: refused.
    pub fn take_over(
        &mut self,
        arrived: Unbound,
        buffers: &mut Buffers,
        cx: &Context,
        now: u64,
    ) -> bool {
        let Ingress::Tcp(tcp) = &mut self.ingress else {
            return false;
        };
        buffers.framed.clear();
        buffers.ends.clear();
        let peer = arrived.connection.peer;
        let connection = arrived.open(&mut buffers.framed, &mut buffers.ends);
        let change = tcp.take_over(connection, self.guard.host());
        let taken = matches!(change, Change::Connected(_));
        self.apply(change, cx, now);
        if taken {
            self.deliver_framed(peer, buffers, cx, now);
        }
        taken
    }

    /// Whole packets of our connection, from `buffers.framed`.
    fn deliver_framed(&mut self, peer: SocketAddr, buffers: &mut Buffers, cx: &Context, now: u64) {
        let Ingress::Tcp(tcp) = &mut self.ingress else {
            return;
        };
        while let Some(quirk) = tcp.take_quirk() {
            self.media.note_quirk(quirk);
        }
        buffers.packets.clear();
        let mut offset = 0;
        for &end in &buffers.ends {
            let message = Message {
                offset,
                len: end - offset,
                segment: end - offset,
                from: peer,
            };
            self.sort(&message, &buffers.framed, &mut buffers.packets, cx, now);
            offset = end;
        }
        self.deliver(&mut buffers.framed, &buffers.packets, cx, now);
    }

    /// Give packets to the demuxer and then to the relays, which overwrite their headers.
    pub fn deliver(&mut self, buffer: &mut [u8], packets: &[Packet], cx: &Context, now: u64) {
        if packets.is_empty() {
            return;
        }
        for packet in packets {
            self.media.receive_rtp(packet.bytes(buffer), now);
        }
        for relay in &mut self.relays {
            let step = relay.forward(buffer, packets);
            tell_relay(self.id, &self.name, relay, step, cx, now);
        }
        self.media.publish(&self.name, cx, now);
    }

    // ------------------------------------------------------------------ time

    /// Overdue packets, retries, silence. Gives the receiver report that is due and its address.
    pub fn tick(&mut self, cx: &Context, now: u64) -> Option<(Vec<u8>, SocketAddr)> {
        self.media.tick(&self.name, cx, now);
        if let Ingress::Tcp(tcp) = &mut self.ingress {
            let change = tcp.tick(now);
            self.apply(change, cx, now);
        }
        for relay in &mut self.relays {
            let step = relay.tick(now);
            tell_relay(self.id, &self.name, relay, step, cx, now);
        }
        self.watch_silence(cx, now);
        let source = self.guard.source()?;
        if matches!(self.ingress, Ingress::Tcp(_)) {
            return None;
        }
        let report = self.media.rtcp_to_send(now)?;
        self.counters.reports_sent += 1;
        let to = udp::rtcp_address(source);
        if let Ingress::Udp { rtcp, .. } = &self.ingress {
            let _ = udp::send_to(rtcp, &report, to);
            return None;
        }
        Some((report, to))
    }

    fn watch_silence(&mut self, cx: &Context, now: u64) {
        let activity = &mut self.activity;
        let quiet = now.saturating_sub(activity.since);
        if activity.silent || activity.paused || quiet < cx.settings().silence {
            return;
        }
        activity.silent = true;
        let detail = format!("no RTP for {:.1} s", quiet as f64 / 1e6);
        cx.tell(&self.name, EventKind::Silent, now, detail);
    }

    // ------------------------------------------------------------------ relays

    pub fn open_relay(
        &mut self,
        number: u64,
        settings: RelaySettings,
        random: u64,
        cx: &Context,
        now: u64,
    ) -> Result<u16> {
        if self.relays.len() >= cx.settings().max_relays {
            return Err(Error::Limit(format!("relays of {}", self.name)));
        }
        let (relay, step) = Relay::open(number, settings, random, now)?;
        tell_relay(self.id, &self.name, &relay, step, cx, now);
        let port = relay.local_port();
        self.relays.push(relay);
        Ok(port)
    }

    fn relay(&self, number: u64) -> Result<&Relay> {
        self.relays
            .iter()
            .find(|relay| relay.number == number)
            .ok_or_else(|| Error::Unknown(format!("relay {number} of {}", self.name)))
    }

    pub fn relay_stats(&self, number: u64) -> Result<RelayStats> {
        Ok(self.relay(number)?.stats(&self.name))
    }

    pub fn close_relay(&mut self, number: u64) -> Result<RelayStats> {
        let stats = self.relay_stats(number)?;
        self.relays.retain(|relay| relay.number != number);
        Ok(stats)
    }

    pub fn relay_count(&self) -> usize {
        self.relays.len()
    }

    pub fn relay_ready(
        &mut self,
        token: u32,
        readable: bool,
        writable: bool,
        cx: &Context,
        now: u64,
    ) {
        let found = self
            .relays
            .iter_mut()
            .find(|relay| relay.number as u32 & NUMBER_MASK == token);
        if let Some(relay) = found {
            let step = relay.ready(readable, writable, now);
            tell_relay(self.id, &self.name, relay, step, cx, now);
        }
    }

    pub fn stats(&self) -> ReceiverStats {
        let (receive_buffer, kernel_drops) = match &self.ingress {
            Ingress::Udp { rtp, .. } => (udp::granted(rtp), kernel_drops(rtp)),
            _ => (0, 0),
        };
        let (gop_frames, gop_bytes) = self.media.gop();
        ReceiverStats {
            stream: self.name.to_string(),
            transport: self.settings.transport.name(),
            port: self.port(),
            source: self
                .guard
                .source()
                .map_or_else(String::new, |source| source.to_string()),
            expected_ssrc: self.guard.expected(),
            receive_buffer,
            demuxing: self.media.demuxing(),
            paused: self.activity.paused,
            silent: self.activity.silent,
            counters: ReceiverCounters {
                kernel_drops: u64::from(kernel_drops),
                ..self.counters
            },
            ingest: self.media.stats(),
            viewers: self.media.viewer_stats(),
            relays: self
                .relays
                .iter()
                .map(|relay| relay.stats(&self.name))
                .collect(),
            gop_frames,
            gop_bytes,
        }
    }

    // ------------------------------------------------------------------ viewers

    pub fn add_viewer(
        &mut self,
        number: u64,
        descriptor: OwnedFd,
        settings: ViewerSettings,
        cx: &Context,
        now: u64,
    ) -> Result<()> {
        self.media
            .add_viewer(number, descriptor, settings, &self.name, cx, now)
    }

    pub fn viewer_ready(
        &mut self,
        token: u32,
        readable: bool,
        writable: bool,
        cx: &Context,
        now: u64,
    ) {
        self.media
            .viewer_ready(token, readable, writable, &self.name, cx, now);
    }

    pub fn remove_viewer(&mut self, number: u64, cx: &Context, now: u64) -> bool {
        self.media.remove_viewer(number, &self.name, cx, now)
    }

    /// Viewers get what is queued as far as their sockets take it.
    pub fn close(&mut self, cx: &Context, now: u64) {
        self.media.close_viewers(&self.name, cx, now);
    }

    /// Shared port: may a connection that brings this SSRC take the place of ours?
    pub fn takes(&self, ssrc: u32) -> bool {
        self.guard.takes(ssrc)
    }

    /// The host that a shared port may adopt a foreign SSRC from.
    pub fn waiting_for(&self) -> Option<IpAddr> {
        match self.guard.source() {
            None => self.guard.host(),
            Some(_) => None,
        }
    }
}

fn tell_relay(id: u32, name: &Arc<str>, relay: &Relay, step: Step, cx: &Context, now: u64) {
    let number = relay.number;
    let mut watched = Ok(());
    if matches!(step, Step::Watch | Step::Connected(_)) {
        if let Some(descriptor) = relay.descriptor() {
            watched = cx.watch_changes(descriptor, Token::Relay(id, number as u32));
        }
    }
    if let Err(error) = watched {
        cx.tell_number(name, EventKind::RelayFailed, now, error.to_string(), number);
    }
    match step {
        Step::Nothing | Step::Watch => {}
        Step::Connected(peer) => {
            cx.tell_number(name, EventKind::RelayConnected, now, peer, number);
        }
        Step::Failed(why) => cx.tell_number(name, EventKind::RelayFailed, now, why, number),
    }
}
