//! What devices do that the standard does not say. Each is tolerated, counted and shown once.

macro_rules! quirks {
    ($($variant:ident, $name:literal, $row:literal, $sentence:literal;)+) => {
        /// A deviation seen in one stream. `row` is its number in docs/protocol/media-quirks.md, 0 for
        /// those that stand for no single deviation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Quirk {
            $(#[doc = $sentence] $variant,)+
        }

        impl Quirk {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Stable name for events, statistics and device profiles.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Row of the quirk table that this one belongs to.
            pub fn row(self) -> u8 {
                match self { $(Self::$variant => $row,)+ }
            }

            /// What was seen, in one sentence.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

quirks! {
    SsrcMismatch, "ssrc_mismatch", 1, "The RTP SSRC differs from the one agreed in the SDP; it was adopted because the port belongs to this session.";
    SsrcZero, "ssrc_zero", 3, "The device sends SSRC 0 in every RTP packet.";
    SsrcChanged, "ssrc_changed", 7, "The SSRC changed in mid-stream; the sequence and timestamp state was reset.";
    SsrcMixed, "ssrc_mixed", 10, "Packets with two SSRCs arrive alternately; only one of them is used.";
    MarkerUnreliable, "marker_unreliable", 11, "The RTP marker bit does not stand on the last packet of each frame; frames end where the next one begins.";
    RtpTimestampConstant, "rtp_timestamp_constant", 12, "The RTP timestamp does not change.";
    RtpTimestampDisorder, "rtp_timestamp_disorder", 13, "The RTP timestamp changes inside a frame or is shared by several frames.";
    PtsMissing, "pts_missing", 14, "PES packets carry no PTS; the RTP timestamp is used.";
    PtsConstant, "pts_constant", 15, "The PTS does not change; the RTP timestamp is used.";
    PtsWrap32, "pts_wrap_32", 16, "The PTS wraps at 32 bits instead of 33.";
    AudioClock8k, "audio_clock_8k", 17, "The PTS of the sound counts at 8 kHz instead of 90 kHz; it was scaled.";
    TimestampJump, "timestamp_jump", 18, "The timestamps jumped; the jump was taken out.";
    TimestampsUnusable, "timestamps_unusable", 19, "The timestamps are unusable; the time of arrival is used.";
    MapMissing, "psm_missing", 20, "Video came without a program stream map; the codec was recognised from its NAL units.";
    AudioMapMissing, "psm_missing_audio", 20, "Sound came without a program stream map entry; its codec was guessed.";
    CodecMismatch, "codec_mismatch", 21, "The program stream map names another video codec than the NAL units show.";
    MapAlternates, "psm_alternates", 22, "The program stream map alternates between video codecs; the NAL units decide.";
    AacAsG711, "aac_as_g711", 23, "The program stream map says G.711 but the sound is AAC with ADTS headers.";
    AacWithoutAdts, "aac_without_adts", 23, "The program stream map says AAC but there are no ADTS headers; the sound was dropped.";
    G711LawFromSettings, "g711_law_from_settings", 24, "Stream type 0x90 is taken as G.711 mu-law because the device's settings say so.";
    MapMalformed, "psm_malformed", 28, "The lengths inside the program stream map are inconsistent; the outer length was trusted.";
    PackStuffingStartCode, "pack_stuffing_start_code", 29, "The stuffing of a pack header contains what looks like a start code; it was skipped by its length.";
    PrivateStream, "private_stream", 30, "Private stream 0xBD was skipped.";
    UnknownStream, "unknown_stream", 31, "A PES with an unknown stream id was skipped by its length.";
    PackWithoutBody, "pack_without_body", 32, "A pack start code without its header was skipped.";
    ZeroBeforeStartCode, "zero_before_start_code", 33, "Zero bytes stand before a start code between PES packets.";
    PesLengthZero, "pes_length_zero", 34, "PES packets have length 0; they end at the next start code.";
    PesRunsOn, "pes_runs_on", 35, "A PES of the greatest length runs on without a new header.";
    PesTooLong, "pes_too_long", 36, "A PES was cut because a new pack began inside its claimed length.";
    SliceAsFrame, "slice_per_pes", 38, "One frame is sent as several PES packets or packs with a PTS each; they were merged.";
    SeveralFramesInPes, "several_frames_in_pes", 39, "One PES contains several frames; it was split.";
    ParameterSetsOnce, "parameter_sets_once", 40, "Key frames come without parameter sets; the cached ones are used.";
    NonIdrKey, "non_idr_key", 41, "An I frame that is no IDR serves as the random access point.";
    StartsWithoutKey, "starts_without_key", 42, "The stream does not begin with a key frame.";
    PrivatePayload, "private_payload", 43, "The SDP marks the stream as vendor-private; it is not decoded.";
    UnknownPayloadType, "unknown_payload_type", 44, "The RTP payload type is not the agreed one; the payload is a program stream all the same.";
    ElementaryH264, "elementary_h264", 45, "The payload is plain H.264 in RTP (RFC 6184) instead of a program stream.";
    ElementaryH265, "elementary_h265", 45, "The payload is plain H.265 in RTP (RFC 7798) instead of a program stream.";
    TransportStream, "transport_stream", 45, "The payload is an MPEG transport stream, which is not supported.";
    InterleavedFraming, "interleaved_framing", 46, "RTP over TCP has the four-byte '$' prefix of RTSP instead of the two-byte length.";
    EhomeHeader, "ehome_header", 47, "Each packet has the 256-byte EHOME header of Hikvision; the port of another protocol is used.";
    FramingLost, "framing_lost", 48, "RTP over TCP lost its framing; it was found again.";
    LargePackets, "large_packets", 49, "RTP packets over TCP are larger than 8 KB.";
    SequenceRestart, "sequence_restart", 59, "The RTP sequence number restarted.";
    VendorEncrypted, "vendor_encrypted", 63, "The stream is encrypted by its vendor; switch the stream encryption of the device off.";
    AacFramesInPes, "aac_frames_in_pes", 64, "One PES contains several AAC frames; it was split.";
    RtcpOnRtpPort, "rtcp_on_rtp_port", 65, "RTCP arrives on the RTP port or in the RTP framing; it was told apart.";
    FrameTooLarge, "frame_too_large", 0, "A frame exceeded the limit and was dropped.";
    UnsupportedVideo, "unsupported_video", 0, "The video codec is not supported; it can only be relayed.";
}

/// How often each quirk was seen in one stream.
#[derive(Clone, Debug)]
pub struct QuirkCounts {
    counts: [u32; Quirk::ALL.len()],
}

impl Default for QuirkCounts {
    fn default() -> Self {
        Self {
            counts: [0; Quirk::ALL.len()],
        }
    }
}

impl QuirkCounts {
    /// Count one sighting; true for the first, which is the one to report.
    pub fn note(&mut self, quirk: Quirk) -> bool {
        let count = &mut self.counts[quirk as usize];
        *count = count.saturating_add(1);
        *count == 1
    }

    pub fn count(&self, quirk: Quirk) -> u32 {
        self.counts[quirk as usize]
    }

    /// Those seen, in the order of the enum.
    pub fn seen(&self) -> impl Iterator<Item = (Quirk, u32)> + '_ {
        Quirk::ALL
            .iter()
            .map(|&quirk| (quirk, self.count(quirk)))
            .filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_snake_case() {
        let mut names: Vec<_> = Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Quirk::ALL.len());
        for name in names {
            assert!(name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        }
    }

    #[test]
    fn a_quirk_is_new_once_and_counted_always() {
        let mut counts = QuirkCounts::default();
        assert!(counts.note(Quirk::SsrcZero));
        assert!(!counts.note(Quirk::SsrcZero));
        assert_eq!(counts.seen().collect::<Vec<_>>(), [(Quirk::SsrcZero, 2)]);
    }
}
