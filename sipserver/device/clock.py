"""Time as two injected callables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    monotonic: Callable[[], float]
    """Seconds; for durations. In production the event loop's ``time``."""
    wall: Callable[[], float]
    """Seconds since 1970 (UTC); for what people and devices read. In production ``time.time``."""
