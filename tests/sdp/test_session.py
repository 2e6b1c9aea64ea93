from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp.errors import LocalError, MalformedSdp, RemoteError
from sdp.offer import parse_answer, parse_offer
from sdp.session import MAX_LINES, MAX_SDP_BYTES, RtpMap, Sdp

Wire = Callable[[str], bytes]


@pytest.mark.parametrize(
    "name", ["live_offer_udp", "live_answer_udp", "live_offer_tcp_passive", "playback_offer_udp"]
)
def test_order_is_kept(wire: Wire, name: str) -> None:
    assert Sdp.parse(wire(name)).to_bytes() == wire(name)


def test_values(wire: Wire) -> None:
    sdp = Sdp.parse(wire("live_offer_udp"))
    assert (sdp.origin_user, sdp.name, sdp.times) == ("34020000002000000001", "Play", (0, 0))
    assert (sdp.address, sdp.value("y"), sdp.value("b")) == ("192.0.2.1", "0200000123", None)
    (media,) = sdp.media
    assert (media.kind, media.port, media.protocol) == ("video", 30000, "RTP/AVP")
    assert media.payload_types == (96, 98, 100)
    assert media.rtpmaps[2] == RtpMap(100, "H265", 90000)
    assert media.attribute("StreamNumber") == "0"
    assert media.attribute("recvonly") == ""
    assert media.attribute("setup") is None


def test_line_ends_and_disorder(wire: Wire) -> None:
    sdp = Sdp.parse(wire("odd_lf_disorder"))
    assert (sdp.name, sdp.address, sdp.media[0].port) == ("Play", "192.0.2.20", 15060)
    assert sdp.media[0].attribute("sendonly") == ""
    for end in (b"\r", b"\n", b"\r\n\r\n", b" \r\n"):
        again = Sdp.parse(wire("live_offer_udp").replace(b"\r\n", end))
        assert again == Sdp.parse(wire("live_offer_udp"))


ODD_LINES = [
    ("c=IN IP4 192.0.2.1/127", "address", "192.0.2.1"),
    ("c=in ip4 192.0.2.1", "address", "192.0.2.1"),
    ("c=192.0.2.1", "address", "192.0.2.1"),
    ("c=IN IP6 2001:db8::1", "address", "2001:db8::1"),
    ("c=IN IP4 camera.example", "address", "camera.example"),
    ("c=IN", "address", None),
    ("o=3402 0 0 IN IP4 192.0.2.9", "address", "192.0.2.9"),
    ("t=1700000000 1700003600", "times", (1700000000, 1700003600)),
    ("t=3908988800 3908992400", "times", (1700000000, 1700003600)),
    ("t=now later", "times", (0, 0)),
    ("t=5", "times", (0, 0)),
    ("s=PLAYBACK", "name", "Playback"),
    ("s= my session ", "name", "my session"),
    ("v=0", "name", ""),
]


@pytest.mark.parametrize(("line", "name", "value"), ODD_LINES)
def test_odd_lines(line: str, name: str, value: object) -> None:
    assert getattr(Sdp.parse(line.encode()), name) == value


@pytest.mark.parametrize(
    ("line", "readable"),
    [("m=video 6000 RTP/AVP 96", True), ("m=video 6000/2 RTP/AVP 96", True),
     ("m=video 6000 RTP/AVP", True), ("m=video 65536 RTP/AVP 96", False),
     ("m=video x RTP/AVP 96", False), ("m=video", False), ("m=", False)],
)  # fmt: skip
def test_media_lines(line: str, readable: bool) -> None:
    assert bool(Sdp.parse(line.encode()).media) is readable


def test_attributes_of_the_session_count_for_its_media() -> None:
    (media,) = Sdp.parse(b"a=setup:active\nm=video 1 RTP/AVP 96\nc=IN IP4 192.0.2.7\n").media
    assert media.attribute("setup") == "active"
    assert media.address == "192.0.2.7"


def test_rtpmap_without_clock_and_beyond_range() -> None:
    (media,) = Sdp.parse(b"m=video 1 RTP/AVP 96 200\na=rtpmap:96 PS\na=rtpmap:200 X/1\n").media
    assert media.payload_types == (96,)
    assert media.rtpmaps == (RtpMap(96, "PS", None),)


def test_vendor_text_in_gb18030() -> None:
    assert Sdp.parse("s=实时预览".encode("gb18030")).name == "实时预览"


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"\xff" * 9, b"a" * (MAX_SDP_BYTES + 1), b"a=b\n" * (MAX_LINES + 1)]
)
def test_refused(body: bytes) -> None:
    with pytest.raises(MalformedSdp) as caught:
        Sdp.parse(body)
    assert caught.value.status_hint == 488


@pytest.mark.parametrize("line", [("s", "a\r\nb=c"), ("s", "a\0"), ("", "x"), ("S", "x")])
def test_nothing_unreadable_is_written(line: tuple[str, str]) -> None:
    with pytest.raises(LocalError):
        Sdp([line]).to_bytes()


@given(st.binary(max_size=300))
def test_garbage_is_refused_with_a_documented_error(data: bytes) -> None:
    for body in (data, b"v=0\r\nm=video 1 RTP/AVP 96\r\n" + data):
        try:
            parse_offer(body)
            parse_answer(body, transport="tcp-passive", ssrc=1)
        except RemoteError:
            continue


LINES = st.text("aAbc: /=.0129\t-", max_size=20).map(str.strip)


@given(st.lists(st.tuples(st.sampled_from("vosctmayfu"), LINES), min_size=1, max_size=12))
def test_lines_come_back(lines: list[tuple[str, str]]) -> None:
    assert Sdp.parse(Sdp(lines).to_bytes()).lines == tuple(lines)
