//! The control side of the node: every call here is a message to one worker and its answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use gbmedia::clip::Clip;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::context::Shared;
use crate::counters::{NodeStats, ReceiverStats};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::relay::RelayStats;
use crate::sender::SenderStats;
use crate::settings::{NodeSettings, ReceiverSettings, RelaySettings, SenderSettings};
use crate::sys::duplicate;
use crate::viewer::ViewerSettings;
use crate::worker::{Command, Worker};

struct WorkerHandle {
    commands: Sender<Command>,
    wake: Arc<EventFd>,
}

impl WorkerHandle {
    fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| Error::Closed)?;
        self.wake.write(1)?;
        Ok(())
    }
}

/// Which worker has a stream, and the address of its shared port if it has one.
#[derive(Clone)]
struct Place {
    worker: usize,
    shared_port: Option<SocketAddr>,
}

/// Which sender of which worker.
#[derive(Clone, Copy, Debug)]
pub struct SenderId {
    worker: usize,
    number: u32,
}

/// Threads that receive, relay and serve media. Dropping it stops them.
pub struct Node {
    shared: Arc<Shared>,
    workers: Vec<WorkerHandle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    places: Mutex<HashMap<String, Place>>,
    closed: AtomicBool,
}

impl Node {
    pub fn start(settings: NodeSettings) -> Result<Self> {
        if settings.workers == 0 || settings.workers > 256 {
            return Err(Error::Invalid("workers must be 1 to 256".into()));
        }
        let shared = Arc::new(Shared::new(settings)?);
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for index in 0..shared.settings.workers {
            let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
            let wake = Arc::new(EventFd::from_flags(flags)?);
            let (commands, received) = channel();
            let worker = Worker::new(Arc::clone(&shared), Arc::clone(&wake), received)?;
            let thread = thread::Builder::new()
                .name(format!("media-{index}"))
                .spawn(move || worker.run())?;
            workers.push(WorkerHandle { commands, wake });
            threads.push(thread);
        }
        Ok(Self {
            shared,
            workers,
            threads: Mutex::new(threads),
            places: Mutex::new(HashMap::new()),
            closed: AtomicBool::new(false),
        })
    }

    /// Run `work` on a worker's thread and wait for what it gives.
    fn call<T: Send + 'static>(
        &self,
        worker: usize,
        work: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let (reply, answer) = sync_channel(1);
        self.workers[worker].send(Box::new(move |worker| {
            // Nobody waits any more only when the calling thread was ended.
            let _ = reply.send(work(worker));
        }))?;
        answer.recv().map_err(|_| Error::Closed)
    }

    fn place(&self, stream: &str) -> Result<usize> {
        let places = self.places.lock().expect("no holder of this lock panics");
        let place = places.get(stream);
        place
            .map(|place| place.worker)
            .ok_or_else(|| Error::Unknown(format!("stream {stream}")))
    }

    fn call_stream<T: Send + 'static>(
        &self,
        stream: &str,
        work: impl FnOnce(&mut Worker, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let worker = self.place(stream)?;
        let name = stream.to_owned();
        self.call(worker, move |worker| work(worker, &name))?
    }

    pub fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }

    /// Readable while events wait.
    pub fn event_descriptor(&self) -> RawFd {
        self.shared.events.descriptor()
    }

    pub fn take_events(&self, limit: usize) -> Vec<Event> {
        self.shared.events.take(limit)
    }

    /// The least busy worker; streams of one shared port stay together.
    fn choose(&self, settings: &ReceiverSettings) -> Result<Place> {
        let places = self.places.lock().expect("no holder of this lock panics");
        if places.contains_key(&settings.stream) {
            return Err(Error::Exists(format!("stream {}", settings.stream)));
        }
        if places.len() >= self.settings().max_streams {
            return Err(Error::Limit(format!("{} streams", places.len())));
        }
        let shared_port = settings
            .single_port
            .then(|| SocketAddr::new(settings.host, settings.port));
        let together = places
            .values()
            .find(|place| shared_port.is_some() && place.shared_port == shared_port);
        if let Some(place) = together {
            return Ok(place.clone());
        }
        let mut load = vec![0usize; self.workers.len()];
        for place in places.values() {
            load[place.worker] += 1;
        }
        let worker = (0..load.len())
            .min_by_key(|index| load[*index])
            .unwrap_or(0);
        Ok(Place {
            worker,
            shared_port,
        })
    }

    /// Opens the receiver of a stream; gives its port.
    pub fn open_receiver(&self, settings: ReceiverSettings) -> Result<u16> {
        let mut place = self.choose(&settings)?;
        let name = settings.stream.clone();
        let (host, single) = (settings.host, settings.single_port);
        let port = self.call(place.worker, move |worker| worker.open_stream(settings))??;
        if single {
            place.shared_port = Some(SocketAddr::new(host, port));
        }
        let mut places = self.places.lock().expect("no holder of this lock panics");
        places.insert(name, place);
        Ok(port)
    }

    pub fn close_stream(&self, stream: &str) -> Result<bool> {
        let place = {
            let mut places = self.places.lock().expect("no holder of this lock panics");
            places.remove(stream)
        };
        let Some(place) = place else {
            return Ok(false);
        };
        let name = stream.to_owned();
        self.call(place.worker, move |worker| worker.close_stream(&name))
    }

    pub fn expect(&self, stream: &str, ssrc: Option<u32>) -> Result<()> {
        self.call_stream(stream, move |worker, name| worker.expect(name, ssrc))
    }

    pub fn connect(&self, stream: &str, remote: SocketAddr) -> Result<()> {
        self.call_stream(stream, move |worker, name| worker.connect(name, remote))
    }

    pub fn set_paused(&self, stream: &str, paused: bool) -> Result<()> {
        self.call_stream(stream, move |worker, name| {
            let now = crate::clock::now_micros();
            worker.stream(name)?.set_paused(paused, now);
            Ok(())
        })
    }

    pub fn receiver_stats(&self, stream: &str) -> Result<ReceiverStats> {
        self.call_stream(stream, |worker, name| Ok(worker.stream(name)?.stats()))
    }

    /// All streams in one question per worker.
    pub fn all_stats(&self) -> Result<Vec<ReceiverStats>> {
        let mut all = Vec::new();
        for index in 0..self.workers.len() {
            all.extend(self.call(index, |worker| {
                let streams = worker.streams.values();
                streams.map(|stream| stream.stats()).collect::<Vec<_>>()
            })?);
        }
        Ok(all)
    }

    pub fn stats(&self) -> Result<NodeStats> {
        let mut stats = NodeStats {
            workers: self.workers.len(),
            dropped_events: self.shared.events.dropped(),
            unknown_ssrc: self.shared.unknown_ssrc.load(Ordering::Relaxed),
            unbound_closed: self.shared.unbound_closed.load(Ordering::Relaxed),
            turns: self.shared.turns.load(Ordering::Relaxed),
            ..NodeStats::default()
        };
        for index in 0..self.workers.len() {
            let counts = self.call(index, |worker| worker.counts())?;
            stats.streams += counts.streams;
            stats.viewers += counts.viewers;
            stats.relays += counts.relays;
            stats.senders += counts.senders;
        }
        Ok(stats)
    }

    /// Demux even while nobody looks (a probe), or only count.
    pub fn set_ready(&self, stream: &str, ready: bool) -> Result<()> {
        self.call_stream(stream, move |worker, name| {
            worker.stream(name)?.media.set_ready(ready);
            Ok(())
        })
    }

    // ------------------------------------------------------------------ viewers

    /// Takes a duplicate of `descriptor`, a connected stream socket; gives the viewer's number.
    pub fn add_viewer(
        &self,
        stream: &str,
        descriptor: RawFd,
        settings: ViewerSettings,
    ) -> Result<u64> {
        let descriptor = duplicate(descriptor)?;
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        self.call_stream(stream, move |worker, name| {
            worker.add_viewer(name, number, descriptor, settings)
        })?;
        Ok(number)
    }

    /// False: the viewer has left already.
    pub fn remove_viewer(&self, stream: &str, number: u64) -> Result<bool> {
        match self.call_stream(stream, move |worker, name| {
            Ok(worker.remove_viewer(name, number))
        }) {
            Err(Error::Unknown(_)) => Ok(false),
            other => other,
        }
    }

    // ------------------------------------------------------------------ relays

    /// Gives the relay's number and local port. `random`: 64 bits for its first numbers.
    pub fn open_relay(&self, settings: RelaySettings, random: u64) -> Result<(u64, u16)> {
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let stream = settings.stream.clone();
        let port = self.call_stream(&stream, move |worker, name| {
            worker.open_relay(name, number, settings, random)
        })?;
        Ok((number, port))
    }

    pub fn relay_stats(&self, stream: &str, number: u64) -> Result<RelayStats> {
        self.call_stream(stream, move |worker, name| {
            worker.stream(name)?.relay_stats(number)
        })
    }

    pub fn close_relay(&self, stream: &str, number: u64) -> Result<RelayStats> {
        self.call_stream(stream, move |worker, name| {
            worker.stream(name)?.close_relay(number)
        })
    }

    // ------------------------------------------------------------------ senders

    /// Gives the sender's place and its local port.
    pub fn open_sender(
        &self,
        settings: SenderSettings,
        clip: Arc<Clip>,
    ) -> Result<(SenderId, u16)> {
        let turn = self.shared.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let worker = turn as usize % self.workers.len();
        let (number, port) = self.call(worker, move |worker| {
            worker.senders.open(settings, clip, &worker.cx)
        })??;
        Ok((SenderId { worker, number }, port))
    }

    pub fn sender_stats(&self, id: SenderId) -> Result<SenderStats> {
        self.call(id.worker, move |worker| worker.senders.stats(id.number))?
    }

    /// False: closed already.
    pub fn close_sender(&self, id: SenderId) -> Result<bool> {
        self.call(id.worker, move |worker| worker.senders.close(id.number))
    }

    /// Stops the threads and frees every port. Safe to call twice.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        for worker in &self.workers {
            let _ = worker.send(Box::new(Worker::close));
        }
        let threads = std::mem::take(&mut *self.threads.lock().expect("no holder panics"));
        for thread in threads {
            // A worker that panicked has freed its sockets by unwinding.
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Transport;

    fn receiver(stream: &str) -> ReceiverSettings {
        ReceiverSettings {
            stream: stream.to_owned(),
            host: [127, 0, 0, 1].into(),
            port: 0,
            transport: Transport::Udp,
            ssrc: Some(1),
            single_port: false,
            source: None,
            ready: true,
            payload_type: 96,
            live: true,
            mu_law: false,
        }
    }

    #[test]
    fn a_fault_ends_one_command_and_no_thread() {
        let node = Node::start(NodeSettings {
            workers: 1,
            ..NodeSettings::default()
        })
        .unwrap();
        node.open_receiver(receiver("s")).unwrap();
        let fault = node.call(0, |_| -> () { panic!("meant") });
        assert!(matches!(fault, Err(Error::Closed)));
        assert_eq!(node.stats().unwrap().streams, 1);
    }

    #[test]
    fn streams_are_spread_over_the_workers() {
        let node = Node::start(NodeSettings {
            workers: 2,
            ..NodeSettings::default()
        })
        .unwrap();
        for stream in ["a", "b", "c", "d"] {
            node.open_receiver(receiver(stream)).unwrap();
        }
        for worker in 0..2 {
            let streams = node.call(worker, |worker| worker.streams.len()).unwrap();
            assert_eq!(streams, 2);
        }
        assert!(node.close_stream("a").unwrap());
        assert!(!node.close_stream("a").unwrap());
        node.close();
        assert!(matches!(node.stats(), Err(Error::Closed)));
    }
}
