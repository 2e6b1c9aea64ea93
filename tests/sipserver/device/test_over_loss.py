"""Two SIP services and a line between them that loses, repeats and reorders datagrams."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

import pytest

from manscdp.catalog import CatalogItem, CatalogPage
from manscdp.information import DeviceInfo
from manscdp.notify import Keepalive
from manscdp.xml import parse
from sipserver.device.accounts import DeviceAccount
from sipserver.device.authentication import AuthenticationSettings
from sipserver.device.clock import Clock
from sipserver.device.events import CatalogSynced, ChannelsChanged, DeviceEvent
from sipserver.device.memory import MemoryChannelStore, MemoryDeviceStore, MemoryPresenceLog
from sipserver.device.messenger import MessengerSettings
from sipserver.device.platform import DevicePlatform, PlatformSettings, Stores, Surroundings
from sipserver.sip.auth import answer_challenge
from sipserver.sip.flow import Address, Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.incoming import IncomingRequest
from sipserver.transport.service import SipService
from sipserver.transport.settings import TransportSettings

PLATFORM = "34020000001180000001"
SERVER = "34020000002000000001"
REALM = "3402000000"
PASSWORD = "12345678"
LOCAL = TransportSettings(host="127.0.0.1", port=0)


class _End(asyncio.DatagramProtocol):
    """One socket of the line: what comes in goes out at the other one, or not."""

    def __init__(self, dice: random.Random, loss: float, repeated: float) -> None:
        self._dice = dice
        self._loss = loss
        self._repeated = repeated
        self.other: _End
        self.peer: Address | None = None
        self.lost = 0
        self.doubled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peer = self.peer or addr
        if self._dice.random() < self._loss:
            self.lost += 1
            return
        self.other.transport.sendto(data, self.other.peer)
        if self._dice.random() < self._repeated:
            self.doubled += 1
            loop = asyncio.get_running_loop()
            loop.call_later(self._dice.random() / 50, self._again, data)

    def _again(self, data: bytes) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.sendto(data, self.other.peer)


@asynccontextmanager
async def line(
    server_port: int, *, loss: float, repeated: float
) -> AsyncIterator[tuple[_End, _End]]:
    """Yields the end the device talks to, and the one the platform sees."""
    dice = random.Random(28181)
    loop = asyncio.get_running_loop()
    ends = []
    for _ in range(2):
        _, end = await loop.create_datagram_endpoint(
            lambda: _End(dice, loss, repeated), local_addr=("127.0.0.1", 0)
        )
        ends.append(end)
    near, far = ends
    near.other, far.other = far, near
    far.peer = ("127.0.0.1", server_port)
    try:
        yield near, far
    finally:
        for end in ends:
            end.transport.close()


class LowerPlatform:
    """Registers, answers queries, sends its catalogue a few items at a time."""

    def __init__(self, items: list[CatalogItem], *, per_message: int = 2, at_once: int = 8) -> None:
        self.items = items
        self.per_message = per_message
        self.at_once = at_once
        self.service = SipService(LOCAL, self)
        self.flow: Flow
        self.tasks: set[asyncio.Task[None]] = set()
        self._numbers = count(1)

    def on_request(self, incoming: IncomingRequest) -> None:
        query = parse(incoming.request.body)
        incoming.respond(200)
        if query.cmd_type == "Catalog":
            answering = self.send_catalogue(query.sn)
        else:
            info = DeviceInfo(sn=query.sn, device_id=PLATFORM, model="VMS", result="OK")
            answering = self.send(info.to_bytes())
        task = asyncio.create_task(answering)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        pass

    async def send(self, body: bytes) -> None:
        response = await self._request("MESSAGE", body)
        assert response.status == 200

    async def send_catalogue(self, sn: int) -> None:
        size = self.per_message
        chunks = [self.items[at : at + size] for at in range(0, len(self.items), size)]
        waiting = iter(chunks)

        async def lane() -> None:
            for chunk in waiting:
                page = CatalogPage(
                    sn=sn, device_id=PLATFORM, sum_num=len(self.items), items=tuple(chunk)
                )
                await self.send(page.to_bytes())

        await asyncio.gather(*(lane() for _ in range(self.at_once)))

    async def register(self) -> None:
        response = await self._request("REGISTER", authorization="")
        assert response.status == 401
        challenge = response.first(b"www-authenticate")
        authorization = answer_challenge(
            challenge,
            username=PLATFORM,
            password=PASSWORD,
            method="REGISTER",
            uri=f"sip:{SERVER}@{REALM}",
            new_token=lambda: secrets.token_hex(8),
        )
        response = await self._request("REGISTER", authorization=authorization)
        assert response.status == 200

    async def _request(self, method: str, body: bytes = b"", authorization: str = "") -> Response:
        headers = [("Expires", "3600")] if method == "REGISTER" else []
        if authorization:
            headers.append(("Authorization", authorization))
        own = f"sip:{PLATFORM}@{REALM}"
        request = OutgoingRequest(
            method=method,
            uri=f"sip:{SERVER}@{REALM}",
            from_uri=own,
            to_uri=own if method == "REGISTER" else f"sip:{SERVER}@{REALM}",
            cseq=next(self._numbers),
            call_id="registration" if method == "REGISTER" else "",
            headers=tuple(headers),
            body=body,
            content_type="Application/MANSCDP+xml" if body else "",
        )
        return await self.service.request(request, self.flow)


def item(number: int) -> CatalogItem:
    return CatalogItem(
        device_id=f"3402000000131{number:07d}",
        name=f"路口{number}号",
        manufacturer="ACME",
        model="IPC-200",
        civil_code="340200",
        address="South gate",
        parental=0,
        parent_id=PLATFORM,
        register_way=1,
        secrecy=0,
        status="ON" if number % 7 else "OFF",
        longitude=118.376451,
        latitude=31.326319,
        ptz_type="1",
    )


class Joined:
    """The platform, a lower platform and the line between them."""

    def __init__(self, lower: LowerPlatform) -> None:
        self.lower = lower
        self.events: list[DeviceEvent] = []
        account = DeviceAccount(device_id=PLATFORM, password=PASSWORD)
        self.platform = DevicePlatform(
            PlatformSettings(
                authentication=AuthenticationSettings(realm=REALM),
                messenger=MessengerSettings(server_id=SERVER, domain=REALM),
            ),
            Stores(MemoryDeviceStore([account]), MemoryChannelStore(), MemoryPresenceLog()),
            Surroundings(
                Clock(time.monotonic, time.time), lambda: secrets.token_hex(8), first_sn=7000
            ),
        )
        self.service = SipService(LOCAL, self.platform.handler)

    @asynccontextmanager
    async def running(self, *, loss: float, repeated: float) -> AsyncIterator[tuple[_End, _End]]:
        self.platform.load()
        self.platform.events.subscribe(self.events.append)
        await self.service.start()
        await self.lower.service.start()
        self.platform.attach(self.service)
        services = asyncio.create_task(self.platform.run())
        async with line(self.service.port, loss=loss, repeated=repeated) as (near, far):
            self.lower.flow = self.lower.service.udp_flow(("127.0.0.1", near.port))
            try:
                yield near, far
            finally:
                services.cancel()
                await asyncio.gather(services, return_exceptions=True)
                await self.lower.service.close()
                await self.service.close()

    async def synced(self) -> CatalogSynced:
        while True:
            for event in self.events:
                if isinstance(event, CatalogSynced):
                    return event
            await asyncio.sleep(0.02)


async def test_register_heartbeat_and_catalogue_over_a_bad_line() -> None:
    joined = Joined(LowerPlatform([item(number) for number in range(100)]))
    async with joined.running(loss=0.1, repeated=0.1) as (near, far):
        await joined.lower.register()
        await joined.lower.send(Keepalive(sn=1, device_id=PLATFORM).to_bytes())
        report = await joined.synced()
        assert report.complete
        found = joined.platform.directory.items(PLATFORM)
        assert dict(found) == {one.device_id: one for one in joined.lower.items}
        assert joined.platform.registry.get(PLATFORM).details.model == "VMS"
        assert near.lost + far.lost > 0
        assert near.doubled + far.doubled > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_20_000_channels_with_1_percent_lost_and_repeated_are_exact() -> None:
    lower = LowerPlatform([item(number) for number in range(20_000)])
    joined = Joined(lower)
    async with joined.running(loss=0.01, repeated=0.01) as (near, far):
        await lower.register()
        report = await joined.synced()
        assert (report.complete, report.announced, report.channels) == (True, 20_000, 20_000)
        assert report.refused == 0
        found = joined.platform.directory.items(PLATFORM)
        assert dict(found) == {one.device_id: one for one in lower.items}
        assert min(near.lost, far.lost, near.doubled, far.doubled) > 20
        changes = [event for event in joined.events if isinstance(event, ChannelsChanged)]
        assert sum(len(change.added) for change in changes) == 20_000
        assert not any(change.removed or change.changed for change in changes)
