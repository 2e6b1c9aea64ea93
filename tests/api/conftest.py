"""A client of an application made of fakes, logged in or not."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from api.application import ApiParts, make_application
from api.authentication import Authenticator
from api.client_address import ClientAddresses
from api.domain_errors import DOMAIN_ERRORS
from api.login import LoginSessions, LoginSettings, LoginThrottle
from api.passwords import hash_password
from api.route import Route
from api.routes.login import LoginRoutes
from api.settings import HttpSettings

Client = TestClient[Request, Application]
MakeClient = Callable[..., Awaitable[Client]]
PASSWORD = "correct horse"


class MemoryUsers:
    """A ``UserStore`` of one user, ``admin``."""

    def __init__(self) -> None:
        self.hashes = {"admin": hash_password(PASSWORD, cost=16)}

    async def password_hash(self, name: str) -> str | None:
        return self.hashes.get(name)

    async def set_password(self, name: str, password_hash: str) -> None:
        self.hashes[name] = password_hash


@pytest.fixture
def users() -> MemoryUsers:
    return MemoryUsers()


@pytest.fixture
def authenticator(users: MemoryUsers) -> Authenticator:
    tokens = iter(range(1_000))
    settings = LoginSettings()
    return Authenticator(
        users,
        LoginSessions(settings, lambda: f"token-{next(tokens)}"),
        LoginThrottle(settings),
        clock=lambda: 1_000.0,
    )


@pytest.fixture
async def make_client(authenticator: Authenticator, tmp_path: Path) -> AsyncIterator[MakeClient]:
    opened: list[Client] = []

    async def make(
        routes: Sequence[Route] = (),
        *,
        login: bool = True,
        settings: HttpSettings | None = None,
        console: Path | None = None,
    ) -> Client:
        settings = settings or HttpSettings()
        addresses = ClientAddresses(settings.trusted_proxies)
        login_routes = LoginRoutes(authenticator, addresses, secure_cookie=False)
        parts = ApiParts(
            settings=settings,
            authenticator=authenticator,
            routes=(*login_routes.table(), *routes),
            errors=DOMAIN_ERRORS,
            console=console or tmp_path / "no-console",
        )
        client = TestClient(TestServer(make_application(parts)))
        opened.append(client)
        await client.start_server()
        if login:
            token = await authenticator.log_in("admin", PASSWORD, "127.0.0.1")
            client.session.headers["Authorization"] = f"Bearer {token}"
        return client

    yield make
    for client in opened:
        await client.close()
