//! GB/T 28181 media without I/O: bytes and time go in, frames and packets come out.
#![forbid(unsafe_code)]

pub mod frame;
pub mod ingest;
pub mod quirk;
pub mod reorder;
pub mod rfc4571;
pub mod rtcp;
pub mod rtp;
pub mod ssrc;
pub mod stats;
