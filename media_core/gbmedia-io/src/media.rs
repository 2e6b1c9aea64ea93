//! The media of one stream: packets in, frames to the viewers, news to the control side.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use gbmedia::frame::{AudioParameters, Codec, Frame, VideoParameters};
use gbmedia::gop::{GopCache, GopLimits};
use gbmedia::ingest::{Ingest, IngestEvent, IngestSettings, OnLoss, Pace, PortUse};
use gbmedia::quirk::Quirk;
use gbmedia::stats::StreamStats;

use crate::context::{Context, Token, NUMBER_MASK};
use crate::counters::ViewerStats;
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::settings::{NodeSettings, ReceiverSettings, Transport};
use crate::viewer::{Step, Viewer, ViewerSettings};

/// News that is told once per stream.
#[derive(Default)]
struct Told {
    video: bool,
    key: bool,
}

pub struct Media {
    id: u32,
    ingest: Ingest,
    /// Demux even while nobody looks.
    ready: bool,
    demuxing: bool,
    limits: GopLimits,
    gop: GopCache,
    viewers: Vec<Viewer>,
    told: Told,
}

impl Media {
    pub fn new(id: u32, settings: &ReceiverSettings, node: &NodeSettings) -> Self {
        let mut ingest = Ingest::new(IngestSettings {
            expected_ssrc: settings.ssrc,
            // The node has judged SSRC and source already.
            port_use: PortUse::Dedicated,
            reliable: settings.transport != Transport::Udp,
            payload_type: settings.payload_type,
            g711: if settings.mu_law {
                Codec::G711U
            } else {
                Codec::G711A
            },
            pace: if settings.live {
                Pace::Live
            } else {
                Pace::File
            },
            on_loss: OnLoss::DropUntilKey,
            reporter_ssrc: id,
            ..IngestSettings::default()
        });
        ingest.set_counting_only(!settings.ready);
        let limits = GopLimits {
            frames: node.gop_frames,
            bytes: node.gop_bytes,
        };
        Self {
            id,
            ingest,
            ready: settings.ready,
            demuxing: settings.ready,
            limits,
            gop: GopCache::new(limits),
            viewers: Vec::new(),
            told: Told::default(),
        }
    }

    pub fn expect(&mut self, ssrc: Option<u32>) {
        self.ingest.expect_ssrc(ssrc);
    }

    pub fn demuxing(&self) -> bool {
        self.demuxing
    }

    /// Demux from now on, or only count: a stream that is only relayed costs less so.
    pub fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
        self.update_demuxing();
    }

    fn update_demuxing(&mut self) {
        let demuxing = self.ready || !self.viewers.is_empty();
        if demuxing == self.demuxing {
            return;
        }
        self.demuxing = demuxing;
        self.ingest.set_counting_only(!demuxing);
        // The parameters stay right; the frames would be followed by a gap.
        let mut gop = GopCache::new(self.limits);
        if let Some(video) = self.gop.video() {
            gop.set_video(Arc::clone(video));
        }
        if let Some(audio) = self.gop.audio() {
            gop.set_audio(Arc::clone(audio));
        }
        self.gop = gop;
    }

    pub fn note_quirk(&mut self, quirk: Quirk) {
        self.ingest.note_quirk(quirk);
    }

    #[inline]
    pub fn receive_rtp(&mut self, packet: &[u8], now: u64) {
        self.ingest.receive_rtp(packet, now);
    }

    pub fn receive_rtcp(&mut self, packet: &[u8], now: u64) {
        self.ingest.receive_rtcp(packet, now);
    }

    pub fn rtcp_to_send(&mut self, now: u64) -> Option<Vec<u8>> {
        self.ingest.rtcp_to_send(now)
    }

    pub fn tick(&mut self, name: &Arc<str>, cx: &Context, now: u64) {
        if self.ingest.next_timeout().is_some_and(|at| at <= now) {
            self.ingest.handle_timer(now);
            self.publish(name, cx, now);
        }
        self.each_viewer(name, cx, now, |viewer| viewer.tick(now));
    }

    /// Take what the ingest has made of the packets and pass it on.
    pub fn publish(&mut self, name: &Arc<str>, cx: &Context, now: u64) {
        let mut fresh = false;
        while let Some(event) = self.ingest.next_event() {
            match event {
                IngestEvent::Frame(frame) => {
                    fresh = true;
                    self.frame(&frame, name, cx, now);
                }
                IngestEvent::Video(parameters) => self.video(parameters, name, cx, now),
                IngestEvent::Audio(parameters) => self.audio(parameters, name, cx, now),
                IngestEvent::PsLocked => cx.tell(name, EventKind::PsLocked, now, ""),
                IngestEvent::Quirk(quirk) => cx.tell(name, EventKind::Quirk, now, quirk.name()),
                // Told by the node itself, which judges before the ingest does; loss is counted.
                _ => {}
            }
        }
        if fresh {
            self.each_viewer(name, cx, now, |viewer| viewer.flush(now));
        }
    }

    fn frame(&mut self, frame: &Frame, name: &Arc<str>, cx: &Context, now: u64) {
        let video = frame.kind() == gbmedia::frame::Kind::Video;
        if video && !self.told.video {
            self.told.video = true;
            cx.tell(name, EventKind::Video, now, frame.codec.name());
        }
        if video && frame.key && !self.told.key {
            self.told.key = true;
            cx.tell(
                name,
                EventKind::KeyFrame,
                now,
                format!("{} bytes", frame.data.len()),
            );
        }
        self.gop.push(frame);
        for viewer in &mut self.viewers {
            viewer.push(frame, now);
        }
    }

    fn video(&mut self, video: Arc<VideoParameters>, name: &Arc<str>, cx: &Context, now: u64) {
        let detail = format!(
            "{} {}x{} {:.3} fps",
            video.codec.name(),
            video.width,
            video.height,
            f64::from(video.fps_milli) / 1000.0
        );
        cx.tell(name, EventKind::ParameterSets, now, detail);
        for viewer in &mut self.viewers {
            viewer.outlet().set_video(Arc::clone(&video));
        }
        self.gop.set_video(video);
    }

    fn audio(&mut self, audio: Arc<AudioParameters>, name: &Arc<str>, cx: &Context, now: u64) {
        let detail = format!("{} {} Hz", audio.codec.name(), audio.sample_rate);
        cx.tell(name, EventKind::Audio, now, detail);
        for viewer in &mut self.viewers {
            viewer.outlet().set_audio(Arc::clone(&audio));
        }
        self.gop.set_audio(audio);
    }

    // ------------------------------------------------------------------ viewers

    pub fn add_viewer(
        &mut self,
        number: u64,
        descriptor: OwnedFd,
        settings: ViewerSettings,
        name: &Arc<str>,
        cx: &Context,
        now: u64,
    ) -> Result<()> {
        if self.viewers.len() >= cx.settings().max_viewers {
            return Err(Error::Limit(format!("viewers of {name}")));
        }
        let mut viewer = Viewer::new(number, descriptor, settings, now)?;
        cx.watch_changes(viewer.descriptor(), Token::Viewer(self.id, number as u32))?;
        viewer.join(&self.gop, now);
        self.viewers.push(viewer);
        self.update_demuxing();
        self.each_viewer(name, cx, now, |viewer| viewer.flush(now));
        Ok(())
    }

    pub fn viewer_ready(
        &mut self,
        token: u32,
        readable: bool,
        writable: bool,
        name: &Arc<str>,
        cx: &Context,
        now: u64,
    ) {
        self.each_viewer(name, cx, now, |viewer| {
            if viewer.number as u32 & NUMBER_MASK == token {
                viewer.ready(readable, writable, now)
            } else {
                Step::Stays
            }
        });
    }

    /// False: it has left already.
    pub fn remove_viewer(&mut self, number: u64, name: &Arc<str>, cx: &Context, now: u64) -> bool {
        let before = self.viewers.len();
        self.each_viewer(name, cx, now, |viewer| {
            if viewer.number == number {
                Step::Leaves("removed")
            } else {
                Step::Stays
            }
        });
        self.viewers.len() < before
    }

    pub fn close_viewers(&mut self, name: &Arc<str>, cx: &Context, now: u64) {
        self.each_viewer(name, cx, now, |viewer| {
            viewer.finish(now);
            Step::Leaves("stream closed")
        });
    }

    /// Do something with each viewer, tell what came of it, let go of those that leave.
    fn each_viewer(
        &mut self,
        name: &Arc<str>,
        cx: &Context,
        now: u64,
        mut step: impl FnMut(&mut Viewer) -> Step,
    ) {
        if self.viewers.is_empty() {
            return;
        }
        self.viewers.retain_mut(|viewer| match step(viewer) {
            Step::Stays => true,
            Step::FirstByte => {
                let number = viewer.number;
                cx.tell_number(name, EventKind::ViewerFirstByte, now, "", number);
                true
            }
            Step::Leaves(reason) => {
                // The original descriptor lives on: epoll would go on watching it.
                let _ = cx.epoll.delete(viewer.descriptor());
                viewer.shut();
                let stats = viewer.stats();
                let detail = format!(
                    "{reason}; {} bytes, {} frames, {} skipped",
                    stats.bytes, stats.frames, stats.skipped
                );
                cx.tell_number(name, EventKind::ViewerLeft, now, detail, viewer.number);
                false
            }
        });
        self.update_demuxing();
    }

    pub fn stats(&self) -> StreamStats {
        self.ingest.stats()
    }

    /// Frames and bytes cached since the last key frame.
    pub fn gop(&self) -> (usize, usize) {
        (self.gop.frames().len(), self.gop.memory_used())
    }

    pub fn viewer_count(&self) -> usize {
        self.viewers.len()
    }

    pub fn viewer_stats(&self) -> Vec<ViewerStats> {
        self.viewers.iter().map(Viewer::stats).collect()
    }
}
