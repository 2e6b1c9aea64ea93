"""TCP peers that miscount, dawdle, or run into a bug of ours."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import uvloop

from sipserver.sip.endpoint import Endpoint
from sipserver.sip.flow import Flow
from sipserver.transport import tcp
from sipserver.transport.service import IncomingRequest, SipService, TransportSettings

if TYPE_CHECKING:
    from tests.sipserver.transport.conftest import Handler, UdpPeer

Build = Callable[..., bytes]
Start = Callable[..., Awaitable[SipService]]

LIMIT = 0.08
"""Seconds a message may take here; the sweeps come eight times as often."""


@pytest.fixture
async def hurried(start: Start, monkeypatch: pytest.MonkeyPatch) -> SipService:
    monkeypatch.setattr(tcp, "SWEEP_INTERVAL", LIMIT / 8)
    return await start(message_timeout=LIMIT)


async def _open(service: SipService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", service.port)


async def test_the_last_answers_are_sent_before_the_stream_is_closed(
    service: SipService, message: Build
) -> None:
    """Without Content-Length: 400 and close; the good message before it is answered too."""
    reader, writer = await _open(service)
    broken = message(number=2).replace(b"Content-Length: 0\r\n", b"")
    writer.write(message(number=1) + broken)
    answers = await reader.read()
    assert b"SIP/2.0 200 OK\r\n" in answers
    assert b"SIP/2.0 400 no Content-Length on a stream\r\n" in answers
    writer.close()


@pytest.mark.parametrize("tail", [b"\r\n", b"\0", b"jaK\0"])
async def test_a_line_end_behind_a_message_does_not_end_the_connection(
    tail: bytes, hurried: SipService, message: Build
) -> None:
    reader, writer = await _open(hurried)
    for number in (1, 2):
        writer.write(message(number=number) + tail)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 ")
        await asyncio.sleep(2 * LIMIT)
    assert hurried.transport_stats().connections == 1
    writer.close()


async def test_a_message_that_never_ends_does(
    hurried: SipService, handler: Handler, message: Build
) -> None:
    reader, writer = await _open(hurried)
    writer.write(message(number=1) + message(number=2)[:-9])
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 ")
    assert await reader.read() == b""
    assert [reason for _, reason in handler.lost] == ["a message was not finished in time"]
    writer.close()


async def test_each_message_has_its_own_time(hurried: SipService, message: Build) -> None:
    """Segments that always end inside a message: none of them is slow."""
    reader, writer = await _open(hurried)
    wire = b"".join(message(number=number) for number in range(1, 14))
    size = len(message(number=1))
    writer.write(wire[: size // 2])
    for number in range(12):
        await asyncio.sleep(LIMIT / 4)
        writer.write(wire[number * size + size // 2 : (number + 1) * size + size // 2])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 ")
    writer.close()


async def test_a_bug_in_the_core_costs_only_its_own_message(
    service: SipService, peer: UdpPeer, message: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    intact = Endpoint.receive_datagram

    def fragile(self: Endpoint, data: bytes, *rest: object) -> None:
        if data.startswith(b"INFO"):
            raise KeyError("a bug")
        intact(self, data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Endpoint, "receive_datagram", fragile)
    peer.send(message("INFO", 1))
    assert (await peer.ask(message(number=2))).startswith(b"SIP/2.0 200 ")
    assert service.transport_stats().handler_faults == 1


async def test_a_bug_in_the_core_costs_only_its_own_stream(
    service: SipService, message: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await _open(service)
    other_reader, other_writer = await _open(service)

    def broken(self: Endpoint, *rest: object) -> int:
        raise KeyError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(Endpoint, "receive_stream", broken)
        writer.write(message(number=1))
        assert await reader.read() == b""
    other_writer.write(message(number=2))
    assert (await other_reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 ")
    assert service.transport_stats().handler_faults == 1
    writer.close()
    other_writer.close()


async def _unread(service: SipService, message: Build) -> asyncio.StreamWriter:
    """A peer that asks and does not read the answer."""
    _, writer = await _open(service)
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    writer.write(message())
    return writer


async def test_a_peer_that_reads_nothing_cannot_hold_a_closed_connection(
    hurried: SipService, handler: Handler, message: Build
) -> None:
    handler.act = lambda incoming: incoming.respond(200, body=b"x" * 8_000_000)
    writer = await _unread(hurried, message)
    hurried.disconnect((await handler.requests.get()).flow)
    while not handler.lost:
        await asyncio.sleep(LIMIT / 8)
    assert hurried.transport_stats().connections == 0
    writer.close()


async def test_who_leaves_most_unread_goes_first(
    hurried: SipService, handler: Handler, message: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MAX_UNSENT", 10_000_000)
    sizes = iter((9_000_000, 30_000_000))  # the kernel takes some millions itself
    handler.act = lambda incoming: incoming.respond(200, body=b"x" * next(sizes))
    writers = [await _unread(hurried, message) for _ in range(2)]
    await handler.requests.get()
    greedy = await handler.requests.get()
    while not handler.lost:
        await asyncio.sleep(LIMIT / 8)
    assert handler.lost == [(greedy.flow, "the peer does not read")]
    assert hurried.transport_stats().connections == 1
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_that_is_reset_at_once_is_no_error(run: Callable[..., None]) -> None:
    """Port scanners; uvloop then knows no peer address any more."""

    async def scenario() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        service = SipService(TransportSettings(host="127.0.0.1", port=0), Silent())
        await service.start()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", service.port)) as scanner:
                scanner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0.05)
        assert faults == []
        assert service.transport_stats().connections == 0
        await service.close()

    run(scenario())


class Silent:
    def on_request(self, incoming: IncomingRequest) -> None:
        incoming.ignore()

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        pass
