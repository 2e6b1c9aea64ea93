//! The audio track: from PES payloads to frames.

use bytes::Bytes;
use std::sync::Arc;

use crate::aac::{count_frames, AdtsHeader};
use crate::frame::{AudioParameters, Codec, Frame};
use crate::ingest::{IngestEvent, IngestSettings};
use crate::quirk::Quirk;
use crate::timestamps::{Stamp, Timeline, CLOCK_RATE};
use crate::video::Context;

/// A PES has less than 64 KB; sound of one has some hundred bytes.
const MAX_PAYLOAD: usize = 0x1_0000;
/// Row 23: consecutive ADTS frames that prove AAC.
const ADTS_PROOF: usize = 2;
/// Rows 20, 25: PES without a map entry before the codec is guessed; at 40 ms each these are 2 s.
const GUESS_AFTER: u32 = 50;
/// PES of announced AAC without ADTS before it is reported.
const NO_ADTS: u32 = 5;

pub(crate) struct AudioTrack {
    declared: Option<Codec>,
    /// What the payload shows.
    proven: Option<Codec>,
    /// Meaning of 0x90 and of sound without a map (row 24).
    g711: Codec,
    payload: Vec<u8>,
    /// An ADTS frame whose end comes in the next PES.
    rest: Vec<u8>,
    stamp: Stamp,
    adts_frames: usize,
    undecided: u32,
    without_adts: u32,
    parameters: Option<Arc<AudioParameters>>,
    timeline: Timeline,
}

impl AudioTrack {
    pub fn new(settings: &IngestSettings) -> Self {
        Self {
            declared: None,
            proven: None,
            g711: settings.g711,
            payload: Vec::new(),
            rest: Vec::new(),
            stamp: Stamp::default(),
            adts_frames: 0,
            undecided: 0,
            without_adts: 0,
            parameters: None,
            timeline: Timeline::audio(settings.pace),
        }
    }

    /// Bytes held for the sound that is not yet whole.
    pub fn buffered(&self) -> usize {
        self.payload.capacity() + self.rest.capacity()
    }

    /// The map's word on the codec. Before 2022 stream type 0x90 was G.711 of either law (row 24).
    pub fn declare(&mut self, codec: Codec, context: &mut Context<'_>) {
        let codec = if codec == Codec::G711A && self.g711 == Codec::G711U {
            context.output.quirk(Quirk::G711LawFromSettings);
            self.g711
        } else {
            codec
        };
        if self.declared != Some(codec) {
            self.declared = Some(codec);
            self.proven = None;
            self.adts_frames = 0;
        }
    }

    pub fn pes_begin(&mut self, stamp: Stamp) {
        self.payload.clear();
        self.stamp = stamp;
    }

    pub fn data(&mut self, data: &[u8]) {
        let room = MAX_PAYLOAD - self.payload.len().min(MAX_PAYLOAD);
        self.payload
            .extend_from_slice(&data[..data.len().min(room)]);
    }

    /// A damaged PES is dropped: its end may be that of another.
    pub fn lost(&mut self) {
        self.payload.clear();
        self.rest.clear();
    }

    pub fn pes_end(&mut self, context: &mut Context<'_>) {
        let payload = std::mem::take(&mut self.payload);
        if !payload.is_empty() {
            self.frames(&payload, context);
        }
        self.payload = payload;
        self.payload.clear();
        if self.payload.capacity() > 16 << 10 {
            self.payload.shrink_to(4 << 10);
        }
    }

    /// One packet of plain audio over RTP.
    pub fn packet(&mut self, stamp: Stamp, payload: &[u8], context: &mut Context<'_>) {
        self.stamp = stamp;
        self.frames(payload, context);
    }

    fn frames(&mut self, payload: &[u8], context: &mut Context<'_>) {
        match self.decide(payload, context) {
            Some(Codec::Aac) => self.aac_frames(payload, context),
            Some(codec) => self.plain_frame(codec, payload, context),
            None => {}
        }
    }

    /// Rows 20 and 23: ADTS headers outweigh the map.
    fn decide(&mut self, payload: &[u8], context: &mut Context<'_>) -> Option<Codec> {
        if self.proven.is_some() {
            return self.proven;
        }
        let frames = count_frames(payload);
        self.adts_frames = if frames > 0 {
            self.adts_frames + frames
        } else {
            0
        };
        if self.declared == Some(Codec::Aac) && frames > 0 {
            self.proven = Some(Codec::Aac);
        } else if self.adts_frames >= ADTS_PROOF {
            let quirk = match self.declared {
                Some(_) => Quirk::AacAsG711,
                None => Quirk::AudioMapMissing,
            };
            context.output.quirk(quirk);
            self.proven = Some(Codec::Aac);
        } else if frames == 0 {
            return self.decide_without_adts(context);
        }
        self.proven
    }

    fn decide_without_adts(&mut self, context: &mut Context<'_>) -> Option<Codec> {
        match self.declared {
            Some(Codec::Aac) => {
                self.without_adts += 1;
                if self.without_adts == NO_ADTS {
                    context.output.quirk(Quirk::AacWithoutAdts);
                }
                None
            }
            Some(codec) => Some(codec),
            None => {
                self.undecided += 1;
                if self.undecided < GUESS_AFTER {
                    return None;
                }
                context.output.quirk(Quirk::AudioMapMissing);
                self.proven = Some(self.g711);
                self.proven
            }
        }
    }

    /// Row 64: split by the lengths of the ADTS headers.
    fn aac_frames(&mut self, payload: &[u8], context: &mut Context<'_>) {
        let joined;
        let mut data = payload;
        if !self.rest.is_empty() {
            joined = [&self.rest, payload].concat();
            self.rest.clear();
            data = &joined;
        }
        let mut frames = 0;
        let mut stamp = self.stamp;
        while let Some(header) = AdtsHeader::parse(data) {
            if header.frame_size > data.len() {
                break;
            }
            let (frame, behind) = data.split_at(header.frame_size);
            data = behind;
            self.describe_aac(&header, context);
            let body = &frame[header.header_size..];
            self.emit(Codec::Aac, &stamp, Some(header.duration()), body, context);
            // Only the first has the PTS of the PES; the others follow by their length.
            stamp = Stamp {
                pts: None,
                dts: None,
                follows: true,
                ..stamp
            };
            frames += 1;
        }
        if frames > 1 {
            context.output.quirk(Quirk::AacFramesInPes);
        }
        let goes_on = data.len() < 7 && data.first() == Some(&0xFF);
        if goes_on || AdtsHeader::parse(data).is_some() {
            self.rest.extend_from_slice(data);
        }
    }

    fn describe_aac(&mut self, header: &AdtsHeader, context: &mut Context<'_>) {
        self.describe(
            AudioParameters {
                codec: Codec::Aac,
                sample_rate: header.sample_rate(),
                channels: header.channels,
                config: header.audio_specific_config(),
            },
            context,
        );
    }

    fn plain_frame(&mut self, codec: Codec, payload: &[u8], context: &mut Context<'_>) {
        let sample_rate = if codec == Codec::G7221 { 16_000 } else { 8_000 };
        self.describe(
            AudioParameters {
                codec,
                sample_rate,
                channels: 1,
                config: Bytes::new(),
            },
            context,
        );
        // G.711 has one byte per sample of 8 kHz.
        let duration = matches!(codec, Codec::G711A | Codec::G711U)
            .then(|| payload.len() as i64 * CLOCK_RATE / 8_000);
        let stamp = self.stamp;
        self.emit(codec, &stamp, duration, payload, context);
    }

    fn describe(&mut self, parameters: AudioParameters, context: &mut Context<'_>) {
        if self.parameters.as_deref() == Some(&parameters) {
            return;
        }
        context.output.stats.audio_codec = Some(parameters.codec);
        let parameters = Arc::new(parameters);
        self.parameters = Some(Arc::clone(&parameters));
        context.output.event(IngestEvent::Audio(parameters));
    }

    fn emit(
        &mut self,
        codec: Codec,
        stamp: &Stamp,
        duration: Option<i64>,
        data: &[u8],
        context: &mut Context<'_>,
    ) {
        let (dts, _) = self
            .timeline
            .next(stamp, duration, context.clock, context.output);
        context.output.stats.audio_frames += 1;
        context.output.event(IngestEvent::Frame(Frame {
            codec,
            dts,
            pts: dts,
            key: true,
            corrupt: false,
            data: Bytes::copy_from_slice(data),
        }));
    }
}
