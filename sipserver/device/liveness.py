"""Who is still there: heartbeats, registration expiry, and when to look next.

GB/T 28181-2022 9.6: default interval 60 s, 3 misses; both sides are configured alike, but
devices in the field keep to other intervals, so the interval seen counts when it is longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from sipserver.device.events import OfflineReason

LONGEST_INTERVAL: Final = 86_400.0  # more than a day is a typing error, signalling.md 3.10
MOST_MISSES: Final = 100
GAPS_KEPT: Final = 3
LONGEST_SILENT_GAP: Final = 3_600.0
"""Seconds. A longer pause in which the device was offline is an outage, not its rhythm."""
HEAP_SLACK: Final = 1024  # stale entries of devices that left, before the heap is rebuilt


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessSettings:
    keepalive_interval: float = 60.0
    """Seconds between two Keepalive messages of one device, 1..86400. GB/T 28181-2022 9.6.1 d)."""

    keepalive_misses: int = 3
    """Keepalives missed in a row before a device is offline, 1..100. 9.6.1 d)."""

    margin_intervals: float = 1.0
    """Waited beyond the misses, in intervals: absorbs jitter and a lost datagram."""

    expiry_margin: float = 10.0
    """Seconds a registration outlives its expiry: the refresh may be on its way."""


@dataclass(slots=True)
class _Watch:
    interval: float
    misses: int
    expires_at: float | None
    last_heard: float
    scheduled: float
    last_keepalive: float | None
    gaps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    device_id: str
    reason: OfflineReason
    last_heard: float


class Liveness:
    """O(1) per message heard.

    Every watched device has one live entry in a heap. Hearing a device only writes its time; an
    entry that comes due too early is put back at the true deadline, once per allowance.
    """

    def __init__(self, settings: LivenessSettings) -> None:
        self._settings = settings
        self._watches: dict[str, _Watch] = {}
        self._silent: dict[str, _Watch] = {}  # gone, their rhythm remembered
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._watches)

    def watch(
        self,
        device_id: str,
        now: float,
        *,
        expires_at: float | None,
        interval: float | None = None,
        misses: int | None = None,
        resumed: bool = False,
    ) -> None:
        """Begin, or change what is allowed. ``expires_at`` None: heartbeats alone decide.

        Absurd values of ``interval`` and ``misses`` (0, negative, over a day) are ignored.
        ``resumed``: no REGISTER brought the device back, so the pause before its next Keepalive
        is a gap like any other; a device whose true interval exceeds its allowance is then
        offline once, not for ever.
        """
        watch = self._watches.get(device_id)
        if watch is None:
            watch = self._watches[device_id] = self._new_watch(device_id, now, resumed)
        watch.interval = _sane_interval(interval, self._settings.keepalive_interval)
        watch.misses = _sane_misses(misses, self._settings.keepalive_misses)
        watch.expires_at = expires_at
        watch.last_heard = now
        if watch.scheduled > self._deadline(watch)[0]:  # else its entry comes due and is put back
            self._schedule(device_id, watch)

    def _new_watch(self, device_id: str, now: float, resumed: bool) -> _Watch:
        """With the rhythm of an earlier one; :meth:`watch` fills in what is allowed."""
        known = self._silent.pop(device_id, None)
        return _Watch(
            interval=0.0,
            misses=0,
            expires_at=None,
            last_heard=now,
            scheduled=inf,
            last_keepalive=_last_of_rhythm(known, now) if resumed else None,
            gaps=known.gaps if known else (),
        )

    def heard(self, device_id: str, now: float) -> None:
        """Any valid request or answer of the device."""
        watch = self._watches.get(device_id)
        if watch is not None:
            watch.last_heard = now

    def keepalive(self, device_id: str, now: float) -> None:
        """A Keepalive: heard, and the interval learned."""
        watch = self._watches.get(device_id)
        if watch is None:
            return
        watch.last_heard = now
        if watch.last_keepalive is not None:
            gap = now - watch.last_keepalive
            if 0.0 < gap <= LONGEST_INTERVAL:
                watch.gaps = (*watch.gaps[1 - GAPS_KEPT :], gap)
        watch.last_keepalive = now

    def pause(self, device_id: str) -> None:
        """Stop watching (its connection broke), but remember its rhythm."""
        watch = self._watches.pop(device_id, None)
        if watch is not None:
            self._silent[device_id] = watch

    def forget(self, device_id: str) -> None:
        self._watches.pop(device_id, None)
        self._silent.pop(device_id, None)

    def allowance(self, device_id: str) -> float:
        """Seconds of silence before the device is offline."""
        return self._allowance(self._watches[device_id])

    def expire(self, now: float) -> list[Silence]:
        """Devices that are due, which are forgotten here, in order of their deadlines."""
        silent: list[Silence] = []
        while self._heap and self._heap[0][0] <= now:
            due, device_id = heappop(self._heap)
            watch = self._watches.get(device_id)
            if watch is None or watch.scheduled != due:
                continue  # an older entry of a device that was watched anew
            deadline, reason = self._deadline(watch)
            if deadline > now:
                self._schedule(device_id, watch)
                continue
            self._silent[device_id] = self._watches.pop(device_id)
            silent.append(Silence(device_id, reason, watch.last_heard))
        return silent

    def next_deadline(self) -> float | None:
        """Not later than the first device that will be due; None when nobody is watched."""
        return self._heap[0][0] if self._heap else None

    def _schedule(self, device_id: str, watch: _Watch) -> None:
        watch.scheduled = self._deadline(watch)[0]
        heappush(self._heap, (watch.scheduled, device_id))
        if len(self._heap) > 2 * len(self._watches) + HEAP_SLACK:
            self._heap = [(entry.scheduled, name) for name, entry in self._watches.items()]
            heapify(self._heap)

    def _deadline(self, watch: _Watch) -> tuple[float, OfflineReason]:
        silent = watch.last_heard + self._allowance(watch)
        if watch.expires_at is not None:
            expired = watch.expires_at + self._settings.expiry_margin
            if expired < silent:
                return expired, OfflineReason.EXPIRED
        return silent, OfflineReason.SILENT

    def _allowance(self, watch: _Watch) -> float:
        # The shortest of the last gaps: one lost keepalive does not double the interval.
        interval = max(watch.interval, min(watch.gaps)) if watch.gaps else watch.interval
        return interval * (watch.misses + self._settings.margin_intervals)


def _last_of_rhythm(known: _Watch | None, now: float) -> float | None:
    """The Keepalive that the gap to the next one is counted from; None: a new series begins."""
    last = known.last_keepalive if known else None
    return last if last is not None and now - last <= LONGEST_SILENT_GAP else None


def _sane_interval(interval: float | None, default: float) -> float:
    return interval if interval is not None and 1.0 <= interval <= LONGEST_INTERVAL else default


def _sane_misses(misses: int | None, default: int) -> int:
    return misses if misses is not None and 1 <= misses <= MOST_MISSES else default
