"""The timers of RFC 3261 table 4 and RFC 6026 section 8, and the queues they wait in.

Nothing here reads a clock: ``now`` is an argument, in seconds, and never goes back.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from math import inf
from typing import Final, Protocol

T1: Final = 0.5
"""Seconds; round-trip estimate (RFC 3261 17.1.1.1)."""
T2: Final = 4.0
"""Seconds; the longest interval between two copies of a non-INVITE request or of a response."""
T4: Final = 5.0
"""Seconds; how long a message may live in the network."""
TIMEOUT: Final = 64 * T1
"""Seconds; timers B, F, H, J, L, M and the wait after CANCEL (RFC 3261 9.1)."""
TIMER_D: Final = 32.0
"""Seconds; at least 32 over UDP (RFC 3261 17.1.1.2)."""
TRYING_DELAY: Final = 0.2
"""Seconds until an unanswered INVITE gets its 100 (RFC 3261 17.2.1)."""
INVITE_ANSWER_TIMEOUT: Final = 180.0
"""Seconds our user may let an INVITE ring; a proxy's Timer C is as long (RFC 3261 16.6)."""


class Timer(IntEnum):
    """One name per letter; the values are apart from every ``Input``, so tables may mix them."""

    A = 101
    B = 102
    D = 103
    E = 104
    F = 105
    G = 106
    H = 107
    I = 108  # noqa: E741  RFC 3261 calls it so
    J = 109
    K = 110
    L = 111
    M = 112
    TRYING = 120
    """An INVITE that nobody answered within 200 ms."""
    ANSWER = 121
    """Our user did not answer a request at all."""
    CANCELLED = 122
    """No final response 64*T1 after a CANCEL."""
    SUCCESS = 123
    """The next copy of a 2xx that no ACK has met (RFC 3261 13.3.1.4)."""
    ACK = 124
    """No ACK for 64*T1."""


class TimerTarget(Protocol):
    """Whoever waits. A timer is never cancelled: a target ignores one that its state outlived."""

    def handle_timer(self, timer: Timer, now: float) -> None: ...


class TimerQueues:
    """Waiting timers in one FIFO per duration.

    Timers of one duration expire in the order they were started, so starting one is an append
    and the next deadline is the least of some ten queue heads: no heap, no cancelling.
    """

    __slots__ = ("_queues", "next_deadline")

    def __init__(self) -> None:
        self.next_deadline = inf
        self._queues: dict[float, deque[tuple[float, Timer, TimerTarget]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def start(self, timer: Timer, duration: float, now: float, target: TimerTarget) -> None:
        deadline = now + duration
        queue = self._queues.get(duration)
        if queue is None:
            queue = self._queues[duration] = deque()
        queue.append((deadline, timer, target))
        if deadline < self.next_deadline:
            self.next_deadline = deadline

    def handle_timer(self, now: float) -> None:
        """Tell every target whose time has come; each may start further timers."""
        while self.next_deadline <= now:
            for queue in list(self._queues.values()):
                while queue and queue[0][0] <= now:
                    _, timer, target = queue.popleft()
                    target.handle_timer(timer, now)
            heads = (queue[0][0] for queue in self._queues.values() if queue)
            self.next_deadline = min(heads, default=inf)
