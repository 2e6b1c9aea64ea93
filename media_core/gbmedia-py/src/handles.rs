//! Handles: what is open in a node. Dropping a handle does not close it; `close` does.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use gbmedia::clip;
use gbmedia_io::error::Error;
use gbmedia_io::node::{Node, SenderId};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::to_python;
use crate::values::{RelayStats, SenderStats, StreamStats};

/// A numeric address and a port.
pub fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    Ok(SocketAddr::new(ip(host)?, port))
}

pub fn ip(host: &str) -> PyResult<IpAddr> {
    host.parse()
        .map_err(|_| PyValueError::new_err(format!("not a numeric IP address: {host:?}")))
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct Receiver {
    pub node: Arc<Node>,
    #[pyo3(get)]
    pub stream: String,
    #[pyo3(get)]
    pub port: u16,
}

#[pymethods]
impl Receiver {
    fn expect(&self, py: Python<'_>, ssrc: Option<u32>) -> PyResult<()> {
        py.detach(|| self.node.expect(&self.stream, ssrc))
            .map_err(to_python)
    }

    fn connect(&self, py: Python<'_>, host: &str, port: u16) -> PyResult<()> {
        let remote = address(host, port)?;
        py.detach(|| self.node.connect(&self.stream, remote))
            .map_err(to_python)
    }

    fn set_paused(&self, py: Python<'_>, paused: bool) -> PyResult<()> {
        py.detach(|| self.node.set_paused(&self.stream, paused))
            .map_err(to_python)
    }

    fn set_ready(&self, py: Python<'_>, ready: bool) -> PyResult<()> {
        py.detach(|| self.node.set_ready(&self.stream, ready))
            .map_err(to_python)
    }

    fn stats(&self, py: Python<'_>) -> PyResult<StreamStats> {
        py.detach(|| self.node.receiver_stats(&self.stream))
            .map(StreamStats::from)
            .map_err(to_python)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match py.detach(|| self.node.close_stream(&self.stream)) {
            Ok(_) | Err(Error::Closed) => Ok(()),
            Err(error) => Err(to_python(error)),
        }
    }
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct Relay {
    pub node: Arc<Node>,
    #[pyo3(get)]
    pub stream: String,
    #[pyo3(get)]
    pub number: u64,
    #[pyo3(get)]
    pub local_port: u16,
}

#[pymethods]
impl Relay {
    fn stats(&self, py: Python<'_>) -> PyResult<RelayStats> {
        py.detach(|| self.node.relay_stats(&self.stream, self.number))
            .map(RelayStats::from)
            .map_err(to_python)
    }

    /// The last counters; None when it was closed before, by itself or with its stream.
    fn close(&self, py: Python<'_>) -> PyResult<Option<RelayStats>> {
        match py.detach(|| self.node.close_relay(&self.stream, self.number)) {
            Ok(stats) => Ok(Some(stats.into())),
            Err(Error::Closed | Error::Unknown(_)) => Ok(None),
            Err(error) => Err(to_python(error)),
        }
    }
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct Sender {
    pub node: Arc<Node>,
    pub id: SenderId,
    #[pyo3(get)]
    pub local_port: u16,
}

#[pymethods]
impl Sender {
    fn stats(&self, py: Python<'_>) -> PyResult<SenderStats> {
        py.detach(|| self.node.sender_stats(self.id))
            .map(SenderStats::from)
            .map_err(to_python)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match py.detach(|| self.node.close_sender(self.id)) {
            Ok(_) | Err(Error::Closed) => Ok(()),
            Err(error) => Err(to_python(error)),
        }
    }
}

#[pyclass(frozen, module = "media_relay._core")]
pub struct Clip {
    pub clip: Arc<clip::Clip>,
}

#[pymethods]
impl Clip {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let content = py.detach(|| std::fs::read(&path))?;
        let clip = clip::Clip::parse(Bytes::from(content))
            .map_err(|error| PyValueError::new_err(format!("{}: {error}", path.display())))?;
        Ok(Self {
            clip: Arc::new(clip),
        })
    }

    #[getter]
    fn video_codec(&self) -> &'static str {
        self.clip.video.name()
    }

    #[getter]
    fn audio_codec(&self) -> Option<&'static str> {
        self.clip.audio.map(|codec| codec.name())
    }

    #[getter]
    fn width(&self) -> u16 {
        self.clip.width
    }

    #[getter]
    fn height(&self) -> u16 {
        self.clip.height
    }

    #[getter]
    fn frames(&self) -> usize {
        self.clip.frames.len()
    }

    /// In seconds.
    #[getter]
    fn duration(&self) -> f64 {
        self.clip.duration as f64 / 90_000.0
    }
}
