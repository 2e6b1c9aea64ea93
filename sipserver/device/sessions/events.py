"""What the live view publishes, each a frozen value with its wall-clock time."""

from __future__ import annotations

from dataclasses import dataclass

from sipserver.device.sessions.target import SsrcHabit
from sipserver.device.sessions.view import SessionView


@dataclass(frozen=True, slots=True)
class LiveStarted:
    """The first key frame is there: the stream can be watched."""

    view: SessionView
    at: float


@dataclass(frozen=True, slots=True)
class LiveEnded:
    """The session is over and every lease is returned; ``view.verdict`` says whether it failed."""

    view: SessionView
    at: float


@dataclass(frozen=True, slots=True)
class SsrcHabitLearned:
    """What the device did with our ``y=``; the registry may keep it for the next play."""

    device_id: str
    habit: SsrcHabit
    at: float


LiveEvent = LiveStarted | LiveEnded | SsrcHabitLearned
