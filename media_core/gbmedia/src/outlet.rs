//! One viewer: what it still has to get, and what it is spared when it is too slow.
//!
//! ```text
//!              key frame                 too far behind
//!  WaitingForKey ----> Playing ----------------------------> Skipping
//!                         ^                                     |
//!                         +------------- key frame -------------+
//!  any state -- nothing taken for `give_up_us` --> Dropped
//!  any state -- finish() --> Ending -- all taken --> Ended
//! ```
//!
//! Frames are shared with all other viewers; a queue holds heads of its own only. Time is
//! microseconds of any monotonic clock.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use crate::chunk::Chunk;
use crate::frame::{AudioParameters, Frame, Kind, VideoParameters};
use crate::gop::GopCache;
use crate::outlet_queue::{Entry, Queue};
use crate::writer::Writer;
use crate::ws;

pub use crate::writer::Container;

#[derive(Clone, Copy, Debug)]
pub struct OutletSettings {
    pub container: Container,
    /// Each chunk is one binary message of RFC 6455; MP4 is announced by a text message.
    pub websocket: bool,
    /// 16 MiB: twice the largest group of pictures a viewer joins at.
    pub max_bytes: usize,
    /// The oldest unsent frame may have waited this long. 3 s: more is no live picture.
    pub max_behind_us: u64,
    /// A viewer that takes nothing for so long is dropped. 10 s.
    pub give_up_us: u64,
    /// A stream without any picture is played as sound after this time. 3 s: a camera's key frame
    /// takes that long at most.
    pub sound_only_after_us: u64,
}

impl OutletSettings {
    pub fn new(container: Container, websocket: bool) -> Self {
        Self {
            container,
            websocket,
            max_bytes: 16 << 20,
            max_behind_us: 3_000_000,
            give_up_us: 10_000_000,
            sound_only_after_us: 3_000_000,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutletState {
    WaitingForKey,
    Playing,
    /// Too slow: everything up to the next key frame is left out.
    Skipping,
    /// The stream has ended; the rest of the queue is still to be taken.
    Ending,
    /// Everything is taken: close the connection.
    Ended,
    /// The viewer took nothing for too long: close the connection.
    Dropped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutletStats {
    pub frames_queued: u64,
    pub bytes_taken: u64,
    /// Frames left out because the viewer was too slow.
    pub frames_skipped: u64,
    /// How often it came to that.
    pub skips: u64,
    /// Frames of codecs that this container does not carry.
    pub frames_unsupported: u64,
}

/// One viewer's queue and its container.
#[derive(Debug)]
pub struct Outlet {
    settings: OutletSettings,
    state: OutletState,
    writer: Writer,
    video: Option<Arc<VideoParameters>>,
    audio: Option<Arc<AudioParameters>>,
    /// Parameters changed: new headers go before the next frame they apply to.
    stale_video: bool,
    stale_audio: bool,
    base_dts: i64,
    first_sound_at: Option<u64>,
    told_mime_type: String,
    queue: Queue,
    /// When the viewer last took something, or had nothing to take.
    progress_at: u64,
    stats: OutletStats,
}

impl Outlet {
    pub fn new(settings: OutletSettings, now: u64) -> Self {
        Self {
            settings,
            state: OutletState::WaitingForKey,
            writer: Writer::new(settings.container),
            video: None,
            audio: None,
            stale_video: false,
            stale_audio: false,
            base_dts: 0,
            first_sound_at: None,
            told_mime_type: String::new(),
            queue: Queue::default(),
            progress_at: now,
            stats: OutletStats::default(),
        }
    }

    /// Bytes that go out as they are, before everything else: the head of the HTTP response.
    pub fn queue_raw(&mut self, bytes: Bytes, now: u64) {
        self.put(Entry::kept(bytes, now));
    }

    /// Begins with what the stream has so far. A group of pictures that is larger than half of what
    /// may be queued is passed over: the viewer then waits for the next key frame.
    pub fn join(&mut self, cache: &GopCache, now: u64) {
        if let Some(video) = cache.video() {
            self.set_video(video.clone());
        }
        if let Some(audio) = cache.audio() {
            self.set_audio(audio.clone());
        }
        let bytes: usize = cache.frames().iter().map(|frame| frame.data.len()).sum();
        if bytes <= self.settings.max_bytes / 2 {
            cache
                .frames()
                .iter()
                .for_each(|frame| self.push(frame, now));
        }
    }

    /// Parameters of the pictures that follow.
    pub fn set_video(&mut self, video: Arc<VideoParameters>) {
        self.stale_video |= self.video.as_ref() != Some(&video);
        self.video = Some(video);
    }

    /// Parameters of the sound that follows.
    pub fn set_audio(&mut self, audio: Arc<AudioParameters>) {
        self.stale_audio |= self.audio.as_ref() != Some(&audio);
        self.audio = Some(audio);
    }

    /// The stream's next frame.
    pub fn push(&mut self, frame: &Frame, now: u64) {
        if !self.settings.container.carries(frame.codec) {
            self.stats.frames_unsupported += 1;
            return;
        }
        self.handle_timer(now);
        match self.state {
            OutletState::WaitingForKey => self.begin(frame, now),
            OutletState::Playing => {
                if self.is_behind(frame, now) {
                    self.skip(now);
                }
                self.continue_with(frame, now);
            }
            OutletState::Skipping => self.continue_with(frame, now),
            OutletState::Ending | OutletState::Ended | OutletState::Dropped => {}
        }
    }

    fn begin(&mut self, frame: &Frame, now: u64) {
        let sound_only = frame.kind() == Kind::Audio && self.video.is_none() && {
            let first = *self.first_sound_at.get_or_insert(now);
            now.saturating_sub(first) >= self.settings.sound_only_after_us
        };
        let key = frame.kind() == Kind::Video && frame.key && self.video.is_some();
        if !key && !sound_only {
            return;
        }
        let Some(header) = self.writer.start(self.video.as_ref(), self.audio.as_ref()) else {
            return;
        };
        (self.stale_video, self.stale_audio) = (false, false);
        self.base_dts = frame.dts;
        self.put_headers(header, now);
        self.state = OutletState::Playing;
        self.put_frame(frame, now);
    }

    /// While skipping only a key frame is let through; without pictures any sound is.
    fn continue_with(&mut self, frame: &Frame, now: u64) {
        if self.state == OutletState::Skipping {
            let entry = match frame.kind() {
                Kind::Video => frame.key,
                Kind::Audio => self.video.is_none(),
            };
            if !entry {
                self.stats.frames_skipped += 1;
                return;
            }
            self.state = OutletState::Playing;
        }
        self.put_frame(frame, now);
    }

    fn put_frame(&mut self, frame: &Frame, now: u64) {
        let before_first_picture = frame.dts < self.base_dts;
        let without_reference = frame.kind() == Kind::Video && self.stale_video && !frame.key;
        if before_first_picture || without_reference {
            return;
        }
        self.put_changed_headers(frame, now);
        if let Some(chunk) = self.writer.frame(frame, self.base_dts) {
            self.stats.frames_queued += 1;
            self.put_chunk(chunk, false, now);
        }
    }

    fn put_changed_headers(&mut self, frame: &Frame, now: u64) {
        let stale = match frame.kind() {
            Kind::Video => &mut self.stale_video,
            Kind::Audio => &mut self.stale_audio,
        };
        if !std::mem::take(stale) {
            return;
        }
        let since_base = frame.dts - self.base_dts;
        let headers = match frame.kind() {
            Kind::Video => self
                .video
                .as_ref()
                .and_then(|video| self.writer.video_changed(video, since_base)),
            Kind::Audio => self
                .audio
                .as_ref()
                .and_then(|audio| self.writer.audio_changed(audio, since_base)),
        };
        if let Some(headers) = headers {
            self.put_headers(headers, now);
        }
    }

    fn put_headers(&mut self, headers: Bytes, now: u64) {
        if self.settings.websocket {
            self.tell_mime_type(now);
        }
        self.put_chunk(headers.into(), true, now);
    }

    /// A text message `{"mime": "..."}` before an MP4 whose kind the player does not know yet: it
    /// has to name it to `MediaSource.addSourceBuffer` or `SourceBuffer.changeType`.
    fn tell_mime_type(&mut self, now: u64) {
        let mime = self.writer.mime_type();
        if let Some(mime) = mime.filter(|mime| *mime != self.told_mime_type) {
            let message = format!("{{\"mime\": \"{}\"}}", mime.replace('"', "\\\""));
            self.put(Entry::kept(ws::text(&message), now));
            self.told_mime_type = mime;
        }
    }

    fn put_chunk(&mut self, chunk: Chunk, kept: bool, now: u64) {
        if chunk.is_empty() {
            return;
        }
        let chunk = if self.settings.websocket {
            let head = [ws::binary_head(chunk.len()), chunk.head].concat();
            Chunk {
                head: head.into(),
                ..chunk
            }
        } else {
            chunk
        };
        self.put(Entry::new(chunk, kept, now));
    }

    fn put(&mut self, entry: Entry) {
        if self.queue.is_empty() {
            self.progress_at = entry.queued_at();
        }
        self.queue.push(entry);
    }

    fn is_behind(&self, frame: &Frame, now: u64) -> bool {
        let waited = self
            .queue
            .oldest()
            .map_or(0, |queued_at| now.saturating_sub(queued_at));
        waited > self.settings.max_behind_us
            || self.queue.bytes() + frame.data.len() > self.settings.max_bytes
    }

    fn skip(&mut self, now: u64) {
        self.stats.frames_skipped += self.queue.drop_unsent(now);
        self.stats.skips += 1;
        self.state = OutletState::Skipping;
    }

    /// Answers a client's ping (RFC 6455 5.5.3). Only the newest ping needs an answer: no more than
    /// a few are queued.
    pub fn queue_pong(&mut self, payload: &[u8], now: u64) {
        const MOST: usize = 8;
        let open = !matches!(
            self.state,
            OutletState::Ending | OutletState::Ended | OutletState::Dropped
        );
        if self.settings.websocket && open && self.queue.kept() < MOST {
            self.put(Entry::kept(ws::pong(payload), now));
        }
    }

    /// The stream has ended: what is queued is still sent, and then the connection is to be closed.
    pub fn finish(&mut self, now: u64) {
        if matches!(
            self.state,
            OutletState::Ending | OutletState::Ended | OutletState::Dropped
        ) {
            return;
        }
        if self.settings.websocket {
            self.put(Entry::kept(ws::close(ws::GOING_AWAY), now));
        }
        self.state = if self.queue.is_empty() {
            OutletState::Ended
        } else {
            OutletState::Ending
        };
    }

    /// Adds what is to be written next to `slices`, at most `limit` of them; hand them to `writev`.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, limit: usize) {
        self.queue.slices(slices, limit);
    }

    pub fn has_output(&self) -> bool {
        !self.queue.is_empty()
    }

    /// So many bytes of the slices were written.
    pub fn taken(&mut self, bytes: usize, now: u64) {
        if bytes == 0 {
            return;
        }
        self.progress_at = now;
        self.stats.bytes_taken += bytes as u64;
        self.queue.take(bytes);
        if self.queue.is_empty() && self.state == OutletState::Ending {
            self.state = OutletState::Ended;
        }
    }

    /// When [`Outlet::handle_timer`] wants to be called, if at all.
    pub fn next_timeout(&self) -> Option<u64> {
        (!self.queue.is_empty()).then(|| self.progress_at + self.settings.give_up_us)
    }

    /// Drops a viewer that takes nothing any more.
    pub fn handle_timer(&mut self, now: u64) {
        if self.next_timeout().is_some_and(|timeout| now >= timeout) {
            self.state = OutletState::Dropped;
            self.queue.clear();
        }
    }

    pub fn state(&self) -> OutletState {
        self.state
    }

    pub fn stats(&self) -> OutletStats {
        self.stats
    }

    /// Bytes that wait for the viewer. Their payload is shared with other viewers.
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// For `MediaSource.addSourceBuffer`, as soon as an MP4 has begun.
    pub fn mime_type(&self) -> Option<String> {
        self.writer.mime_type()
    }
}

#[cfg(test)]
mod tests;
