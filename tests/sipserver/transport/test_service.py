"""The service on loopback: UDP, requests both ways, calls, faults, close."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import uvloop

from sipserver.sip.errors import LocalError, MalformedMessage
from sipserver.sip.flow import UDP, Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.call import Call
from sipserver.transport.errors import (
    InviteCancelled,
    InviteRejected,
    PortInUse,
    RequestTimedOut,
    TransportFailed,
)
from sipserver.transport.service import IncomingRequest, SipService, TransportSettings

if TYPE_CHECKING:
    from tests.sipserver.transport.conftest import Handler, UdpPeer

Build = Callable[..., bytes]
Start = Callable[..., Awaitable[SipService]]


def outgoing(method: str = "MESSAGE") -> OutgoingRequest:
    return OutgoingRequest(
        method=method,
        uri="sip:34020000001320000001@127.0.0.1",
        from_uri="sip:34020000002000000001@3402000000",
        to_uri="sip:34020000001320000001@3402000000",
        body=b"v=0\r\n" if method == "INVITE" else b"<Query/>",
        content_type="application/sdp" if method == "INVITE" else "Application/MANSCDP+xml",
    )


async def test_a_message_is_handled_and_answered(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    response = await peer.ask(message())
    assert response.startswith(b"SIP/2.0 200 OK\r\n")
    marks = f";received=127.0.0.1;rport={peer.address[1]}".encode()
    assert marks in response
    incoming = handler.requests.get_nowait()
    assert incoming.flow == Flow(UDP, ("127.0.0.1", service.port), peer.address)
    assert incoming.answered
    assert incoming.call is None
    assert await peer.ask(message()) == response
    assert handler.requests.empty()
    assert service.stats().retransmissions == 1


async def test_many_datagrams_in_one_wake_up(
    service: SipService, peer: UdpPeer, message: Build
) -> None:
    for number in range(200):
        peer.send(message(number=number + 1))
    answers = [await peer.receive() for _ in range(200)]
    assert all(answer.startswith(b"SIP/2.0 200") for answer in answers)
    assert service.stats().requests == 200


async def test_an_answer_may_come_later(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    handler.act = lambda incoming: None
    peer.send(message("SUBSCRIBE"))
    incoming = await handler.requests.get()
    assert not incoming.answered
    incoming.respond(403, "不认识", headers=(("X-GB-Ver", "3.0"),))
    response = await peer.receive()
    assert response.startswith("SIP/2.0 403 不认识\r\n".encode())
    assert b"X-GB-Ver: 3.0\r\n" in response
    with pytest.raises(LocalError):
        incoming.respond(200)


async def test_ignored_requests_leave_nothing(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    handler.act = lambda incoming: incoming.ignore()
    peer.send(message())
    await handler.requests.get()
    stats = service.stats()
    assert (stats.ignored, stats.server_transactions, stats.sent) == (1, 0, 0)


async def test_a_fault_of_a_handler_is_answered_logged_once_and_counted(
    service: SipService,
    handler: Handler,
    peer: UdpPeer,
    message: Build,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(incoming: IncomingRequest) -> None:
        raise ValueError("a bug")

    def refuse(incoming: IncomingRequest) -> None:
        raise MalformedMessage("bad Expires")

    handler.act = fail
    with caplog.at_level(logging.ERROR):
        for number in (1, 2):
            assert (await peer.ask(message(number=number))).startswith(b"SIP/2.0 500 ")
    assert len(caplog.records) == 1
    assert service.transport_stats().handler_faults == 2
    handler.act = refuse
    assert (await peer.ask(message(number=3))).startswith(b"SIP/2.0 400 bad Expires\r\n")
    assert service.transport_stats().handler_faults == 2
    handler.act = lambda incoming: incoming.respond(200)
    assert (await peer.ask(message(number=4))).startswith(b"SIP/2.0 200 ")


async def test_a_fault_behind_the_answer_is_only_counted(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    def late(incoming: IncomingRequest) -> None:
        incoming.respond(200)
        raise ValueError("a bug")

    handler.act = late
    assert (await peer.ask(message())).startswith(b"SIP/2.0 200 ")
    assert service.transport_stats().handler_faults == 1


async def test_our_request_and_its_response(
    service: SipService, peer: UdpPeer, answer: Build
) -> None:
    task = asyncio.create_task(service.request(outgoing(), service.udp_flow(peer.address)))
    data = await peer.receive()
    via = f"Via: SIP/2.0/UDP 127.0.0.1:{service.port};rport;branch=z9hG4bK".encode()
    assert via in data
    peer.send(answer(data, 100))
    peer.send(answer(data, 404))
    response = await task
    assert response.status == 404
    assert service.udp_flow(peer.address) is service.udp_flow(peer.address)


async def test_a_cancelled_request_forgets_its_answer(
    service: SipService, peer: UdpPeer, answer: Build, message: Build
) -> None:
    task = asyncio.create_task(service.request(outgoing(), service.udp_flow(peer.address)))
    data = await peer.receive()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    peer.send(answer(data, 200))
    await peer.ask(message())
    assert service.stats().responses == 1


async def test_requests_that_fail(service: SipService) -> None:
    with pytest.raises(TransportFailed, match="not an IPv4 address"):
        service.udp_flow(("camera.example", 5060))
    unreachable = Flow(UDP, ("127.0.0.1", service.port), ("255.255.255.255", 5060))
    with pytest.raises(TransportFailed, match="MESSAGE: the message could not be sent"):
        await service.request(outgoing(), unreachable)
    assert service.stats().undelivered == 1


async def test_nobody_answers(
    service: SipService, peer: UdpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipserver.sip.client_transaction.TIMEOUT", 0.05)
    flow = service.udp_flow(peer.address)
    with pytest.raises(RequestTimedOut, match="MESSAGE: no response"):
        await service.request(outgoing(), flow)
    call = service.invite(outgoing("INVITE"), flow)
    with pytest.raises(RequestTimedOut):
        await call.answered()
    await call.bye()
    assert call.ended
    assert service.stats().timed_out == 2


async def test_a_call_of_ours(
    service: SipService, peer: UdpPeer, answer: Build, message: Build, handler: Handler
) -> None:
    call = service.invite(outgoing("INVITE"), service.udp_flow(peer.address))
    provisional: list[int] = []
    ended: list[str] = []
    call.on_provisional = lambda response: provisional.append(response.status)
    call.on_ended = ended.append
    invite = await peer.receive()
    assert (call.call_id.encode() in invite, call.remote_tag) == (True, "")
    assert f";tag={call.local_tag}".encode() in invite
    peer.send(answer(invite, 180))
    peer.send(answer(invite, 200))
    response = await call.answered()
    assert (response.status, provisional, call.remote_tag) == (200, [180], "dev")
    call.ack()
    assert (await peer.receive()).startswith(b"ACK ")
    info = asyncio.create_task(call.request("INFO", body=b"PAUSE", content_type="text/plain"))
    data = await peer.receive()
    peer.send(answer(data, 200))
    assert (await info).status == 200
    bye = message("BYE", 9, call_id=call.call_id, to_tag=call.local_tag, from_tag=call.remote_tag)
    inside: list[str] = []
    call.on_request = lambda incoming: inside.append(incoming.request.method)
    assert (await peer.ask(bye)).startswith(b"SIP/2.0 200")
    assert (inside, ended) == (["BYE"], ["the peer hung up"])
    await call.bye()
    assert handler.requests.empty()
    assert service.stats().calls == 0


async def test_hanging_up(service: SipService, peer: UdpPeer, answer: Build) -> None:
    call = service.invite(outgoing("INVITE"), service.udp_flow(peer.address))
    ended: list[str] = []
    call.on_ended = ended.append
    invite = await peer.receive()
    peer.send(answer(invite, 200))
    await call.answered()
    call.ack()
    await peer.receive()
    byes = [asyncio.create_task(call.bye()), asyncio.create_task(call.bye())]
    bye = await peer.receive()
    assert bye.startswith(b"BYE ")
    peer.send(answer(bye, 481))
    await asyncio.gather(*byes)
    assert ended == ["hung up"]


async def test_a_refused_call(service: SipService, peer: UdpPeer, answer: Build) -> None:
    call = service.invite(outgoing("INVITE"), service.udp_flow(peer.address))
    ended: list[str] = []
    call.on_ended = ended.append
    invite = await peer.receive()
    peer.send(answer(invite, 486))
    with pytest.raises(InviteRejected, match="486 Reason") as caught:
        await call.answered()
    assert (caught.value.status, caught.value.response.status) == (486, 486)
    assert (await peer.receive()).startswith(b"ACK ")
    assert (call.ended, ended) == (True, [])


async def test_a_cancelled_call(service: SipService, peer: UdpPeer, answer: Build) -> None:
    call = service.invite(outgoing("INVITE"), service.udp_flow(peer.address))
    ended: list[str] = []
    call.on_ended = ended.append
    invite = await peer.receive()
    call.cancel()
    with pytest.raises(InviteCancelled):
        await call.answered()
    peer.send(answer(invite, 100))
    cancel = await peer.receive()
    assert cancel.startswith(b"CANCEL ")
    peer.send(answer(cancel, 200))
    peer.send(answer(invite, 200))  # crossed
    assert (await peer.receive()).startswith(b"ACK ")
    bye = await peer.receive()
    assert bye.startswith(b"BYE ")
    peer.send(answer(bye, 200))
    await call.bye()
    assert ended == []


async def test_a_call_of_the_peer(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    calls: list[Call] = []
    handler.act = lambda incoming: calls.append(incoming.accept(body=b"v=0\r\n"))
    ok = await peer.ask(message("INVITE"))
    assert ok.startswith(b"SIP/2.0 200")
    (call,) = calls
    tags = {"call_id": "call-1", "to_tag": call.local_tag}
    assert not call.acknowledged.is_set()
    peer.send(message("ACK", branch="z9hG4bKack", **tags))
    await asyncio.wait_for(call.acknowledged.wait(), 5)
    with pytest.raises(TransportFailed):
        await call.answered()
    handler.act = lambda incoming: incoming.respond(200)
    notify = await peer.ask(message("MESSAGE", 2, **tags))
    assert notify.startswith(b"SIP/2.0 200")
    await handler.requests.get()
    incoming = await handler.requests.get()
    assert incoming.call is call
    again: list[Call] = []
    call.on_request = lambda incoming: again.append(incoming.accept(body=b"v=1\r\n"))
    assert b"v=1" in await peer.ask(message("INVITE", 3, **tags))
    assert again == [call]


async def test_the_peer_cancels_a_re_invite(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    """The call goes on with what was agreed before (RFC 3261 section 14.1)."""
    calls: list[Call] = []
    handler.act = lambda incoming: calls.append(incoming.accept(body=b"v=0\r\n"))
    await peer.ask(message("INVITE"))
    (call,) = calls
    tags = {"call_id": "call-1", "to_tag": call.local_tag}
    peer.send(message("ACK", **tags))
    await asyncio.wait_for(call.acknowledged.wait(), 5)
    cancelled = asyncio.Event()

    def ring(incoming: IncomingRequest) -> None:
        incoming.respond(180)
        incoming.on_cancel = cancelled.set

    call.on_request = ring
    tags["branch"] = "z9hG4bKre"
    assert (await peer.ask(message("INVITE", 2, **tags))).startswith(b"SIP/2.0 180")
    assert (await peer.ask(message("CANCEL", 2, **tags))).startswith(b"SIP/2.0 200")
    assert (await peer.receive()).startswith(b"SIP/2.0 487")
    assert cancelled.is_set()
    assert not call.ended


async def test_the_peer_cancels(
    service: SipService, handler: Handler, peer: UdpPeer, message: Build
) -> None:
    cancelled = asyncio.Event()

    def ring(incoming: IncomingRequest) -> None:
        incoming.respond(180)
        incoming.on_cancel = cancelled.set

    handler.act = ring
    assert (await peer.ask(message("INVITE", branch="z9hG4bKi"))).startswith(b"SIP/2.0 180")
    assert b"CSeq: 1 CANCEL" in await peer.ask(message("CANCEL", branch="z9hG4bKi"))
    assert (await peer.receive()).startswith(b"SIP/2.0 487")
    assert cancelled.is_set()


async def test_port_in_use(start: Start, handler: Handler) -> None:
    first = await start()
    with pytest.raises(PortInUse, match=f"UDP port {first.port} on 127.0.0.1 is taken"):
        await start(port=first.port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortInUse, match="TCP port"):
            await start(port=taken.getsockname()[1])
    with pytest.raises(TransportFailed, match="cannot listen on UDP 203"):
        await start(host="203.0.113.1")


async def test_all_addresses_and_an_advertised_one(start: Start, peer: UdpPeer) -> None:
    everywhere = await start(host="0.0.0.0")  # noqa: S104  the very case
    assert everywhere.udp_flow(("127.0.0.1", 9)).local == ("127.0.0.1", everywhere.port)
    mapped = await start(advertised_host="203.0.113.80")
    assert mapped.udp_flow(("127.0.0.1", 9)).local == ("203.0.113.80", mapped.port)


async def test_close_fails_what_is_waiting(start: Start, peer: UdpPeer, answer: Build) -> None:
    service = await start()
    flow = service.udp_flow(peer.address)
    task = asyncio.create_task(service.request(outgoing(), flow))
    await peer.receive()
    call = service.invite(outgoing("INVITE"), flow)
    await service.close()
    await service.close()
    with pytest.raises(TransportFailed, match="closing"):
        await task
    with pytest.raises(TransportFailed, match="closing"):
        await call.answered()
    with pytest.raises(TransportFailed):
        await service.request(outgoing(), flow)


async def test_before_the_start(handler: Handler) -> None:
    service = SipService(TransportSettings(), handler)
    await service.close()
    with pytest.raises(TransportFailed, match="not started"):
        await service.request(outgoing(), Flow(UDP, ("h", 1), ("127.0.0.1", 2)))


def test_under_uvloop(handler: Handler, message: Build, answer: Build) -> None:
    async def run() -> Response:
        service = SipService(TransportSettings(host="127.0.0.1", port=0), handler)
        await service.start()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.bind(("127.0.0.1", 0))
            device.setblocking(False)
            await loop.sock_connect(device, ("127.0.0.1", service.port))
            await loop.sock_sendall(device, message())
            assert (await loop.sock_recv(device, 4096)).startswith(b"SIP/2.0 200")
            flow = service.udp_flow(device.getsockname())
            task = asyncio.create_task(service.request(outgoing(), flow))
            await loop.sock_sendall(device, answer(await loop.sock_recv(device, 4096), 200))
            response = await task
        await service.close()
        return response

    assert uvloop.run(run()).status == 200
