"""Play tokens: bound to a stream, for a time, under a secret."""

import pytest

from media_relay.errors import TokenExpired, TokenRefused
from media_relay.tokens import PlayTokens

SECRET = b"0123456789abcdef"


def test_opens_its_stream_until_it_expires() -> None:
    now = 1000.0
    tokens = PlayTokens(SECRET, lifetime=60.0, now=lambda: now)
    token = tokens.issue("camera-1")
    assert tokens.check("camera-1", token) == 1060.0
    now = 1061.0
    with pytest.raises(TokenExpired):
        tokens.check("camera-1", token)


def test_opens_no_other_stream() -> None:
    tokens = PlayTokens(SECRET)
    with pytest.raises(TokenRefused):
        tokens.check("camera-2", tokens.issue("camera-1"))


def test_another_secret_refuses_it() -> None:
    with pytest.raises(TokenRefused):
        PlayTokens(b"x" * 16).check("camera-1", PlayTokens(SECRET).issue("camera-1"))


@pytest.mark.parametrize("token", ["", ".", "abc", "zz.zz", "é.ü", "ffffffff.", "1" * 10_000])
def test_rubbish_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        PlayTokens(SECRET).check("camera-1", token)


def test_the_time_cannot_be_changed() -> None:
    tokens = PlayTokens(SECRET, lifetime=10.0, now=lambda: 1000.0)
    _, _, signature = tokens.issue("camera-1").partition(".")
    with pytest.raises(TokenRefused):
        tokens.check("camera-1", f"ffffffff.{signature}")


def test_a_lifetime_of_its_own() -> None:
    tokens = PlayTokens(SECRET, lifetime=10.0, now=lambda: 0.0)
    assert tokens.check("s", tokens.issue("s", lifetime=100.0)) == 100.0


def test_a_short_secret_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PlayTokens(b"short")
