"""TCP: framing on the wire, both directions on one connection, limits, silence, loss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from sipserver.sip.flow import TCP, Flow
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport import tcp
from sipserver.transport.errors import TransportFailed
from sipserver.transport.service import SipService, TransportSettings

if TYPE_CHECKING:
    from tests.sipserver.transport.conftest import Handler

Build = Callable[..., bytes]
Start = Callable[..., Awaitable[SipService]]

QUERY = OutgoingRequest(
    method="MESSAGE",
    uri="sip:34020000001320000001@127.0.0.1",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001320000001@3402000000",
    body=b"<Query/>",
)


class Connection:
    """A raw TCP peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def message(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def ended(self) -> bool:
        return await self.reader.read() == b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """A few turns of the event loop; the test's own time-out ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.005)


async def test_both_directions_on_one_connection(
    service: SipService, handler: Handler, message: Build, answer: Build
) -> None:
    device = await Connection.open(service.port)
    raw = message()
    device.writer.write(b"\r\n\r\n" + raw[:100])
    assert await device.reader.readexactly(2) == b"\r\n"
    device.writer.write(raw[100:] + message(number=2))
    assert (await device.message()).startswith(b"SIP/2.0 200")
    assert (await device.message()).startswith(b"SIP/2.0 200")
    flow = (await handler.requests.get()).flow
    assert (flow.transport, flow.connection, flow.local[1]) == (TCP, 1, service.port)
    task = asyncio.create_task(service.request(QUERY, flow))
    request = await device.message()
    assert b"Via: SIP/2.0/TCP 127.0.0.1:" in request
    device.writer.write(answer(request, 200))
    assert (await task).status == 200
    assert service.transport_stats().connections == 1
    await device.close()


async def test_a_lost_connection_is_reported_and_fails_requests(
    service: SipService, handler: Handler, message: Build
) -> None:
    device = await Connection.open(service.port)
    device.writer.write(message())
    flow = (await handler.requests.get()).flow
    await device.message()
    task = asyncio.create_task(service.request(QUERY, flow))
    await device.message()
    await device.close()
    with pytest.raises(TransportFailed, match="MESSAGE: the connection was lost"):
        await task
    assert handler.lost == [(flow, "closed by the peer")]
    with pytest.raises(TransportFailed, match="could not be sent"):
        await service.request(QUERY, flow)
    assert service.transport_stats().connections == 0


async def test_a_fault_in_on_connection_lost_is_counted(
    service: SipService, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(flow: Flow, reason: str) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(handler, "on_connection_lost", fail)
    await (await Connection.open(service.port)).close()
    await until(lambda: service.transport_stats().handler_faults == 1)


async def test_broken_framing_is_answered_and_closed(
    service: SipService, handler: Handler, message: Build
) -> None:
    device = await Connection.open(service.port)
    device.writer.write(message().replace(b"Content-Length: 0", b"Content-Length: -1"))
    assert (await device.message()).startswith(b"SIP/2.0 400 bad Content-Length\r\n")
    assert await device.ended()
    await until(lambda: bool(handler.lost))
    assert "Content-Length" in handler.lost[0][1]
    await device.close()


async def test_disconnect(service: SipService, handler: Handler, message: Build) -> None:
    device = await Connection.open(service.port)
    device.writer.write(message())
    flow = (await handler.requests.get()).flow
    await device.message()
    service.disconnect(flow)
    service.disconnect(flow)
    assert await device.ended()
    assert [reason for _, reason in handler.lost] == ["we closed it"]
    service.disconnect(flow)
    await device.close()


async def test_too_many_connections(start: Start, handler: Handler, message: Build) -> None:
    service = await start(max_connections=1)
    first = await Connection.open(service.port)
    first.writer.write(message())
    await first.message()
    second = await Connection.open(service.port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await second.message()
    assert service.transport_stats().connections_refused == 1
    assert handler.lost == []
    for connection in (first, second):
        connection.writer.close()


async def test_too_many_connections_of_one_host(
    start: Start, handler: Handler, message: Build
) -> None:
    service = await start(max_connections_per_host=2)
    first, second, third = [await Connection.open(service.port) for _ in range(3)]
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await third.message()
    stats = service.transport_stats()
    assert (stats.connections_refused_by_host, stats.connections_refused) == (1, 0)
    assert handler.lost == []
    fourth = Connection(
        *await asyncio.open_connection("127.0.0.1", service.port, local_addr=("127.0.0.2", 0))
    )
    for connection in (first, second, fourth):
        connection.writer.write(message())
        assert (await connection.message()).startswith(b"SIP/2.0 200")
    await first.close()
    await until(lambda: len(handler.lost) == 1)
    fifth = await Connection.open(service.port)
    fifth.writer.write(message(number=2))
    assert (await fifth.message()).startswith(b"SIP/2.0 200")
    for connection in (second, third, fourth, fifth):
        await connection.close()
    await until(lambda: service.transport_stats().connections == 0)
    assert service._tcp._accepted_from == {}


async def test_connections_of_ours_are_not_the_peers(start: Start) -> None:
    """Many simulated devices share one address."""
    other = await start()
    service = await start(max_connections_per_host=0)
    for _ in range(2):
        assert (await service.connect_tcp(("127.0.0.1", other.port))).connection
    assert service.transport_stats().connections_refused_by_host == 0


@pytest.mark.parametrize(
    ("limit", "data", "reason"),
    [
        ("first_message_timeout", b"", "no message came"),
        ("message_timeout", b"MESSAGE sip:", "a message was not finished in time"),
        ("idle_timeout", b"\r\n\r\n", "silent for too long"),
    ],
)
async def test_silence(
    limit: str,
    data: bytes,
    reason: str,
    start: Start,
    handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp, "SWEEP_INTERVAL", 0.01)
    service = await start(**{limit: 0.03})
    device = await Connection.open(service.port)
    device.writer.write(data)
    await until(lambda: bool(handler.lost))
    assert handler.lost[0][1] == reason
    await device.close()


async def test_a_connection_in_use_may_be_silent(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat of 3,600 s is allowed (GB/T 28181-2022 9.6); 900 s of silence are no fault."""
    monkeypatch.setattr(tcp, "SWEEP_INTERVAL", 0.01)
    asked: list[Flow] = []
    used = True

    def in_use(flow: Flow) -> bool:
        asked.append(flow)
        return used

    settings = TransportSettings(host="127.0.0.1", port=0, idle_timeout=0.03)
    service = SipService(settings, handler, in_use=in_use)
    await service.start()
    device = await Connection.open(service.port)
    device.writer.write(b"\r\n\r\n")
    await until(lambda: len(asked) > 3)
    assert handler.lost == []
    used = False
    await until(lambda: bool(handler.lost))
    assert handler.lost == [(asked[0], "silent for too long")]
    await device.close()
    await service.close()


async def test_a_peer_that_does_not_read_is_disconnected(
    start: Start, handler: Handler, message: Build
) -> None:
    service = await start(max_write_buffer=100_000)
    handler.act = lambda incoming: incoming.respond(200, body=b"x" * 60_000)
    device = await Connection.open(service.port)
    transport = device.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    number = 0
    while not handler.lost:
        number += 1
        device.writer.write(message(number=number))
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    assert handler.lost[0][1] == "the peer does not read"
    device.writer.close()


async def test_closing_does_not_wait_for_a_peer_that_does_not_read(
    start: Start, handler: Handler, message: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "CLOSE_TIMEOUT", 0.02)
    service = await start()
    handler.act = lambda incoming: incoming.respond(200, body=b"x" * 8_000_000)
    device = await Connection.open(service.port)
    device.writer.write(message())
    await handler.requests.get()
    await service.close()
    assert [reason for _, reason in handler.lost] == ["the service is closing"]
    await device.close()


async def test_a_connection_of_ours(service: SipService, start: Start, answer: Build) -> None:
    other = await start()
    flow = await service.connect_tcp(("127.0.0.1", other.port))
    assert flow.local == ("127.0.0.1", service.port)
    response = await service.request(QUERY, flow)
    assert response.status == 200
    for host, port in (("127.0.0.1", 1), ("name.example", 5060)):
        with pytest.raises(TransportFailed):
            await service.connect_tcp((host, port))


async def test_a_connection_of_ours_above_the_limit(start: Start) -> None:
    service = await start(max_connections=0)
    other = await start()
    with pytest.raises(TransportFailed, match="closed at once"):
        await service.connect_tcp(("127.0.0.1", other.port))


async def test_a_call_ends_with_its_connection(
    service: SipService, handler: Handler, message: Build
) -> None:
    device = await Connection.open(service.port)
    device.writer.write(message())
    flow = (await handler.requests.get()).flow
    await device.message()
    handler.act = lambda incoming: None
    device.writer.write(message("INVITE", 2))
    call = (await handler.requests.get()).accept(body=b"v=0\r\n")
    ended: list[str] = []
    call.on_ended = ended.append
    await device.close()
    await until(lambda: bool(ended))
    assert ended == ["the connection was lost"]
    assert (call.ended, call.flow) == (True, flow)
