//! The Python face of the media core: frozen classes, one error map, the GIL released around every
//! wait. No packet passes through here.

mod handles;
mod node;
mod values;

use gbmedia_io::error::Error;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

/// Frames of 10 to 200 KB come and go by the thousand: glibc searches its bins for 12 % of the time
/// of an ingest, and keeps what lies between.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

create_exception!(
    media_relay._core,
    MediaError,
    PyException,
    "Base of what the media core may raise."
);
create_exception!(
    media_relay._core,
    PortInUse,
    MediaError,
    "The local port is taken, or no free pair of ports was found."
);
create_exception!(
    media_relay._core,
    UnknownStream,
    MediaError,
    "No stream, relay or sender of that name is open."
);
create_exception!(
    media_relay._core,
    StreamExists,
    MediaError,
    "A stream of that name, or with that SSRC on the port, is open already."
);
create_exception!(
    media_relay._core,
    LimitReached,
    MediaError,
    "A bound of the settings is reached."
);
create_exception!(
    media_relay._core,
    NodeClosed,
    MediaError,
    "The node is closed."
);

/// The one place where an error of the core becomes a Python exception.
pub(crate) fn to_python(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::PortInUse(_) => PortInUse::new_err(text),
        Error::Unknown(_) => UnknownStream::new_err(text),
        Error::Exists(_) => StreamExists::new_err(text),
        Error::Limit(_) => LimitReached::new_err(text),
        Error::Closed => NodeClosed::new_err(text),
        Error::Invalid(_) => PyValueError::new_err(text),
        Error::Io(_) => MediaError::new_err(text),
    }
}

/// The native media core.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::{
        handles::{Clip, Receiver, Relay, Sender},
        node::{Node, NodeSettings},
        values::{Event, NodeStats, RelayStats, SenderStats, StreamStats, ViewerStats},
        LimitReached, MediaError, NodeClosed, PortInUse, StreamExists, UnknownStream,
    };
}
