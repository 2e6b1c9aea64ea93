"""Streams: whole, byte by byte, with a tail, with noise, and over every limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipserver.sip.errors import MalformedMessage, MessageTooLarge
from sipserver.sip.framing import StreamFramer
from sipserver.sip.message import MAX_HEAD_SIZE

Wire = Callable[[str], bytes]

FIXTURES = ["keepalive", "register", "lf_only", "invite_live", "no_host"]


def _feed(framer: StreamFramer, chunks: list[bytes]) -> list[bytes]:
    found = []
    for chunk in chunks:
        framer.receive_data(chunk)
        while (message := framer.next_message()) is not None:
            found.append(message)
    return found


@pytest.mark.parametrize("name", FIXTURES)
def test_whole_byte_by_byte_and_with_a_tail(name: str, wire: Wire) -> None:
    raw = wire(name)
    assert _feed(StreamFramer(), [raw]) == [raw]
    assert _feed(StreamFramer(), [bytes([byte]) for byte in raw]) == [raw]
    framer = StreamFramer()
    assert _feed(framer, [raw + b"INVI"]) == [raw]
    assert framer.pending == 4
    assert _feed(StreamFramer(), [raw * 3]) == [raw] * 3


@pytest.mark.parametrize("cut", range(0, 500, 37))
def test_any_split_point(cut: int, wire: Wire) -> None:
    stream = wire("keepalive") + b"\r\n\r\n" + wire("register")
    framer = StreamFramer()
    found = _feed(framer, [stream[:cut], stream[cut:]])
    assert found == [wire("keepalive"), wire("register")]
    assert framer.pings == 1


def test_noise_between_messages(wire: Wire) -> None:
    raw = wire("register")
    framer = StreamFramer()
    noise = b"\r\n\0jaK\0\r\njaK"
    assert _feed(framer, [noise + raw + noise, raw]) == [raw, raw]
    assert framer.pings == 0
    assert framer.pending == 0


@pytest.mark.parametrize(
    ("chunks", "pings"),
    [
        ([b"\r\n\r\n"], 1),
        ([b"\r\n", b"\r\n"], 1),
        ([b"\r", b"\n", b"\r", b"\n"], 1),
        ([b"\r\n\r\n", b"\r\n\r\n"], 2),
        ([b"\r\n\r\n\r\n\r\n"], 2),
        ([b"ja", b"K\0", b"\r\n"], 0),
    ],
)
def test_pings(chunks: list[bytes], pings: int) -> None:
    framer = StreamFramer()
    assert _feed(framer, chunks) == []
    assert framer.pings == pings
    assert framer.pending < 3


BAD = [
    (b"", "no Content-Length on a stream"),
    (b"Content-Length: 1\r\nl: 2\r\n", "several Content-Lengths"),
    (b"Content-Length: -1\r\n", "bad Content-Length"),
    (b"Content-Length: " + b"1" * 21 + b"\r\n", "bad Content-Length"),
    (b"Content-Length: x\r\n", "bad Content-Length"),
]


@pytest.mark.parametrize(("header", "reason"), BAD)
def test_bad_lengths_keep_the_head_for_an_answer(header: bytes, reason: str) -> None:
    framer = StreamFramer()
    head = b"MESSAGE sip:a@b SIP/2.0\r\n" + header + b"\r\n"
    framer.receive_data(head + b"body")
    with pytest.raises(MalformedMessage, match=reason):
        framer.next_message()
    assert framer.rest == head


def test_one_length_twice_and_folded_is_one_length() -> None:
    raw = b"MESSAGE sip:a@b SIP/2.0\r\nl : 3\r\nContent-Length:\r\n 3\r\n\r\nabc"
    assert _feed(StreamFramer(), [raw]) == [raw]


def test_limits() -> None:
    framer = StreamFramer(max_body_size=10)
    framer.receive_data(b"MESSAGE sip:a@b SIP/2.0\r\nl: 11\r\n\r\n")
    with pytest.raises(MessageTooLarge, match="body too large"):
        framer.next_message()
    for data in (b"x" * (MAX_HEAD_SIZE + 1), b"x" * (MAX_HEAD_SIZE + 1) + b"\r\n\r\n"):
        framer = StreamFramer()
        framer.receive_data(data)
        with pytest.raises(MessageTooLarge, match="head too large"):
            framer.next_message()
