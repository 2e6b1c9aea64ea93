"""Unfinished messages of all streams together."""

from __future__ import annotations

from dataclasses import replace

from sipserver.sip.flow import Flow
from sipserver.sip.streams import Streams

HEAD = b"MESSAGE sip:a@b SIP/2.0\r\nX: "


def test_the_total_follows_what_comes_is_taken_and_is_lost(tcp_flow: Flow) -> None:
    streams = Streams(max_body_size=1000, max_pending_size=2 * len(HEAD))
    first, second, third = (replace(tcp_flow, connection=number) for number in (1, 2, 3))

    def feed(flow: Flow, data: bytes) -> Flow | None:
        framer = streams.framer(flow)
        framer.receive_data(data)
        while framer.next_message() is not None:
            pass
        return streams.weigh(flow)

    assert feed(first, HEAD) is None
    assert feed(second, HEAD) is None
    assert streams.pending(second) == len(HEAD)
    assert feed(third, b"\r\n") is None  # a keep-alive is no message
    assert feed(third, b"M") == first
    assert feed(first, b"\r\nContent-Length: 0\r\n\r\n") is None
    assert streams.pending(first) == 0
    assert feed(first, HEAD) == first
    streams.lost(third)
    assert feed(second, b"") is None
    streams.lost(second)
    streams.lost(second)
    assert streams.pending(second) == 0
    assert feed(third, HEAD) is None
