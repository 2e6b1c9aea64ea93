//! The senders of one worker and when each is due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use gbmedia::clip::Clip;

use crate::clock::now_micros;
use crate::context::{Context, Token};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::sender::{Sender, SenderStats, Step};
use crate::settings::SenderSettings;

#[derive(Default)]
pub struct Senders {
    open: HashMap<u32, Sender>,
    /// One entry per sender that has something to send; entries of closed senders are skipped.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    next_id: u32,
}

impl Senders {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn next_due(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Gives the sender's number and local port.
    pub fn open(
        &mut self,
        settings: SenderSettings,
        clip: Arc<Clip>,
        cx: &Context,
    ) -> Result<(u32, u16)> {
        let now = now_micros();
        let (sender, step) = Sender::open(settings, clip, now)?;
        self.next_id += 1;
        let id = self.next_id;
        let port = sender.local_port();
        self.open.insert(id, sender);
        self.apply(id, step, cx, now);
        self.schedule(id);
        Ok((id, port))
    }

    fn schedule(&mut self, id: u32) {
        if let Some(due) = self.open.get(&id).and_then(Sender::next_due) {
            self.due.push(Reverse((due, id)));
        }
    }

    fn sender(&self, id: u32) -> Result<&Sender> {
        let unknown = || Error::Unknown(format!("sender {id}"));
        self.open.get(&id).ok_or_else(unknown)
    }

    pub fn stats(&self, id: u32) -> Result<SenderStats> {
        Ok(self.sender(id)?.stats())
    }

    pub fn close(&mut self, id: u32) -> bool {
        self.open.remove(&id).is_some()
    }

    pub fn send_due(&mut self, cx: &Context, now: u64) {
        while let Some(Reverse((due, id))) = self.due.peek().copied() {
            if due > now {
                return;
            }
            self.due.pop();
            let Some(sender) = self.open.get_mut(&id) else {
                continue;
            };
            let step = sender.send(now);
            let ended = sender.ended();
            self.apply(id, step, cx, now);
            if !ended {
                self.schedule(id);
            }
        }
    }

    pub fn ready(&mut self, id: u32, readable: bool, cx: &Context, now: u64) {
        let Some(sender) = self.open.get_mut(&id) else {
            return;
        };
        let step = sender.ready(readable, now);
        let starts = matches!(step, Step::Connected(_));
        self.apply(id, step, cx, now);
        if starts {
            self.schedule(id);
        }
    }

    pub fn tick(&mut self, cx: &Context, now: u64) {
        let waiting: Vec<u32> = self
            .open
            .iter()
            .filter(|(_, sender)| sender.next_due().is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let Some(sender) = self.open.get_mut(&id) else {
                continue;
            };
            let step = sender.tick(now);
            self.apply(id, step, cx, now);
        }
    }

    fn apply(&mut self, id: u32, step: Step, cx: &Context, now: u64) {
        let Some(sender) = self.open.get(&id) else {
            return;
        };
        if matches!(step, Step::Watch | Step::Connected(_)) {
            if let Some(descriptor) = sender.descriptor() {
                if let Err(error) = cx.watch_changes(descriptor, Token::Sender(id)) {
                    let why = error.to_string();
                    cx.tell(&sender.name, EventKind::SenderFailed, now, why);
                }
            }
        }
        match step {
            Step::Nothing | Step::Watch => {}
            Step::Connected(peer) => cx.tell(&sender.name, EventKind::SenderConnected, now, peer),
            Step::Failed(why) => cx.tell(&sender.name, EventKind::SenderFailed, now, why),
        }
    }
}
