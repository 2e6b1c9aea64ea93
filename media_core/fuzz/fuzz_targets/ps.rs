//! The program stream demultiplexer: no byte comes out twice, and little is kept.
#![no_main]

use gbmedia::ps::demux::{PesHeader, PsDemux, PsSink};
use gbmedia::ps::map::StreamMap;
use gbmedia::quirk::Quirk;
use libfuzzer_sys::fuzz_target;

/// A PES and its header, or a program stream map.
const MAX_BUFFERED: usize = 65_541 + 4096;

#[derive(Default)]
struct Sink {
    bytes: usize,
    open: bool,
}

impl PsSink for Sink {
    fn pack(&mut self) {}
    fn map(&mut self, map: &StreamMap) {
        assert!(map.entries.len() <= 8);
    }
    fn pes_begin(&mut self, pes: &PesHeader) {
        assert!(!self.open);
        assert!(pes.pts.is_none_or(|pts| pts < 1 << 33));
        self.open = true;
    }
    fn pes_data(&mut self, _stream_id: u8, data: &[u8]) {
        assert!(!data.is_empty());
        self.bytes += data.len();
    }
    fn pes_end(&mut self, _stream_id: u8, _intact: bool) {
        self.open = false;
    }
    fn sync_lost(&mut self) {}
    fn quirk(&mut self, _quirk: Quirk) {}
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    for size in [usize::from(size) + 1, data.len().max(1)] {
        let mut demux = PsDemux::default();
        let mut sink = Sink::default();
        for (number, part) in data.chunks(size).enumerate() {
            if number % 64 == 63 {
                demux.lost(&mut sink);
                assert!(!sink.open);
            }
            demux.push(part, &mut sink);
            assert!(demux.buffered() <= MAX_BUFFERED);
        }
        assert!(sink.bytes <= data.len());
    }
});
