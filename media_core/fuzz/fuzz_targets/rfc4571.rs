//! The framing of RTP over TCP: the same packets however the bytes are cut, and little kept.
#![no_main]

use gbmedia::rfc4571::Framer;
use libfuzzer_sys::fuzz_target;

/// The private header of EHOME, a prefix and the largest packet.
const MAX_BUFFERED: usize = 256 + 4 + 65_535;

fn packets(data: &[u8], read: usize) -> Vec<Vec<u8>> {
    let mut framer = Framer::new();
    let mut packets = Vec::new();
    for part in data.chunks(read) {
        let result = framer.receive(part, |packet| packets.push(packet.to_vec()));
        while framer.take_quirk().is_some() {}
        assert!(framer.buffered() <= MAX_BUFFERED + read);
        if result.is_err() {
            break;
        }
    }
    packets
}

fuzz_target!(|data: &[u8]| {
    let Some((&read, data)) = data.split_first() else {
        return;
    };
    let whole = packets(data, data.len().max(1));
    let size: usize = whole.iter().map(Vec::len).sum();
    assert!(size <= data.len());
    assert!(whole.iter().all(|packet| packet.len() >= 12));
    assert_eq!(whole, packets(data, usize::from(read) + 1));
});
