//! A piece of container output: a few own bytes around a frame's shared payload.

use bytes::Bytes;

/// `head`, `body` and `tail` follow each other on the wire. `body` is the frame's own data: it is
/// shared by all viewers and never copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    pub head: Bytes,
    pub body: Bytes,
    pub tail: Bytes,
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Chunk {
    /// A chunk without a shared payload, such as a container's header.
    fn from(head: Bytes) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }
}
