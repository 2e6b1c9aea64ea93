"""Who is asking: users, their logins, and the check in front of every route."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from api.errors import (
    FOREIGN_ORIGIN,
    NOT_LOGGED_IN,
    TOO_MANY_ATTEMPTS,
    WRONG_CREDENTIALS,
    ApiError,
)
from api.login import LoginSessions, LoginThrottle
from api.passwords import hash_password, verify_password
from api.route import USER

COOKIE: Final = "gb28181_session"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What a password is compared with when there is no such user, so that both take the same time.
_NOBODY: Final = f"scrypt$32768$8$1${'A' * 22}==${'A' * 43}="


class UserStore(Protocol):
    """What the logins need of the storage."""

    async def password_hash(self, name: str) -> str | None: ...
    async def set_password(self, name: str, password_hash: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Credential:
    token: str
    from_cookie: bool


class Authenticator:
    """Checks passwords and tokens."""

    def __init__(
        self,
        users: UserStore,
        sessions: LoginSessions,
        throttle: LoginThrottle,
        *,
        on_password_changed: Callable[[str], None] = lambda name: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._throttle = throttle
        self._on_password_changed = on_password_changed
        self._clock = clock

    async def log_in(self, name: str, password: str, address: str) -> str:
        """A new token.

        :raises ApiError: ``wrong_credentials`` or ``too_many_attempts``
        """
        await self._check(name, password, address)
        return self._sessions.open(name, self._clock())

    def log_out(self, token: str) -> None:
        self._sessions.close(token)

    async def change_password(
        self, name: str, old: str, new: str, *, token: str, address: str
    ) -> None:
        await self._check(name, old, address)
        await self._users.set_password(name, await asyncio.to_thread(hash_password, new))
        self._sessions.close_all_of(name, but=token)
        self._on_password_changed(name)

    def user_of(self, request: web.Request) -> str | None:
        """The user of a request, or ``None``.

        :raises ApiError: ``foreign_origin`` for a change that another site's page asked for
        """
        credential = credential_of(request)
        if credential is None:
            return None
        user = self._sessions.user_of(credential.token, self._clock())
        if user and credential.from_cookie and not _same_origin(request):
            raise ApiError(FOREIGN_ORIGIN)
        return user

    def lasts(self, request: web.Request) -> bool:
        """Whether the login of a request that takes long has not ended meanwhile."""
        credential = credential_of(request)
        return credential is not None and self._sessions.lasts(credential.token, self._clock())

    async def _check(self, name: str, password: str, address: str) -> None:
        now = self._clock()
        wait = self._throttle.wait(name, address, now)
        if wait > 0:
            raise ApiError(TOO_MANY_ATTEMPTS, headers={"Retry-After": str(int(wait) + 1)})
        self._throttle.failed(name, address, now)  # until proven right: parallel guesses count too
        stored = await self._users.password_hash(name)
        right = await asyncio.to_thread(verify_password, password, stored or _NOBODY)
        if stored is None or not right:
            raise ApiError(WRONG_CREDENTIALS)
        self._throttle.succeeded(name, address, now)


def credential_of(request: web.Request) -> Credential | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return Credential(token.strip(), from_cookie=False)
    if cookie := request.cookies.get(COOKIE):
        return Credential(cookie, from_cookie=True)
    return None


def _same_origin(request: web.Request) -> bool:
    """A browser names the page's origin with every change; programs name none.

    Behind a reverse proxy ``Host`` may be an inner name. Then the browser's own verdict counts
    (Fetch Metadata, over HTTPS), or the name that the proxy passes on: no page of another site can
    set either of them.
    """
    origin = request.headers.get("Origin")
    if request.method in _SAFE_METHODS or origin is None:
        return True
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    asked = request.headers.get("X-Forwarded-Host", request.host)
    return origin.partition("://")[2] == asked.partition(",")[0].strip()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def logged_in(handler: Handler, authenticator: Authenticator) -> Handler:
    """``handler`` for users only."""

    async def handle(request: web.Request) -> web.StreamResponse:
        user = authenticator.user_of(request)
        if user is None:
            raise ApiError(NOT_LOGGED_IN)
        request[USER] = user
        return await handler(request)

    return handle
