"""How far a play got, and when: the stages between the click and the first byte at a viewer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """In the order in which a healthy play passes them."""

    QUEUED = "queued"
    INVITE_SENT = "invite_sent"
    TRYING = "trying"  # 100
    PROGRESS = "progress"  # 101..199: devices send 101, 180, 181, 183; recorded, never waited for
    ANSWERED = "answered"  # 200
    SDP_ACCEPTED = "sdp_accepted"
    CONNECTED = "connected"  # the media connection, TCP only
    FIRST_PACKET = "first_packet"
    SSRC_MATCHED = "ssrc_matched"
    SSRC_ADOPTED = "ssrc_adopted"  # another SSRC than announced, taken on the dedicated port
    PS_LOCKED = "ps_locked"
    PARAMETER_SETS = "parameter_sets"
    KEY_FRAME = "key_frame"
    VIEWER_FIRST_BYTE = "viewer_first_byte"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StageTime:
    stage: Stage
    seconds: float
    """Seconds since the play was queued, on the monotonic clock."""


class StageLog:
    """The first time of each stage; later ones of the same stage change nothing."""

    def __init__(self, *, now: float, wall_clock: float) -> None:
        self.started_at = wall_clock  # seconds since 1970, when the play was queued
        self._zero = now
        self._reached: dict[Stage, float] = {Stage.QUEUED: 0.0}

    def reach(self, stage: Stage, now: float) -> bool:
        """Note ``stage``; ``False`` when it was reached before."""
        if stage in self._reached:
            return False
        self._reached[stage] = max(0.0, now - self._zero)
        return True

    def __contains__(self, stage: Stage) -> bool:
        return stage in self._reached

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._reached)

    def times(self) -> tuple[StageTime, ...]:
        """In the order in which they were reached."""
        return tuple(StageTime(stage, round(at, 6)) for stage, at in self._reached.items())
