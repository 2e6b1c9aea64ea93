//! The node and its settings.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::RawFd;
use std::sync::Arc;

use bytes::Bytes;
use gbmedia_io::node;
use gbmedia_io::settings::{self, ReceiverSettings, RelaySettings, SenderSettings, Transport};
use gbmedia_io::viewer::{container_from_name, ViewerSettings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::handles::{address, ip, Clip, Receiver, Relay, Sender};
use crate::to_python;
use crate::values::{Event, NodeStats, StreamStats};

fn transport(name: &str) -> PyResult<Transport> {
    Transport::from_name(name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "transport must be udp, tcp-passive or tcp-active, not {name:?}"
        ))
    })
}

fn micros(name: &str, seconds: f64) -> PyResult<u64> {
    if seconds.is_finite() && (0.0..=86_400.0).contains(&seconds) {
        Ok((seconds * 1e6) as u64)
    } else {
        Err(PyValueError::new_err(format!(
            "{name} must be 0 to 86400 seconds"
        )))
    }
}

/// 64 unpredictable bits from the hash keys that std draws from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct NodeSettings {
    settings: settings::NodeSettings,
}

#[pymethods]
impl NodeSettings {
    #[new]
    #[pyo3(signature = (*, workers=0, coalesce=0.001, silence=10.0, event_queue=65536, max_streams=10000, max_viewers=2000, max_relays=64, gop_bytes=16_777_216, gop_frames=1500))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        workers: usize,
        coalesce: f64,
        silence: f64,
        event_queue: usize,
        max_streams: usize,
        max_viewers: usize,
        max_relays: usize,
        gop_bytes: usize,
        gop_frames: usize,
    ) -> PyResult<Self> {
        let default = settings::NodeSettings::default();
        if event_queue == 0 {
            return Err(PyValueError::new_err("event_queue must not be 0"));
        }
        Ok(Self {
            settings: settings::NodeSettings {
                workers: if workers == 0 {
                    default.workers
                } else {
                    workers
                },
                coalesce: micros("coalesce", coalesce)?.min(20_000),
                silence: micros("silence", silence)?,
                event_queue,
                max_streams,
                max_viewers,
                max_relays,
                gop_bytes,
                gop_frames,
            },
        })
    }

    #[getter]
    fn workers(&self) -> usize {
        self.settings.workers
    }

    #[getter]
    fn coalesce(&self) -> f64 {
        self.settings.coalesce as f64 / 1e6
    }

    #[getter]
    fn silence(&self) -> f64 {
        self.settings.silence as f64 / 1e6
    }
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct Node {
    node: Arc<node::Node>,
}

#[pymethods]
impl Node {
    #[new]
    #[pyo3(signature = (settings=None))]
    fn new(py: Python<'_>, settings: Option<Py<NodeSettings>>) -> PyResult<Self> {
        let settings = settings.map_or_else(settings::NodeSettings::default, |settings| {
            settings.get().settings.clone()
        });
        let node = py
            .detach(|| node::Node::start(settings))
            .map_err(to_python)?;
        Ok(Self {
            node: Arc::new(node),
        })
    }

    #[getter]
    fn event_fd(&self) -> RawFd {
        self.node.event_descriptor()
    }

    #[pyo3(signature = (limit=1024))]
    fn take_events(&self, limit: usize) -> Vec<Event> {
        let events = self.node.take_events(limit);
        events.into_iter().map(Event::from).collect()
    }

    #[pyo3(signature = (stream, *, host, port, transport, ssrc, single_port=false, source=None, ready=true, payload_type=96, live=true, mu_law=false))]
    #[allow(clippy::too_many_arguments)]
    fn open_receiver(
        &self,
        py: Python<'_>,
        stream: String,
        host: &str,
        port: u16,
        transport: &str,
        ssrc: Option<u32>,
        single_port: bool,
        source: Option<&str>,
        ready: bool,
        payload_type: u8,
        live: bool,
        mu_law: bool,
    ) -> PyResult<Receiver> {
        let settings = ReceiverSettings {
            stream: stream.clone(),
            host: ip(host)?,
            port,
            transport: self::transport(transport)?,
            ssrc,
            single_port,
            source: source.map(ip).transpose()?,
            ready,
            payload_type,
            live,
            mu_law,
        };
        let node = Arc::clone(&self.node);
        let port = py
            .detach(|| node.open_receiver(settings))
            .map_err(to_python)?;
        Ok(Receiver { node, stream, port })
    }

    #[pyo3(signature = (stream, *, remote, transport, ssrc, local_host="0.0.0.0", local_port=0))]
    #[allow(clippy::too_many_arguments)]
    fn open_relay(
        &self,
        py: Python<'_>,
        stream: String,
        remote: (String, u16),
        transport: &str,
        ssrc: u32,
        local_host: &str,
        local_port: u16,
    ) -> PyResult<Relay> {
        let settings = RelaySettings {
            stream: stream.clone(),
            remote: address(&remote.0, remote.1)?,
            transport: self::transport(transport)?,
            ssrc,
            local_host: ip(local_host)?,
            local_port,
        };
        let node = Arc::clone(&self.node);
        let (number, local_port) = py
            .detach(|| node.open_relay(settings, random()))
            .map_err(to_python)?;
        Ok(Relay {
            node,
            stream,
            number,
            local_port,
        })
    }

    #[pyo3(signature = (clip, *, remote, transport, ssrc, name="", local_host="0.0.0.0", local_port=0, payload_type=96, sound=true, start_frame=0, seed=0, drop_fraction=0.0, drop_seed=1, gso=true))]
    #[allow(clippy::too_many_arguments)]
    fn open_sender(
        &self,
        py: Python<'_>,
        clip: Py<Clip>,
        remote: (String, u16),
        transport: &str,
        ssrc: u32,
        name: &str,
        local_host: &str,
        local_port: u16,
        payload_type: u8,
        sound: bool,
        start_frame: usize,
        seed: u64,
        drop_fraction: f64,
        drop_seed: u64,
        gso: bool,
    ) -> PyResult<Sender> {
        if !(0.0..=1.0).contains(&drop_fraction) {
            return Err(PyValueError::new_err("drop_fraction must be 0 to 1"));
        }
        let settings = SenderSettings {
            name: name.to_owned(),
            remote: address(&remote.0, remote.1)?,
            transport: self::transport(transport)?,
            local_host: ip(local_host)?,
            local_port,
            ssrc,
            payload_type,
            sound,
            start_frame,
            seed,
            drop_fraction,
            drop_seed,
            gso,
        };
        let node = Arc::clone(&self.node);
        let clip = Arc::clone(&clip.get().clip);
        let (id, local_port) = py
            .detach(|| node.open_sender(settings, clip))
            .map_err(to_python)?;
        Ok(Sender {
            node,
            id,
            local_port,
        })
    }

    #[pyo3(signature = (stream, fd, *, container, websocket=false, head))]
    fn add_viewer(
        &self,
        py: Python<'_>,
        stream: &str,
        fd: RawFd,
        container: &str,
        websocket: bool,
        head: &[u8],
    ) -> PyResult<u64> {
        let container = container_from_name(container)
            .ok_or_else(|| PyValueError::new_err("container must be flv or fmp4"))?;
        let settings = ViewerSettings {
            container,
            websocket,
            head: Bytes::copy_from_slice(head),
        };
        py.detach(|| self.node.add_viewer(stream, fd, settings))
            .map_err(to_python)
    }

    fn remove_viewer(&self, py: Python<'_>, stream: &str, viewer: u64) -> PyResult<bool> {
        py.detach(|| self.node.remove_viewer(stream, viewer))
            .map_err(to_python)
    }

    fn stream_stats(&self, py: Python<'_>) -> PyResult<Vec<StreamStats>> {
        let all = py.detach(|| self.node.all_stats()).map_err(to_python)?;
        Ok(all.into_iter().map(StreamStats::from).collect())
    }

    fn stats(&self, py: Python<'_>) -> PyResult<NodeStats> {
        py.detach(|| self.node.stats())
            .map(NodeStats::from)
            .map_err(to_python)
    }

    fn close(&self, py: Python<'_>) {
        // Joining waits for the last turn of each worker.
        py.detach(|| self.node.close());
    }
}
