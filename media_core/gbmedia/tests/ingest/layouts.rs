//! The byte layouts of annex C.2 as known answers.

use gbmedia::ps::demux::{PesHeader, PsDemux, PsSink};
use gbmedia::ps::map::StreamMap;
use gbmedia::quirk::Quirk;

use crate::camera::{pack_header, pes};

#[derive(Default)]
struct Log {
    packs: usize,
    maps: Vec<Vec<(u8, u8)>>,
    pes: Vec<(PesHeader, Vec<u8>, bool)>,
    lost: usize,
    quirks: Vec<Quirk>,
}

impl PsSink for Log {
    fn pack(&mut self) {
        self.packs += 1;
    }
    fn map(&mut self, map: &StreamMap) {
        let entries = map.entries.iter();
        let entries = entries.map(|entry| (entry.stream_type, entry.stream_id));
        self.maps.push(entries.collect());
    }
    fn pes_begin(&mut self, pes: &PesHeader) {
        self.pes.push((*pes, Vec::new(), false));
    }
    fn pes_data(&mut self, _stream_id: u8, data: &[u8]) {
        self.pes.last_mut().unwrap().1.extend_from_slice(data);
    }
    fn pes_end(&mut self, _stream_id: u8, intact: bool) {
        self.pes.last_mut().unwrap().2 = intact;
    }
    fn sync_lost(&mut self) {
        self.lost += 1;
    }
    fn quirk(&mut self, quirk: Quirk) {
        self.quirks.push(quirk);
    }
}

fn demux(bytes: &[u8]) -> Log {
    let mut log = Log::default();
    PsDemux::default().push(bytes, &mut log);
    log
}

/// SCR 86,400, mux rate 6,106, no stuffing.
const PACK: [u8; 14] = [
    0, 0, 1, 0xBA, 0x44, 0, 0x16, 0x8C, 4, 1, 0, 0x5F, 0x6B, 0xF8,
];
const SYSTEM: [u8; 18] = [
    0, 0, 1, 0xBB, 0, 0x0C, 0x80, 0xCC, 0xF5, 4, 0xE1, 0x7F, 0xE0, 0xE1, 0x90, 0xC0, 0xC0, 0x20,
];
const H265_AAC: [u8; 24] = [
    0, 0, 1, 0xBC, 0, 0x12, 0xE1, 0xFF, 0, 0, 0, 8, 0x24, 0xE0, 0, 0, 0x0F, 0xC0, 0, 0, 0xAD, 0x32,
    0x2A, 0xDC,
];

#[test]
fn the_pack_header_of_the_reference() {
    assert_eq!(pack_header(86_400, &[])[..10], PACK[..10]);
    let log = demux(&[&PACK[..], &SYSTEM, &H265_AAC, &PACK].concat());
    assert_eq!(log.packs, 2);
    assert_eq!(log.maps, [[(0x24, 0xE0), (0x0F, 0xC0)]]);
    assert_eq!((log.lost, log.quirks.len()), (0, 0));
}

#[test]
fn the_stuffed_pack_header_of_a_real_device() {
    let mut pack = PACK.to_vec();
    pack[13] = 0xFE;
    pack.extend_from_slice(&[0xFF, 0xFF, 0, 0, 1, 0xAF]);
    let log = demux(&[&pack[..], &SYSTEM, &PACK].concat());
    assert_eq!((log.packs, log.lost), (2, 0));
    assert_eq!(log.quirks, [Quirk::PackStuffingStartCode]);
}

#[test]
fn a_pes_with_pts_and_dts() {
    // PTS 90,000 is `21 00 05 BF 21`.
    let bytes = [
        0, 0, 1, 0xE0, 0, 11, 0x80, 0x80, 5, 0x21, 0, 5, 0xBF, 0x21, 7, 8, 9,
    ];
    let log = demux(&bytes);
    let (header, payload, intact) = &log.pes[0];
    assert_eq!(header.pts, Some(90_000));
    assert_eq!((header.dts, header.payload_size), (None, Some(3)));
    assert_eq!((&payload[..], *intact), (&[7, 8, 9][..], true));
    assert_eq!(pes(0xE0, Some(90_000), &[7, 8, 9]), bytes);
    let highest = (1 << 33) - 1;
    let log = demux(&pes(0xE0, Some(highest), &[1]));
    assert_eq!(log.pes[0].0.pts, Some(highest));
}

#[test]
fn garbage_in_front_is_skipped() {
    let garbage = [9, 0, 0, 0, 0, 1, 0x67, 0, 0, 1];
    let log = demux(&[&garbage[..], &PACK, &SYSTEM].concat());
    assert_eq!(log.packs, 1);
}

#[test]
fn a_start_code_that_lies_cannot_stop_the_search() {
    // A pack start code with a wrong second byte, over and over.
    let wrong = [0, 0, 1, 0xBA, 0xC0].repeat(20);
    let log = demux(&[&wrong[..], &PACK].concat());
    assert_eq!(log.packs, 1);
    let no_pes = [0, 0, 1, 0xE0, 0, 50, 0, 0, 0].repeat(20);
    let log = demux(&[&no_pes[..], &PACK].concat());
    assert_eq!(log.packs, 1);
}

#[test]
fn every_quirk_stands_in_the_table_of_the_documentation() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/protocol/media-quirks.md"
    );
    let page = std::fs::read_to_string(path).unwrap();
    for quirk in Quirk::ALL {
        let name = format!("`{}`", quirk.name());
        let line = page.lines().find(|line| line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing"));
        let rows = line.split('|').nth(1).unwrap_or_default();
        let row = quirk.row().to_string();
        let listed = rows.split(',').any(|number| number.trim() == row);
        assert!(
            quirk.row() == 0 || listed,
            "{name} stands in row {rows}, not {row}"
        );
    }
}
