from __future__ import annotations

from sipserver.device.throttle import Throttle, ThrottleSettings


def test_the_fifth_wrong_password_blocks_that_pair_alone_and_longer_each_time() -> None:
    throttle = Throttle()
    blocks = [throttle.failed("192.0.2.7", "a", float(now)) for now in range(8)]
    assert blocks == [0.0, 0.0, 0.0, 0.0, 60.0, 120.0, 240.0, 480.0]
    assert throttle.blocked_for("192.0.2.7", "a", 8.0) == 479.0
    assert throttle.blocked_for("192.0.2.7", "b", 8.0) == 0.0
    assert throttle.blocked_for("192.0.2.8", "a", 8.0) == 0.0


def test_a_success_forgives() -> None:
    throttle = Throttle()
    for _ in range(4):
        throttle.failed("192.0.2.7", "a", 0.0)
    throttle.succeeded("192.0.2.7", "a")
    assert throttle.failed("192.0.2.7", "a", 1.0) == 0.0


def test_ten_quiet_minutes_forgive() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.failed("192.0.2.7", "a", 0.0)
    assert throttle.failed("192.0.2.7", "a", 601.0) == 0.0


def test_refusals_are_answered_up_to_a_burst_and_then_slowly() -> None:
    throttle = Throttle(ThrottleSettings(refusals_burst=3, refusals_per_second=1.0))
    assert [throttle.may_refuse("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert throttle.may_refuse("b", 0.0)
    assert throttle.may_refuse("a", 1.0)
    assert not throttle.may_refuse("a", 1.0)


def test_a_login_gives_its_challenge_back() -> None:
    throttle = Throttle(ThrottleSettings(challenges_burst=2, challenges_per_second=0.001))
    for _ in range(100):
        assert throttle.may_challenge("a", 0.0)
        throttle.succeeded("a", "device")
    assert throttle.may_challenge("a", 0.0)
    assert throttle.may_challenge("a", 0.0)
    assert not throttle.may_challenge("a", 0.0)


def test_sources_are_bounded() -> None:
    throttle = Throttle(ThrottleSettings(sources=100))
    for number in range(1000):
        throttle.failed(f"192.0.2.{number}", "a", 0.0)
        throttle.may_refuse(f"192.0.2.{number}", 0.0)
        throttle.may_challenge(f"192.0.2.{number}", 0.0)
    assert len(throttle._failures) == len(throttle._refusals) == len(throttle._challenges) == 100
