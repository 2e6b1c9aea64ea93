//! Memory of one worker that every stream uses in turn.

use crate::packet::Packet;
use crate::sys::{Message, RecvBatch};
use crate::tcp_in::READ_BYTES;

/// Nothing in here survives a turn; it only saves allocations.
pub struct Buffers {
    pub batch: RecvBatch,
    pub messages: Vec<Message>,
    pub packets: Vec<Packet>,
    /// Bytes read from a TCP connection.
    pub scratch: Vec<u8>,
    /// Whole packets cut out of it, and where each ends.
    pub framed: Vec<u8>,
    pub ends: Vec<usize>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            batch: RecvBatch::new(),
            messages: Vec::new(),
            packets: Vec::new(),
            scratch: vec![0; READ_BYTES],
            framed: Vec::new(),
            ends: Vec::new(),
        }
    }
}
