//! Media that comes over TCP: we listen or connect, and one connection at a time is the source.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use gbmedia::quirk::Quirk;
use gbmedia::rfc4571::Framer;
use socket2::Socket;

use crate::dial::{self, Dialer, Progress};
use crate::error::{Error, Result};
use crate::udp;

/// Bytes taken by one read; a few reads per turn so that one stream cannot starve the others.
pub const READ_BYTES: usize = 128 << 10;
const READS_PER_TURN: usize = 4;

pub struct Connection {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub framer: Framer,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            peer: stream.peer_addr()?,
            stream,
            framer: Framer::new(),
        })
    }
}

enum Door {
    /// Passive: the listener stays open for the whole session; the newest connection wins.
    Listening(Socket),
    /// Passive on a shared port: whoever listens there brings the connections.
    Elsewhere,
    /// Active, before the answer is known: the offered port is held.
    Held(Option<Socket>),
    Dialing(Dialer),
    /// Active, after the one connection was made or has failed.
    Shut,
}

/// What happened in a step, for the worker to tell and to watch.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Watch [`TcpIn::door`] anew.
    WatchDoor,
    /// Watch [`TcpIn::connection`] anew.
    Connected(SocketAddr),
    Refused(SocketAddr),
    ConnectFailed(String),
    Disconnected(String),
}

/// The TCP side of one receiver.
pub struct TcpIn {
    local: SocketAddr,
    door: Door,
    connection: Option<Connection>,
    pub accepted: u64,
    pub reads: u64,
}

impl TcpIn {
    pub fn passive(local: SocketAddr) -> Result<Self> {
        let socket = dial::listen(local)?;
        let local = udp::local_address(&socket)?;
        Ok(Self::new(local, Door::Listening(socket)))
    }

    /// Behind a shared port: see [`TcpIn::take_over`].
    pub fn behind(local: SocketAddr) -> Self {
        Self::new(local, Door::Elsewhere)
    }

    pub fn active(local: SocketAddr) -> Result<Self> {
        let socket = dial::reserve(local)?;
        let local = udp::local_address(&socket)?;
        Ok(Self::new(local, Door::Held(Some(socket))))
    }

    fn new(local: SocketAddr, door: Door) -> Self {
        Self {
            local,
            door,
            connection: None,
            accepted: 0,
            reads: 0,
        }
    }

    pub fn port(&self) -> u16 {
        self.local.port()
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref().map(|connection| connection.peer)
    }

    pub fn door(&self) -> Option<BorrowedFd<'_>> {
        match &self.door {
            Door::Listening(socket) => Some(socket.as_fd()),
            Door::Dialing(dialer) => dialer.descriptor(),
            Door::Elsewhere | Door::Held(_) | Door::Shut => None,
        }
    }

    pub fn connection(&self) -> Option<BorrowedFd<'_>> {
        let connection = self.connection.as_ref()?;
        Some(connection.stream.as_fd())
    }

    /// Active only: go to the address of the answer, from the port that was offered.
    pub fn connect(&mut self, remote: SocketAddr, now: u64) -> Result<Change> {
        let held = match &mut self.door {
            Door::Listening(_) | Door::Elsewhere => {
                return Err(Error::Invalid("the receiver is passive".into()))
            }
            Door::Held(held) => held.take(),
            Door::Dialing(_) | Door::Shut => None,
        };
        self.connection = None;
        let (dialer, progress) = Dialer::start(self.local, remote, held, now);
        self.door = Door::Dialing(dialer);
        Ok(self.progress(progress))
    }

    /// The door is ready: somebody knocks, or our connection is open. `host`: only this one may.
    pub fn door_ready(&mut self, host: Option<IpAddr>, now: u64) -> Change {
        match &mut self.door {
            Door::Listening(socket) => match socket.accept() {
                Ok((stream, _)) => self.adopt(stream.into(), host),
                Err(_) => Change::Nothing,
            },
            Door::Dialing(dialer) => {
                let progress = dialer.ready(now);
                self.progress(progress)
            }
            Door::Elsewhere | Door::Held(_) | Door::Shut => Change::Nothing,
        }
    }

    pub fn tick(&mut self, now: u64) -> Change {
        match &mut self.door {
            Door::Dialing(dialer) => {
                let progress = dialer.tick(now);
                self.progress(progress)
            }
            _ => Change::Nothing,
        }
    }

    fn progress(&mut self, progress: Progress) -> Change {
        match progress {
            Progress::Pending => Change::Nothing,
            Progress::Started => Change::WatchDoor,
            Progress::Failed(reason) => {
                self.door = Door::Shut;
                Change::ConnectFailed(reason)
            }
            Progress::Connected(stream) => {
                self.door = Door::Shut;
                self.adopt(stream, None)
            }
        }
    }

    fn adopt(&mut self, stream: TcpStream, host: Option<IpAddr>) -> Change {
        match Connection::new(stream) {
            Ok(connection) => self.take_over(connection, host),
            // The caller has gone already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Change::Nothing,
            Err(error) => Change::ConnectFailed(error.to_string()),
        }
    }

    /// The newest connection wins. `host`: only this one may.
    pub fn take_over(&mut self, connection: Connection, host: Option<IpAddr>) -> Change {
        let peer = connection.peer;
        if host.is_some_and(|host| host != peer.ip()) {
            return Change::Refused(peer);
        }
        // Room for a key frame that comes while the worker is busy; the kernel may grant less.
        let _ = socket2::SockRef::from(&connection.stream).set_recv_buffer_size(1 << 20);
        self.accepted += 1;
        self.connection = Some(connection);
        Change::Connected(peer)
    }

    /// Read what is there; each whole packet is appended to `packets`, its end put into `ends`.
    pub fn read(
        &mut self,
        scratch: &mut [u8],
        packets: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Change {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = &mut self.connection else {
                return Change::Nothing;
            };
            self.reads += 1;
            let error = match connection.stream.read(scratch) {
                Ok(0) => "closed by the sender".to_owned(),
                Ok(count) => {
                    let framed = connection.framer.receive(&scratch[..count], |packet| {
                        packets.extend_from_slice(packet);
                        ends.push(packets.len());
                    });
                    match framed {
                        Ok(()) if count < scratch.len() => return Change::Nothing,
                        Ok(()) => continue,
                        Err(lost) => lost.to_string(),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Change::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error.to_string(),
            };
            self.connection = None;
            return Change::Disconnected(error);
        }
        Change::Nothing
    }

    pub fn take_quirk(&mut self) -> Option<Quirk> {
        self.connection.as_mut()?.framer.take_quirk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn rtp(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0u8; 100];
        packet[0] = 0x80;
        packet[1] = 96;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[11] = 7;
        packet
    }

    fn framed(sequence: u16) -> Vec<u8> {
        let packet = rtp(sequence);
        [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
    }

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn knock(door: &mut TcpIn) -> (TcpStream, Change) {
        let address = SocketAddr::from(([127, 0, 0, 1], door.port()));
        let stream = TcpStream::connect(address).unwrap();
        for _ in 0..1000 {
            match door.door_ready(None, 0) {
                Change::Nothing => std::thread::yield_now(),
                change => return (stream, change),
            }
        }
        panic!("never accepted");
    }

    fn read_until(door: &mut TcpIn, count: usize) -> Vec<Vec<u8>> {
        let (mut scratch, mut bytes, mut ends) = (vec![0; READ_BYTES], Vec::new(), Vec::new());
        for _ in 0..100_000 {
            door.read(&mut scratch, &mut bytes, &mut ends);
            if ends.len() >= count {
                break;
            }
        }
        let mut start = 0;
        let cut = |end: &usize| {
            let packet = bytes[start..*end].to_vec();
            start = *end;
            packet
        };
        ends.iter().map(cut).collect()
    }

    #[test]
    fn packets_come_out_whole() {
        let mut door = TcpIn::passive(any()).unwrap();
        let (mut camera, _) = knock(&mut door);
        let bytes = [framed(1), framed(2), framed(3)].concat();
        camera.write_all(&bytes[..150]).unwrap();
        assert_eq!(read_until(&mut door, 1), [rtp(1)]);
        camera.write_all(&bytes[150..]).unwrap();
        assert_eq!(read_until(&mut door, 2), [rtp(2), rtp(3)]);
    }

    #[test]
    fn the_newest_connection_wins() {
        let mut door = TcpIn::passive(any()).unwrap();
        let (mut old, _) = knock(&mut door);
        let (mut new, change) = knock(&mut door);
        assert_eq!(change, Change::Connected(new.local_addr().unwrap()));
        let _ = old.write_all(&framed(1));
        new.write_all(&framed(9)).unwrap();
        assert_eq!(read_until(&mut door, 1), [rtp(9)]);
        assert_eq!(door.accepted, 2);
    }

    #[test]
    fn only_the_given_host_is_let_in() {
        let mut door = TcpIn::passive(any()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], door.port()));
        let _stream = TcpStream::connect(address).unwrap();
        let host = Some("192.0.2.1".parse().unwrap());
        let change = (0..1000)
            .map(|_| door.door_ready(host, 0))
            .find(|change| *change != Change::Nothing);
        assert!(matches!(change, Some(Change::Refused(_))));
        assert!(door.connection().is_none());
    }

    #[test]
    fn a_closed_connection_is_told() {
        let mut door = TcpIn::passive(any()).unwrap();
        let (camera, _) = knock(&mut door);
        drop(camera);
        let mut scratch = vec![0; READ_BYTES];
        let change = (0..100_000)
            .map(|_| door.read(&mut scratch, &mut Vec::new(), &mut Vec::new()))
            .find(|change| *change != Change::Nothing);
        assert!(matches!(change, Some(Change::Disconnected(_))));
    }
}
