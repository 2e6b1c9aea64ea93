"""A started service, its handler, and raw peers on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sipserver.sip.flow import Flow
from sipserver.transport.service import IncomingRequest, SipService, TransportSettings

Start = Callable[..., Awaitable[SipService]]


class Handler:
    """Answers 200, or does what a test says."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[IncomingRequest] = asyncio.Queue()
        self.lost: list[tuple[Flow, str]] = []
        self.act: Callable[[IncomingRequest], None] = lambda incoming: incoming.respond(200)

    def on_request(self, incoming: IncomingRequest) -> None:
        self.requests.put_nowait(incoming)
        self.act(incoming)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        self.lost.append((flow, reason))


class UdpPeer:
    """A raw UDP socket; ``ask`` sends and waits for one datagram."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address: tuple[str, int] = self.socket.getsockname()
        self._server = ("127.0.0.1", port)

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self._server)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, 65535)

    async def ask(self, data: bytes) -> bytes:
        self.send(data)
        return await self.receive()


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def start(handler: Handler) -> AsyncIterator[Start]:
    """Starts services with any settings and closes them at the end."""
    services: list[SipService] = []

    async def starter(**settings: object) -> SipService:
        fields: dict[str, object] = {"host": "127.0.0.1", "port": 0, "user_agent": "test"}
        made = SipService(TransportSettings(**(fields | settings)), handler)  # type: ignore[arg-type]
        await made.start()
        services.append(made)
        return made

    yield starter
    for service in services:
        await service.close()


@pytest.fixture
async def service(start: Start) -> SipService:
    return await start()


@pytest.fixture
async def peer(service: SipService) -> AsyncIterator[UdpPeer]:
    made = UdpPeer(service.port)
    yield made
    made.socket.close()


@pytest.fixture
def message() -> Callable[..., bytes]:
    """A request of a device."""

    def build(method: str = "MESSAGE", number: int = 1, **fields: str) -> bytes:
        to_tag, from_tag = fields.get("to_tag", ""), fields.get("from_tag", "dev")
        lines = [
            f"{method} sip:34020000002000000001@3402000000 SIP/2.0",
            f"Via: SIP/2.0/UDP cam;rport;branch={fields.get('branch', f'z9hG4bK{method}{number}')}",
            f"From: <sip:34020000001180000001@3402000000>;tag={from_tag}",
            f"To: <sip:34020000002000000001@3402000000>{';tag=' + to_tag if to_tag else ''}",
            f"Call-ID: {fields.get('call_id', f'call-{number}')}",
            f"CSeq: {number} {method}",
            "Contact: <sip:34020000001180000001@127.0.0.1:5060>",
            "Content-Length: 0",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    return build


@pytest.fixture
def answer() -> Callable[..., bytes]:
    """The device's answer to a request of ours."""

    def build(request: bytes, status: int, to_tag: str = "dev") -> bytes:
        lines = request.split(b"\r\n\r\n")[0].split(b"\r\n")
        kept = [
            line for line in lines if line.split(b":")[0] in (b"Via", b"From", b"Call-ID", b"CSeq")
        ]
        to = next(line for line in lines if line.startswith(b"To:"))
        if status > 100 and b";tag=" not in to:
            to += b";tag=" + to_tag.encode()
        head = [b"SIP/2.0 %d Reason" % status, *kept, to, b"Content-Length: 0"]
        return b"\r\n".join(head) + b"\r\n\r\n"

    return build
