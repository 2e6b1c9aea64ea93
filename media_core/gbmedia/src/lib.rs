//! GB/T 28181 media without I/O: bytes and time go in, frames and packets come out.
#![forbid(unsafe_code)]

pub mod aac;
mod assembler;
mod audio;
mod bits;
pub mod chunk;
pub mod clip;
mod codec_judge;
pub mod decoder_config;
pub mod es;
pub mod flv;
pub mod fmp4;
mod fmp4_init;
pub mod frame;
mod frame_end;
pub mod gop;
pub mod h264;
pub mod h265;
pub mod ingest;
pub mod nal;
pub mod outlet;
mod outlet_queue;
mod output;
pub mod packetize;
pub mod playout;
pub mod ps;
pub mod quirk;
pub mod reorder;
pub mod rfc4571;
pub mod rtcp;
pub mod rtp;
pub mod ssrc;
pub mod stats;
pub mod timestamps;
mod tracks;
mod video;
mod writer;
pub mod ws;

#[cfg(test)]
mod test_support;
