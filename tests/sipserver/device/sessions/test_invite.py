from __future__ import annotations

import pytest

from sdp.gb import Transport
from sdp.offer import LiveAnswer, parse_answer
from sipserver.device.sessions.invite import connect_address, habit_of
from sipserver.device.sessions.target import SsrcHabit
from sipserver.sip.flow import Flow

OURS = 200000001


def answer(address: str = "192.0.2.7", ssrc: str = "y=0200000001\r\n") -> LiveAnswer:
    lines = f"v=0\r\nc=IN IP4 {address}\r\nm=video 15060 TCP/RTP/AVP 96\r\na=rtpmap:96 PS/90000\r\n"
    return parse_answer((lines + ssrc).encode(), transport=Transport.TCP_ACTIVE, ssrc=OURS)


@pytest.mark.parametrize(
    ("said", "source", "used"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("0.0.0.0", "198.51.100.7", "198.51.100.7"),  # noqa: S104
        ("192.168.1.64", "8.8.8.8", "8.8.8.8"),  # behind NAT
        ("192.168.1.64", "192.168.1.1", "192.168.1.64"),  # the same private network
        ("192.168.1.64", "camera.example", "camera.example"),
        ("camera.example", "8.8.8.8", "camera.example"),
    ],
)
def test_where_to_connect_to(said: str, source: str, used: str) -> None:
    flow = Flow("UDP", ("192.0.2.1", 5060), (source, 5060))
    assert connect_address(answer(said), flow) == (used, 15060)


@pytest.mark.parametrize(
    ("line", "habit"),
    [
        ("y=0200000001\r\n", SsrcHabit.OBEYS),
        ("y=200000001\r\n", SsrcHabit.OBEYS),
        ("", SsrcHabit.OBEYS),
        ("y=nonsense\r\n", SsrcHabit.OBEYS),
        ("y=0000000000\r\n", SsrcHabit.ZERO),
        ("y=4294967295\r\n", SsrcHabit.OWN),
    ],
)
def test_what_the_device_did_with_our_ssrc(line: str, habit: SsrcHabit) -> None:
    assert habit_of(answer(ssrc=line), OURS) is habit
