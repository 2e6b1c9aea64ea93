"""One simulated device: registration, answers, live view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Final

import structlog

from manscdp.catalog import CatalogPage
from manscdp.control import KeyFrameRequest
from manscdp.errors import ManscdpError
from manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from manscdp.registry import Command, from_message
from manscdp.xml import parse
from simulators.answers import catalog_pages, device_info, device_status
from simulators.live import LiveSender, Streams
from simulators.profile import DeviceProfile
from simulators.registration import PLATFORM_LOST, Presence, Registration
from sipserver.sip.flow import Flow
from sipserver.transport.service import IncomingRequest, SipService

BEIJING: Final = timezone(timedelta(hours=8))
MAX_ANSWERS: Final = 64
"""Answers under way at once; a platform that asks more often than that gets 486."""

log = structlog.get_logger(__name__)


class SimulatedDevice:
    """Behaves as the standard asks; faults and vendors' habits come with their own issue.

    :param seed: makes retries and serial numbers repeatable
    """

    def __init__(
        self,
        profile: DeviceProfile,
        service: SipService,
        streams: Streams,
        *,
        new_token: Callable[[], str],
        seed: int,
        on_presence: Callable[[SimulatedDevice, Presence], None] = lambda *_: None,
    ) -> None:
        self.profile = profile
        self.registration = Registration(
            profile,
            service,
            new_token=new_token,
            seed=seed,
            on_presence=self._presence_changed,
        )
        self._on_presence = on_presence
        self.live = LiveSender(profile, streams, first_ssrc=seed)
        self.unknown_commands: dict[str, int] = {}
        """CmdType -> how often it came; answered 200 all the same (4.10)."""
        self.key_frames_asked = 0
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; then de-register and stop the media."""
        try:
            await self.registration.run()
        finally:
            if not self.registration.dead:
                self.live.hang_up_all()
            self.live.close()
            for task in self._answers:
                task.cancel()

    def _presence_changed(self, presence: Presence) -> None:
        if presence is Presence.OFFLINE and not self.registration.dead:
            self.live.hang_up_all()  # nobody is there to watch (annex K b)
        self._on_presence(self, presence)

    def on_request(self, incoming: IncomingRequest) -> None:
        method = incoming.request.method
        if method == "INVITE":
            self.live.on_invite(incoming)
        elif method == "MESSAGE":
            self._on_message(incoming)
        elif method == "SUBSCRIBE":
            incoming.respond(489)
        else:
            incoming.respond(200)

    def on_connection_lost(self, flow: Flow) -> None:
        self.registration.connection_lost(flow)

    def _on_message(self, incoming: IncomingRequest) -> None:
        try:
            command = from_message(parse(incoming.request.body))
        except ManscdpError:
            incoming.respond(400)
            return
        if len(self._answers) >= MAX_ANSWERS:
            incoming.respond(486)
            return
        incoming.respond(200)
        bodies = self._answer(command)
        if bodies:
            task = asyncio.create_task(self._send(bodies))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    def _answer(self, command: Command) -> list[bytes]:
        """The bodies that answer a command, in order; none for a notice or an unknown one."""
        profile = self.profile
        if isinstance(command, CatalogQuery):
            pages = list(catalog_pages(profile, command.sn)) or [
                CatalogPage(sn=command.sn, device_id=profile.device_id, sum_num=0)
            ]
            return [page.to_bytes(profile.charset, profile.edition) for page in pages]
        if isinstance(command, DeviceInfoQuery):
            info = device_info(profile, command.sn)
            return [info.to_bytes(profile.charset, profile.edition)]
        if isinstance(command, DeviceStatusQuery):
            status = device_status(profile, command.sn, datetime.now(BEIJING))
            return [status.to_bytes(profile.charset, profile.edition)]
        if isinstance(command, KeyFrameRequest):
            self.key_frames_asked += 1  # a clip has one every two seconds anyway
        else:
            name = getattr(command, "cmd_type", type(command).__name__)
            self.unknown_commands[name] = self.unknown_commands.get(name, 0) + 1
        return []

    async def _send(self, bodies: list[bytes]) -> None:
        """One after the other: the next message only after the answer to the last (annex M)."""
        for body in bodies:
            try:
                response = await self.registration.message(body)
            except PLATFORM_LOST as error:
                log.info("answer not delivered", device=self.profile.device_id, error=str(error))
                return
            if response.status != 200:
                log.info("answer refused", device=self.profile.device_id, status=response.status)
                return


class SimulatedSite:
    """Many devices behind one address: one socket, requests sorted by the code they name."""

    def __init__(self) -> None:
        self._devices: dict[str, SimulatedDevice] = {}

    @property
    def devices(self) -> tuple[SimulatedDevice, ...]:
        return tuple(dict.fromkeys(self._devices.values()))

    def add(self, device: SimulatedDevice) -> None:
        """:raises ValueError: when a code is taken"""
        codes = {device.profile.device_id, *(c.channel_id for c in device.profile.channels)}
        taken = codes & self._devices.keys()
        if taken:
            raise ValueError(f"{min(taken)} is simulated already: choose another code")
        self._devices.update(dict.fromkeys(codes, device))

    def on_request(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        device = self._devices.get(request.uri.user) or self._devices.get(request.to.uri.user)
        if device is None:
            incoming.respond(404)
        else:
            device.on_request(incoming)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        for device in self.devices:
            device.on_connection_lost(flow)
