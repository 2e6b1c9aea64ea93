//! What the node may refuse; the Python face maps each variant to one exception.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A refusal of the node. Faults of a *peer* are counted and reported as events instead.
#[derive(Debug)]
pub enum Error {
    /// The local address is in use, or no free even port was found.
    PortInUse(String),
    /// No stream (or viewer, relay) of that name is open.
    Unknown(String),
    /// A stream of that name is open already.
    Exists(String),
    /// The node is closed.
    Closed,
    /// A bound set in the settings is reached.
    Limit(String),
    /// The caller gave something that cannot work.
    Invalid(String),
    /// The operating system refused.
    Io(io::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::PortInUse(what) => write!(f, "port in use: {what}"),
            Error::Unknown(what) => write!(f, "not open: {what}"),
            Error::Exists(what) => write!(f, "open already: {what}"),
            Error::Closed => f.write_str("the media node is closed"),
            Error::Limit(what) => write!(f, "limit reached: {what}"),
            Error::Invalid(what) => write!(f, "invalid: {what}"),
            Error::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

impl From<nix::errno::Errno> for Error {
    fn from(error: nix::errno::Errno) -> Self {
        Error::Io(error.into())
    }
}

/// An error of `bind` with the address in it: "in use" is a case of its own.
pub fn bind_error(address: SocketAddr, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortInUse(address.to_string()),
        _ => Error::Io(io::Error::new(error.kind(), format!("{address}: {error}"))),
    }
}
