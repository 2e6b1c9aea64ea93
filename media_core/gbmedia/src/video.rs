//! The video track: from pieces of an elementary stream to access units.

use bytes::Bytes;
use std::sync::Arc;

use crate::frame::{Codec, Frame};
use crate::frame_end::Sign;
use crate::ingest::{IngestEvent, IngestSettings, OnLoss};
use crate::nal::{AnnexB, NalClass, NalSink, ParameterSets};
use crate::output::Output;
use crate::quirk::Quirk;
use crate::stats::RateWindow;
use crate::timestamps::{Clock, Stamp, Timeline};
use crate::{h264, h265};

/// Bytes of a NAL unit by which it is classified: an H.265 header and the first of the slice.
const HEAD: usize = 3;
/// Longer parameter sets are not kept.
const MAX_PARAMETER_SET: usize = 4096;
/// Contradicting parameter sets in a row that change a proven codec (rows 21, 22).
const CODEC_PROOF: u8 = 2;
/// Frames after which a marker bit that was never right is reported (row 11).
const MARKER_FRAMES: u64 = 50;
/// Frames before the first key frame that make row 42.
const MAX_PREFIX: u64 = 1;

/// The access unit being assembled.
#[derive(Default)]
struct Picture {
    data: Vec<u8>,
    stamp: Stamp,
    /// Number of the PES in which it began.
    pes: u64,
    begun: bool,
    slices: u32,
    random_access: bool,
    intra: bool,
    parameter_sets: bool,
    corrupt: bool,
    /// A PES with the same PTS began inside (row 38).
    merged: bool,
    /// Beyond the limit: cut off.
    too_large: bool,
    /// Field pictures begun, where the SPS allows such.
    fields: u32,
}

/// What becomes of the NAL unit at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nal {
    None,
    /// Too short yet to be classified.
    Head {
        bytes: [u8; HEAD],
        size: usize,
    },
    /// Being written to the picture; its length stands at this place.
    Slice {
        length_at: usize,
    },
    ParameterSet(NalClass),
    Drop,
}

/// Everything but the byte stream splitter, which feeds it.
pub(crate) struct Assembler {
    on_loss: OnLoss,
    max_frame_size: usize,
    /// What the map, or the SDP, says.
    declared: Option<Codec>,
    /// What the NAL units show.
    proven: Option<Codec>,
    contradictions: u8,
    sets: ParameterSets,
    picture: Picture,
    nal: Nal,
    parameter_set: Vec<u8>,
    /// For the next picture that begins.
    stamp: Stamp,
    pes: u64,
    waiting_for_key: bool,
    timeline: Timeline,
    frames_since_key: u32,
    prefix_frames: u64,
    frames: u64,
    by_pes: Sign,
    by_marker: Sign,
    marker_right: u64,
    /// Shortest PES that was not the last of its frame: those below end one.
    continued_pes: usize,
    pes_size: usize,
    /// `pes_size` when its end was taken for a sign.
    signed_size: usize,
    /// The last picture was ended by a sign, and nothing has come since.
    foretold: Option<Foretold>,
    last_pes: u64,
    finished: Vec<Picture>,
}

/// By what a picture was taken as complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Foretold {
    Pes,
    Marker,
}

pub(crate) struct VideoTrack {
    splitter: AnnexB,
    assembler: Assembler,
}

/// What a track needs of the stream around it.
pub(crate) struct Context<'a> {
    pub output: &'a mut Output,
    pub clock: &'a mut Clock,
    pub rates: &'a mut RateWindow,
}

impl VideoTrack {
    pub fn new(settings: &IngestSettings) -> Self {
        Self {
            splitter: AnnexB::default(),
            assembler: Assembler::new(settings),
        }
    }

    /// The map's word on the codec.
    pub fn declare(&mut self, codec: Codec, context: &mut Context<'_>) {
        self.assembler.declare(codec, context.output);
    }

    /// A PES begins; `size` is that of its payload, if known.
    pub fn pes_begin(&mut self, stamp: Stamp, size: Option<usize>, context: &mut Context<'_>) {
        let assembler = &mut self.assembler;
        assembler.pes += 1;
        assembler.pes_size = size.unwrap_or(0);
        let picture = &mut assembler.picture;
        if picture.slices > 0 && stamp.pts.is_some() && picture.stamp.pts.is_some() {
            if picture.stamp.pts == stamp.pts {
                picture.merged = true;
            } else {
                self.splitter.end(assembler);
                assembler.end_picture();
            }
        }
        assembler.stamp = stamp;
        assembler.deliver(context);
    }

    pub fn data(&mut self, data: &[u8], context: &mut Context<'_>) {
        if self.assembler.foretold.is_some() && data.first().is_some_and(|&byte| byte != 0) {
            self.assembler.cut_too_early();
        }
        self.splitter.push(data, &mut self.assembler);
        if !self.assembler.finished.is_empty() {
            self.assembler.deliver(context);
        }
    }

    /// A PES is over: the sign of a complete frame, unless it may be continued.
    pub fn pes_end(&mut self, intact: bool, context: &mut Context<'_>) {
        if !intact {
            self.lost(context);
            return;
        }
        let assembler = &mut self.assembler;
        let last = assembler.pes_size > 0 && assembler.pes_size < assembler.continued_pes;
        if assembler.picture.slices > 0 && last {
            assembler.signed_size = assembler.pes_size;
            if assembler.by_pes.give() {
                self.finish(Foretold::Pes, context);
            }
        }
    }

    /// The end of an RTP packet with the marker bit, nothing left open.
    pub fn marker(&mut self, context: &mut Context<'_>) {
        let assembler = &mut self.assembler;
        if assembler.foretold.is_some() {
            assembler.marker_right += 1;
        } else if assembler.picture.slices > 0 && assembler.by_marker.give() {
            self.finish(Foretold::Marker, context);
        }
    }

    fn finish(&mut self, by: Foretold, context: &mut Context<'_>) {
        self.splitter.end(&mut self.assembler);
        self.assembler.end_picture();
        self.assembler.foretold = Some(by);
        self.assembler.deliver(context);
    }

    /// Bytes are missing before those that come next.
    pub fn lost(&mut self, context: &mut Context<'_>) {
        let assembler = &mut self.assembler;
        let complete = assembler.by_pes.is_standing() || assembler.by_marker.is_standing();
        if !complete {
            assembler.break_nal();
        }
        assembler.foretold = None;
        self.splitter.end(assembler);
        if assembler.picture.begun && !(complete && assembler.picture.slices > 0) {
            assembler.picture.corrupt = true;
        }
        assembler.end_picture();
        assembler.deliver(context);
        assembler.by_pes.clear();
        assembler.by_marker.clear();
        if assembler.on_loss == OnLoss::DropUntilKey {
            assembler.waiting_for_key = true;
        }
    }

    pub fn deliver(&mut self, context: &mut Context<'_>) {
        self.assembler.deliver(context);
    }

    /// Plain NAL units of an RTP payload (RFC 6184, RFC 7798).
    pub fn nal_sink(&mut self) -> &mut impl NalSink {
        &mut self.assembler
    }

    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.assembler.stamp = stamp;
        self.assembler.pes += 1;
    }

    /// The access unit is complete by the rules of the RTP payload.
    pub fn end_access_unit(&mut self, context: &mut Context<'_>) {
        if self.assembler.picture.slices > 0 {
            self.assembler.end_picture();
        }
        self.assembler.deliver(context);
    }
}

impl Assembler {
    fn new(settings: &IngestSettings) -> Self {
        Self {
            on_loss: settings.on_loss,
            max_frame_size: settings.max_frame_size,
            declared: None,
            proven: None,
            contradictions: 0,
            sets: ParameterSets::default(),
            picture: Picture::default(),
            nal: Nal::None,
            parameter_set: Vec::new(),
            stamp: Stamp::default(),
            pes: 0,
            waiting_for_key: true,
            timeline: Timeline::video(settings.pace),
            frames_since_key: 0,
            prefix_frames: 0,
            frames: 0,
            by_pes: Sign::default(),
            by_marker: Sign::default(),
            marker_right: 0,
            continued_pes: 0xFF00,
            pes_size: 0,
            signed_size: 0,
            foretold: None,
            last_pes: 0,
            finished: Vec::new(),
        }
    }

    fn codec(&self) -> Option<Codec> {
        self.proven.or(self.declared)
    }

    fn declare(&mut self, codec: Codec, output: &mut Output) {
        let changed = self.declared.is_some_and(|before| before != codec);
        if changed && self.proven.is_some_and(|proven| proven != codec) {
            output.quirk(Quirk::MapAlternates);
        }
        self.declared = Some(codec);
    }

    /// Room for what comes, in one step where the PES tells its size.
    fn reserve(&mut self, wanted: usize) {
        let data = &mut self.picture.data;
        if data.capacity() - data.len() < wanted {
            let ahead = (self.pes_size + 64).min(self.max_frame_size);
            data.reserve_exact(wanted.max(ahead).max(data.len() / 4));
        }
    }

    /// The NAL unit at hand will not be complete: a parameter set is of no use then.
    fn break_nal(&mut self) {
        if !matches!(self.nal, Nal::Slice { .. }) {
            self.nal = Nal::Drop;
        }
    }

    /// A sign of the frame's end was wrong, and the frame is out already.
    fn cut_too_early(&mut self) {
        self.mistaken();
        if self.on_loss == OnLoss::DropUntilKey {
            self.waiting_for_key = true;
        }
    }

    fn mistaken(&mut self) {
        match self.foretold.take() {
            Some(Foretold::Pes) => {
                self.by_pes.mistaken();
                self.continued_pes = self.continued_pes.min(self.signed_size);
            }
            Some(Foretold::Marker) => self.by_marker.mistaken(),
            None => {}
        }
    }

    fn head_complete(&mut self, head: [u8; HEAD], size: usize) {
        self.judge_codec(head);
        let class = match self.codec() {
            Some(Codec::H264) => h264::classify(head),
            Some(Codec::H265) => h265::classify(head),
            _ => NalClass::Drop,
        };
        if self.begins_picture(class) {
            self.end_picture();
        }
        self.nal = self.place(class);
        match self.nal {
            Nal::Slice { .. } => self.picture.data.extend_from_slice(&head[..size]),
            Nal::ParameterSet(_) => self.parameter_set.extend_from_slice(&head[..size]),
            _ => {}
        }
    }

    /// Rows 20-22: parameter sets betray the codec, whatever the map says.
    fn judge_codec(&mut self, head: [u8; HEAD]) {
        let shown = if h265::is_parameter_set(head) {
            Codec::H265
        } else if h264::is_sps(head) {
            Codec::H264
        } else {
            return;
        };
        match self.proven {
            Some(proven) if proven == shown => self.contradictions = 0,
            None => self.switch_codec(shown),
            Some(_) => {
                self.contradictions += 1;
                if self.contradictions >= CODEC_PROOF {
                    self.switch_codec(shown);
                }
            }
        }
    }

    fn switch_codec(&mut self, codec: Codec) {
        if self.codec() != Some(codec) {
            self.sets.clear();
            self.discard_picture();
            self.waiting_for_key = true;
        }
        self.proven = Some(codec);
        self.contradictions = 0;
    }

    fn discard_picture(&mut self) {
        let mut data = std::mem::take(&mut self.picture.data);
        data.clear();
        self.picture = Picture {
            data,
            ..Picture::default()
        };
    }

    /// H.264 7.4.1.2.3, H.265 7.4.2.4.4: what cannot follow a slice of the same picture.
    fn begins_picture(&self, class: NalClass) -> bool {
        let after_slice = self.picture.slices > 0;
        match class {
            NalClass::Slice { first, .. } => after_slice && first && !self.is_second_field(),
            NalClass::Vps
            | NalClass::Sps
            | NalClass::Pps
            | NalClass::Delimiter
            | NalClass::Prefix => after_slice,
            NalClass::Other | NalClass::Drop => false,
        }
    }

    /// Two fields of one frame are one access unit for players; only interlaced streams have them.
    fn is_second_field(&self) -> bool {
        self.sets.interlaced() && self.picture.pes == self.pes && self.picture.fields == 1
    }

    /// Where the NAL unit goes; opens the picture.
    fn place(&mut self, class: NalClass) -> Nal {
        if self.picture.slices > 0 && class != NalClass::Drop {
            self.goes_on();
        }
        if !self.picture.begun && class != NalClass::Drop {
            self.picture.begun = true;
            self.picture.stamp = self.stamp;
            self.picture.pes = self.pes;
            // A second picture of the same PES has no PTS of its own (row 39).
            self.stamp = Stamp {
                pts: None,
                dts: None,
                follows: true,
                ..self.stamp
            };
        }
        match class {
            NalClass::Slice {
                random_access,
                intra,
                first,
            } => {
                if self.picture.slices == 0 && !first {
                    // The beginning is missing, unless the picture was ended too early.
                    self.picture.corrupt = self.foretold.is_none();
                    self.mistaken();
                }
                self.foretold = None;
                self.picture.fields += u32::from(first);
                self.picture.slices += 1;
                self.picture.random_access |= random_access;
                self.picture.intra |= intra;
                self.open_slice()
            }
            NalClass::Prefix | NalClass::Other => self.open_slice(),
            NalClass::Vps | NalClass::Sps | NalClass::Pps => {
                self.picture.parameter_sets = true;
                self.parameter_set.clear();
                Nal::ParameterSet(class)
            }
            NalClass::Delimiter | NalClass::Drop => Nal::Drop,
        }
    }

    fn open_slice(&mut self) -> Nal {
        let length_at = self.picture.data.len();
        if length_at + 4 + HEAD > self.max_frame_size {
            self.picture.corrupt = true;
            self.picture.too_large = true;
            return Nal::Drop;
        }
        self.reserve(4 + HEAD);
        self.picture.data.extend_from_slice(&[0; 4]);
        Nal::Slice { length_at }
    }

    fn close_slice(&mut self, length_at: usize) {
        let length = self.picture.data.len() - length_at - 4;
        let place = &mut self.picture.data[length_at..length_at + 4];
        place.copy_from_slice(&(length as u32).to_be_bytes());
    }

    /// More of the picture comes although a sign said that it was complete.
    fn goes_on(&mut self) {
        if self.by_pes.frame_goes_on() {
            self.continued_pes = self.continued_pes.min(self.signed_size);
        }
        self.by_marker.frame_goes_on();
    }

    /// Close the picture at hand and put it among the finished.
    fn end_picture(&mut self) {
        if self.picture.slices == 0 {
            if self.picture.corrupt {
                self.discard_picture();
            }
            return;
        }
        self.by_pes.frame_ended();
        if self.by_marker.is_standing() {
            self.marker_right += 1;
        }
        self.by_marker.frame_ended();
        self.finished.push(std::mem::take(&mut self.picture));
    }

    fn deliver(&mut self, context: &mut Context<'_>) {
        let mut finished = std::mem::take(&mut self.finished);
        for picture in finished.drain(..) {
            self.deliver_picture(picture, context);
        }
        self.finished = finished;
    }

    fn deliver_picture(&mut self, picture: Picture, context: &mut Context<'_>) {
        let Some(codec) = self.codec() else { return };
        self.note_quirks(&picture, context.output);
        let (dts, pts) = self
            .timeline
            .next(&picture.stamp, None, context.clock, context.output);
        self.frames += 1;
        context.rates.video_frame();
        let key = self.is_key(&picture, codec, context.output);
        if picture.corrupt {
            context.output.stats.corrupt_frames += 1;
            match self.on_loss {
                OnLoss::DropUntilKey => self.waiting_for_key = true,
                OnLoss::DropFrame => {}
                OnLoss::Keep => self.emit(codec, picture, (dts, pts), key, context.output),
            }
            return;
        }
        if self.waiting_for_key && !key {
            context.output.stats.skipped_frames += 1;
            if context.output.stats.key_frames == 0 {
                self.prefix_frames += 1;
                if self.prefix_frames == MAX_PREFIX {
                    context.output.quirk(Quirk::StartsWithoutKey);
                }
            }
            return;
        }
        self.waiting_for_key = false;
        self.emit(codec, picture, (dts, pts), key, context.output);
    }

    /// Rows 40 and 41. Without parameter sets nobody can decode, so that it is no key yet.
    fn is_key(&mut self, picture: &Picture, codec: Codec, output: &mut Output) -> bool {
        if !self.sets.is_complete(codec) {
            return false;
        }
        if picture.random_access {
            if !picture.parameter_sets {
                output.quirk(Quirk::ParameterSetsOnce);
            }
            return true;
        }
        let by_intra = picture.intra && picture.parameter_sets;
        if by_intra {
            output.quirk(Quirk::NonIdrKey);
        }
        by_intra
    }

    fn note_quirks(&mut self, picture: &Picture, output: &mut Output) {
        match (self.declared, self.proven) {
            (None, Some(_)) => output.quirk(Quirk::MapMissing),
            (Some(declared), Some(proven)) if declared != proven => {
                output.quirk(Quirk::CodecMismatch);
            }
            _ => {}
        }
        if picture.merged && picture.slices > 1 {
            output.quirk(Quirk::SliceAsFrame);
        }
        if picture.too_large {
            output.quirk(Quirk::FrameTooLarge);
        }
        if picture.pes == self.last_pes && self.frames > 0 {
            output.quirk(Quirk::SeveralFramesInPes);
        }
        self.last_pes = picture.pes;
        if self.frames == MARKER_FRAMES && self.marker_right < MARKER_FRAMES / 2 {
            output.quirk(Quirk::MarkerUnreliable);
        }
    }

    fn emit(
        &mut self,
        codec: Codec,
        mut picture: Picture,
        (dts, pts): (i64, i64),
        key: bool,
        output: &mut Output,
    ) {
        let data = &mut picture.data;
        if data.capacity() > data.len() + data.len() / 8 + MAX_PARAMETER_SET {
            data.shrink_to_fit();
        }
        if let Some(parameters) = self.sets.take_changed(codec) {
            output.stats.video_codec = Some(codec);
            output.stats.width = parameters.width;
            output.stats.height = parameters.height;
            output.event(IngestEvent::Video(Arc::new(parameters)));
        }
        output.stats.video_frames += 1;
        if key {
            output.stats.key_frames += 1;
            if output.stats.key_frames > 1 {
                output.stats.gop_frames = self.frames_since_key;
            }
            self.frames_since_key = 0;
        }
        self.frames_since_key += 1;
        output.event(IngestEvent::Frame(Frame {
            codec,
            dts,
            pts,
            key,
            corrupt: picture.corrupt,
            data: Bytes::from(picture.data),
        }));
    }
}

impl NalSink for Assembler {
    fn nal_begin(&mut self) {
        self.nal = Nal::Head {
            bytes: [0; HEAD],
            size: 0,
        };
    }

    #[inline]
    fn nal_data(&mut self, mut data: &[u8]) {
        if let Nal::Head { mut bytes, size } = self.nal {
            let taken = (HEAD - size).min(data.len());
            bytes[size..size + taken].copy_from_slice(&data[..taken]);
            data = &data[taken..];
            if size + taken < HEAD {
                self.nal = Nal::Head {
                    bytes,
                    size: size + taken,
                };
                return;
            }
            self.head_complete(bytes, HEAD);
        }
        match self.nal {
            Nal::Slice { length_at } => {
                if self.by_pes.is_standing() || self.by_marker.is_standing() {
                    self.goes_on();
                }
                if self.picture.data.len() + data.len() > self.max_frame_size {
                    self.picture.corrupt = true;
                    self.picture.too_large = true;
                    self.close_slice(length_at);
                    self.nal = Nal::Drop;
                } else {
                    self.reserve(data.len());
                    self.picture.data.extend_from_slice(data);
                }
            }
            Nal::ParameterSet(_) => {
                if self.parameter_set.len() + data.len() <= MAX_PARAMETER_SET {
                    self.parameter_set.extend_from_slice(data);
                } else {
                    self.nal = Nal::Drop;
                }
            }
            Nal::None | Nal::Head { .. } | Nal::Drop => {}
        }
    }

    fn nal_end(&mut self) {
        if let Nal::Head { bytes, size } = self.nal {
            if size > 0 {
                self.head_complete(bytes, size);
            }
        }
        match std::mem::replace(&mut self.nal, Nal::None) {
            Nal::Slice { length_at } => self.close_slice(length_at),
            Nal::ParameterSet(class) => {
                if let Some(codec) = self.codec() {
                    self.sets.store(codec, class, &self.parameter_set);
                }
            }
            Nal::None | Nal::Head { .. } | Nal::Drop => {}
        }
    }
}
