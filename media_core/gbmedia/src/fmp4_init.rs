//! The initialization segment of fragmented MP4: `ftyp` and `moov`, ISO/IEC 14496-12 and -14, -15.

use bytes::Bytes;

use crate::decoder_config;
use crate::fmp4::{AUDIO_TRACK, VIDEO_TIMESCALE, VIDEO_TRACK};
use crate::frame::{AudioParameters, Codec, VideoParameters};

/// No rotation, no scaling: 16.16 and 2.30 fixed point.
const UNITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// "und" in three times five bits.
const UNDETERMINED_LANGUAGE: u16 = 0x55C4;

pub fn segment(video: Option<&VideoParameters>, audio: Option<&AudioParameters>) -> Bytes {
    let mut out = Out(Vec::with_capacity(1024));
    out.boxed(b"ftyp", |out| {
        out.put(b"iso6")
            .u32(1)
            .put(b"iso6")
            .put(b"iso5")
            .put(b"mp41");
    });
    out.boxed(b"moov", |out| {
        movie_header(out);
        if let Some(video) = video {
            out.boxed(b"trak", |out| video_track(out, video));
        }
        if let Some(audio) = audio {
            out.boxed(b"trak", |out| audio_track(out, audio));
        }
        out.boxed(b"mvex", |out| {
            let tracks = [video.map(|_| VIDEO_TRACK), audio.map(|_| AUDIO_TRACK)];
            for track in tracks.into_iter().flatten() {
                out.full(b"trex", 0, |out| {
                    // Sample description 1; every fragment gives duration, size and flags.
                    out.u32(track).u32(1).u32(0).u32(0).u32(0);
                });
            }
        });
    });
    out.0.into()
}

fn movie_header(out: &mut Out) {
    out.full(b"mvhd", 0, |out| {
        // Created, modified, time scale, duration: a fragmented movie has none.
        out.u32(0).u32(0).u32(1000).u32(0);
        out.u32(0x1_0000).u16(0x0100).zeros(10); // rate, volume
        UNITY_MATRIX.iter().for_each(|value| {
            out.u32(*value);
        });
        out.zeros(24).u32(AUDIO_TRACK + 1); // next track
    });
}

fn video_track(out: &mut Out, video: &VideoParameters) {
    track_header(out, VIDEO_TRACK, 0, video.width, video.height);
    out.boxed(b"mdia", |out| {
        media_header(out, VIDEO_TIMESCALE, b"vide", b"Video\0");
        out.boxed(b"minf", |out| {
            out.full(b"vmhd", 1, |out| {
                out.zeros(8); // copy mode, no colour
            });
            data_information(out);
            sample_table(out, |out| video_sample_entry(out, video));
        });
    });
}

fn audio_track(out: &mut Out, audio: &AudioParameters) {
    track_header(out, AUDIO_TRACK, 0x0100, 0, 0);
    out.boxed(b"mdia", |out| {
        media_header(out, audio.sample_rate, b"soun", b"Sound\0");
        out.boxed(b"minf", |out| {
            out.full(b"smhd", 0, |out| {
                out.zeros(4); // balance: centre
            });
            data_information(out);
            sample_table(out, |out| audio_sample_entry(out, audio));
        });
    });
}

fn track_header(out: &mut Out, track: u32, volume: u16, width: u32, height: u32) {
    // Flags: enabled, in the movie, in the preview.
    out.full(b"tkhd", 7, |out| {
        out.u32(0).u32(0).u32(track).zeros(4).u32(0).zeros(8);
        out.u16(0).u16(0).u16(volume).zeros(2); // layer, group, volume
        UNITY_MATRIX.iter().for_each(|value| {
            out.u32(*value);
        });
        out.u32(width << 16).u32(height << 16);
    });
}

fn media_header(out: &mut Out, timescale: u32, handler: &[u8; 4], name: &[u8]) {
    out.full(b"mdhd", 0, |out| {
        out.u32(0).u32(0).u32(timescale).u32(0);
        out.u16(UNDETERMINED_LANGUAGE).zeros(2);
    });
    out.full(b"hdlr", 0, |out| {
        out.zeros(4).put(handler).zeros(12).put(name);
    });
}

fn data_information(out: &mut Out) {
    out.boxed(b"dinf", |out| {
        out.full(b"dref", 0, |out| {
            out.u32(1);
            out.full(b"url ", 1, |_| {}); // in this very file
        });
    });
}

/// The description, and the empty tables that a fragmented file must have.
fn sample_table(out: &mut Out, entry: impl FnOnce(&mut Out)) {
    out.boxed(b"stbl", |out| {
        out.full(b"stsd", 0, |out| {
            out.u32(1);
            entry(out);
        });
        for table in [b"stts", b"stsc", b"stco"] {
            out.full(table, 0, |out| {
                out.u32(0);
            });
        }
        out.full(b"stsz", 0, |out| {
            out.u32(0).u32(0);
        });
    });
}

fn video_sample_entry(out: &mut Out, video: &VideoParameters) {
    let (entry, config) = match video.codec {
        Codec::H265 => (b"hvc1", b"hvcC"),
        _ => (b"avc1", b"avcC"),
    };
    let size = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    out.boxed(entry, |out| {
        out.zeros(6).u16(1).zeros(16); // data reference
        out.u16(size(video.width)).u16(size(video.height));
        out.u32(0x48_0000).u32(0x48_0000).zeros(4); // 72 dots per inch
        out.u16(1).zeros(32).u16(24).u16(0xFFFF); // frames per sample, name, depth
        out.boxed(config, |out| {
            out.put(&decoder_config::record(video).unwrap_or_default());
        });
    });
}

fn audio_sample_entry(out: &mut Out, audio: &AudioParameters) {
    out.boxed(b"mp4a", |out| {
        out.zeros(6).u16(1).zeros(8);
        out.u16(u16::from(audio.channels)).u16(16).zeros(4);
        // 16.16; a rate above 65,535 Hz does not fit and stands in the AudioSpecificConfig only.
        out.u16(u16::try_from(audio.sample_rate).unwrap_or(0))
            .u16(0);
        out.full(b"esds", 0, |out| elementary_stream_descriptor(out, audio));
    });
}

/// ISO/IEC 14496-1 7.2.6.5. The configuration is a few bytes: every length fits into one byte.
fn elementary_stream_descriptor(out: &mut Out, audio: &AudioParameters) {
    let config = &audio.config[..audio.config.len().min(64)];
    let length = config.len() as u8;
    out.put(&[0x03, 23 + length])
        .u16(AUDIO_TRACK as u16)
        .put(&[0]);
    // MPEG-4 audio, an audio stream; buffer size and bit rates unknown.
    out.put(&[0x04, 15 + length, 0x40, 0x15]).zeros(11);
    out.put(&[0x05, length]).put(config);
    out.put(&[0x06, 1, 2]); // predefined for MP4
}

struct Out(Vec<u8>);

impl Out {
    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    /// A box; its size is filled in when the content is there.
    fn boxed(&mut self, kind: &[u8; 4], content: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.u32(0).put(kind);
        content(self);
        let size = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// A box with version 0 and flags.
    fn full(&mut self, kind: &[u8; 4], flags: u32, content: impl FnOnce(&mut Self)) {
        self.boxed(kind, |out| {
            out.u32(flags);
            content(out);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{aac, h264, h265};

    const CONTAINERS: [&[u8; 4]; 8] = [
        b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"edts",
    ];

    /// The names of all boxes in order; checks that sizes nest exactly.
    fn names(mut bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            let kind: [u8; 4] = bytes[4..8].try_into().unwrap();
            found.push(String::from_utf8(kind.to_vec()).unwrap());
            let content = &bytes[8..size];
            match &kind {
                b"stsd" => found.extend(names(&content[8..])),
                b"avc1" | b"hvc1" => found.extend(names(&content[78..])),
                b"mp4a" => found.extend(names(&content[28..])),
                kind if CONTAINERS.contains(&kind) => found.extend(names(content)),
                _ => {}
            }
            bytes = &bytes[size..];
        }
        found
    }

    #[test]
    fn boxes_nest() {
        let track = "trak tkhd mdia mdhd hdlr minf";
        let tables = "stts stsc stco stsz";
        let expected = format!(
            "ftyp moov mvhd {track} vmhd dinf dref stbl stsd avc1 avcC {tables} \
             {track} smhd dinf dref stbl stsd mp4a esds {tables} mvex trex trex"
        );
        assert_eq!(
            names(&segment(Some(&h264()), Some(&aac()))).join(" "),
            expected
        );
        let hevc = names(&segment(Some(&h265()), None)).join(" ");
        assert!(hevc.contains("stsd hvc1 hvcC"), "{hevc}");
        assert!(hevc.ends_with("mvex trex"), "{hevc}");
    }

    #[test]
    fn fixed_boxes_have_their_standard_sizes() {
        let bytes = segment(Some(&h264()), Some(&aac()));
        for (kind, size) in [
            (b"mvhd", 108u32),
            (b"tkhd", 92),
            (b"mdhd", 32),
            (b"vmhd", 20),
            (b"smhd", 16),
            (b"trex", 32),
            (b"esds", 39),
        ] {
            let at = bytes.windows(4).position(|window| window == kind).unwrap();
            assert_eq!(bytes[at - 4..at], size.to_be_bytes(), "{kind:?}");
        }
    }
}
