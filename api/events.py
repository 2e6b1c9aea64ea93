"""Live events for many clients: encoded once, queued for each, the slow ones lose the oldest.

While nobody listens nothing is encoded.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from api.errors import TOO_MANY_LISTENERS, ApiError

RECENT: Final = 512
"""Events kept for a client that comes back with ``Last-Event-ID``."""

ABSENCE: Final = 60.0
"""Seconds in which a client that lost its connection may come back and miss nothing."""

PER_CLIENT: Final = 256
"""Events that may wait for one client."""


class EventView(msgspec.Struct, frozen=True):
    """One event of ``GET /api/v1/events``: the SSE field ``data`` holds it as JSON."""

    type: str
    """``device_online``, ``device_offline``, ``catalog_synced``, ``session_changed`` …"""
    at: float
    """Seconds since 1970, UTC."""
    device_id: str
    data: dict[str, Any]
    """What the type of event adds."""


class EventQueue:
    """What waits for one client."""

    def __init__(self) -> None:
        self.lost = 0
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    def put(self, frame: bytes) -> None:
        if len(self._frames) >= PER_CLIENT:
            self._frames.popleft()
            self.lost += 1
        self._frames.append(frame)
        self._changed.set()

    def end(self) -> None:
        """There will be nothing more."""
        self._ended = True
        self._changed.set()

    async def take(self) -> bytes:
        """Everything that waits, as one piece; empty at the end. Names what was lost first."""
        while not self._frames and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        pieces = list(self._frames)
        self._frames.clear()
        if self.lost:
            pieces.insert(0, b'event: lost\ndata: {"lost":%d}\n\n' % self.lost)
            self.lost = 0
        return b"".join(pieces)


class EventHub:
    """``publish`` never waits; a client beyond the limit is refused."""

    def __init__(self, *, clients: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = clients
        self._clock = clock
        self._last_left = -ABSENCE
        self._queues: set[EventQueue] = set()
        self._recent: deque[tuple[int, EventView]] = deque(maxlen=RECENT)
        self._numbers = itertools.count(1)
        self._encoder = msgspec.json.Encoder()
        self.published = 0

    @property
    def clients(self) -> int:
        return len(self._queues)

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens, or may come back for what was missed; if not, build nothing."""
        return bool(self._queues) or self._clock() - self._last_left < ABSENCE

    def publish(self, event: EventView) -> None:
        number = next(self._numbers)
        self._recent.append((number, event))
        self.published += 1
        if self._queues:
            frame = self._frame(number, event)
            for queue in self._queues:
                queue.put(frame)

    async def close(self, app: object = None) -> None:
        """End every stream of events; a handler of ``on_shutdown``."""
        for queue in self._queues:
            queue.end()

    @contextmanager
    def listen(self, last_event_id: str = "") -> Iterator[EventQueue]:
        """A queue with what came after ``last_event_id``.

        :raises ApiError: ``too_many_listeners``
        """
        if len(self._queues) >= self._limit:
            raise ApiError(TOO_MANY_LISTENERS)
        queue = EventQueue()
        if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
            for number, event in self._recent:
                if number > int(last_event_id):
                    queue.put(self._frame(number, event))
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)
            self._last_left = self._clock()

    def _frame(self, number: int, event: EventView) -> bytes:
        body = self._encoder.encode(event)
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.type.encode(), body)
