"""The plays of the recent past, bounded, and what came of all plays, counted."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sipserver.device.sessions.view import SessionView


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStats:
    """Counters since the start of the platform; ``active`` is now."""

    active: int = 0
    started: int = 0
    joined: int = 0  # callers that shared a session which was there
    played: int = 0  # sessions that reached a picture
    endings: dict[str, int] = field(default_factory=dict)  # by Ending
    verdicts: dict[str, int] = field(default_factory=dict)  # by VerdictCode
    key_frame_requests: int = 0
    release_failures: int = 0  # a lease refused to be returned: a bug or a dead media node
    forgotten: int = 0  # plays that fell out of the history


class PlayHistory:
    def __init__(self, size: int) -> None:
        self._views: deque[SessionView] = deque(maxlen=size)
        self.endings: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.forgotten = 0

    def add(self, view: SessionView) -> None:
        if len(self._views) == self._views.maxlen:
            self.forgotten += 1
        self._views.append(view)
        if view.ended_by is not None:
            self.endings[view.ended_by.value] += 1
        if view.verdict is not None:
            self.verdicts[view.verdict.code.value] += 1

    def __iter__(self) -> Iterator[SessionView]:
        """Newest first."""
        return reversed(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def find(self, session_id: str) -> SessionView | None:
        return next((view for view in self if view.id == session_id), None)
