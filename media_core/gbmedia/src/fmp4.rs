//! Fragmented MP4 out, for Media Source Extensions: one `moof` + `mdat` for each frame, so that a
//! frame leaves as soon as it is there. ISO/IEC 14496-12; "ISO BMFF Byte Stream Format" (W3C).
//!
//! Video is H.264 or H.265, sound is AAC. No browser plays G.711 from MP4: it is left out.

use std::sync::Arc;

use bytes::Bytes;

use crate::chunk::Chunk;
use crate::decoder_config::{audio_codec_string, video_codec_string};
use crate::fmp4_init;
use crate::frame::{AudioParameters, Codec, Frame, Kind, VideoParameters};

pub(crate) const VIDEO_TRACK: u32 = 1;
pub(crate) const AUDIO_TRACK: u32 = 2;
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;
/// Samples of one AAC frame (ISO/IEC 14496-3: `frameLengthFlag` 0, as all cameras have it).
const AAC_FRAME_SAMPLES: u32 = 1024;
/// `sample_depends_on` 2 (on no other): a key frame.
const KEY_SAMPLE: u32 = 0x0200_0000;
/// `sample_depends_on` 1 and `sample_is_non_sync_sample`.
const OTHER_SAMPLE: u32 = 0x0101_0000;
/// `moof` and the eight bytes of `mdat`'s header.
const HEAD_SIZE: usize = MOOF_SIZE + 8;
const MOOF_SIZE: usize = 104;

/// Can a viewer of MP4 be given this codec?
pub fn carries(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::H265 | Codec::Aac)
}

/// One viewer's MP4.
#[derive(Debug)]
pub struct Fmp4Muxer {
    video: Option<Arc<VideoParameters>>,
    audio: Option<Arc<AudioParameters>>,
    sequence: u32,
    video_times: VideoTimes,
    /// Where the next sound frame begins if nothing is missing, in samples.
    audio_next: Option<i64>,
}

impl Fmp4Muxer {
    /// Parameters of codecs that MP4 does not carry are ignored.
    pub fn new(video: Option<Arc<VideoParameters>>, audio: Option<Arc<AudioParameters>>) -> Self {
        let video = video.filter(|parameters| carries(parameters.codec));
        Self {
            video_times: VideoTimes::new(video.as_deref()),
            video,
            audio: audio.filter(|parameters| carries(parameters.codec)),
            sequence: 0,
            audio_next: None,
        }
    }

    /// Has it any track at all?
    pub fn is_empty(&self) -> bool {
        self.video.is_none() && self.audio.is_none()
    }

    /// Other parameter sets for the same track: send [`Fmp4Muxer::init_segment`] again.
    pub fn set_video(&mut self, video: Arc<VideoParameters>) {
        if self.video.is_some() && carries(video.codec) {
            self.video = Some(video);
        }
    }

    /// Other sound for the track that there is; `false` if there is none or it is of another codec.
    pub fn set_audio(&mut self, audio: Arc<AudioParameters>) -> bool {
        let fits = self
            .audio
            .as_ref()
            .is_some_and(|old| old.codec == audio.codec);
        if fits {
            self.audio = Some(audio);
            self.audio_next = None;
        }
        fits
    }

    /// `ftyp` and `moov`.
    pub fn init_segment(&self) -> Bytes {
        fmp4_init::segment(self.video.as_deref(), self.audio.as_deref())
    }

    /// For `MediaSource.addSourceBuffer`: `video/mp4; codecs="avc1.64001F"`.
    pub fn mime_type(&self) -> String {
        let video = self.video.as_deref().and_then(video_codec_string);
        let audio = self.audio.as_deref().and_then(audio_codec_string);
        let kind = if video.is_some() { "video" } else { "audio" };
        let codecs: Vec<String> = video.into_iter().chain(audio).collect();
        format!("{kind}/mp4; codecs=\"{}\"", codecs.join(","))
    }

    /// One frame as `moof` + `mdat`, its time counted from `base_dts`. `None` for a frame of a
    /// track that this viewer's MP4 has not.
    pub fn frame(&mut self, frame: &Frame, base_dts: i64) -> Option<Chunk> {
        let since_base = (frame.dts - base_dts).max(0);
        let sample = match frame.kind() {
            Kind::Video => {
                self.video
                    .as_ref()
                    .filter(|video| video.codec == frame.codec)?;
                Sample {
                    track: VIDEO_TRACK,
                    decode_time: since_base,
                    duration: self.video_times.duration(frame.dts),
                    flags: if frame.key { KEY_SAMPLE } else { OTHER_SAMPLE },
                    composition: (frame.pts - frame.dts).clamp(0, i64::from(i32::MAX)) as i32,
                }
            }
            Kind::Audio => {
                let audio = self
                    .audio
                    .as_ref()
                    .filter(|audio| audio.codec == frame.codec)?;
                Sample {
                    track: AUDIO_TRACK,
                    decode_time: audio_time(&mut self.audio_next, since_base, audio.sample_rate),
                    duration: AAC_FRAME_SAMPLES,
                    flags: KEY_SAMPLE,
                    composition: 0,
                }
            }
        };
        let size = u32::try_from(frame.data.len()).ok()?.checked_add(8)?;
        self.sequence = self.sequence.wrapping_add(1);
        Some(Chunk {
            head: sample.head(self.sequence, size),
            body: frame.data.clone(),
            tail: Bytes::new(),
        })
    }
}

/// The duration to announce for a frame before the next one is known.
#[derive(Debug)]
struct VideoTimes {
    last_dts: Option<i64>,
    /// The longest recent distance of frames, 90 kHz; forgets a sixteenth of the excess per frame.
    longest: i64,
    /// What the SPS promises; 0 when it says nothing.
    nominal: i64,
}

impl VideoTimes {
    fn new(video: Option<&VideoParameters>) -> Self {
        let nominal = match video.map_or(0, |video| i64::from(video.fps_milli)) {
            fps_milli @ 1_000..=240_000 => 90_000_000 / fps_milli,
            _ => 0,
        };
        Self {
            last_dts: None,
            longest: nominal.max(3600),
            nominal,
        }
    }

    /// The longest recent distance: browsers take a distance of more than two durations for a gap
    /// and wait for the next key frame (Media Source Extensions 3.5.8), so a camera's jitter must
    /// not yield a short duration. A long one does no harm.
    fn duration(&mut self, dts: i64) -> u32 {
        if let Some(last) = self.last_dts {
            let delta = dts - last;
            // A pause of seconds is no frame distance.
            if (1..=90_000 * 2).contains(&delta) {
                let excess = (self.longest - delta).max(0);
                self.longest = delta.max(self.longest - (excess + 15) / 16);
            }
        }
        self.last_dts = Some(dts);
        self.longest.max(self.nominal) as u32
    }
}

/// A sound frame's time in samples. Time stamps of 90 kHz are coarser than samples of 44.1 kHz:
/// while nothing is missing, frames follow each other exactly.
fn audio_time(next: &mut Option<i64>, since_base: i64, sample_rate: u32) -> i64 {
    let stamped = since_base * i64::from(sample_rate) / i64::from(VIDEO_TIMESCALE);
    let time = match *next {
        Some(expected) if (stamped - expected).abs() < i64::from(AAC_FRAME_SAMPLES) => expected,
        Some(expected) => stamped.max(expected),
        None => stamped,
    };
    *next = Some(time + i64::from(AAC_FRAME_SAMPLES));
    time
}

struct Sample {
    track: u32,
    decode_time: i64,
    duration: u32,
    flags: u32,
    composition: i32,
}

impl Sample {
    /// `moof(mfhd, traf(tfhd, tfdt, trun))` and the header of an `mdat` of `mdat_size` bytes.
    fn head(&self, sequence: u32, mdat_size: u32) -> Bytes {
        let mut out = Vec::with_capacity(HEAD_SIZE);
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        let word = u32::to_be_bytes;
        put(&word(MOOF_SIZE as u32));
        put(b"moof\0\0\0\x10mfhd\0\0\0\0");
        put(&word(sequence));
        put(&word(MOOF_SIZE as u32 - 24));
        put(b"traf\0\0\0\x10tfhd");
        put(&word(0x02_0000)); // default-base-is-moof
        put(&word(self.track));
        put(b"\0\0\0\x14tfdt\x01\0\0\0");
        put(&self.decode_time.to_be_bytes());
        put(b"\0\0\0\x24trun");
        // Version 1; data offset and, for each sample, duration, size, flags, composition offset.
        put(&word(0x0100_0F01));
        put(&word(1)); // samples
        put(&word(HEAD_SIZE as u32)); // data offset from the moof's first byte
        put(&word(self.duration));
        put(&word(mdat_size - 8));
        put(&word(self.flags));
        put(&self.composition.to_be_bytes());
        put(&word(mdat_size));
        put(b"mdat");
        debug_assert_eq!(out.len(), HEAD_SIZE);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{aac, alaw, frame as make, h264, h265};

    fn muxer() -> Fmp4Muxer {
        Fmp4Muxer::new(Some(Arc::new(h264())), Some(Arc::new(aac())))
    }

    fn field(head: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(head[at..at + 4].try_into().unwrap())
    }

    fn long_field(head: &[u8], at: usize) -> i64 {
        i64::from_be_bytes(head[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn a_fragment_is_laid_out_as_its_boxes_say() {
        let mut muxer = muxer();
        let mut frame = make(Codec::H264, 93_600, true, 1000);
        frame.pts += 7200;
        let chunk = muxer.frame(&frame, 90_000).unwrap();
        let head = &chunk.head;
        assert_eq!(head.len(), 112);
        let boxes: Vec<(u32, &[u8])> = [0, 8, 24, 32, 48, 68, 104]
            .iter()
            .map(|at| (field(head, *at), &head[at + 4..at + 8]))
            .collect();
        let expected: [(u32, &[u8; 4]); 7] = [
            (104, b"moof"),
            (16, b"mfhd"),
            (80, b"traf"),
            (16, b"tfhd"),
            (20, b"tfdt"),
            (36, b"trun"),
            (1008, b"mdat"),
        ];
        for (found, wanted) in boxes.iter().zip(expected) {
            assert_eq!(*found, (wanted.0, &wanted.1[..]));
        }
        assert_eq!(field(head, 20), 1, "sequence number");
        assert_eq!(field(head, 44), VIDEO_TRACK);
        assert_eq!(long_field(head, 60), 3600, "time from the viewer's base");
        assert_eq!(
            field(head, 84),
            112,
            "the sample lies behind the mdat header"
        );
        assert_eq!(field(head, 88), 3600, "duration from the SPS");
        assert_eq!(field(head, 92), 1000);
        assert_eq!(field(head, 96), KEY_SAMPLE);
        assert_eq!(field(head, 100), 7200, "composition offset");
        assert_eq!(chunk.body.as_ptr(), frame.data.as_ptr());
    }

    #[test]
    fn durations_follow_the_distance_of_frames() {
        let mut times = VideoTimes::new(Some(&h264()));
        let mut steady = (0..100).map(|number| times.duration(number * 3600));
        assert!(steady.all(|duration| duration == 3600));
        // 12.5 frames a second after dusk: the first guess is short, all others are right.
        let slow: Vec<u32> = (0..40)
            .map(|n| times.duration(99 * 3600 + 7200 * (n + 1)))
            .collect();
        assert!(slow.iter().all(|duration| *duration == 7200), "{slow:?}");
        // Jitter never makes a duration so short that the next frame looks like a gap.
        let mut times = VideoTimes::new(Some(&h264()));
        let mut dts = 0;
        for step in [3600, 10, 7190, 3600, 100, 7100, 3600].repeat(20) {
            let announced = i64::from(times.duration(dts));
            assert!(step <= 2 * announced, "{step} after {announced}");
            dts += step;
        }
        let before_pause = times.duration(dts);
        assert_eq!(times.duration(dts + 900_000), before_pause);
    }

    #[test]
    fn sound_frames_join_without_gaps() {
        let mut next = None;
        // 44.1 kHz: 2089.79 ticks a frame, stamped with whole ticks.
        for number in 0..1000 {
            let stamped = number * 1024 * 90_000 / 44_100;
            assert_eq!(audio_time(&mut next, stamped, 44_100), number * 1024);
        }
        // A real gap stays a gap, and time never runs back.
        let late = audio_time(&mut next, 1_000_000 * 90, 44_100);
        assert_eq!(late, 44_100_000);
        assert_eq!(audio_time(&mut next, 0, 44_100), late + 1024);
    }

    #[test]
    fn only_announced_tracks_are_sent() {
        let mut muxer = Fmp4Muxer::new(Some(Arc::new(h265())), Some(Arc::new(alaw())));
        assert_eq!(muxer.mime_type(), "video/mp4; codecs=\"hvc1.1.6.L93.90\"");
        assert!(muxer.frame(&make(Codec::G711A, 0, false, 320), 0).is_none());
        assert!(muxer.frame(&make(Codec::Aac, 0, false, 320), 0).is_none());
        assert!(muxer.frame(&make(Codec::H264, 0, true, 320), 0).is_none());
        assert!(muxer.frame(&make(Codec::H265, 0, true, 320), 0).is_some());
        assert!(Fmp4Muxer::new(None, Some(Arc::new(alaw()))).is_empty());
    }

    #[test]
    fn mime_types() {
        assert_eq!(
            muxer().mime_type(),
            "video/mp4; codecs=\"avc1.42C01F,mp4a.40.2\""
        );
        let sound = Fmp4Muxer::new(None, Some(Arc::new(aac())));
        assert_eq!(sound.mime_type(), "audio/mp4; codecs=\"mp4a.40.2\"");
    }

    #[test]
    fn sound_has_its_own_track_and_time_scale() {
        let mut muxer = muxer();
        let chunk = muxer
            .frame(&make(Codec::Aac, 180_000, false, 9), 90_000)
            .unwrap();
        assert_eq!(field(&chunk.head, 44), AUDIO_TRACK);
        assert_eq!(long_field(&chunk.head, 60), 48_000);
        assert_eq!(field(&chunk.head, 88), 1024);
    }
}
