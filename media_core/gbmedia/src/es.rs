//! Elementary streams directly in RTP: H.264 by RFC 6184, H.265 by RFC 7798, and how they are recognised.

use crate::frame::Codec;
use crate::nal::NalSink;
use crate::{h264, h265};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;

/// Puts the NAL units of RTP payloads together.
pub struct Depacketizer {
    codec: Codec,
    fragment_open: bool,
}

impl Depacketizer {
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            fragment_open: false,
        }
    }

    /// Packets are missing: the open fragment has no end.
    pub fn lost(&mut self) {
        self.fragment_open = false;
    }

    pub fn push(&mut self, payload: &[u8], sink: &mut impl NalSink) {
        if self.codec == Codec::H265 {
            self.push_h265(payload, sink);
        } else {
            self.push_h264(payload, sink);
        }
    }

    /// RFC 6184 5.6-5.8.
    fn push_h264(&mut self, payload: &[u8], sink: &mut impl NalSink) {
        let Some((&header, rest)) = payload.split_first() else {
            return;
        };
        match header & 0x1F {
            1..=23 => self.single(payload, sink),
            STAP_A => self.aggregate(rest, sink),
            FU_A => {
                if let Some((&fragment, body)) = rest.split_first() {
                    let header = [header & 0xE0 | fragment & 0x1F];
                    self.fragment(fragment, &header, body, sink);
                }
            }
            _ => {}
        }
    }

    /// RFC 7798 4.4.1-4.4.3, without DONL: cameras do not interleave.
    fn push_h265(&mut self, payload: &[u8], sink: &mut impl NalSink) {
        let Some((&[first, second], rest)) = payload.split_first_chunk::<2>() else {
            return;
        };
        match first >> 1 & 0x3F {
            0..AGGREGATION => self.single(payload, sink),
            AGGREGATION => self.aggregate(rest, sink),
            FRAGMENTATION => {
                if let Some((&fragment, body)) = rest.split_first() {
                    let header = [first & 0x81 | (fragment & 0x3F) << 1, second];
                    self.fragment(fragment, &header, body, sink);
                }
            }
            _ => {}
        }
    }

    fn single(&mut self, nal: &[u8], sink: &mut impl NalSink) {
        self.close_fragment(sink);
        sink.nal_begin();
        sink.nal_data(nal);
        sink.nal_end();
    }

    fn aggregate(&mut self, data: &[u8], sink: &mut impl NalSink) {
        for nal in aggregated(data) {
            self.single(nal, sink);
        }
    }

    /// `fragment` begins with the S and E bits in either format.
    fn fragment(&mut self, fragment: u8, header: &[u8], body: &[u8], sink: &mut impl NalSink) {
        if fragment & 0x80 != 0 {
            self.close_fragment(sink);
            sink.nal_begin();
            sink.nal_data(header);
            self.fragment_open = true;
        }
        if !self.fragment_open {
            return;
        }
        if !body.is_empty() {
            sink.nal_data(body);
        }
        if fragment & 0x40 != 0 {
            self.close_fragment(sink);
        }
    }

    fn close_fragment(&mut self, sink: &mut impl NalSink) {
        if std::mem::take(&mut self.fragment_open) {
            sink.nal_end();
        }
    }
}

/// The NAL units of an aggregation packet, each behind its length in 16 bits.
fn aggregated(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, rest) = data.split_first_chunk::<2>()?;
        let (nal, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        data = behind;
        (!nal.is_empty()).then_some(nal)
    })
}

/// The codec whose parameter sets this RTP payload contains (row 45). A program stream cut anywhere does
/// not look like this: the whole SPS must be readable.
pub fn recognise(payload: &[u8]) -> Option<Codec> {
    let head = *payload.first_chunk::<3>()?;
    if head[0] & 0x1F == STAP_A && head[0] & 0x80 == 0 {
        let found = aggregated(&payload[1..]).any(is_h264_sps);
        return found.then_some(Codec::H264);
    }
    if head[0] >> 1 == AGGREGATION && head[1] == 1 {
        let found = aggregated(&payload[2..]).any(is_h265_parameter_set);
        return found.then_some(Codec::H265);
    }
    if is_h264_sps(payload) {
        return Some(Codec::H264);
    }
    is_h265_parameter_set(payload).then_some(Codec::H265)
}

fn is_h264_sps(nal: &[u8]) -> bool {
    nal.first_chunk::<3>()
        .is_some_and(|&head| h264::is_sps(head))
        && h264::parse_sps(nal).is_some()
}

/// An SPS that can be read, or the VPS before it.
fn is_h265_parameter_set(nal: &[u8]) -> bool {
    match nal.first_chunk::<4>() {
        Some([0x42, 1, ..]) => h265::parse_sps(nal).is_some(),
        // H.265 7.3.2.1: number 0, both base layer flags, layers, then sub-layers and 0xFFFF.
        Some([0x40, 1, 0x0C, _]) => nal.get(4..6) == Some(&[0xFF, 0xFF]),
        _ => false,
    }
}

/// Row 45: packets of 188 bytes, each with its sync byte.
pub fn is_transport_stream(payload: &[u8]) -> bool {
    payload.len() >= 2 * 188
        && payload.len() % 188 == 0
        && payload.iter().step_by(188).all(|&byte| byte == 0x47)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Nals(Vec<Vec<u8>>, Vec<u8>);

    impl NalSink for Nals {
        fn nal_begin(&mut self) {
            self.1.clear();
        }
        fn nal_data(&mut self, data: &[u8]) {
            self.1.extend_from_slice(data);
        }
        fn nal_end(&mut self) {
            self.0.push(self.1.clone());
        }
    }

    #[test]
    fn row_45_h264_single_aggregated_and_fragmented() {
        let mut nals = Nals::default();
        let mut depacketizer = Depacketizer::new(Codec::H264);
        for payload in [
            &[0x65, 1, 2][..],
            &[0x78, 0, 2, 0x67, 1, 0, 1, 0x68],
            &[0x7C, 0x85, 1],
            &[0x7C, 0x05, 2],
            &[0x7C, 0x45, 3],
            &[0x7C, 0x05, 9],
        ] {
            depacketizer.push(payload, &mut nals);
        }
        let expected: [&[u8]; 4] = [&[0x65, 1, 2], &[0x67, 1], &[0x68], &[0x65, 1, 2, 3]];
        assert_eq!(nals.0, expected);
    }

    #[test]
    fn row_45_h265_single_aggregated_and_fragmented() {
        let mut nals = Nals::default();
        let mut depacketizer = Depacketizer::new(Codec::H265);
        for payload in [
            &[0x26, 1, 9][..],
            &[0x60, 1, 0, 3, 0x40, 1, 7, 0, 3, 0x42, 1, 8],
            &[0x62, 1, 0x93, 1],
            &[0x62, 1, 0x53, 2],
        ] {
            depacketizer.push(payload, &mut nals);
        }
        let expected: [&[u8]; 4] = [
            &[0x26, 1, 9],
            &[0x40, 1, 7],
            &[0x42, 1, 8],
            &[0x26, 1, 1, 2],
        ];
        assert_eq!(nals.0, expected);
    }

    #[test]
    fn row_45_a_transport_stream_is_told_by_its_sync_bytes() {
        let mut payload = vec![0; 188 * 7];
        assert!(!is_transport_stream(&payload));
        payload
            .iter_mut()
            .step_by(188)
            .for_each(|byte| *byte = 0x47);
        assert!(is_transport_stream(&payload));
        assert!(!is_transport_stream(&payload[..188 * 7 - 1]));
    }
}
