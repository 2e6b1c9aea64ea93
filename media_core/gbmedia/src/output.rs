//! Where the stages of an ingest put what they found.

use std::collections::VecDeque;

use crate::ingest::IngestEvent;
use crate::quirk::Quirk;
use crate::stats::StreamStats;

/// Events kept for a caller that does not take them; more are dropped and counted.
const MAX_EVENTS: usize = 1024;

#[derive(Default)]
pub(crate) struct Output {
    pub events: VecDeque<IngestEvent>,
    pub stats: StreamStats,
}

impl Output {
    pub fn event(&mut self, event: IngestEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.stats.dropped_events += 1;
        }
    }

    pub fn quirk(&mut self, quirk: Quirk) {
        if self.stats.quirks.note(quirk) {
            self.event(IngestEvent::Quirk(quirk));
        }
    }
}
