//! From NAL units to access units: which begins a picture, which codec it is, what is delivered.

use bytes::Bytes;
use std::sync::Arc;

use crate::codec_judge::CodecJudge;
use crate::frame::{Codec, Frame};
use crate::frame_end::Sign;
use crate::ingest::{IngestEvent, IngestSettings, OnLoss};
use crate::nal::{NalClass, NalSink, ParameterSets};
use crate::output::Output;
use crate::quirk::Quirk;
use crate::timestamps::{Stamp, Timeline};
use crate::video::Context;
use crate::{h264, h265};

/// Bytes of a NAL unit by which it is classified: an H.265 header and the first of the slice.
const HEAD: usize = 3;
/// Longer parameter sets are not kept.
const MAX_PARAMETER_SET: usize = 4096;
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
    judge: CodecJudge,
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
pub(crate) enum Foretold {
    Pes,
    Marker,
}

impl Assembler {
    pub fn new(settings: &IngestSettings) -> Self {
        Self {
            on_loss: settings.on_loss,
            max_frame_size: settings.max_frame_size,
            judge: CodecJudge::default(),
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

    pub fn declare(&mut self, codec: Codec, output: &mut Output) {
        if self.judge.declare(codec) {
            output.quirk(Quirk::MapAlternates);
        }
    }

    /// Does a PES of this time belong to another picture than the one at hand? A PES of the same time
    /// goes on with it (row 38).
    pub fn is_other_time(&mut self, stamp: &Stamp) -> bool {
        if self.picture.slices == 0 || stamp.pts.is_none() || self.picture.stamp.pts.is_none() {
            return false;
        }
        let same = self.picture.stamp.pts == stamp.pts;
        self.picture.merged |= same;
        !same
    }

    pub fn begin_pes(&mut self, stamp: Stamp, size: Option<usize>) {
        self.pes += 1;
        self.pes_size = size.unwrap_or(0);
        self.stamp = stamp;
    }

    /// The demultiplexer starts in mid-stream by our own will: that is no quirk of the device.
    pub fn join_late(&mut self) {
        self.waiting_for_key = true;
        self.prefix_frames = MAX_PREFIX;
        self.pes = self.pes.max(2);
    }

    pub fn buffered(&self) -> usize {
        self.picture.data.capacity() + self.parameter_set.capacity()
    }

    /// A second PES begins, and neither a map nor parameter sets have told the codec (row 42).
    pub fn is_blind(&self) -> bool {
        self.pes == 2 && self.judge.codec().is_none()
    }

    /// The end of a PES; true when it is believed to end its picture.
    pub fn sign_by_pes(&mut self) -> bool {
        let last = self.pes_size > 0 && self.pes_size < self.continued_pes;
        if self.picture.slices == 0 || !last {
            return false;
        }
        self.signed_size = self.pes_size;
        self.by_pes.give()
    }

    /// The marker bit; true when it is believed to end the picture.
    pub fn sign_by_marker(&mut self) -> bool {
        if self.foretold.is_some() {
            self.marker_right += 1;
            return false;
        }
        self.picture.slices > 0 && self.by_marker.give()
    }

    pub fn end_by_sign(&mut self, by: Foretold) {
        self.end_picture();
        self.foretold = Some(by);
    }

    /// After a sign the next bytes must begin a NAL unit.
    #[inline]
    pub fn expect_start_code(&mut self, data: &[u8]) {
        if self.foretold.is_some() && data.first().is_some_and(|&byte| byte != 0) {
            self.cut_too_early();
        }
    }

    /// True when the picture at hand is complete by a sign, whatever was lost behind it.
    pub fn begin_loss(&mut self) -> bool {
        let signed = self.by_pes.is_standing() || self.by_marker.is_standing();
        let complete = signed && self.picture.slices > 0;
        if !complete {
            self.break_nal();
        }
        complete
    }

    pub fn end_loss(&mut self, complete: bool, context: &mut Context<'_>) {
        if self.picture.begun && !complete {
            self.picture.corrupt = true;
        }
        self.foretold = None;
        self.end_picture();
        self.deliver(context);
        self.by_pes.clear();
        self.by_marker.clear();
        if self.on_loss == OnLoss::DropUntilKey {
            self.waiting_for_key = true;
        }
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
        if self.judge.witness(head) {
            self.sets.clear();
            self.discard_picture();
            self.waiting_for_key = true;
        }
        let class = match self.judge.codec() {
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
    pub fn end_picture(&mut self) {
        if let Nal::Slice { length_at } = self.nal {
            // A fragmented NAL unit whose end did not come.
            self.close_slice(length_at);
            self.nal = Nal::Drop;
        }
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

    #[inline]
    pub fn deliver(&mut self, context: &mut Context<'_>) {
        if self.finished.is_empty() {
            return;
        }
        let mut finished = std::mem::take(&mut self.finished);
        for picture in finished.drain(..) {
            self.deliver_picture(picture, context);
        }
        self.finished = finished;
    }

    fn deliver_picture(&mut self, picture: Picture, context: &mut Context<'_>) {
        let Some(codec) = self.judge.codec() else {
            return;
        };
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
        if self.judge.declared.is_none() {
            output.quirk(Quirk::MapMissing);
        } else if self.judge.is_contradicted() {
            output.quirk(Quirk::CodecMismatch);
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
        if let Nal::Slice { length_at } = self.nal {
            self.close_slice(length_at); // its end was lost
        }
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
                if let Some(codec) = self.judge.codec() {
                    self.sets.store(codec, class, &self.parameter_set);
                }
            }
            Nal::None | Nal::Head { .. } | Nal::Drop => {}
        }
    }
}
