//! GB/T 28181 media without I/O: bytes and time go in, frames and packets come out.
#![forbid(unsafe_code)]

pub mod chunk;
pub mod clip;
pub mod decoder_config;
pub mod flv;
pub mod fmp4;
mod fmp4_init;
pub mod frame;
pub mod gop;
pub mod ingest;
pub mod outlet;
mod outlet_queue;
pub mod packetize;
pub mod quirk;
pub mod reorder;
pub mod rfc4571;
pub mod rtcp;
pub mod rtp;
pub mod ssrc;
pub mod stats;
mod writer;
pub mod ws;

#[cfg(test)]
mod test_support;
