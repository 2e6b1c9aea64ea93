"""One line per peer, with what finds the message again and nothing that should stay secret."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from sipserver.sip.errors import MalformedMessage
from sipserver.sip.flow import UDP, Flow
from sipserver.transport import malformed
from sipserver.transport.malformed import MalformedLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipserver.transport.service import SipService
    from tests.sipserver.transport.conftest import Handler, UdpPeer

RAW = (
    b"MESSAGE sip:1@x SIP/2.0\r\nAuthorization: Digest response=secret\r\n"
    b"i : call\x1b[31m-7@192.0.2.7\r\nCSEQ:  17 MESSAGE\r\n\r\nCall-ID: of the body\r\nsecret"
)
ERROR = MalformedMessage("bad From", where="'secret'")


def flow(host: str = "192.0.2.7", port: int = 5060) -> Flow:
    return Flow(UDP, ("192.0.2.1", 5060), (host, port))


def test_the_line(caplog: pytest.LogCaptureFixture) -> None:
    MalformedLog().note(RAW, flow(), ERROR, 0.0)
    assert caplog.messages == [
        "malformed SIP message from UDP 192.0.2.7:5060: bad From "
        "(Call-ID call?[31m-7@192.0.2.7, CSeq 17 MESSAGE); "
        "further ones of this peer are only counted"
    ]


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"\n\nCall-ID: x", b"x\r\n\r\nCSeq: 1 A", b"x" * 5_000]
)
def test_what_cannot_be_read(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    MalformedLog().note(data, flow(), ERROR, 0.0)
    assert "(Call-ID none, CSeq none)" in caplog.text


def test_long_values_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    MalformedLog().note(b"x\r\nCall-ID: " + b"y" * 3_000, flow(), ERROR, 0.0)
    assert "Call-ID " + "y" * 128 + "," in caplog.text


def test_once_per_peer_and_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(malformed, "MAX_PEERS", 2)
    log = MalformedLog()
    hosts = ("192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.9", "192.0.2.7")
    for number, host in enumerate(hosts):
        log.note(RAW, flow(host, 5060 + number), ERROR, 10.0 * number)
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == [
        "192.0.2.7",
        "192.0.2.8",
        "192.0.2.9",
        "192.0.2.7",  # it was forgotten for the third
    ]


def test_a_flood_of_peers_writes_a_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    log = MalformedLog()
    for number in range(250):
        log.note(RAW, flow(f"192.0.2.{number}"), ERROR, number / 100)
    assert len(caplog.records) == 3
    log.note(RAW, flow("192.0.2.99"), ERROR, 99.0)  # it had no line yet
    assert len(caplog.records) == 4


@pytest.mark.parametrize("where", ["start line", "Request-URI", "service"])
async def test_of_the_service(
    where: str,
    service: SipService,
    handler: Handler,
    peer: UdpPeer,
    message: Callable[..., bytes],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = message()
    if where == "start line":
        raw = raw.replace(b"Contact:", b"Content-Length: x\r\nContact:")
    elif where == "Request-URI":
        raw = raw.replace(b"MESSAGE sip:", b"MESSAGE tel:")
    else:

        def refuse(incoming: object) -> None:
            raise ERROR

        handler.act = refuse
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert (await peer.ask(raw)).startswith(b"SIP/2.0 4")
    assert len(caplog.messages) == 1
    assert f"{peer.address[0]}:{peer.address[1]}: " in caplog.messages[0]
    assert "(Call-ID call-1, CSeq 1 MESSAGE)" in caplog.messages[0]
