"""FIFO timer queues in virtual time."""

from __future__ import annotations

from math import inf

from sipserver.sip.timers import Timer, TimerQueues


class Recorder:
    def __init__(self) -> None:
        self.fired: list[tuple[Timer, float]] = []

    def handle_timer(self, timer: Timer, now: float) -> None:
        self.fired.append((timer, now))


def test_fires_in_time_and_knows_the_next_deadline() -> None:
    queues, target = TimerQueues(), Recorder()
    assert queues.next_deadline == inf
    queues.start(Timer.F, 32.0, 0.0, target)
    queues.start(Timer.E, 0.5, 0.0, target)
    queues.start(Timer.E, 0.5, 0.25, target)
    assert (queues.next_deadline, len(queues)) == (0.5, 3)
    queues.handle_timer(0.49)
    assert target.fired == []
    queues.handle_timer(0.5)
    assert target.fired == [(Timer.E, 0.5)]
    assert queues.next_deadline == 0.75
    queues.handle_timer(100.0)
    assert target.fired[1:] == [(Timer.F, 100.0), (Timer.E, 100.0)]
    assert (queues.next_deadline, len(queues)) == (inf, 0)


def test_a_target_may_start_a_timer_while_it_is_told() -> None:
    queues = TimerQueues()

    class Again(Recorder):
        def handle_timer(self, timer: Timer, now: float) -> None:
            super().handle_timer(timer, now)
            if len(self.fired) < 3:
                queues.start(Timer.A, 0.0, now, self)

    target = Again()
    queues.start(Timer.A, 1.0, 0.0, target)
    queues.handle_timer(1.0)
    assert len(target.fired) == 3
