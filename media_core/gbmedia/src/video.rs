//! The video track: when a frame begins, when it is complete, and what a loss means for it.

use crate::assembler::{Assembler, Foretold};
use crate::frame::Codec;
use crate::ingest::IngestSettings;
use crate::nal::{AnnexB, NalSink};
use crate::output::Output;
use crate::quirk::Quirk;
use crate::stats::RateWindow;
use crate::timestamps::{Clock, Stamp};

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

    /// Bytes held for the frame that is being assembled.
    pub fn buffered(&self) -> usize {
        self.assembler.buffered()
    }

    /// The map's word on the codec.
    pub fn declare(&mut self, codec: Codec, context: &mut Context<'_>) {
        self.assembler.declare(codec, context.output);
    }

    /// A PES begins; `size` is that of its payload, if known.
    pub fn pes_begin(&mut self, stamp: Stamp, size: Option<usize>, context: &mut Context<'_>) {
        let assembler = &mut self.assembler;
        if assembler.is_other_time(&stamp) {
            self.splitter.end(assembler);
            assembler.end_picture();
        }
        assembler.begin_pes(stamp, size);
        if assembler.is_blind() {
            context.output.quirk(Quirk::StartsWithoutKey);
        }
        assembler.deliver(context);
    }

    pub fn data(&mut self, data: &[u8], context: &mut Context<'_>) {
        if self.splitter.is_outside() {
            self.assembler.expect_start_code(data);
        }
        self.splitter.push(data, &mut self.assembler);
        self.assembler.deliver(context);
    }

    /// A PES is over: the sign of a complete frame, unless it may be continued.
    pub fn pes_end(&mut self, intact: bool, context: &mut Context<'_>) {
        if !intact {
            self.lost(context);
        } else if self.assembler.sign_by_pes() {
            self.finish(Foretold::Pes, context);
        }
    }

    /// The end of an RTP packet with the marker bit, nothing left open.
    pub fn marker(&mut self, context: &mut Context<'_>) {
        if self.assembler.sign_by_marker() {
            self.finish(Foretold::Marker, context);
        }
    }

    fn finish(&mut self, by: Foretold, context: &mut Context<'_>) {
        self.splitter.end(&mut self.assembler);
        self.assembler.end_by_sign(by);
        self.assembler.deliver(context);
    }

    /// Bytes are missing before those that come next.
    pub fn lost(&mut self, context: &mut Context<'_>) {
        let complete = self.assembler.begin_loss();
        self.splitter.end(&mut self.assembler);
        self.assembler.end_loss(complete, context);
    }

    pub fn deliver(&mut self, context: &mut Context<'_>) {
        self.assembler.deliver(context);
    }

    /// Nothing was looked at for a while: go on with the next key frame.
    pub fn join_late(&mut self, context: &mut Context<'_>) {
        self.lost(context);
        self.assembler.join_late();
    }

    /// Plain NAL units of an RTP payload (RFC 6184, RFC 7798).
    pub fn nal_sink(&mut self) -> &mut impl NalSink {
        &mut self.assembler
    }

    /// The time of the access units that begin from here on.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.assembler.begin_pes(stamp, None);
    }

    /// The access unit is complete by the rules of the RTP payload.
    pub fn end_access_unit(&mut self, context: &mut Context<'_>) {
        self.splitter.end(&mut self.assembler);
        self.assembler.end_picture();
        self.assembler.deliver(context);
    }
}
