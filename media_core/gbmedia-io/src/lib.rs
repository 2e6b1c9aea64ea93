//! Threads, sockets and timers around the pure media crate.
//!
//! A [`node::Node`] runs worker threads; each owns streams, and each stream has one way in (UDP or
//! TCP), a demuxer, viewers and relays. `unsafe` is confined to [`sys`].
#![deny(unsafe_code)]

mod buffers;
pub mod clock;
mod context;
mod continuity;
pub mod counters;
mod dial;
pub mod error;
pub mod event;
mod framed;
mod media;
pub mod node;
mod packet;
pub mod relay;
mod routes;
pub mod sender;
mod senders;
pub mod settings;
mod shared_door;
mod shared_port;
mod source;
mod stream;
#[allow(unsafe_code)]
mod sys;
mod tcp_in;
mod udp;
mod unbound;
pub mod viewer;
mod worker;
