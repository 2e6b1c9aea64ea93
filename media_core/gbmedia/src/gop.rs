//! The frames since the last key frame, so that a viewer who joins sees a picture at once.

use std::sync::Arc;

use crate::frame::{AudioParameters, Frame, Kind, VideoParameters};

/// Bounds of one stream's cache.
#[derive(Clone, Copy, Debug)]
pub struct GopLimits {
    /// Pictures and sound frames: 20 s at 25 pictures and 50 sound frames a second.
    pub frames: usize,
    /// 8 MiB: 16 s of 4 Mbit/s.
    pub bytes: usize,
}

impl Default for GopLimits {
    fn default() -> Self {
        Self {
            frames: 1500,
            bytes: 8 << 20,
        }
    }
}

/// The last group of pictures with its sound, and the parameters it is decoded with.
#[derive(Debug)]
pub struct GopCache {
    limits: GopLimits,
    video: Option<Arc<VideoParameters>>,
    audio: Option<Arc<AudioParameters>>,
    frames: Vec<Frame>,
    bytes: usize,
    overflows: u64,
}

impl GopCache {
    pub fn new(limits: GopLimits) -> Self {
        Self {
            limits,
            video: None,
            audio: None,
            frames: Vec::new(),
            bytes: 0,
            overflows: 0,
        }
    }

    /// Parameters for the frames that follow. What is cached was made with others: it is dropped.
    pub fn set_video(&mut self, video: Arc<VideoParameters>) {
        if self.video.as_ref() != Some(&video) {
            self.video = Some(video);
            self.clear();
        }
    }

    pub fn set_audio(&mut self, audio: Arc<AudioParameters>) {
        self.audio = Some(audio);
    }

    pub fn video(&self) -> Option<&Arc<VideoParameters>> {
        self.video.as_ref()
    }

    pub fn audio(&self) -> Option<&Arc<AudioParameters>> {
        self.audio.as_ref()
    }

    /// Keeps a frame. A key frame starts anew. A group that outgrows the limits is dropped as a
    /// whole, since its rest could not be decoded, and the next key frame starts again.
    pub fn push(&mut self, frame: &Frame) {
        if frame.kind() == Kind::Video && frame.key {
            self.clear();
        } else if self.frames.is_empty() {
            return;
        }
        let size = frame.data.len();
        if self.frames.len() >= self.limits.frames || self.bytes + size > self.limits.bytes {
            self.clear();
            self.overflows += 1;
            return;
        }
        self.bytes += size;
        self.frames.push(frame.clone());
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// From the key frame to the newest frame; empty when nothing can be joined at.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes held: payloads and the list itself.
    pub fn memory_used(&self) -> usize {
        self.bytes + self.frames.capacity() * size_of::<Frame>()
    }

    /// Groups that did not fit.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }
}

impl Default for GopCache {
    fn default() -> Self {
        Self::new(GopLimits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Codec;
    use crate::test_support::{frame, h264, h265};

    fn small() -> GopCache {
        GopCache::new(GopLimits {
            frames: 5,
            bytes: 1000,
        })
    }

    fn times(cache: &GopCache) -> Vec<i64> {
        cache.frames().iter().map(|frame| frame.dts).collect()
    }

    #[test]
    fn holds_the_last_group_with_its_sound() {
        let mut cache = small();
        cache.push(&frame(Codec::H264, 0, false, 10));
        cache.push(&frame(Codec::G711A, 1, false, 10));
        assert!(times(&cache).is_empty(), "nothing before a key frame");
        cache.push(&frame(Codec::H264, 2, true, 10));
        cache.push(&frame(Codec::G711A, 3, false, 10));
        cache.push(&frame(Codec::H264, 4, false, 10));
        assert_eq!(times(&cache), [2, 3, 4]);
        cache.push(&frame(Codec::H264, 5, true, 10));
        assert_eq!(times(&cache), [5]);
    }

    #[test]
    fn a_key_flag_on_sound_starts_nothing() {
        let mut cache = small();
        cache.push(&frame(Codec::Aac, 0, true, 10));
        assert!(times(&cache).is_empty());
    }

    #[test]
    fn too_many_frames_or_bytes_drop_the_group() {
        let mut cache = small();
        cache.push(&frame(Codec::H264, 0, true, 10));
        (1..5).for_each(|dts| cache.push(&frame(Codec::H264, dts, false, 10)));
        assert_eq!(times(&cache).len(), 5);
        cache.push(&frame(Codec::H264, 5, false, 10));
        cache.push(&frame(Codec::H264, 6, false, 10));
        assert!(times(&cache).is_empty());
        assert_eq!(
            cache.overflows(),
            1,
            "the rest of the group is not counted again"
        );
        cache.push(&frame(Codec::H264, 7, true, 1000));
        assert_eq!(times(&cache), [7]);
        cache.push(&frame(Codec::H264, 8, false, 1));
        assert!(times(&cache).is_empty());
        assert_eq!(cache.overflows(), 2);
    }

    #[test]
    fn memory_is_counted_and_bounded() {
        let mut cache = small();
        assert_eq!(cache.memory_used(), 0);
        cache.push(&frame(Codec::H264, 0, true, 900));
        assert!(cache.memory_used() >= 900);
        (1..1000).for_each(|dts| cache.push(&frame(Codec::H264, dts, dts % 7 == 0, 300)));
        assert!(cache.memory_used() <= 1000 + 8 * size_of::<Frame>());
    }

    #[test]
    fn other_parameters_drop_what_was_made_with_the_old_ones() {
        let mut cache = small();
        cache.set_video(Arc::new(h264()));
        cache.push(&frame(Codec::H264, 0, true, 10));
        cache.set_video(Arc::new(h264()));
        assert_eq!(times(&cache), [0]);
        cache.set_video(Arc::new(h265()));
        assert!(times(&cache).is_empty());
    }
}
