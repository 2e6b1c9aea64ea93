//! RTP and RTCP headers: read, or refused, and what is written is read again.
#![no_main]

use gbmedia::rtcp::{self, Reception, RtcpItem};
use gbmedia::rtp::{is_rtcp, RtpHeader, RtpPacket, HEADER_SIZE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let items: Vec<RtcpItem> = rtcp::parse(data).collect();
    assert!(items.len() <= data.len() / 4);
    let Ok(packet) = RtpPacket::parse(data) else {
        return;
    };
    assert!(packet.payload().len() <= data.len() - HEADER_SIZE);
    let header = RtpHeader {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let again = [&header.to_bytes()[..], packet.payload()].concat();
    let again = RtpPacket::parse(&again).expect("what is written can be read");
    assert_eq!(again.payload(), packet.payload());
    assert_eq!(again.sequence(), packet.sequence());
    let mut reception = Reception::new(90_000);
    reception.receive(&packet, 0);
    reception.receive(&again, u64::from(packet.timestamp()));
    for item in items {
        if let RtcpItem::SenderReport(report) = item {
            reception.receive_sender_report(&report, 1);
        }
    }
    let report = reception.report_to_send(packet.ssrc(), 1, u64::MAX / 2);
    let report = report.expect("a report is due");
    assert!(is_rtcp(&report));
    assert_eq!(rtcp::parse(&report).count(), 2);
});
