"""Logins: sessions by token, and the brake on guessing. Time is an argument."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSettings:
    """How long a login lasts, and how often one may guess."""

    idle_timeout: Annotated[float, Meta(ge=60, le=2_592_000)] = 12 * 3600.0
    """Seconds without a request after which a login ends. Default: a shift."""

    lifetime: Annotated[float, Meta(ge=60, le=31_536_000)] = 7 * 86400.0
    """Seconds after which a login ends whatever happens. Default: a week."""

    failures: Annotated[int, Meta(ge=1, le=1_000)] = 5
    """Failed logins of one address before the next must wait.
    Default: OWASP's usual advice."""

    failure_window: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    """Seconds that a failed login counts. Default: five minutes."""


@dataclass(slots=True)
class _Session:
    user: str
    created_at: float
    used_at: float


class LoginSessions:
    """Who holds which token. Only digests of the tokens are kept; the oldest go first."""

    limit = 10_000

    def __init__(self, settings: LoginSettings, new_token: Callable[[], str]) -> None:
        self._settings = settings
        self._new_token = new_token
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, user: str, now: float) -> str:
        token = self._new_token()
        self._sessions[_digest(token)] = _Session(user, now, now)
        if len(self._sessions) > self.limit:
            self._sessions.popitem(last=False)
        return token

    def user_of(self, token: str, now: float) -> str | None:
        key = _digest(token)
        session = self._sessions.get(key)
        if session is None:
            return None
        settings = self._settings
        if (
            now - session.used_at > settings.idle_timeout
            or now - session.created_at > settings.lifetime
        ):
            del self._sessions[key]
            return None
        session.used_at = now
        return session.user

    def close(self, token: str) -> None:
        self._sessions.pop(_digest(token), None)

    def close_all_of(self, user: str, *, but: str = "") -> None:
        """After a change of the password: every other login of the user ends."""
        kept = _digest(but)
        for key in [key for key, session in self._sessions.items() if session.user == user]:
            if key != kept:
                del self._sessions[key]


class LoginThrottle:
    """Counts failures by source address in a sliding window; the oldest addresses go first.

    Not by name: whoever knows the name of a user could lock that user out.
    """

    limit = 10_000

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Seconds until the next attempt is allowed; 0 when it is now."""
        times = self._failures.get(address)
        if times is None or len(times) < self._settings.failures:
            return 0.0
        return max(0.0, times[0] + self._settings.failure_window - now)

    def failed(self, address: str, now: float) -> None:
        times = self._failures.setdefault(address, [])
        times.append(now)
        del times[: -self._settings.failures]
        self._failures.move_to_end(address)
        if len(self._failures) > self.limit:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._failures.pop(address, None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
