"""Who may start: the limits of a device and of the platform, and the order of setups."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from sipserver.device.sessions.errors import LimitReached
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.target import PlayTarget

MakeRoom = Callable[[str], Awaitable[bool]]
"""End a session of this device that nobody watches and wait for it; ``False``: there is none."""


class Admission:
    def __init__(self, settings: LiveSettings, make_room: MakeRoom) -> None:
        self._settings = settings
        self._make_room = make_room
        self._admitted: Counter[str] = Counter()
        self._setups: dict[str, tuple[asyncio.Semaphore, int]] = {}  # with its number of users

    @property
    def total(self) -> int:
        return self._admitted.total()

    def carried(self, device_id: str) -> int:
        """Sessions of this device that hold or take leases."""
        return self._admitted[device_id] if device_id in self._admitted else 0

    async def admit(self, target: PlayTarget, leases: AsyncExitStack) -> None:
        """:raises LimitReached: when the device or the platform carries no more"""
        if len(self._admitted) and self.total >= self._settings.max_sessions:
            raise LimitReached(Ending.SESSION_LIMIT, self._settings.max_sessions)
        limit = target.session_limit
        while limit is not None and self.carried(target.device_id) >= limit:
            if not await self._make_room(target.device_id):
                raise LimitReached(Ending.DEVICE_LIMIT, limit)
        self._admitted[target.device_id] += 1
        leases.callback(self._leave, target.device_id)

    def _leave(self, device_id: str) -> None:
        self._admitted[device_id] -= 1
        if not self._admitted[device_id]:
            del self._admitted[device_id]

    @asynccontextmanager
    async def setup(self, device_id: str) -> AsyncIterator[None]:
        """A small device chokes on many INVITEs at once: they take turns, in order of arrival."""
        slots = self._settings.max_setups_per_device
        semaphore, users = self._setups.get(device_id) or (asyncio.Semaphore(slots), 0)
        self._setups[device_id] = (semaphore, users + 1)
        try:
            async with semaphore:
                yield
        finally:
            semaphore, users = self._setups[device_id]
            if users == 1:
                del self._setups[device_id]
            else:
                self._setups[device_id] = (semaphore, users - 1)
