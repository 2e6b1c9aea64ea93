//! The container of one viewer, whichever it is.

use std::sync::Arc;

use bytes::Bytes;

use crate::chunk::Chunk;
use crate::flv;
use crate::fmp4::{self, Fmp4Muxer};
use crate::frame::{AudioParameters, Codec, Frame, VideoParameters};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Flv,
    Fmp4,
}

impl Container {
    pub fn carries(self, codec: Codec) -> bool {
        match self {
            Self::Flv => flv::carries(codec),
            Self::Fmp4 => fmp4::carries(codec),
        }
    }

    /// For the HTTP response.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Flv => "video/x-flv",
            Self::Fmp4 => "video/mp4",
        }
    }
}

#[derive(Debug)]
pub enum Writer {
    Flv,
    Fmp4(Option<Fmp4Muxer>),
}

impl Writer {
    pub fn new(container: Container) -> Self {
        match container {
            Container::Flv => Self::Flv,
            Container::Fmp4 => Self::Fmp4(None),
        }
    }

    /// What comes before the first frame; `None` if nothing of this stream can be carried.
    pub fn start(
        &mut self,
        video: Option<&Arc<VideoParameters>>,
        audio: Option<&Arc<AudioParameters>>,
    ) -> Option<Bytes> {
        match self {
            Self::Flv => Some(flv::header(video.map(Arc::as_ref), audio.map(Arc::as_ref))),
            Self::Fmp4(slot) => {
                let muxer = Fmp4Muxer::new(video.cloned(), audio.cloned());
                (!muxer.is_empty()).then(|| slot.insert(muxer).init_segment())
            }
        }
    }

    /// Headers for other video parameters, `since_base` (90 kHz) after the viewer's first frame.
    pub fn video_changed(
        &mut self,
        video: &Arc<VideoParameters>,
        since_base: i64,
    ) -> Option<Bytes> {
        match self {
            Self::Flv => Some(flv::sequence_headers(
                Some(video),
                None,
                flv::timestamp_ms(since_base, 0),
            )),
            Self::Fmp4(muxer) => {
                let muxer = muxer.as_mut()?;
                muxer.set_video(video.clone());
                Some(muxer.init_segment())
            }
        }
    }

    /// Headers for sound that is new or other. A running MP4 cannot get one more track: `None`.
    pub fn audio_changed(
        &mut self,
        audio: &Arc<AudioParameters>,
        since_base: i64,
    ) -> Option<Bytes> {
        match self {
            Self::Flv => Some(flv::sequence_headers(
                None,
                Some(audio),
                flv::timestamp_ms(since_base, 0),
            )),
            Self::Fmp4(muxer) => {
                let muxer = muxer.as_mut()?;
                muxer.set_audio(audio.clone()).then(|| muxer.init_segment())
            }
        }
    }

    pub fn frame(&mut self, frame: &Frame, base_dts: i64) -> Option<Chunk> {
        match self {
            Self::Flv => flv::frame(frame, base_dts),
            Self::Fmp4(muxer) => muxer.as_mut()?.frame(frame, base_dts),
        }
    }

    /// Known for MP4 once it has begun.
    pub fn mime_type(&self) -> Option<String> {
        match self {
            Self::Flv => None,
            Self::Fmp4(muxer) => muxer.as_ref().map(Fmp4Muxer::mime_type),
        }
    }
}
