"""How often a source may be wrong: password guessing, scanners and floods.

Keyed so that one device with a wrong password does not lock out its neighbours: a thousand
devices may stand behind one address. Bounded: the source heard least recently is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleSettings:
    failures: int = 5
    """Wrong passwords for one ID from one address before it is blocked."""

    block_seconds: float = 60.0
    """First block; doubled with each further failure. A device retries after 60 s (9.1.1)."""

    longest_block: float = 600.0

    refusals_burst: int = 200
    """Refused or unknown requests of one address that are answered at once ..."""

    refusals_per_second: float = 2.0
    """... and how fast that allowance comes back. Beyond it: no answer at all."""

    challenges_burst: int = 20_000
    """Unanswered 401 of one address; a success gives its 401 back."""

    challenges_per_second: float = 2_000.0

    sources: int = 10_000
    """Entries remembered of each kind."""


@dataclass(slots=True)
class _Failures:
    count: int
    blocked_until: float
    last: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class _Recent(Generic[Key, Entry]):
    """A dict of bounded size; the entry touched least recently goes first."""

    def __init__(self, limit: int) -> None:
        self._entries: dict[Key, Entry] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def touch(self, key: Key, entry: Entry) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._limit:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = entry

    def drop(self, key: Key) -> None:
        self._entries.pop(key, None)


FORGIVEN_AFTER: Final = 600.0  # seconds without a failure


class Throttle:
    def __init__(self, settings: ThrottleSettings | None = None) -> None:
        self._settings = settings or ThrottleSettings()
        limit = self._settings.sources
        self._failures: _Recent[tuple[str, str], _Failures] = _Recent(limit)
        self._refusals: _Recent[str, _Bucket] = _Recent(limit)
        self._challenges: _Recent[str, _Bucket] = _Recent(limit)

    def blocked_for(self, host: str, device_id: str, now: float) -> float:
        """Seconds this pair is not listened to any more; 0 when it may try."""
        failures = self._failures.get((host, device_id))
        return max(0.0, failures.blocked_until - now) if failures else 0.0

    def failed(self, host: str, device_id: str, now: float) -> float:
        """A wrong digest. Returns the seconds of a block that begins with it, else 0."""
        entry = self._failures.get((host, device_id))
        if entry is None or now - entry.last > FORGIVEN_AFTER:
            entry = _Failures(0, 0.0, now)
        entry.count += 1
        entry.last = now
        self._failures.touch((host, device_id), entry)
        excess = entry.count - self._settings.failures
        if excess < 0:
            return 0.0
        block = min(self._settings.block_seconds * 2.0 ** min(excess, 16), self._longest)
        entry.blocked_until = now + block
        return block

    def succeeded(self, host: str, device_id: str) -> None:
        self._failures.drop((host, device_id))
        bucket = self._challenges.get(host)
        if bucket is not None:
            bucket.tokens = min(bucket.tokens + 1.0, self._settings.challenges_burst)

    def may_refuse(self, host: str, now: float) -> bool:
        """False: this source has been refused too often; do not answer."""
        settings = self._settings
        return _take(
            self._refusals, host, now, settings.refusals_burst, settings.refusals_per_second
        )

    def may_challenge(self, host: str, now: float) -> bool:
        settings = self._settings
        return _take(
            self._challenges, host, now, settings.challenges_burst, settings.challenges_per_second
        )

    @property
    def _longest(self) -> float:
        return self._settings.longest_block


def _take(buckets: _Recent[str, _Bucket], host: str, now: float, burst: int, rate: float) -> bool:
    bucket = buckets.get(host)
    if bucket is None:
        bucket = _Bucket(float(burst), now)
    bucket.tokens = min(bucket.tokens + (now - bucket.at) * rate, float(burst))
    bucket.at = now
    buckets.touch(host, bucket)
    if bucket.tokens < 1.0:
        return False
    bucket.tokens -= 1.0
    return True
