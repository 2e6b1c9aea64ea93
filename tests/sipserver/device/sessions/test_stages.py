from __future__ import annotations

from sipserver.device.sessions.stages import Stage, StageLog, StageTime


def test_the_first_time_of_a_stage_counts() -> None:
    log = StageLog(now=100.0, wall_clock=1_700_000_000.0)
    assert log.reach(Stage.INVITE_SENT, 100.25)
    assert not log.reach(Stage.INVITE_SENT, 101.0)
    assert log.times() == (StageTime(Stage.QUEUED, 0.0), StageTime(Stage.INVITE_SENT, 0.25))
    assert Stage.INVITE_SENT in log
    assert Stage.ANSWERED not in log
    assert log.started_at == 1_700_000_000.0


def test_stages_stand_in_the_order_in_which_they_came() -> None:
    log = StageLog(now=0.0, wall_clock=0.0)
    for stage in (Stage.FIRST_PACKET, Stage.ANSWERED):  # media may overtake the 200
        log.reach(stage, 1.0)
    assert list(log) == [Stage.QUEUED, Stage.FIRST_PACKET, Stage.ANSWERED]


def test_a_clock_that_is_a_tick_behind_gives_no_negative_time() -> None:
    log = StageLog(now=5.0, wall_clock=0.0)
    log.reach(Stage.FIRST_PACKET, 4.999)
    assert log.times()[-1].seconds == 0.0
