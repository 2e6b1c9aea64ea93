//! Which codec a video track has: the map says one thing, the NAL units may show another (rows 20-22).

use crate::frame::Codec;
use crate::{h264, h265};

/// Contradicting parameter sets in a row that change a proven codec.
const PROOF: u8 = 2;

#[derive(Default, Debug)]
pub(crate) struct CodecJudge {
    /// What the map, or the SDP, says.
    pub declared: Option<Codec>,
    /// What the NAL units show.
    pub proven: Option<Codec>,
    contradictions: u8,
}

impl CodecJudge {
    pub fn codec(&self) -> Option<Codec> {
        self.proven.or(self.declared)
    }

    /// The map's word. True when it changed its mind and the NAL units show something else (row 22).
    pub fn declare(&mut self, codec: Codec) -> bool {
        let changed = self.declared.is_some_and(|before| before != codec);
        self.declared = Some(codec);
        changed && self.is_contradicted()
    }

    /// Do the NAL units show another codec than the map says (row 21)?
    pub fn is_contradicted(&self) -> bool {
        self.proven.is_some() && self.declared.is_some() && self.proven != self.declared
    }

    /// The first bytes of a NAL unit: parameter sets betray the codec. True when it is another from
    /// here on.
    pub fn witness(&mut self, head: [u8; 3]) -> bool {
        let shown = if h265::is_parameter_set(head) {
            Codec::H265
        } else if h264::is_sps(head) {
            Codec::H264
        } else {
            return false;
        };
        match self.proven {
            Some(proven) if proven == shown => {
                self.contradictions = 0;
                return false;
            }
            Some(_) => {
                self.contradictions += 1;
                if self.contradictions < PROOF {
                    return false;
                }
            }
            None => {}
        }
        let other = self.codec() != Some(shown);
        self.proven = Some(shown);
        self.contradictions = 0;
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264_SPS: [u8; 3] = [0x67, 0x64, 0];
    const H265_VPS: [u8; 3] = [0x40, 1, 0x0C];
    const H265_SPS: [u8; 3] = [0x42, 1, 1];

    #[test]
    fn row_20_without_a_map_the_parameter_sets_tell() {
        let mut judge = CodecJudge::default();
        assert!(!judge.witness([0x65, 0x88, 0x84]));
        assert_eq!(judge.codec(), None);
        assert!(judge.witness(H265_VPS));
        assert_eq!(judge.codec(), Some(Codec::H265));
    }

    #[test]
    fn row_21_the_nal_units_outweigh_the_map() {
        let mut judge = CodecJudge::default();
        judge.declare(Codec::H264);
        assert!(judge.witness(H265_VPS));
        assert!(judge.is_contradicted());
        assert_eq!(judge.codec(), Some(Codec::H265));
    }

    #[test]
    fn row_22_an_alternating_map_changes_nothing() {
        let mut judge = CodecJudge::default();
        judge.declare(Codec::H265);
        assert!(!judge.witness(H265_VPS));
        assert!(judge.declare(Codec::H264));
        assert!(!judge.witness(H265_SPS));
        assert!(!judge.declare(Codec::H265));
        assert_eq!(judge.codec(), Some(Codec::H265));
    }

    #[test]
    fn a_camera_may_really_change_its_codec() {
        let mut judge = CodecJudge::default();
        judge.declare(Codec::H264);
        judge.witness(H264_SPS);
        judge.declare(Codec::H265);
        assert!(!judge.witness(H265_VPS));
        assert!(judge.witness(H265_SPS));
        assert_eq!(judge.codec(), Some(Codec::H265));
    }
}
