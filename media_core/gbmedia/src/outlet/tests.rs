use super::*;
use crate::frame::Codec;
use crate::gop::GopLimits;
use crate::test_support::{aac, alaw, frame as make, h264, h265};

const MS: u64 = 1000;
const SECOND: u64 = 1_000_000;

fn outlet(container: Container, websocket: bool) -> Outlet {
    let mut outlet = Outlet::new(OutletSettings::new(container, websocket), 0);
    outlet.set_video(Arc::new(h264()));
    outlet
}

fn output(outlet: &Outlet) -> Vec<u8> {
    let mut slices = Vec::new();
    outlet.slices(&mut slices, usize::MAX);
    slices.iter().flat_map(|slice| slice.to_vec()).collect()
}

fn drain(outlet: &mut Outlet, now: u64) -> Vec<u8> {
    let bytes = output(outlet);
    outlet.taken(bytes.len(), now);
    assert!(!outlet.has_output());
    bytes
}

/// Picture `number` at 25 a second with a key frame every tenth.
fn picture(number: i64) -> Frame {
    make(Codec::H264, 90_000 + number * 3600, number % 10 == 0, 1000)
}

/// Times of the video tags of an FLV body, sequence headers left out.
fn flv_times(bytes: &[u8]) -> Vec<u32> {
    let mut rest = if bytes.starts_with(b"FLV") {
        &bytes[13..]
    } else {
        bytes
    };
    let mut times = Vec::new();
    while !rest.is_empty() {
        let size = u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize;
        if rest[0] == 9 && rest[12] != 0 {
            times.push(u32::from_be_bytes([rest[7], rest[4], rest[5], rest[6]]));
        }
        rest = &rest[11 + size + 4..];
    }
    times
}

#[test]
fn a_viewer_waits_for_a_key_frame_and_its_time_begins_at_zero() {
    let mut outlet = outlet(Container::Flv, false);
    (3..12).for_each(|number| outlet.push(&picture(number), 0));
    assert_eq!(outlet.state(), OutletState::Playing);
    let bytes = drain(&mut outlet, 0);
    assert!(bytes.starts_with(b"FLV"));
    assert_eq!(flv_times(&bytes), [0, 40]);
}

#[test]
fn a_viewer_joins_at_the_cached_group() {
    let mut cache = GopCache::default();
    cache.set_video(Arc::new(h264()));
    cache.set_audio(Arc::new(alaw()));
    (10..17).for_each(|number| cache.push(&picture(number)));
    for websocket in [false, true] {
        let mut outlet = Outlet::new(OutletSettings::new(Container::Flv, websocket), 0);
        outlet.queue_raw(Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"), 0);
        outlet.join(&cache, 5);
        outlet.push(&picture(17), 6);
        assert_eq!(outlet.stats().frames_queued, 8);
        let bytes = drain(&mut outlet, 7);
        let body = bytes.strip_prefix(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let body = if websocket {
            without_heads(body).concat()
        } else {
            body.to_vec()
        };
        assert_eq!(flv_times(&body), [0, 40, 80, 120, 160, 200, 240, 280]);
    }
}

/// Messages of a WebSocket byte stream.
fn without_heads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        assert!([0x81, 0x82].contains(&bytes[0]));
        let (head, size) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            127 => (
                10,
                u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize,
            ),
            short => (2, usize::from(short)),
        };
        messages.push(bytes[head..head + size].to_vec());
        bytes = &bytes[head + size..];
    }
    messages
}

/// Names of the first box of each message.
fn kinds(messages: &[Vec<u8>]) -> Vec<&[u8]> {
    messages.iter().map(|message| &message[4..8]).collect()
}

#[test]
fn over_websocket_each_chunk_is_a_message() {
    let mut outlet = outlet(Container::Fmp4, true);
    (0..3).for_each(|number| outlet.push(&picture(number), 0));
    let messages = without_heads(&drain(&mut outlet, 0));
    assert_eq!(kinds(&messages[1..]), [b"ftyp", b"moof", b"moof", b"moof"]);
    assert_eq!(
        messages[0],
        br#"{"mime": "video/mp4; codecs=\"avc1.42C01F\""}"#
    );
    assert_eq!(
        outlet.mime_type().unwrap(),
        "video/mp4; codecs=\"avc1.42C01F\""
    );
}

#[test]
fn a_group_too_large_for_the_queue_is_passed_over() {
    let mut cache = GopCache::new(GopLimits::default());
    cache.set_video(Arc::new(h264()));
    cache.push(&picture(0));
    let mut settings = OutletSettings::new(Container::Flv, false);
    settings.max_bytes = 1999;
    let mut outlet = Outlet::new(settings, 0);
    outlet.join(&cache, 0);
    assert_eq!(outlet.state(), OutletState::WaitingForKey);
    assert!(!outlet.has_output());
}

#[test]
fn partial_writes_lose_and_repeat_nothing() {
    let frames: Vec<Frame> = (0..30).map(picture).collect();
    let mut whole = outlet(Container::Flv, true);
    frames.iter().for_each(|frame| whole.push(frame, 0));
    let expected = output(&whole);
    for step in [1, 3, 999, 1013, 5000] {
        let mut outlet = outlet(Container::Flv, true);
        frames.iter().for_each(|frame| outlet.push(frame, 0));
        let mut got = Vec::new();
        while outlet.has_output() {
            let mut slices = Vec::new();
            outlet.slices(&mut slices, 2);
            assert!(slices.len() <= 2 && slices.iter().all(|slice| !slice.is_empty()));
            let piece: Vec<u8> = slices
                .iter()
                .flat_map(|slice| slice.to_vec())
                .take(step)
                .collect();
            outlet.taken(piece.len(), 0);
            got.extend(piece);
            assert_eq!(outlet.queued_bytes(), expected.len() - got.len());
        }
        assert!(got == expected, "{step}");
    }
}

#[test]
fn a_slow_viewer_is_skipped_to_the_next_key_frame() {
    let mut outlet = outlet(Container::Flv, false);
    outlet.push(&picture(0), 0);
    let first = output(&outlet);
    // It takes the header and half of the first frame, and then nothing for four seconds.
    outlet.taken(first.len() - 500, 0);
    for number in 1..105 {
        outlet.push(&picture(number), number as u64 * 40 * MS);
    }
    assert_eq!(outlet.stats().skips, 1);
    assert_eq!(outlet.state(), OutletState::Playing);
    let rest = drain(&mut outlet, 105 * 40 * MS);
    assert_eq!(
        rest[..500],
        first[first.len() - 500..],
        "a begun frame is finished"
    );
    // 3 s passed with frame 76: it and what was queued went, 80 is the next key frame.
    assert_eq!(
        flv_times(&rest[500..]),
        (80..105).map(|n| n * 40).collect::<Vec<u32>>()
    );
    assert_eq!(outlet.stats().frames_skipped, 79);
    assert_eq!(outlet.stats().frames_queued, 1 + 75 + 25);
}

#[test]
fn the_queue_is_bounded_by_bytes() {
    let mut settings = OutletSettings::new(Container::Flv, false);
    settings.max_bytes = 20_000;
    let mut outlet = Outlet::new(settings, 0);
    outlet.set_video(Arc::new(h264()));
    for number in 0..10_000 {
        outlet.push(&picture(number), 0);
        assert!(outlet.queued_bytes() <= 20_000 + 1000);
    }
    assert!(outlet.stats().skips > 100);
    // Each frame was queued or skipped; a queued one may have been skipped later.
    let stats = outlet.stats();
    assert!(stats.frames_queued + stats.frames_skipped >= 10_000);
}

#[test]
fn a_viewer_that_takes_nothing_is_dropped() {
    let mut outlet = outlet(Container::Flv, false);
    assert_eq!(outlet.next_timeout(), None);
    for number in 0..249 {
        outlet.push(&picture(number), SECOND + number as u64 * 40 * MS);
    }
    assert_eq!(outlet.next_timeout(), Some(11 * SECOND));
    outlet.handle_timer(11 * SECOND - 1);
    assert_eq!(outlet.state(), OutletState::Playing);
    outlet.handle_timer(11 * SECOND);
    assert_eq!(outlet.state(), OutletState::Dropped);
    assert_eq!(outlet.queued_bytes(), 0);
    outlet.push(&picture(250), 12 * SECOND);
    outlet.finish(12 * SECOND);
    assert!(!outlet.has_output());
    assert_eq!(outlet.state(), OutletState::Dropped);
}

#[test]
fn an_idle_stream_drops_nobody() {
    let mut outlet = outlet(Container::Flv, false);
    outlet.push(&picture(0), 0);
    drain(&mut outlet, 0);
    outlet.push(&picture(1), 60 * SECOND);
    assert_eq!(outlet.state(), OutletState::Playing);
    assert_eq!(outlet.next_timeout(), Some(70 * SECOND));
}

#[test]
fn changed_parameters_come_before_the_key_frame_they_belong_to() {
    let mut outlet = outlet(Container::Flv, false);
    outlet.push(&picture(0), 0);
    drain(&mut outlet, 0);
    outlet.set_video(Arc::new(h264()));
    outlet.push(&picture(1), 0);
    assert_eq!(
        flv_times(&drain(&mut outlet, 0)),
        [40],
        "the same again is no change"
    );
    outlet.set_video(Arc::new(h265()));
    let mut frame = picture(12);
    frame.codec = Codec::H265;
    outlet.push(&frame, 0);
    assert!(
        !outlet.has_output(),
        "without a key frame the new parameters say nothing"
    );
    frame.key = true;
    outlet.push(&frame, 0);
    let bytes = drain(&mut outlet, 0);
    assert_eq!(bytes[11..17], *b"\x90hvc1\x01");
    assert_eq!(bytes[4..8], [0, 1, 0xE0, 0], "480 ms");
}

#[test]
fn mp4_gets_a_new_init_segment_for_other_parameters() {
    let mut outlet = outlet(Container::Fmp4, true);
    outlet.push(&picture(0), 0);
    drain(&mut outlet, 0);
    let mut other = h264();
    other.width = 1280;
    outlet.set_video(Arc::new(other));
    outlet.push(&picture(10), 0);
    let messages = without_heads(&drain(&mut outlet, 0));
    assert_eq!(kinds(&messages), [b"ftyp", b"moof"]);
    // The same codec needs no announcement; another level does.
    let mut other = h264();
    other.level = 40;
    outlet.set_video(Arc::new(other));
    outlet.push(&picture(20), 0);
    let messages = without_heads(&drain(&mut outlet, 0));
    assert_eq!(
        messages[0],
        br#"{"mime": "video/mp4; codecs=\"avc1.42C028\""}"#
    );
    assert_eq!(kinds(&messages[1..]), [b"ftyp", b"moof"]);
}

#[test]
fn sound_that_begins_late() {
    for (container, expected) in [(Container::Flv, true), (Container::Fmp4, false)] {
        let mut outlet = outlet(container, false);
        outlet.push(&picture(0), 0);
        drain(&mut outlet, 0);
        outlet.set_audio(Arc::new(aac()));
        outlet.push(&make(Codec::Aac, 95_000, false, 10), 0);
        // A running MP4 cannot get one more track.
        assert_eq!(outlet.has_output(), expected, "{container:?}");
    }
}

#[test]
fn sound_before_the_first_picture_is_left_out() {
    let mut outlet = outlet(Container::Flv, false);
    outlet.set_audio(Arc::new(alaw()));
    outlet.push(&make(Codec::G711A, 89_000, false, 320), 0);
    outlet.push(&picture(0), 0);
    outlet.push(&make(Codec::G711A, 89_500, false, 320), 0);
    outlet.push(&make(Codec::G711A, 90_000, false, 320), 0);
    assert_eq!(outlet.stats().frames_queued, 2);
}

#[test]
fn a_stream_without_pictures_is_played_as_sound() {
    let mut outlet = Outlet::new(OutletSettings::new(Container::Flv, false), 0);
    outlet.set_audio(Arc::new(alaw()));
    outlet.push(&make(Codec::G711A, 90_000, false, 320), 0);
    outlet.push(&make(Codec::G711A, 90_000 * 3, false, 320), 3 * SECOND - 1);
    assert!(!outlet.has_output());
    outlet.push(&make(Codec::G711A, 90_000 * 4, false, 320), 3 * SECOND);
    assert_eq!(
        drain(&mut outlet, 3 * SECOND)[4],
        4,
        "the file header announces sound only"
    );
    // Pictures that come after all begin with a key frame and its headers.
    outlet.set_video(Arc::new(h264()));
    outlet.push(&picture(95), 4 * SECOND);
    assert!(!outlet.has_output());
    outlet.push(&picture(100), 4 * SECOND);
    assert_eq!(flv_times(&drain(&mut outlet, 4 * SECOND)), [1000]);
}

#[test]
fn what_the_container_does_not_carry_is_counted() {
    let mut outlet = outlet(Container::Fmp4, false);
    outlet.push(&picture(0), 0);
    outlet.push(&make(Codec::G711A, 90_000, false, 320), 0);
    outlet.push(&make(Codec::Svac, 90_000, true, 320), 0);
    assert_eq!(outlet.stats().frames_unsupported, 2);
    assert_eq!(outlet.stats().frames_queued, 1);
}

#[test]
fn the_end_of_the_stream_lets_the_rest_out() {
    let mut outlet = outlet(Container::Fmp4, true);
    outlet.push(&picture(0), 0);
    drain(&mut outlet, 0);
    outlet.push(&picture(1), 0);
    outlet.finish(0);
    outlet.finish(0);
    outlet.push(&picture(2), 0);
    assert_eq!(outlet.state(), OutletState::Ending);
    let bytes = drain(&mut outlet, 0);
    assert_eq!(bytes[bytes.len() - 4..], [0x88, 2, 3, 0xE9]);
    assert_eq!(outlet.state(), OutletState::Ended);
    let mut idle = self::outlet(Container::Flv, false);
    idle.finish(0);
    assert_eq!(idle.state(), OutletState::Ended);
}

#[test]
fn pings_are_answered_but_do_not_pile_up() {
    let mut outlet = outlet(Container::Flv, true);
    (0..100).for_each(|_| outlet.queue_pong(b"x", 0));
    assert_eq!(output(&outlet), b"\x8a\x01x".repeat(8));
    drain(&mut outlet, 0);
    outlet.queue_pong(b"y", 0);
    assert_eq!(drain(&mut outlet, 0), b"\x8a\x01y");
    let mut plain = self::outlet(Container::Flv, false);
    plain.queue_pong(b"x", 0);
    assert!(!plain.has_output());
}

#[test]
fn viewers_share_a_frame() {
    let frame = picture(0);
    let mut outlets = [outlet(Container::Flv, true), outlet(Container::Fmp4, false)];
    for outlet in &mut outlets {
        outlet.push(&frame, 0);
        let mut slices = Vec::new();
        outlet.slices(&mut slices, 100);
        assert!(slices
            .iter()
            .any(|slice| slice.as_ptr() == frame.data.as_ptr()));
    }
}
