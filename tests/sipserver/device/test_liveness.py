from __future__ import annotations

import pytest

from sipserver.device.events import OfflineReason
from sipserver.device.liveness import Liveness, LivenessSettings


def fresh() -> Liveness:
    return Liveness(LivenessSettings(keepalive_interval=60.0, keepalive_misses=3))


def test_three_misses_and_a_margin_of_one_interval() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    assert liveness.allowance("a") == 240.0
    assert liveness.expire(239.9) == []
    [silence] = liveness.expire(240.0)
    assert (silence.device_id, silence.reason, silence.last_heard) == (
        "a",
        OfflineReason.SILENT,
        0.0,
    )
    assert liveness.next_deadline() is None


def test_hearing_moves_the_deadline() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    liveness.heard("a", 200.0)
    assert liveness.expire(240.0) == []
    assert liveness.next_deadline() == 440.0
    assert [s.device_id for s in liveness.expire(440.0)] == ["a"]


def test_registration_expiry_comes_first_when_it_is_nearer() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=100.0)
    liveness.keepalive("a", 99.0)
    [silence] = liveness.expire(110.0)
    assert silence.reason is OfflineReason.EXPIRED


def test_a_longer_interval_is_learned_from_the_device() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    for now in (10.0, 130.0, 250.0, 370.0):
        liveness.keepalive("a", now)
    assert liveness.allowance("a") == 480.0


def test_one_lost_keepalive_does_not_double_the_interval() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    for now in (0.0, 60.0, 180.0, 240.0):
        liveness.keepalive("a", now)
    assert liveness.allowance("a") == 240.0


def test_a_shorter_interval_does_not_shorten_the_allowance() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    for now in (0.0, 5.0, 10.0):
        liveness.keepalive("a", now)
    assert liveness.allowance("a") == 240.0


def test_a_device_slower_than_its_allowance_is_offline_once_not_for_ever() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    liveness.keepalive("a", 0.0)
    assert len(liveness.expire(240.0)) == 1
    liveness.watch("a", 300.0, expires_at=None, resumed=True)
    liveness.keepalive("a", 300.0)
    assert liveness.allowance("a") == 1200.0


def test_a_pause_that_a_register_ended_is_no_interval() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    liveness.keepalive("a", 0.0)
    liveness.expire(240.0)
    liveness.watch("a", 3600.0, expires_at=None)
    liveness.keepalive("a", 3650.0)
    assert liveness.allowance("a") == 240.0


@pytest.mark.parametrize(
    ("interval", "misses", "allowance"),
    [
        (30.0, 2, 90.0),
        (0.0, 0, 240.0),
        (-5.0, -1, 240.0),
        (86_401.0, 101, 240.0),
        (None, None, 240.0),
    ],
)
def test_row_39_absurd_heartbeat_parameters_are_ignored(
    interval: float | None, misses: int | None, allowance: float
) -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None, interval=interval, misses=misses)
    assert liveness.allowance("a") == allowance


def test_re_registering_ten_thousand_times_keeps_the_heap_small() -> None:
    liveness = fresh()
    for number in range(10_000):
        liveness.watch("a", 0.0, expires_at=200.0 - number / 1000)
        liveness.forget("a")
        liveness.watch("a", 0.0, expires_at=None)
    assert len(liveness._heap) < 3000
    assert [s.device_id for s in liveness.expire(240.0)] == ["a"]


def test_a_keepalive_of_an_unwatched_device_is_nothing() -> None:
    liveness = fresh()
    liveness.keepalive("a", 0.0)
    liveness.heard("a", 0.0)
    assert len(liveness) == 0


def test_a_gap_of_a_keepalive_storm_never_counts_as_zero() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None)
    liveness.keepalive("a", 10.0)
    liveness.keepalive("a", 10.0)
    assert liveness.allowance("a") == 240.0


def test_an_outage_of_a_day_is_not_taken_for_the_rhythm() -> None:
    liveness = Liveness(LivenessSettings())
    liveness.watch("a", 0.0, expires_at=None)
    liveness.keepalive("a", 0.0)
    assert [silence.device_id for silence in liveness.expire(1000.0)] == ["a"]
    liveness.watch("a", 72_000.0, expires_at=None, resumed=True)
    liveness.keepalive("a", 72_000.0)
    assert liveness.allowance("a") == 240.0


def test_a_gap_of_more_than_a_day_is_not_learned() -> None:
    liveness = fresh()
    liveness.watch("a", 0.0, expires_at=None, interval=86_400.0, misses=3)
    for now in (0.0, 100_000.0, 200_000.0):
        liveness.keepalive("a", now)
    assert liveness.allowance("a") == 4 * 86_400.0
