"""Online and offline edges on their way to storage: bounded, in batches, never in the way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sipserver.device.events import DeviceEvent, DeviceOffline, DeviceOnline

BATCH: Final = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PresenceEdge:
    device_id: str
    at: float
    """Wall clock, seconds since 1970."""
    online: bool
    reason: str


class PresenceLog(Protocol):
    async def append(self, edges: Sequence[PresenceEdge]) -> None:
        """Returns when they are stored; an exception loses this batch, counted."""


class PresenceHistory:
    """A subscriber of events. When storage is slower than the edges, the oldest are dropped."""

    def __init__(self, log: PresenceLog, *, limit: int = 20_000) -> None:
        self._log = log
        self._pending: deque[PresenceEdge] = deque()
        self._limit = limit
        self._wake = asyncio.Event()
        self.dropped = 0
        """Edges that never reached storage."""

    @property
    def pending(self) -> int:
        return len(self._pending)

    def on_event(self, event: DeviceEvent) -> None:
        if isinstance(event, DeviceOnline | DeviceOffline):
            if len(self._pending) >= self._limit:
                self._pending.popleft()
                self.dropped += 1
            online = isinstance(event, DeviceOnline)
            edge = PresenceEdge(event.device_id, event.at, online, event.reason.value)
            self._pending.append(edge)
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled; what is pending then, :meth:`flush` writes."""
        while True:
            await self._wake.wait()
            await self.flush()
            self._wake.clear()

    async def flush(self) -> None:
        while self._pending:
            batch = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
            try:
                await self._log.append(batch)
            except Exception as error:  # history must not take the platform down with it
                self.dropped += len(batch)
                log.error("%d presence edges were not stored: %s", len(batch), error)
