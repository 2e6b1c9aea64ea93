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
    """Failed logins for one user name from one address before the next must wait.
    Default: OWASP's usual advice."""

    address_failures: Annotated[int, Meta(ge=1, le=100_000)] = 50
    """The same from one address, whatever the names. Default: ten times as many, since people
    behind one router or proxy share an address."""

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
        """Whose token it is; the login counts as used."""
        session = self._find(token, now)
        if session is None:
            return None
        session.used_at = now
        return session.user

    def lasts(self, token: str, now: float) -> bool:
        """Whether the login has not ended; asking is no use of it."""
        return self._find(token, now) is not None

    def _find(self, token: str, now: float) -> _Session | None:
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
        return session

    def close(self, token: str) -> None:
        self._sessions.pop(_digest(token), None)

    def close_all_of(self, user: str, *, but: str = "") -> None:
        """After a change of the password: every other login of the user ends."""
        kept = _digest(but)
        for key in [key for key, session in self._sessions.items() if session.user == user]:
            if key != kept:
                del self._sessions[key]


class LoginThrottle:
    """Counts failures in a sliding window: for a name from an address, and for an address.

    Not for a name alone: whoever knows the name of a user could lock that user out. Not for an
    address alone: one person's mistakes would lock out all who share it.
    """

    def __init__(self, settings: LoginSettings) -> None:
        window = settings.failure_window
        self._by_person = _Failures(settings.failures, window)
        self._by_address = _Failures(settings.address_failures, window)

    def wait(self, name: str, address: str, now: float) -> float:
        """Seconds until the next attempt is allowed; 0 when it is now."""
        person = self._by_person.wait((name, address), now)
        return max(person, self._by_address.wait(("", address), now))

    def failed(self, name: str, address: str, now: float) -> None:
        self._by_person.add((name, address), now)
        self._by_address.add(("", address), now)

    def succeeded(self, name: str, address: str, at: float) -> None:
        """The attempt that began at ``at`` and was counted as failed was right.

        It clears the person only: who has a login of his own may not guess others' for ever.
        """
        self._by_person.clear((name, address))
        self._by_address.take_back(("", address), at)


class _Failures:
    """Times of failures by key; the keys that failed longest ago go first."""

    limit = 10_000

    def __init__(self, allowed: int, window: float) -> None:
        self._allowed = allowed
        self._window = window
        self._times: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def wait(self, key: tuple[str, str], now: float) -> float:
        times = self._times.get(key)
        if times is None or len(times) < self._allowed:
            return 0.0
        return max(0.0, times[0] + self._window - now)

    def add(self, key: tuple[str, str], now: float) -> None:
        times = self._times.setdefault(key, [])
        times.append(now)
        del times[: -self._allowed]
        self._times.move_to_end(key)
        if len(self._times) > self.limit:
            self._times.popitem(last=False)

    def clear(self, key: tuple[str, str]) -> None:
        self._times.pop(key, None)

    def take_back(self, key: tuple[str, str], at: float) -> None:
        times = self._times.get(key, [])
        if at in times:
            times.remove(at)
        if not times:
            self.clear(key)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
