import pytest

from api.login import LoginSessions, LoginSettings, LoginThrottle

SETTINGS = LoginSettings(
    idle_timeout=100, lifetime=1_000, failures=3, address_failures=5, failure_window=60
)
HERE, THERE = "192.0.2.1", "192.0.2.2"


def sessions() -> LoginSessions:
    numbers = iter(range(1_000_000))
    return LoginSessions(SETTINGS, lambda: f"t{next(numbers)}")


def test_a_token_names_its_user_until_it_is_closed() -> None:
    logins = sessions()
    token = logins.open("admin", now=0.0)
    assert logins.user_of(token, now=1.0) == "admin"
    assert logins.user_of("other", now=1.0) is None
    logins.close(token)
    assert logins.user_of(token, now=2.0) is None


def test_a_login_ends_when_it_is_idle() -> None:
    logins = sessions()
    token = logins.open("admin", now=0.0)
    assert logins.user_of(token, now=100.0) == "admin"
    assert logins.user_of(token, now=201.0) is None
    assert len(logins) == 0


def test_a_login_ends_after_its_lifetime_however_busy() -> None:
    logins = sessions()
    token = logins.open("admin", now=0.0)
    for now in range(0, 1_001, 50):
        assert logins.user_of(token, now=float(now)) == "admin"
    assert logins.user_of(token, now=1_001.0) is None


def test_closing_all_of_a_user_spares_one_and_other_users() -> None:
    logins = sessions()
    kept, ended = logins.open("admin", 0.0), logins.open("admin", 0.0)
    other = logins.open("guest", 0.0)
    logins.close_all_of("admin", but=kept)
    users = [logins.user_of(token, 1.0) for token in (kept, ended, other)]
    assert users == ["admin", None, "guest"]


def test_logins_are_bounded_and_the_oldest_goes() -> None:
    logins = sessions()
    logins.limit = 3
    tokens = [logins.open("admin", 0.0) for _ in range(4)]
    assert len(logins) == 3
    assert logins.user_of(tokens[0], 0.0) is None


def test_asking_whether_a_login_lasts_is_no_use_of_it() -> None:
    logins = sessions()
    token = logins.open("admin", now=0.0)
    assert logins.lasts(token, now=100.0)
    assert not logins.lasts(token, now=101.0)
    assert not logins.lasts("other", now=0.0)


def test_a_person_waits_after_failures_and_nobody_else_at_that_address() -> None:
    throttle = LoginThrottle(SETTINGS)
    for now in (0.0, 1.0, 2.0):
        assert throttle.wait("admin", HERE, now) == 0.0
        throttle.failed("admin", HERE, now)
    assert throttle.wait("admin", HERE, 10.0) == 50.0
    assert throttle.wait("admin", THERE, 10.0) == 0.0
    assert throttle.wait("guest", HERE, 10.0) == 0.0
    assert throttle.wait("admin", HERE, 60.0) == 0.0


def test_an_address_that_tries_many_names_waits() -> None:
    throttle = LoginThrottle(SETTINGS)
    for number in range(5):
        throttle.failed(f"user{number}", HERE, 0.0)
    assert throttle.wait("admin", HERE, 10.0) == 50.0
    assert throttle.wait("admin", THERE, 10.0) == 0.0


def test_a_success_clears_the_failures_of_that_person() -> None:
    throttle = LoginThrottle(SETTINGS)
    for now in (0.0, 1.0, 2.0):
        throttle.failed("admin", HERE, now)
    throttle.succeeded("admin", HERE, 2.0)
    assert throttle.wait("admin", HERE, 2.0) == 0.0


def test_logins_of_ones_own_do_not_buy_guesses_at_others() -> None:
    throttle = LoginThrottle(SETTINGS)
    for number in range(5):
        throttle.failed("guest", HERE, number - 0.5)  # as every attempt that is under way
        throttle.succeeded("guest", HERE, number - 0.5)
        throttle.failed(f"user{number}", HERE, float(number))
    assert throttle.wait("admin", HERE, 10.0) == 50.0


def test_many_right_logins_at_one_address_are_no_failures() -> None:
    throttle = LoginThrottle(SETTINGS)
    for number in range(20):
        throttle.failed("admin", HERE, float(number))
        throttle.succeeded("admin", HERE, float(number))
    assert throttle.wait("admin", HERE, 20.0) == 0.0


def test_the_tables_of_failures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.login._Failures.limit", 2)
    throttle = LoginThrottle(SETTINGS)
    for address in "abc":
        for _ in range(3):
            throttle.failed("admin", address, 0.0)
    assert [throttle.wait("admin", address, 0.0) > 0 for address in "abc"] == [False, True, True]
