//! The streams of one program: what the demultiplexer finds goes to the video and the audio track.

use crate::audio::AudioTrack;
use crate::frame::{Codec, Kind};
use crate::ingest::{IngestEvent, IngestSettings};
use crate::output::Output;
use crate::ps::demux::{PesHeader, PsSink};
use crate::ps::map::StreamMap;
use crate::ps::stream_id::{is_audio, is_video};
use crate::quirk::Quirk;
use crate::stats::RateWindow;
use crate::timestamps::{Clock, Stamp};
use crate::video::{Context, VideoTrack};

/// Stream types of MPEG-1 and MPEG-2 video.
const MPEG_VIDEO: [u8; 2] = [0x01, 0x02];

pub(crate) struct Tracks {
    pub video: VideoTrack,
    pub audio: AudioTrack,
    clock: Clock,
    pub output: Output,
    pub rates: RateWindow,
    /// Of the RTP packet at hand.
    pub rtp_timestamp: u32,
    pub now: u64,
    /// The first of each kind; a second video stream of a program is not shown.
    video_id: Option<u8>,
    audio_id: Option<u8>,
    ps_locked: bool,
    encrypted: bool,
}

impl Tracks {
    pub fn new(settings: &IngestSettings) -> Self {
        Self {
            video: VideoTrack::new(settings),
            audio: AudioTrack::new(settings),
            clock: Clock::default(),
            output: Output::default(),
            rates: RateWindow::default(),
            rtp_timestamp: 0,
            now: 0,
            video_id: None,
            audio_id: None,
            ps_locked: false,
            encrypted: false,
        }
    }

    pub fn ps_locked(&self) -> bool {
        self.ps_locked
    }

    pub fn with_video<R>(&mut self, act: impl FnOnce(&mut VideoTrack, &mut Context<'_>) -> R) -> R {
        let mut context = Context {
            output: &mut self.output,
            clock: &mut self.clock,
            rates: &mut self.rates,
        };
        act(&mut self.video, &mut context)
    }

    pub fn with_audio<R>(&mut self, act: impl FnOnce(&mut AudioTrack, &mut Context<'_>) -> R) -> R {
        let mut context = Context {
            output: &mut self.output,
            clock: &mut self.clock,
            rates: &mut self.rates,
        };
        act(&mut self.audio, &mut context)
    }

    pub fn lost(&mut self) {
        self.with_video(VideoTrack::lost);
        self.audio.lost();
    }

    pub fn declare(&mut self, codec: Codec) {
        match codec.kind() {
            Kind::Video => self.with_video(|video, context| video.declare(codec, context)),
            Kind::Audio => self.with_audio(|audio, context| audio.declare(codec, context)),
        }
    }

    fn is_shown_video(&mut self, stream_id: u8) -> bool {
        is_video(stream_id) && *self.video_id.get_or_insert(stream_id) == stream_id
    }

    fn is_heard_audio(&mut self, stream_id: u8) -> bool {
        is_audio(stream_id) && *self.audio_id.get_or_insert(stream_id) == stream_id
    }
}

impl PsSink for Tracks {
    fn pack(&mut self) {
        if !self.ps_locked {
            self.ps_locked = true;
            self.output.event(IngestEvent::PsLocked);
        }
    }

    fn map(&mut self, map: &StreamMap) {
        if map.malformed {
            self.output.quirk(Quirk::MapMalformed);
        }
        self.encrypted = map.encrypted;
        if map.encrypted {
            self.output.quirk(Quirk::VendorEncrypted);
        }
        for entry in &map.entries {
            let codec = Codec::from_stream_type(entry.stream_type);
            let expected = if is_video(entry.stream_id) {
                Kind::Video
            } else {
                Kind::Audio
            };
            match codec {
                Some(Codec::Svac | Codec::Mpeg4) => self.output.quirk(Quirk::UnsupportedVideo),
                Some(codec) if codec.kind() == expected => self.declare(codec),
                None if MPEG_VIDEO.contains(&entry.stream_type) => {
                    self.output.quirk(Quirk::UnsupportedVideo);
                }
                _ => {}
            }
        }
    }

    fn pes_begin(&mut self, pes: &PesHeader) {
        let stamp = Stamp {
            pts: pes.pts,
            dts: pes.dts,
            rtp: self.rtp_timestamp,
            arrival: self.now,
            follows: false,
        };
        if self.is_shown_video(pes.stream_id) {
            let size = pes.payload_size;
            self.with_video(|video, context| video.pes_begin(stamp, size, context));
        } else if self.is_heard_audio(pes.stream_id) {
            self.audio.pes_begin(stamp);
        }
    }

    #[inline]
    fn pes_data(&mut self, stream_id: u8, data: &[u8]) {
        if self.is_shown_video(stream_id) {
            if !self.encrypted {
                self.with_video(|video, context| video.data(data, context));
            }
        } else if self.is_heard_audio(stream_id) {
            self.audio.data(data);
        }
    }

    fn pes_end(&mut self, stream_id: u8, intact: bool) {
        if self.is_shown_video(stream_id) {
            self.with_video(|video, context| video.pes_end(intact, context));
        } else if self.is_heard_audio(stream_id) {
            if intact {
                self.with_audio(AudioTrack::pes_end);
            } else {
                self.audio.lost();
            }
        }
    }

    fn sync_lost(&mut self) {
        self.output.stats.resyncs += 1;
        self.lost();
    }

    fn quirk(&mut self, quirk: Quirk) {
        self.output.quirk(quirk);
    }
}
