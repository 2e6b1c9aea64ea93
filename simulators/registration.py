"""Staying registered: the user agent's state machine of GB/T 28181-2022 9.1 and 9.6."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import Enum
from typing import Final

import structlog

from manscdp.edition import Edition
from manscdp.notify import Keepalive
from simulators.profile import DeviceProfile
from sipserver.sip.auth import answer_challenge
from sipserver.sip.errors import SipError
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import TransportError
from sipserver.transport.service import SipService

REFRESH_SHARE: Final = 0.8
"""A refresh is due after this part of what was granted (see 9.1.1: before expiry)."""
MANSCDP: Final = "Application/MANSCDP+xml"

log = structlog.get_logger(__name__)


class Presence(Enum):
    IDLE = "idle"
    TRYING = "trying"
    ONLINE = "online"
    OFFLINE = "offline"


class RegistrationFailed(Exception):
    """The platform refused or did not answer; the text says which."""


PLATFORM_LOST: Final = (RegistrationFailed, SipError, TransportError)
"""What a device survives: no answer, no way to the platform, a refusal. It tries again."""


class Registration:
    """Registers one device, refreshes, keeps alive, and starts over when the platform is lost."""

    def __init__(
        self,
        profile: DeviceProfile,
        service: SipService,
        *,
        new_token: Callable[[], str],
        seed: int,
        on_presence: Callable[[Presence], None] = lambda _: None,
    ) -> None:
        self.presence = Presence.IDLE
        self.flow: Flow | None = None
        self.registrations = 0
        """Successful REGISTER transactions, refreshes included."""
        self.keepalives = 0
        """Keepalives the platform answered with 200."""
        self.failure = ""
        """Why the last try failed; empty while online."""
        self._profile = profile
        self._service = service
        self._new_token = new_token
        self._random = random.Random(seed)  # noqa: S311 - spreads retries, guards nothing
        self._on_presence = on_presence
        self._call_id = new_token()
        self._tag = new_token()
        self._cseq = 0
        self._sn = self._random.randrange(1, 2**20)
        self._lost = asyncio.Event()
        self._dead = False

    def next_sn(self) -> int:
        """A serial number that no outstanding request of this device has (A.2.3)."""
        self._sn = self._sn % (2**31 - 2) + 1
        return self._sn

    def connection_lost(self, flow: Flow) -> None:
        """The connection that carries everything is gone: offline at once (9.1.1)."""
        if self.flow == flow:
            self.failure = "the TCP connection was lost"
            self._lost.set()

    @property
    def dead(self) -> bool:
        return self._dead

    def die(self) -> None:
        """Fall silent for good: no keepalive, no refresh, no de-registration."""
        self._dead = True
        self._lost.set()

    async def run(self) -> None:
        """Stay registered until cancelled; then de-register."""
        try:
            while not self._dead:
                try:
                    await self._stay_online()
                except PLATFORM_LOST as error:
                    self.failure = str(error)
                    log.info("registration", device=self._profile.device_id, failure=self.failure)
                self._set(Presence.OFFLINE)
                if self._dead:
                    return
                self._disconnect()
                spread = self._random.uniform(0, self._profile.retry_spread)
                await asyncio.sleep(self._profile.retry_interval + spread)
        finally:
            if self.presence is Presence.ONLINE:
                await self._deregister()

    async def _stay_online(self) -> None:
        self._set(Presence.TRYING)
        self._lost.clear()
        self.flow = await self._connect()
        granted = await self._register(self._profile.expires)
        self.failure = ""
        self._set(Presence.ONLINE)
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._until_lost())
            refresher = tasks.create_task(self._refresh(granted))
            keeper = tasks.create_task(self._keep_alive())
            await watcher
            refresher.cancel()
            keeper.cancel()

    async def _until_lost(self) -> None:
        await self._lost.wait()

    async def _connect(self) -> Flow:
        if self._profile.transport == "TCP":
            return await self._service.connect_tcp(self._profile.server)
        return self._service.udp_flow(self._profile.server)

    def _disconnect(self) -> None:
        """The next try makes a connection of its own; this one must not stay open beside it."""
        flow, self.flow = self.flow, None
        if flow is not None and flow.reliable:
            self._service.disconnect(flow)

    async def _refresh(self, granted: float) -> None:
        while True:
            await asyncio.sleep(granted * REFRESH_SHARE)
            try:
                granted = await self._register(self._profile.expires)
            except PLATFORM_LOST as error:
                self.failure = str(error)
                self._lost.set()
                return

    async def _keep_alive(self) -> None:
        missed = 0
        while missed < self._profile.keepalive_misses:
            missed = 0 if await self._one_keepalive() else missed + 1
            await asyncio.sleep(self._profile.keepalive_interval)
        self.failure = f"{missed} keepalives in a row were not answered"
        self._lost.set()

    async def _one_keepalive(self) -> bool:
        device = self._profile.device_id
        body = Keepalive(sn=self.next_sn(), device_id=device, status="OK")
        try:
            response = await self.message(
                body.to_bytes(self._profile.charset, self._profile.edition)
            )
        except PLATFORM_LOST:
            return False
        if response.status == 200:
            self.keepalives += 1
        return response.status == 200

    async def message(self, body: bytes) -> Response:
        """Send one MANSCDP body to the platform outside any dialog (annex A)."""
        if self.flow is None:
            raise RegistrationFailed("the device is not connected")
        request = OutgoingRequest(
            method="MESSAGE",
            uri=f"sip:{self._profile.server_id}@{self._profile.domain}",
            from_uri=self._own_uri,
            to_uri=f"sip:{self._profile.server_id}@{self._profile.domain}",
            body=body,
            content_type=MANSCDP,
        )
        return await self._service.request(request, self.flow)

    @property
    def _own_uri(self) -> str:
        return f"sip:{self._profile.device_id}@{self._profile.domain}"

    async def _register(self, expires: int) -> float:
        """The four messages of 9.1.2.1; returns the seconds granted."""
        response = await self._send_register(expires, "")
        if response.status == 401:
            challenge = response.get(b"www-authenticate") or b""
            uri = f"sip:{self._profile.server_id}@{self._profile.domain}"
            response = await self._send_register(
                expires,
                answer_challenge(
                    challenge,
                    username=self._profile.device_id,
                    password=self._profile.password,
                    method="REGISTER",
                    uri=uri,
                    new_token=self._new_token,
                ),
            )
        if response.status != 200:
            raise RegistrationFailed(f"the platform answered {response.status} {response.reason}")
        self.registrations += 1
        return float(response.expires or expires)

    async def _send_register(self, expires: int, authorization: str) -> Response:
        if self.flow is None:
            raise RegistrationFailed("the device is not connected")
        self._cseq += 1
        headers = [("Expires", str(expires))]
        if self._profile.edition >= Edition.GB2022:  # older ones do not know it (annex I)
            headers.append(("X-GB-Ver", str(self._profile.edition)))
        if authorization:
            headers.append(("Authorization", authorization))
        request = OutgoingRequest(
            method="REGISTER",
            uri=f"sip:{self._profile.server_id}@{self._profile.domain}",
            from_uri=self._own_uri,
            to_uri=self._own_uri,
            from_tag=self._tag,
            call_id=self._call_id,
            cseq=self._cseq,
            headers=tuple(headers),
        )
        return await self._service.request(request, self.flow)

    async def _deregister(self) -> None:
        """REGISTER with Expires 0; the platform may be gone, then nothing is lost."""
        try:
            async with asyncio.timeout(2):
                await self._register(0)
        except (*PLATFORM_LOST, TimeoutError) as error:
            log.debug("de-registration", device=self._profile.device_id, failure=str(error))
        self._set(Presence.IDLE)

    def _set(self, presence: Presence) -> None:
        if presence is not self.presence:
            self.presence = presence
            self._on_presence(presence)
