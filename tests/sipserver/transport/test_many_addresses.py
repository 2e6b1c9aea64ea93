"""A host with several addresses: a peer hears us from the one it speaks to.

Signalling reference 9 ("multi-homed server") and 10 row 30. All of 127.0.0.0/8 is local, and the
route to 127.0.0.1 leads through 127.0.0.1, so the others stand for further networks.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from sipserver.sip.flow import UDP, Flow
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import TransportFailed
from sipserver.transport.service import SipService
from sipserver.transport.udp import UdpSocket, source_address

if TYPE_CHECKING:
    from tests.sipserver.transport.conftest import Handler

Build = Callable[..., bytes]
Start = Callable[..., Awaitable[SipService]]
EVERY = "0.0.0.0"  # noqa: S104  the very case
OURS = ("127.0.0.2", "127.0.0.3", "127.0.0.1")

QUERY = OutgoingRequest(
    method="MESSAGE",
    uri="sip:34020000001320000001@127.0.0.1",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001320000001@3402000000",
    body=b"<Query/>",
)
QUERY_CALL = OutgoingRequest(
    method="INVITE",
    uri=QUERY.uri,
    from_uri=QUERY.from_uri,
    to_uri=QUERY.to_uri,
    body=b"v=0\r\n",
    content_type="application/sdp",
)


@pytest.fixture
async def device() -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


async def heard(device: socket.socket) -> tuple[bytes, tuple[str, int]]:
    return await asyncio.get_running_loop().sock_recvfrom(device, 65_535)


async def test_answers_and_requests_leave_from_the_address_spoken_to(
    start: Start, handler: Handler, device: socket.socket, message: Build, answer: Build
) -> None:
    service = await start(host=EVERY)
    for number, host in enumerate(OURS, 1):
        here = (host, service.port)
        device.sendto(message(number=number), here)
        response, source = await heard(device)
        assert (response[:11], source) == (b"SIP/2.0 200", here)
        device.sendto(message(number=number), here)
        assert await heard(device) == (response, here)  # the copy's answer too
        flow = (await handler.requests.get()).flow
        assert flow.local == here
        task = asyncio.create_task(service.request(QUERY, flow))
        request, source = await heard(device)
        assert source == here
        assert f"Via: SIP/2.0/UDP {host}:{service.port};".encode() in request
        device.sendto(answer(request, 200), here)
        assert (await task).status == 200


async def test_a_call_stays_on_its_address(
    start: Start, handler: Handler, device: socket.socket, message: Build, answer: Build
) -> None:
    service = await start(host=EVERY)
    here = ("127.0.0.3", service.port)
    device.sendto(message(), here)
    await heard(device)
    call = service.invite(QUERY_CALL, (await handler.requests.get()).flow)
    invite, source = await heard(device)
    assert source == here
    assert b"Contact: <sip:34020000002000000001@127.0.0.3:" in invite
    contact = b"Contact: <sip:34020000001320000001@127.0.0.1>\r\nContent-Length"
    device.sendto(answer(invite, 200).replace(b"Content-Length", contact), here)
    await call.answered()
    call.ack()
    ack, source = await heard(device)
    assert (ack[:3], source) == (b"ACK", here)
    task = asyncio.create_task(call.bye())
    bye, source = await heard(device)
    assert (bye[:3], source) == (b"BYE", here)
    device.sendto(answer(bye, 200), here)
    await task


async def test_an_advertised_address_is_named_and_the_true_one_is_used(
    start: Start, handler: Handler, device: socket.socket, message: Build
) -> None:
    service = await start(host=EVERY, advertised_host="203.0.113.80")
    device.sendto(message(), ("127.0.0.2", service.port))
    assert (await heard(device))[1] == ("127.0.0.2", service.port)
    flow = (await handler.requests.get()).flow
    assert flow.local == ("203.0.113.80", service.port)


async def test_a_queued_answer_keeps_its_address(device: socket.socket) -> None:
    full = True

    class FullSocket(socket.socket):
        def sendmsg(self, *arguments: object) -> int:
            if full:
                raise BlockingIOError
            return super().sendmsg(*arguments)  # type: ignore[arg-type]

    received: list[tuple[bytes, str]] = []

    def receive(data: bytes, remote: tuple[str, int], source: bytes, now: float) -> None:
        received.append((data, source_address(source)))
        made.send(b"answer", remote, source)

    raw = FullSocket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.setblocking(False)
    raw.bind((EVERY, 0))
    loop = asyncio.get_running_loop()
    made = UdpSocket(
        raw, receive=receive, batch_done=lambda now: None, loop=loop, every_address=True
    )
    here = ("127.0.0.2", raw.getsockname()[1])
    device.sendto(b"question", here)
    while not received:
        await asyncio.sleep(0)
    full = False
    assert await heard(device) == (b"answer", here)
    assert received == [(b"question", "127.0.0.2")]
    made.close()


async def test_an_address_that_left_this_host_fails_the_request(
    start: Start, device: socket.socket
) -> None:
    service = await start(host=EVERY)
    gone = b"\0\0\0\0" + socket.inet_aton("192.0.2.200") + b"\0\0\0\0"
    flow = Flow(UDP, ("192.0.2.200", service.port), device.getsockname(), source=gone)
    with pytest.raises(TransportFailed):
        await service.request(QUERY, flow)
