from api.login import LoginSessions, LoginSettings, LoginThrottle

SETTINGS = LoginSettings(idle_timeout=100, lifetime=1_000, failures=3, failure_window=60)


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


def test_an_address_waits_after_its_failures_and_no_other() -> None:
    throttle = LoginThrottle(SETTINGS)
    for now in (0.0, 1.0, 2.0):
        assert throttle.wait("192.0.2.1", now) == 0.0
        throttle.failed("192.0.2.1", now)
    assert throttle.wait("192.0.2.1", 10.0) == 50.0
    assert throttle.wait("192.0.2.2", 10.0) == 0.0
    assert throttle.wait("192.0.2.1", 60.0) == 0.0


def test_a_success_clears_the_failures() -> None:
    throttle = LoginThrottle(SETTINGS)
    for _ in range(3):
        throttle.failed("192.0.2.1", 0.0)
    throttle.succeeded("192.0.2.1")
    assert throttle.wait("192.0.2.1", 0.0) == 0.0


def test_the_table_of_failures_is_bounded() -> None:
    throttle = LoginThrottle(SETTINGS)
    throttle.limit = 2
    for address in "abc":
        for _ in range(3):
            throttle.failed(address, 0.0)
    assert [throttle.wait(address, 0.0) > 0 for address in "abc"] == [False, True, True]
