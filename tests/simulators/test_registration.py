"""A device that loses its platform goes on trying; it never takes the whole site with it."""

import asyncio
import socket
from typing import Any, cast

import pytest

from simulators.live import OutgoingStream
from simulators.profile import camera
from simulators.registration import Presence, Registration
from simulators.site import SiteRunner
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import RequestTimedOut, TransportFailed
from sipserver.transport.service import SipService


class NoStreams:
    def open(self, *_: Any, **__: Any) -> OutgoingStream:
        raise OSError("no media here")


class Platform:
    """A service whose other side answers, is silent, or cannot be reached."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.connections = 0
        self.open: set[Flow] = set()

    async def connect_tcp(self, remote: tuple[str, int]) -> Flow:
        if self.failure is not None:
            raise self.failure
        self.connections += 1
        flow = Flow("TCP", ("127.0.0.1", 5070), remote, self.connections)
        self.open.add(flow)
        return flow

    def disconnect(self, flow: Flow) -> None:
        self.open.discard(flow)

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        raw = f"SIP/2.0 200 OK\r\nCSeq: 1 {request.method}\r\nExpires: 3600\r\n\r\n"
        response = parse_message(raw.encode())
        assert isinstance(response, Response)
        return response


@pytest.mark.parametrize("failure", [RequestTimedOut("no response"), TransportFailed("no route")])
async def test_comes_back_after_every_kind_of_loss(failure: Exception) -> None:
    platform = Platform()
    profile = camera(
        1, "东门", "12345678", transport="TCP", keepalive_interval=0.01, keepalive_misses=2,
        retry_interval=0.01, retry_spread=0.0,
    )  # fmt: skip
    seen: list[Presence] = []
    changed = asyncio.Event()

    def on_presence(presence: Presence) -> None:
        seen.append(presence)
        changed.set()

    async def until(presence: Presence) -> None:
        async with asyncio.timeout(5):
            while seen[-1:] != [presence]:
                changed.clear()
                await changed.wait()

    registration = Registration(
        profile, cast(SipService, platform), new_token=lambda: "t", seed=1, on_presence=on_presence
    )
    task = asyncio.create_task(registration.run())
    await until(Presence.ONLINE)
    platform.failure = failure  # keepalives first, then the new registration
    await until(Presence.OFFLINE)
    await asyncio.sleep(0.05)
    assert not task.done()
    platform.failure = None
    await until(Presence.ONLINE)
    assert platform.connections >= 2
    assert len(platform.open) == 1, "the connections of earlier tries stay open"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_platform_that_does_not_run_yet_stops_nobody() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = closed.getsockname()
        profile = camera(
            1, "东门", "12345678", server=server, transport="TCP",
            retry_interval=0.01, retry_spread=0.0,
        )  # fmt: skip
        runner = SiteRunner([profile], NoStreams())
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(0.2)
        assert not task.done()
        [cause] = runner.report().failures
        assert "no connection" in cause
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
