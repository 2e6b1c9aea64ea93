from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp.errors import LocalError, MalformedSdp
from sdp.format import MediaFormat
from sdp.gb import StreamSelector, Transport, UriLine
from sdp.offer import (
    LiveAnswer,
    Problem,
    make_live_answer,
    make_live_offer,
    parse_answer,
    parse_offer,
)
from sdp.payload import Payload, recommended

Wire = Callable[[str], bytes]
# Real messages, not part of the project: the last test is skipped where they are not at hand.
CAPTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "captures"

PLATFORM = "34020000002000000001"
CHANNEL = "34020000001320000007"
OFFER: dict[str, Any] = {
    "platform_id": PLATFORM,
    "media_ip": "192.0.2.1",
    "media_port": 30000,
    "transport": "udp",
    "ssrc": "0200000123",
    "stream": 0,
}
F = MediaFormat.parse("v/2/6/25/2/4096a/1/8/1")


def answer(body: bytes, transport: str = "udp") -> LiveAnswer:
    return parse_answer(body, transport=transport, ssrc="0200000123")


def test_golden_offers(wire: Wire) -> None:
    assert make_live_offer(**OFFER) == wire("live_offer_udp")
    tcp = make_live_offer(**OFFER | {"transport": "tcp-passive"})
    assert tcp == wire("live_offer_tcp_passive")


def test_golden_answers(wire: Wire) -> None:
    for offer_name, answer_name in (
        ("live_offer_udp", "live_answer_udp"),
        ("live_offer_tcp_passive", "live_answer_tcp_active"),
    ):
        written = make_live_answer(
            parse_offer(wire(offer_name)),
            sender_id=CHANNEL,
            media_ip="192.0.2.20",
            media_port=15060,
            media_format=F,
        )
        assert written == wire(answer_name)


def test_read_answer(wire: Wire) -> None:
    assert answer(wire("live_answer_udp")) == LiveAnswer(
        sender_id=CHANNEL, address="192.0.2.20", port=15060, transport=Transport.UDP,
        ssrc=200000123, payload_type=96, encoding="PS", clock_rate=90000, f=F, refused=False,
    )  # fmt: skip
    tcp = answer(wire("live_answer_tcp_active"), "tcp-passive")
    assert (tcp.transport, tcp.problems) == (Transport.TCP_PASSIVE, ())


def test_read_offers(wire: Wire) -> None:
    live = parse_offer(wire("live_offer_udp"))
    assert (live.name, live.owner_id, live.stream) == ("Play", PLATFORM, 0)
    assert [p.encoding for p in live.payloads] == ["PS", "H264", "H265"]
    assert (live.transport, live.ssrc, live.uri) == (Transport.UDP, 200000123, None)
    history = parse_offer(wire("playback_offer_udp"))
    assert (history.name, history.uri) == ("Playback", UriLine(CHANNEL, 0))
    assert history.times == (1700000000, 1700003600)


def test_offers_by_edition_and_device() -> None:
    old = make_live_offer(**OFFER | {"edition": "2.0"})
    assert b"H265" not in old
    assert b"streamnumber" not in old
    assert b"a=streamnumber:1\r\n" in make_live_offer(**OFFER | {"edition": "2.0", "stream": 1})
    dahua = make_live_offer(**OFFER | {"selector": StreamSelector.STREAM_PROFILE, "stream": 1})
    assert b"a=streamprofile:1\r\ny=0200000123\r\n" in dahua
    nvr = make_live_offer(
        **OFFER
        | {
            "payloads": [recommended("PS"), Payload(126, "H264")],
            "media_format": None,
            "stream": None,
        }
    )
    assert b"RTP/AVP 96 126\r\n" in nvr
    assert nvr.endswith(b"a=rtpmap:126 H264/90000\r\ny=0200000123\r\n")
    active = make_live_offer(**OFFER | {"transport": Transport.TCP_ACTIVE})
    assert b"a=setup:active\r\na=connection:new\r\n" in active
    assert b"IN IP6 2001:db8::1" in make_live_offer(**OFFER | {"media_ip": "2001:db8::1"})


@pytest.mark.parametrize("ssrc", ["123", "02000001234", "020000012x", ""])
def test_an_offer_needs_ten_digits(ssrc: str) -> None:
    with pytest.raises(LocalError, match="ten digits"):
        make_live_offer(**OFFER | {"ssrc": ssrc})


FIXTURES: list[tuple[str, dict[str, object], set[Problem]]] = [
    ("odd_lf_disorder", {"ssrc": 200000123, "f": None}, set()),
    ("odd_nine_digits", {"ssrc": 100000001, "f": None}, {Problem.OTHER_SSRC}),
    ("odd_h265_on_99", {"encoding": "H265", "payload_type": 99}, set()),
    ("odd_private_stream", {"encoding": "HIKVISION"}, {Problem.PRIVATE_STREAM}),
    ("odd_refused", {"refused": True, "port": 0}, set()),
    ("odd_nat_address", {"address": "0.0.0.0"}, {Problem.UNSPECIFIED_ADDRESS}),  # noqa: S104
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "problems"), FIXTURES)
def test_odd_answers(
    wire: Wire, name: str, values: dict[str, object], problems: set[Problem]
) -> None:
    read = answer(wire(name))
    assert {key: getattr(read, key) for key in values} == values
    assert read.private_stream is (Problem.PRIVATE_STREAM in problems)
    assert set(read.problems) == problems


CHANGES = [
    # what the answer says instead, transport offered, transport read, problems
    (("a=setup:active\r\n", ""), "tcp-passive", Transport.TCP_PASSIVE, {Problem.NO_SETUP}),
    (("setup:active", "setup:passive"), "tcp-passive", Transport.TCP_PASSIVE, {Problem.SAME_SETUP}),
    (("setup:active", "setup:passive"), "tcp-active", Transport.TCP_ACTIVE, set()),
    (("setup:active", "setup:actpass"), "tcp-active", Transport.TCP_ACTIVE, {Problem.NO_SETUP}),
    (("TCP/RTP/AVP", "RTP/AVP"), "tcp-passive", Transport.UDP, {Problem.OTHER_PROTOCOL}),
    (("", ""), "udp", Transport.TCP_PASSIVE, {Problem.OTHER_PROTOCOL}),
    (("y=0200000123", "y=0000000000"), "tcp-passive", Transport.TCP_PASSIVE, {Problem.ZERO_SSRC}),
    (("y=0200000123\r\n", ""), "tcp-passive", Transport.TCP_PASSIVE, {Problem.NO_SSRC}),
    (("y=0200000123", "y=9999999999"), "tcp-passive", Transport.TCP_PASSIVE, {Problem.BAD_SSRC}),
    (("AVP 96", "AVP 96 98"), "tcp-passive", Transport.TCP_PASSIVE, {Problem.SEVERAL_PAYLOADS}),
    (("c=IN IP4 192.0.2.20", "c=IN IP4 192.168.1.64"), "tcp-passive", Transport.TCP_PASSIVE,
     {Problem.PRIVATE_ADDRESS}),
    (("AVP 96", "AVP 34"), "tcp-passive", Transport.TCP_PASSIVE, {Problem.UNKNOWN_PAYLOAD}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "offered", "transport", "problems"), CHANGES)
def test_answers_that_do_not_match(
    wire: Wire,
    change: tuple[str, str],
    offered: str,
    transport: Transport,
    problems: set[Problem],
) -> None:
    body = wire("live_answer_tcp_active").decode().replace(*change).encode()
    read = answer(body, offered)
    assert read.transport is transport
    assert set(read.problems) == problems


def test_answer_without_any_address_or_payload() -> None:
    read = answer(b"v=0\nm=video 6000 RTP/AVP\ny=0200000123\n")
    assert (read.address, read.payload_type, read.encoding) == (None, None, "")
    assert set(read.problems) == {Problem.NO_ADDRESS, Problem.UNKNOWN_PAYLOAD}


def test_payload_that_was_not_offered(wire: Wire) -> None:
    offered = [recommended("H264")]
    read = parse_answer(wire("live_answer_udp"), transport="udp", offered=offered)
    assert read.problems == (Problem.NOT_OFFERED,)


def test_the_video_line_counts_wherever_it_stands(wire: Wire) -> None:
    body = wire("live_answer_udp").replace(b"m=video", b"m=audio 7000 RTP/AVP 8\r\nm=video")
    assert answer(body).port == 15060
    assert answer(body.replace(b"video 15060", b"video 0")).encoding == "PCMA"


@pytest.mark.parametrize("body", [b"", b"v=0\r\n", b"m=video\r\n", b"\x00\x01"])
def test_no_answer_at_all(body: bytes) -> None:
    with pytest.raises(MalformedSdp):
        answer(body)


def test_an_encoding_that_was_not_offered_is_our_bug(wire: Wire) -> None:
    with pytest.raises(LocalError, match="AAC was not offered"):
        make_live_answer(
            parse_offer(wire("live_offer_udp")),
            sender_id=CHANNEL, media_ip="192.0.2.20", media_port=1, encoding="AAC",
        )  # fmt: skip


@given(
    st.sampled_from(list(Transport)),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 3),
    st.integers(1, 65535),
    st.sampled_from(["1.0", "2.0", "3.0"]),
    st.sampled_from([None, *StreamSelector]),
)
def test_both_sides_understand_each_other(
    transport: Transport,
    ssrc: int,
    stream: int | None,
    port: int,
    edition: str,
    selector: StreamSelector | None,
) -> None:
    offer = parse_offer(
        make_live_offer(
            platform_id=PLATFORM,
            media_ip="192.0.2.1",
            media_port=port,
            transport=transport,
            ssrc=f"{ssrc:010d}",
            stream=stream,
            edition=edition,
            selector=selector,
        )
    )
    assert (offer.transport, offer.ssrc, offer.port) == (transport, ssrc, port)
    body = make_live_answer(offer, sender_id=CHANNEL, media_ip="192.0.2.20", media_port=port)
    read = parse_answer(body, transport=transport, ssrc=ssrc, offered=offer.payloads)
    assert (read.transport, read.ssrc, read.encoding, read.port) == (transport, ssrc, "PS", port)
    assert set(read.problems) <= {Problem.ZERO_SSRC}


def captured() -> list[Path]:
    if not CAPTURES.is_dir():
        return []
    return [p for p in sorted(CAPTURES.glob("*.txt")) if b'"sdp": {' in p.read_bytes()]


@pytest.mark.parametrize("path", captured(), ids=lambda path: path.stem)
def test_captured_descriptions(path: Path) -> None:
    body = path.read_bytes().partition(b"#--RAW--\n")[2]
    body = body.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    offer = parse_offer(body)
    assert offer.name in ("Play", "Playback", "Download")
    assert offer.payloads[0].encoding == "PS"
    assert offer.ssrc is not None
    assert offer.address is not None
