"""Runs simulated devices: one SIP port, one media node, one task per device."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulators.device import SimulatedDevice, SimulatedSite
from simulators.live import Streams
from simulators.profile import DeviceProfile
from simulators.registration import Presence
from sipserver.transport.service import SipService, TransportSettings


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What a run came to."""

    devices: int
    online: int
    registrations: int
    keepalives: int
    invites: int
    failures: dict[str, int]
    """Cause -> devices whose last try failed for it."""


class SiteRunner:
    """Starts the devices, ramped, and stops them together.

    :param host: local address, also the one in ``c=`` of the answers
    :param port: SIP port of all devices; 0 takes a free one
    :param ramp: seconds over which the devices start
    :param seed: makes the run repeatable
    """

    def __init__(
        self,
        profiles: Sequence[DeviceProfile],
        streams: Streams,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ramp: float = 0.0,
        seed: int = 1,
        on_presence: Callable[[SimulatedDevice, Presence], None] = lambda *_: None,
    ) -> None:
        self._site = SimulatedSite()
        self._service = SipService(
            TransportSettings(host=host, port=port, user_agent="gb28181-simulator"), self._site
        )
        self._ramp = ramp
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for number, profile in enumerate(profiles):
            self._site.add(
                SimulatedDevice(
                    profile,
                    self._service,
                    streams,
                    new_token=lambda: secrets.token_hex(8),
                    seed=seed * 1_000_003 + number,
                    on_presence=on_presence,
                )
            )

    @property
    def devices(self) -> tuple[SimulatedDevice, ...]:
        return self._site.devices

    async def run(self) -> None:
        """Until cancelled; de-registers every device on the way out."""
        await self._service.start()
        devices = self.devices
        pause = self._ramp / max(1, len(devices))
        try:
            for device in devices:
                task = asyncio.create_task(device.run(), name=device.profile.device_id)
                self._tasks[device.profile.device_id] = task
                if pause:
                    await asyncio.sleep(pause)
            await asyncio.gather(*self._tasks.values())
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await self._service.close()

    def kill(self, device_id: str) -> None:
        """The device dies at once: no de-registration, no BYE, silence."""
        device = next(d for d in self.devices if d.profile.device_id == device_id)
        device.registration.die()
        device.live.close()

    def report(self) -> SiteReport:
        devices = self.devices
        online = [d for d in devices if d.registration.presence is Presence.ONLINE]
        failures = Counter(d.registration.failure for d in devices if d.registration.failure)
        return SiteReport(
            devices=len(devices),
            online=len(online),
            registrations=sum(d.registration.registrations for d in devices),
            keepalives=sum(d.registration.keepalives for d in devices),
            invites=sum(d.live.invites for d in devices),
            failures=dict(failures),
        )
