//! RTCP, RFC 3550 section 6: sender reports are read, receiver reports are built.

use crate::rtp::RtpPacket;

/// Row 56: some Dahua cameras stop after 60-180 s without a report. RFC 3550 6.2 recommends 5 s too.
pub const REPORT_INTERVAL_US: u64 = 5_000_000;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// Names the reporting end (RFC 3550 6.5.1). One end reports once per stream: no host part needed.
const CNAME: &[u8] = b"gb28181";

/// What a receiver reads from a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpItem {
    SenderReport(SenderReport),
    /// Not the end of the session (row 65): that is signalled by SIP.
    Bye,
    Other(u8),
}

/// Section 6.4.1 without its report blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    pub ssrc: u32,
    /// 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub bytes: u32,
}

/// The packets of a compound packet; stops at the first that is malformed.
pub fn parse(mut data: &[u8]) -> impl Iterator<Item = RtcpItem> + '_ {
    std::iter::from_fn(move || {
        let (head, rest) = data.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
        if head[0] >> 6 != 2 || rest.len() < length {
            return None;
        }
        let (body, behind) = rest.split_at(length);
        data = behind;
        Some(match head[1] {
            SENDER_REPORT => match body.first_chunk::<24>() {
                Some(body) => RtcpItem::SenderReport(sender_report(body)),
                None => RtcpItem::Other(SENDER_REPORT),
            },
            BYE => RtcpItem::Bye,
            other => RtcpItem::Other(other),
        })
    })
}

fn sender_report(body: &[u8; 24]) -> SenderReport {
    let word = |index: usize| {
        let at = index * 4;
        u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]])
    };
    SenderReport {
        ssrc: word(0),
        ntp: u64::from(word(1)) << 32 | u64::from(word(2)),
        rtp_timestamp: word(3),
        packets: word(4),
        bytes: word(5),
    }
}

/// What a receiver counts of one source for its reports: RFC 3550 A.1, A.3 and A.8.
#[derive(Clone, Debug)]
pub struct Reception {
    /// Ticks of the RTP timestamp per second.
    clock_rate: u32,
    started: bool,
    first_sequence: u32,
    /// Highest sequence number, extended by its cycles.
    highest: u32,
    received: u32,
    expected_before: u32,
    received_before: u32,
    last_transit: u32,
    /// Times 16, in timestamp units, as in A.8.
    jitter: u32,
    last_sender_report: Option<(u32, u64)>,
    next_report_at: u64,
}

impl Reception {
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            started: false,
            first_sequence: 0,
            highest: 0,
            received: 0,
            expected_before: 0,
            received_before: 0,
            last_transit: 0,
            jitter: 0,
            last_sender_report: None,
            next_report_at: u64::MAX,
        }
    }

    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate.max(1);
        self.jitter = 0;
        self.started = false;
    }

    /// Count one accepted packet. `now` in microseconds.
    #[inline]
    pub fn receive(&mut self, packet: &RtpPacket<'_>, now: u64) {
        let sequence = packet.sequence();
        let ticks = now.wrapping_mul(u64::from(self.clock_rate)) / 1_000_000;
        let transit = (ticks as u32).wrapping_sub(packet.timestamp());
        if !self.started {
            self.start(sequence, transit, now);
        }
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < 0x8000 {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        }
        self.received = self.received.wrapping_add(1);
        let difference = (transit.wrapping_sub(self.last_transit) as i32).unsigned_abs();
        self.last_transit = transit;
        self.jitter = self
            .jitter
            .saturating_add(difference)
            .saturating_sub((self.jitter.saturating_add(8)) >> 4);
    }

    fn start(&mut self, sequence: u16, transit: u32, now: u64) {
        self.started = true;
        self.first_sequence = u32::from(sequence);
        self.highest = u32::from(sequence);
        self.received = 0;
        self.expected_before = 0;
        self.received_before = 0;
        self.last_transit = transit;
        if self.next_report_at == u64::MAX {
            self.next_report_at = now + REPORT_INTERVAL_US;
        }
    }

    /// The sequence numbers or the source began anew: count from the next packet on.
    pub fn restart(&mut self) {
        self.started = false;
    }

    pub fn receive_sender_report(&mut self, report: &SenderReport, now: u64) {
        // Section 6.4.1 LSR: the middle 32 bits of the NTP timestamp.
        self.last_sender_report = Some(((report.ntp >> 16) as u32, now));
    }

    pub fn jitter_us(&self) -> u32 {
        let micros = u64::from(self.jitter >> 4) * 1_000_000 / u64::from(self.clock_rate);
        u32::try_from(micros).unwrap_or(u32::MAX)
    }

    /// A compound of receiver report and CNAME, when the interval has passed.
    pub fn report_to_send(&mut self, source: u32, reporter: u32, now: u64) -> Option<Vec<u8>> {
        if now < self.next_report_at {
            return None;
        }
        self.next_report_at = now + REPORT_INTERVAL_US;
        Some(self.build_report(source, reporter, now))
    }

    fn build_report(&mut self, source: u32, reporter: u32, now: u64) -> Vec<u8> {
        // A.3: fraction lost since the last report, cumulative loss as a signed 24-bit number.
        let expected = self
            .highest
            .wrapping_sub(self.first_sequence)
            .wrapping_add(1);
        let lost = i64::from(expected) - i64::from(self.received);
        let expected_now = expected.wrapping_sub(self.expected_before);
        let received_now = self.received.wrapping_sub(self.received_before);
        let lost_now = i64::from(expected_now) - i64::from(received_now);
        let fraction = if expected_now == 0 || lost_now <= 0 {
            0
        } else {
            ((lost_now << 8) / i64::from(expected_now)).min(255) as u8
        };
        self.expected_before = expected;
        self.received_before = self.received;
        let cumulative = lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        let (lsr, dlsr) = match self.last_sender_report {
            Some((lsr, at)) => {
                let delay = now.saturating_sub(at).saturating_mul(65_536) / 1_000_000;
                (lsr, u32::try_from(delay).unwrap_or(u32::MAX))
            }
            None => (0, 0),
        };
        let mut report = Vec::with_capacity(52);
        report.extend_from_slice(&[0x81, RECEIVER_REPORT, 0, 7]);
        for word in [
            reporter,
            source,
            u32::from(fraction) << 24 | cumulative,
            self.highest,
            self.jitter >> 4,
            lsr,
            dlsr,
        ] {
            report.extend_from_slice(&word.to_be_bytes());
        }
        append_cname(&mut report, reporter);
        report
    }
}

/// Section 6.5: a chunk of one CNAME item, ended and padded with zeros to 32 bits.
fn append_cname(report: &mut Vec<u8>, reporter: u32) {
    let items = (2 + CNAME.len()) / 4 * 4 + 4;
    let words = (4 + items) / 4;
    report.extend_from_slice(&[0x81, SOURCE_DESCRIPTION, 0, words as u8]);
    report.extend_from_slice(&reporter.to_be_bytes());
    let end = report.len() + items;
    report.extend_from_slice(&[1, CNAME.len() as u8]);
    report.extend_from_slice(CNAME);
    report.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::RtpHeader;

    fn feed(reception: &mut Reception, sequence: u16, timestamp: u32, now: u64) {
        let header = RtpHeader {
            marker: false,
            payload_type: 96,
            sequence,
            timestamp,
            ssrc: 7,
        };
        let bytes = header.to_bytes();
        reception.receive(&RtpPacket::parse(&bytes).unwrap(), now);
    }

    fn word(report: &[u8], index: usize) -> u32 {
        u32::from_be_bytes(report[index * 4..index * 4 + 4].try_into().unwrap())
    }

    #[test]
    fn row_56_a_report_is_due_every_five_seconds() {
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.report_to_send(7, 1, 99_000_000), None);
        feed(&mut reception, 1, 0, 1_000_000);
        assert_eq!(reception.report_to_send(7, 1, 5_999_999), None);
        let report = reception.report_to_send(7, 1, 6_000_000).unwrap();
        assert_eq!(report[..4], [0x81, 201, 0, 7]);
        assert_eq!((word(&report, 1), word(&report, 2)), (1, 7));
        assert_eq!(report.len() % 4, 0);
        let kinds: Vec<_> = parse(&report).collect();
        assert_eq!(kinds, [RtcpItem::Other(201), RtcpItem::Other(202)]);
        assert_eq!(reception.report_to_send(7, 1, 10_999_999), None);
        assert!(reception.report_to_send(7, 1, 11_000_000).is_some());
    }

    #[test]
    fn loss_is_counted_over_the_wrap_as_in_a_3() {
        let mut reception = Reception::new(90_000);
        for sequence in [65_533, 65_534, 1, 2] {
            feed(&mut reception, sequence, 0, 0);
        }
        let report = reception.report_to_send(7, 1, 5_000_000).unwrap();
        // 6 expected, 4 received: 2 lost, a fraction of 85/256.
        assert_eq!(word(&report, 3), 85 << 24 | 2);
        assert_eq!(word(&report, 4), 65_536 + 2);
        feed(&mut reception, 3, 0, 0);
        let report = reception.report_to_send(7, 1, 10_000_000).unwrap();
        assert_eq!(word(&report, 3), 2);
    }

    #[test]
    fn jitter_follows_a_8() {
        let mut reception = Reception::new(90_000);
        feed(&mut reception, 1, 0, 0);
        feed(&mut reception, 2, 3600, 40_000);
        assert_eq!(reception.jitter_us(), 0);
        // 10 ms late: |D| = 900 ticks, J += 900/16 = 56.
        feed(&mut reception, 3, 7200, 90_000);
        assert_eq!(reception.jitter_us(), 56 * 1_000_000 / 90_000);
    }

    #[test]
    fn a_sender_report_is_read_and_answered() {
        let mut bytes = vec![0x80, 200, 0, 6];
        for word in [7_u32, 0x1234_5678, 0x9ABC_DEF0, 3600, 10, 14_000] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        let items: Vec<_> = parse(&bytes).collect();
        let [RtcpItem::SenderReport(report)] = items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(report.ntp, 0x1234_5678_9ABC_DEF0);
        assert_eq!((report.packets, report.bytes), (10, 14_000));
        let mut reception = Reception::new(90_000);
        feed(&mut reception, 1, 0, 0);
        reception.receive_sender_report(&report, 4_000_000);
        let answer = reception.report_to_send(7, 1, 5_000_000).unwrap();
        assert_eq!((word(&answer, 6), word(&answer, 7)), (0x5678_9ABC, 65_536));
    }

    #[test]
    fn a_truncated_compound_ends_the_reading() {
        let bytes = [0x80, 203, 0, 1, 0, 0, 0, 7, 0x80, 200, 0, 6, 0];
        assert_eq!(parse(&bytes).collect::<Vec<_>>(), [RtcpItem::Bye]);
        assert_eq!(parse(&[0x80, 200, 0, 0]).count(), 1);
    }
}
