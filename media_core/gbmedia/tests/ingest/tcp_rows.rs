//! Rows about RTP over TCP.

use bytes::Bytes;
use gbmedia::ingest::IngestSettings;
use gbmedia::quirk::Quirk;
use gbmedia::rfc4571::{Framer, Framing, FramingLost, MAX_RESYNC};

use crate::camera::*;

fn stream() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let slices = slices(30, 10, 3000);
    let packs = packs(&slices);
    (slices, packs)
}

fn with_length(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
}

fn interleaved(packet: &[u8]) -> Vec<u8> {
    [&b"$\0"[..], &with_length(packet)].concat()
}

fn ehome(packet: &[u8]) -> Vec<u8> {
    let mut header = vec![1, 0, 3];
    header.resize(256, 0x5A);
    let inside = [&packet[..12], &[0x0D], &packet[12..]].concat();
    [header, interleaved(&inside)].concat()
}

struct Connection {
    framer: Framer,
    packets: Vec<Vec<u8>>,
    quirks: Vec<Quirk>,
}

impl Connection {
    fn new() -> Self {
        Self {
            framer: Framer::new(),
            packets: Vec::new(),
            quirks: Vec::new(),
        }
    }

    fn receive(&mut self, data: &[u8]) -> Result<(), FramingLost> {
        let packets = &mut self.packets;
        let result = self
            .framer
            .receive(data, |packet| packets.push(packet.to_vec()));
        while let Some(quirk) = self.framer.take_quirk() {
            self.quirks.push(quirk);
        }
        result
    }
}

/// All packets of the stream, wrapped.
fn wrapped(size: usize, wrap: fn(&[u8]) -> Vec<u8>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut sender = Sender {
        size,
        ..Sender::default()
    };
    let (_, packs) = stream();
    let packets: Vec<_> = packs.iter().flat_map(|pack| sender.frame(pack)).collect();
    let bytes = packets.iter().map(|packet| wrap(packet)).collect();
    (packets, bytes)
}

fn assert_framed(packets: &[Vec<u8>], bytes: &[u8], framing: Framing, quirks: &[Quirk]) {
    for read in [1, 3, 255, 1460, 65_536, bytes.len()] {
        let mut connection = Connection::new();
        for part in bytes.chunks(read) {
            connection.receive(part).unwrap();
        }
        assert!(connection.packets == packets, "reads of {read}");
        assert_eq!(connection.framer.framing(), framing);
        assert_eq!(connection.quirks, quirks);
        assert_eq!(connection.framer.resyncs(), 0);
    }
}

#[test]
fn the_framing_of_rfc_4571() {
    let (packets, bytes) = wrapped(1400, with_length);
    assert_framed(&packets, &bytes.concat(), Framing::Length, &[]);
}

#[test]
fn row_46_the_interleaved_framing_of_rtsp() {
    let (packets, bytes) = wrapped(1400, interleaved);
    let quirks = [Quirk::InterleavedFraming];
    assert_framed(&packets, &bytes.concat(), Framing::Interleaved, &quirks);
}

#[test]
fn row_47_and_50_the_private_header_and_the_extra_byte_of_ehome() {
    let (packets, bytes) = wrapped(1400, ehome);
    assert_framed(
        &packets,
        &bytes.concat(),
        Framing::Ehome,
        &[Quirk::EhomeHeader],
    );
}

#[test]
fn row_47_a_first_packet_of_256_bytes_is_no_private_header() {
    let (packets, bytes) = wrapped(244, with_length);
    assert_eq!(packets[0].len(), 256);
    assert_framed(&packets, &bytes.concat(), Framing::Length, &[]);
}

#[test]
fn row_49_a_length_that_begins_with_a_dollar_is_a_length() {
    let mut sender = Sender {
        size: 0x2450 - 12,
        ..Sender::default()
    };
    let pack = key_pack(0, &idr(40_000, 1));
    let packets = sender.frame(&pack);
    let bytes: Vec<u8> = packets
        .iter()
        .flat_map(|packet| with_length(packet))
        .collect();
    assert_eq!(bytes[0], b'$');
    let mut connection = Connection::new();
    connection.receive(&bytes).unwrap();
    assert!(connection.packets == packets);
    assert_eq!(connection.framer.framing(), Framing::Length);
    assert!(connection.quirks.contains(&Quirk::LargePackets));
}

#[test]
fn row_49_packets_of_64_kb_are_taken() {
    let mut sender = Sender {
        size: 65_523,
        ..Sender::default()
    };
    let packets = sender.frame(&key_pack(0, &idr(200_000, 1)));
    let bytes: Vec<u8> = packets
        .iter()
        .flat_map(|packet| with_length(packet))
        .collect();
    let mut connection = Connection::new();
    for part in bytes.chunks(1460) {
        connection.receive(part).unwrap();
    }
    assert!(connection.packets == packets);
}

#[test]
fn row_48_after_a_partial_write_the_framing_is_found_again() {
    for (wrap, tail) in [
        (with_length as fn(&[u8]) -> Vec<u8>, 700),
        (with_length, 1),
        (with_length, 1411),
        (interleaved, 700),
        (ehome, 700),
        (ehome, 1),
    ] {
        let (packets, mut bytes) = wrapped(1400, wrap);
        let cut = bytes[20].len() - tail;
        bytes[20].truncate(cut);
        let mut connection = Connection::new();
        for part in bytes.concat().chunks(1000) {
            connection.receive(part).unwrap();
        }
        assert_eq!(connection.framer.resyncs(), 1, "{tail}");
        assert!(connection.quirks.contains(&Quirk::FramingLost));
        let got = &connection.packets;
        assert_eq!(got[..20], packets[..20]);
        assert!(
            got.len() + 3 >= packets.len(),
            "{} of {}",
            got.len(),
            packets.len()
        );
        assert!(got.ends_with(&packets[23..]));
    }
}

#[test]
fn row_48_garbage_without_end_gives_the_connection_up() {
    let (_, bytes) = wrapped(1400, with_length);
    let mut connection = Connection::new();
    connection.receive(&bytes[..10].concat()).unwrap();
    let garbage = nal(&[], 3 << 20, 5);
    let mut given = 0;
    let lost = garbage.chunks(1460).any(|part| {
        given += part.len();
        connection.receive(part).is_err()
    });
    assert!(lost);
    assert!(
        (MAX_RESYNC..MAX_RESYNC + 200_000).contains(&given),
        "{given}"
    );
}

#[test]
fn lengths_of_zero_and_short_rtcp_are_skipped() {
    let (packets, bytes) = wrapped(1400, with_length);
    let between = [0, 0, 0, 8, 0x80, 201, 0, 1, 0, 0, 0, 7];
    let bytes: Vec<u8> = bytes
        .iter()
        .flat_map(|packet| [&between[..], packet].concat())
        .collect();
    assert_framed(&packets, &bytes, Framing::Length, &[]);
}

#[test]
fn c_6_7_a_gap_over_tcp_is_a_loss_at_the_level_of_frames() {
    let (slices, packs) = stream();
    let settings = IngestSettings {
        reliable: true,
        ..expecting()
    };
    let mut bench = Bench::new(settings);
    let mut sender = Sender::default();
    for (number, pack) in packs.iter().enumerate() {
        let packets = sender.frame(pack);
        if number != 15 {
            bench.frame(&packets);
        }
    }
    let expected = expected(&slices);
    let kept: Vec<Bytes> = [&expected[..15], &expected[20..]].concat();
    assert!(starts_with(&bench.outcome.video(), &kept));
}
