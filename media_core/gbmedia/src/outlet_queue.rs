//! The bytes that wait for one viewer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::chunk::Chunk;

#[derive(Debug)]
pub struct Entry {
    chunk: Chunk,
    /// Headers and control frames stay when frames are skipped.
    kept: bool,
    queued_at: u64,
}

impl Entry {
    pub fn new(chunk: Chunk, kept: bool, now: u64) -> Self {
        Self {
            chunk,
            kept,
            queued_at: now,
        }
    }

    pub fn kept(bytes: Bytes, now: u64) -> Self {
        Self::new(bytes.into(), true, now)
    }

    pub fn queued_at(&self) -> u64 {
        self.queued_at
    }
}

/// Entries in order; the first may be written in part.
#[derive(Debug, Default)]
pub struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    kept: usize,
    /// Bytes of the first entry that are already written.
    written: usize,
}

impl Queue {
    pub fn push(&mut self, entry: Entry) {
        if entry.chunk.is_empty() {
            return;
        }
        self.bytes += entry.chunk.len();
        self.kept += usize::from(entry.kept);
        self.entries.push_back(entry);
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes not yet written.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries that skipping does not drop.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// When the first entry was queued.
    pub fn oldest(&self) -> Option<u64> {
        self.entries.front().map(Entry::queued_at)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops every frame of which nothing is written yet, and says how many. What stays waits anew.
    pub fn drop_unsent(&mut self, now: u64) -> u64 {
        let before = self.entries.len();
        let (mut begun, mut bytes) = (self.written > 0, 0);
        self.entries.retain_mut(|entry| {
            let stays = std::mem::take(&mut begun) || entry.kept;
            if stays {
                entry.queued_at = now;
                bytes += entry.chunk.len();
            }
            stays
        });
        self.bytes = bytes - self.written;
        (before - self.entries.len()) as u64
    }

    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, limit: usize) {
        let mut skip = self.written;
        for entry in &self.entries {
            for part in [&entry.chunk.head, &entry.chunk.body, &entry.chunk.tail] {
                let part: &[u8] = part;
                let begin = skip.min(part.len());
                skip -= begin;
                if begin == part.len() {
                    continue;
                }
                if slices.len() >= limit {
                    return;
                }
                slices.push(IoSlice::new(&part[begin..]));
            }
        }
    }

    /// Forgets `count` bytes from the front; more than there are is taken for all.
    pub fn take(&mut self, count: usize) {
        let count = count.min(self.bytes);
        self.bytes -= count;
        self.written += count;
        while let Some(first) = self.entries.front() {
            if self.written < first.chunk.len() {
                return;
            }
            self.written -= first.chunk.len();
            self.kept -= usize::from(first.kept);
            self.entries.pop_front();
        }
    }
}
