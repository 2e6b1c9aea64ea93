//! A recorded camera: the clip file of the simulators, loaded once and shared by many senders.
//!
//! All numbers are big endian:
//!
//! ```text
//! offset  size
//! 0       8     "GBCLIP", 0, version 1
//! 8       1     video stream type of annex C: 0x1B H.264, 0x24 H.265
//! 9       1     audio stream type: 0x90 G.711 A-law, 0 none
//! 10      2+2   width, height
//! 14      2     0
//! 16      4     number of frames
//! 20      4     length of the loop, 90 kHz
//! 24      4     audio bytes, 8000 a second
//! 28      4     0
//! 32      16*n  for each frame: length (4), flags (4; bit 0: key frame), pts (8; 90 kHz)
//! ...           the frames in Annex B form, then the audio
//! ```

use std::fmt;

use bytes::{Buf, Bytes};

use crate::frame::Codec;

const MAGIC: &[u8; 8] = b"GBCLIP\0\x01";
const HEADER_SIZE: usize = 32;
const ENTRY_SIZE: usize = 16;
const KEY_FLAG: u32 = 1;

/// Why a file is no clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipError {
    NotAClip,
    UnknownCodec(u8),
    CutShort,
    /// The first frame is no key frame, times do not rise, or the loop ends before its last frame.
    Disorder,
}

impl fmt::Display for ClipError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAClip => formatter.write_str("this is not a clip file of version 1"),
            Self::UnknownCodec(code) => {
                write!(formatter, "a clip cannot hold stream type {code:#04X}")
            }
            Self::CutShort => formatter.write_str("the clip file is cut short"),
            Self::Disorder => formatter.write_str(
                "the clip does not begin with a key frame, or its times do not rise to its end",
            ),
        }
    }
}

impl std::error::Error for ClipError {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipFrame {
    /// 90 kHz from the clip's beginning.
    pub pts: i64,
    pub key: bool,
    /// Annex B form.
    pub data: Bytes,
}

/// Never empty; its first frame is a key frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    pub video: Codec,
    pub audio: Option<Codec>,
    pub width: u16,
    pub height: u16,
    /// Length of the loop, 90 kHz.
    pub duration: i64,
    pub frames: Vec<ClipFrame>,
    /// G.711, 8000 bytes a second.
    pub sound: Bytes,
}

impl Clip {
    /// Reads a clip file's content; the frames share its memory.
    pub fn parse(mut content: Bytes) -> Result<Self, ClipError> {
        if content.len() < HEADER_SIZE || &content[..8] != MAGIC {
            return Err(ClipError::NotAClip);
        }
        content.advance(8);
        let video = codec(content.get_u8(), &[Codec::H264, Codec::H265])?;
        let audio = match content.get_u8() {
            0 => None,
            code => Some(codec(code, &[Codec::G711A, Codec::G711U])?),
        };
        let (width, height) = (content.get_u16(), content.get_u16());
        content.advance(2);
        let count = content.get_u32() as usize;
        let duration = i64::from(content.get_u32());
        let sound_size = content.get_u32() as usize;
        content.advance(4);
        let index_size = count.checked_mul(ENTRY_SIZE).ok_or(ClipError::CutShort)?;
        let mut index = take(&mut content, index_size)?;
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, flags) = (index.get_u32() as usize, index.get_u32());
            let pts = i64::try_from(index.get_u64()).map_err(|_| ClipError::Disorder)?;
            frames.push(ClipFrame {
                pts,
                key: flags & KEY_FLAG != 0,
                data: take(&mut content, length)?,
            });
        }
        let sound = take(&mut content, sound_size)?;
        let clip = Self {
            video,
            audio,
            width,
            height,
            duration,
            frames,
            sound,
        };
        if clip.is_in_order() {
            Ok(clip)
        } else {
            Err(ClipError::Disorder)
        }
    }

    fn is_in_order(&self) -> bool {
        let rises = self.frames.windows(2).all(|pair| pair[0].pts < pair[1].pts);
        let begins = self
            .frames
            .first()
            .is_some_and(|frame| frame.key && frame.pts == 0);
        rises && begins && self.frames.iter().all(|frame| frame.pts < self.duration)
    }

    /// Time from frame `index` to the next one, over the loop's end too.
    pub fn interval(&self, index: usize) -> i64 {
        let end = self
            .frames
            .get(index + 1)
            .map_or(self.duration, |next| next.pts);
        end - self.frames[index].pts
    }

    /// The sound of the time that frame `index` is shown.
    pub fn sound_of(&self, index: usize) -> &[u8] {
        let at = |time: i64| ((time * 8000 / 90_000) as usize).min(self.sound.len());
        let begin = self.frames[index].pts;
        &self.sound[at(begin)..at(begin + self.interval(index))]
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Clip({} {}x{}, {} frames)",
            self.video.name(),
            self.width,
            self.height,
            self.frames.len()
        )
    }
}

fn codec(code: u8, allowed: &[Codec]) -> Result<Codec, ClipError> {
    Codec::from_stream_type(code)
        .filter(|codec| allowed.contains(codec))
        .ok_or(ClipError::UnknownCodec(code))
}

fn take(content: &mut Bytes, count: usize) -> Result<Bytes, ClipError> {
    if content.len() < count {
        return Err(ClipError::CutShort);
    }
    Ok(content.split_to(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = include_bytes!("../../../tests/wire/clips/h264.gbclip");

    fn parsed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Clip, ClipError> {
        let mut content = FILE.to_vec();
        change(&mut content);
        Clip::parse(content.into())
    }

    #[test]
    fn what_is_no_clip_is_refused() {
        assert_eq!(Clip::parse(Bytes::new()), Err(ClipError::NotAClip));
        assert_eq!(parsed(|file| file[7] = 2), Err(ClipError::NotAClip));
        assert_eq!(
            parsed(|file| file[8] = 0x10),
            Err(ClipError::UnknownCodec(0x10))
        );
        assert_eq!(
            parsed(|file| file[9] = 0x0F),
            Err(ClipError::UnknownCodec(0x0F))
        );
        assert_eq!(parsed(|file| file[16] = 0xFF), Err(ClipError::CutShort));
        for length in (32..FILE.len()).step_by(97) {
            assert_eq!(
                parsed(|file| file.truncate(length)),
                Err(ClipError::CutShort)
            );
        }
        // First frame no key frame; second frame's time as the first's; a loop of no length.
        assert_eq!(parsed(|file| file[39] = 0), Err(ClipError::Disorder));
        assert_eq!(
            parsed(|file| file[62..64].fill(0)),
            Err(ClipError::Disorder)
        );
        assert_eq!(
            parsed(|file| file[20..24].fill(0)),
            Err(ClipError::Disorder)
        );
        assert_eq!(
            parsed(|file| file[16..20].fill(0)),
            Err(ClipError::Disorder)
        );
        assert!(parsed(|_| {}).is_ok());
    }

    #[test]
    fn frames_share_the_files_memory() {
        let content = Bytes::from_static(FILE);
        let clip = Clip::parse(content.clone()).unwrap();
        assert!(content
            .as_ptr_range()
            .contains(&clip.frames[3].data.as_ptr()));
    }
}
