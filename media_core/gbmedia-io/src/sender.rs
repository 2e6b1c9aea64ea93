//! A simulated device's media: a clip sent in real time over UDP or TCP, with faults on demand.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use gbmedia::clip::Clip;
use gbmedia::packetize::Framing;
use gbmedia::playout::{Playout, PlayoutSettings, Run};
use socket2::Socket;

use crate::continuity::Numbers;
use crate::dial::{self, Dialer, Progress};
use crate::error::{bind_error, Result};
use crate::packet::Packet;
use crate::settings::{SenderSettings, Transport};
use crate::udp;

/// Bytes that may wait for a slow TCP peer; more are dropped, packets stay whole.
const MAX_WAITING: usize = 1 << 20;

/// Counters of one sender; they never go back.
#[derive(Clone, Debug, Default)]
pub struct SenderStats {
    pub name: String,
    pub local_port: u16,
    pub connected: bool,
    pub frames: u64,
    pub packets: u64,
    pub bytes: u64,
    /// Packets left out: on purpose, because nobody is connected, or by a slow or lost peer.
    pub dropped: u64,
    /// Times the sender was held up for more than a second.
    pub stalls: u64,
}

enum Path {
    Udp { socket: Socket, sender: udp::Sender },
    Listening(Socket),
    Dialing(Dialer),
    Connected { stream: TcpStream, waiting: Vec<u8> },
    Ended,
}

/// What the worker must do after a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Watch [`Sender::descriptor`] anew.
    Watch,
    Connected(String),
    Failed(String),
}

pub struct Sender {
    pub name: Arc<str>,
    settings: SenderSettings,
    clip: Arc<Clip>,
    local: SocketAddr,
    path: Path,
    /// Begins when there is somebody to send to.
    playout: Option<Playout>,
    packets: Vec<Packet>,
    /// State of the generator that chooses the packets to lose.
    chance: u64,
    dropped: u64,
}

impl Sender {
    pub fn open(settings: SenderSettings, clip: Arc<Clip>, now: u64) -> Result<(Self, Step)> {
        let local = SocketAddr::new(settings.local_host, settings.local_port);
        let mut step = Step::Watch;
        let mut playout = None;
        let (path, local) = match settings.transport {
            Transport::Udp => {
                let socket = udp::open(local)?;
                socket
                    .connect(&settings.remote.into())
                    .map_err(|error| bind_error(settings.remote, error))?;
                let local = udp::local_address(&socket)?;
                let sender = udp::Sender::new(settings.gso);
                playout = Some(start(&settings, &clip, now));
                step = Step::Nothing;
                (Path::Udp { socket, sender }, local)
            }
            Transport::TcpPassive => {
                let socket = dial::listen(local)?;
                let local = udp::local_address(&socket)?;
                (Path::Listening(socket), local)
            }
            Transport::TcpActive => {
                let socket = dial::reserve(local)?;
                let local = udp::local_address(&socket)?;
                let (dialer, progress) = Dialer::start(local, settings.remote, Some(socket), now);
                if !matches!(progress, Progress::Started) {
                    step = Step::Nothing;
                }
                (Path::Dialing(dialer), local)
            }
        };
        let sender = Self {
            name: settings.name.as_str().into(),
            chance: settings.drop_seed | 1,
            settings,
            clip,
            local,
            path,
            playout,
            packets: Vec::new(),
            dropped: 0,
        };
        Ok((sender, step))
    }

    pub fn local_port(&self) -> u16 {
        self.local.port()
    }

    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.path {
            Path::Udp { socket, .. } | Path::Listening(socket) => Some(socket.as_fd()),
            Path::Dialing(dialer) => dialer.descriptor(),
            Path::Connected { stream, .. } => Some(stream.as_fd()),
            Path::Ended => None,
        }
    }

    /// When something is to be sent next.
    pub fn next_due(&self) -> Option<u64> {
        self.playout.as_ref().map(Playout::next_due)
    }

    /// Send what is due.
    pub fn send(&mut self, now: u64) -> Step {
        let Some(mut playout) = self.playout.take() else {
            return Step::Nothing;
        };
        let mut step = Step::Nothing;
        while let Some(run) = playout.due(now) {
            if let Err(error) = self.send_run(run) {
                step = self.end(error.to_string());
                break;
            }
        }
        self.playout = Some(playout);
        step
    }

    fn send_run(&mut self, run: Run<'_>) -> io::Result<()> {
        let drop_fraction = self.settings.drop_fraction;
        self.packets.clear();
        let mut offset = 0;
        for bytes in run.packets() {
            let packet = Packet {
                offset,
                len: bytes.len(),
                numbers: Numbers::default(),
                marker: false,
            };
            offset += bytes.len();
            if drop_fraction > 0.0 && draw(&mut self.chance) < drop_fraction {
                self.dropped += 1;
            } else {
                self.packets.push(packet);
            }
        }
        match &mut self.path {
            Path::Udp { socket, sender } => {
                let sent = sender.send(socket, None, run.bytes, &self.packets);
                self.dropped += sent.dropped;
                Ok(())
            }
            Path::Connected { stream, waiting } => {
                if waiting.len() > MAX_WAITING {
                    self.dropped += self.packets.len() as u64;
                } else {
                    for packet in &self.packets {
                        waiting.extend_from_slice(packet.bytes(run.bytes));
                    }
                }
                flush(stream, waiting)
            }
            _ => Ok(()),
        }
    }

    /// The watched socket is ready.
    pub fn ready(&mut self, readable: bool, now: u64) -> Step {
        match &mut self.path {
            Path::Listening(socket) => match socket.accept() {
                Ok((socket, _)) => self.connected(socket.into(), now),
                Err(_) => Step::Nothing,
            },
            Path::Dialing(dialer) => {
                let progress = dialer.ready(now);
                self.progress(progress, now)
            }
            Path::Connected { stream, waiting } => {
                let lost = readable && crate::relay::peer_left(stream);
                match flush(stream, waiting) {
                    Ok(()) if !lost => Step::Nothing,
                    Ok(()) => self.end("closed by the receiver".into()),
                    Err(error) => self.end(error.to_string()),
                }
            }
            Path::Udp { .. } | Path::Ended => Step::Nothing,
        }
    }

    pub fn tick(&mut self, now: u64) -> Step {
        match &mut self.path {
            Path::Dialing(dialer) => {
                let progress = dialer.tick(now);
                self.progress(progress, now)
            }
            _ => Step::Nothing,
        }
    }

    fn progress(&mut self, progress: Progress, now: u64) -> Step {
        match progress {
            Progress::Pending => Step::Nothing,
            Progress::Started => Step::Watch,
            Progress::Connected(stream) => self.connected(stream, now),
            Progress::Failed(reason) => self.end(reason),
        }
    }

    fn connected(&mut self, stream: TcpStream, now: u64) -> Step {
        let prepared = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| stream.peer_addr());
        match prepared {
            Ok(peer) => {
                let waiting = Vec::new();
                self.path = Path::Connected { stream, waiting };
                self.playout = Some(start(&self.settings, &self.clip, now));
                Step::Connected(peer.to_string())
            }
            Err(error) => self.end(error.to_string()),
        }
    }

    fn end(&mut self, reason: String) -> Step {
        self.path = Path::Ended;
        Step::Failed(reason)
    }

    /// Nothing will ever be sent again.
    pub fn ended(&self) -> bool {
        matches!(self.path, Path::Ended)
    }

    pub fn stats(&self) -> SenderStats {
        let stats = self
            .playout
            .as_ref()
            .map(Playout::stats)
            .unwrap_or_default();
        SenderStats {
            name: self.name.to_string(),
            local_port: self.local.port(),
            connected: matches!(self.path, Path::Udp { .. } | Path::Connected { .. }),
            frames: stats.frames,
            packets: stats.packets.saturating_sub(self.dropped),
            bytes: stats.bytes,
            dropped: self.dropped,
            stalls: stats.stalls,
        }
    }
}

fn start(settings: &SenderSettings, clip: &Arc<Clip>, now: u64) -> Playout {
    let framing = match settings.transport {
        Transport::Udp => Framing::Datagrams,
        Transport::TcpPassive | Transport::TcpActive => Framing::Rfc4571,
    };
    let playout = PlayoutSettings {
        payload_type: settings.payload_type,
        sound: settings.sound,
        start_frame: settings.start_frame,
        seed: settings.seed,
        ..PlayoutSettings::new(settings.ssrc, framing)
    };
    Playout::new(Arc::clone(clip), playout, now)
}

fn flush(stream: &mut TcpStream, waiting: &mut Vec<u8>) -> io::Result<()> {
    let mut sent = 0;
    while sent < waiting.len() {
        match stream.write(&waiting[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    waiting.drain(..sent);
    Ok(())
}

/// A number of [0, 1) from an xorshift generator (Marsaglia 2003); the same seed, the same losses.
fn draw(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_repeat_and_have_the_asked_rate() {
        let lost = |seed: u64| {
            let mut state = seed;
            (0..10_000).filter(|_| draw(&mut state) < 0.01).count()
        };
        assert_eq!(lost(7), lost(7));
        assert!((60..150).contains(&lost(7)), "{}", lost(7));
    }
}
