import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp.errors import LocalError
from sdp.gb import (
    SsrcParts,
    StreamSelector,
    UriLine,
    compose_ssrc,
    format_ssrc,
    parse_ssrc,
    split_ssrc,
    stream_attribute,
    stream_of,
)
from sdp.session import Sdp


@pytest.mark.parametrize(
    ("text", "ssrc"),
    [("0200000123", 200000123), ("100000001", 100000001), ("0", 0), ("0000000000", 0),
     (" 0999999999 ", 999999999), ("3000000000", 3000000000), ("4294967295", 2**32 - 1),
     ("4294967296", None), ("9" * 30, None), ("", None), ("x1", None), ("-1", None)],
)  # fmt: skip
def test_parse_ssrc(text: str, ssrc: int | None) -> None:
    assert parse_ssrc(text) == ssrc


def test_format_ssrc() -> None:
    assert format_ssrc(123) == "0000000123"
    for wrong in (-1, 2**32):
        with pytest.raises(LocalError):
            format_ssrc(wrong)


def test_rule_of_annex_g() -> None:
    assert format_ssrc(compose_ssrc("13010000002000000001", 42)) == "0100000042"
    assert format_ssrc(compose_ssrc("13010000002000000001", 42, history=True)) == "1100000042"
    assert format_ssrc(compose_ssrc("3402000000", 9999)) == "0200009999"
    for domain, number in (("3402", 1), ("340abcde00", 1), ("3402000000", 10_000)):
        with pytest.raises(LocalError):
            compose_ssrc(domain, number)


@given(st.integers(0, 9999), st.booleans(), st.text("0123456789", min_size=10, max_size=20))
def test_parts_come_back(number: int, history: bool, domain: str) -> None:
    ssrc = compose_ssrc(domain, number, history=history)
    assert split_ssrc(ssrc) == SsrcParts(history, domain[3:8], number)
    assert parse_ssrc(format_ssrc(ssrc)) == ssrc


def test_ssrc_that_follows_no_rule() -> None:
    assert split_ssrc(4_000_000_000) is None


SELECTORS = [
    (StreamSelector.STREAM_NUMBER, 0, "streamnumber:0"),
    (StreamSelector.STREAM_NUMBER, 2, "streamnumber:2"),
    (StreamSelector.STREAM, 1, "stream:1"),
    (StreamSelector.STREAM_PROFILE, 1, "streamprofile:1"),
    (StreamSelector.STREAM_MODE, 0, "streamMode:MAIN"),
    (StreamSelector.STREAM_MODE, 1, "streamMode:SUB"),
]


@pytest.mark.parametrize(("style", "stream", "line"), SELECTORS)
def test_stream_selectors(style: StreamSelector, stream: int, line: str) -> None:
    assert stream_attribute(style, stream) == line
    (media,) = Sdp.parse(f"m=video 1 RTP/AVP 96\na={line}\n".encode()).media
    assert stream_of(media) == stream


def test_no_stream_selector() -> None:
    assert stream_attribute(StreamSelector.NONE, 1) is None
    (media,) = Sdp.parse(b"m=video 1 RTP/AVP 96\na=stream:HD\na=streamMode:x\n").media
    assert stream_of(media) is None


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("3402:0", UriLine("3402", 0), "3402:0"),
        ("3402", UriLine("3402", 0), "3402:0"),
        ("3402:alarm", UriLine("3402", 2), "3402:2"),
        ("3402: 3", UriLine("3402", 3), "3402:3"),
        ("http://3402/a/b.mp4", UriLine("3402", 0, "a/b.mp4"), "http://3402/a/b.mp4"),
    ],
)
def test_uri_line(text: str, value: UriLine, written: str) -> None:
    assert UriLine.parse(text) == value
    assert str(value) == written
