from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.authentication import COOKIE
from api.settings import HttpSettings

PASSWORD = "correct horse"
Client = TestClient[Request, Application]
MakeClient = Callable[..., Awaitable[Client]]


async def log_in(client: Client, password: str = PASSWORD) -> str:
    answer = await client.post("/api/v1/login", json={"name": "admin", "password": password})
    assert answer.status == 200
    return str((await answer.json())["token"])


@pytest.fixture
async def client(make_client) -> Client:  # type: ignore[no-untyped-def]
    made: Client = await make_client(login=False)
    return made


async def test_nothing_is_open_without_a_login(client: Client) -> None:
    answer = await client.get("/api/v1/user")
    assert answer.status == 401
    body = await answer.json()
    assert body["code"] == "not_logged_in"
    assert body["message_zh"]
    assert "POST /api/v1/login" in body["next_step"]


async def test_a_login_sets_a_cookie_scripts_and_other_sites_cannot_use(client: Client) -> None:
    answer = await client.post("/api/v1/login", json={"name": "admin", "password": PASSWORD})
    assert answer.status == 200
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=token-")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert await (await client.get("/api/v1/user")).json() == {"user": "admin"}


async def test_the_token_works_as_bearer(client: Client) -> None:
    token = await log_in(client)
    client.session.cookie_jar.clear()
    answer = await client.get("/api/v1/user", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 200


@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("nobody", PASSWORD)])
async def test_wrong_names_and_passwords_look_alike(
    client: Client, name: str, password: str
) -> None:
    answer = await client.post("/api/v1/login", json={"name": name, "password": password})
    assert answer.status == 401
    assert (await answer.json())["code"] == "wrong_credentials"


async def test_guessing_is_slowed_down(client: Client) -> None:
    statuses = []
    for _ in range(6):
        answer = await client.post("/api/v1/login", json={"name": "admin", "password": "x"})
        statuses.append(answer.status)
    assert statuses == [401] * 5 + [429]
    assert int(answer.headers["Retry-After"]) > 0


async def test_behind_a_trusted_proxy_one_persons_failures_lock_out_nobody_else(
    make_client: MakeClient,
) -> None:
    proxied = HttpSettings(trusted_proxies=("127.0.0.1",))
    client: Client = await make_client(login=False, settings=proxied)

    async def attempt(address: str, password: str) -> int:
        body = {"name": "admin", "password": password}
        headers = {"X-Forwarded-For": address}
        return (await client.post("/api/v1/login", json=body, headers=headers)).status

    statuses = [await attempt("198.51.100.1", "wrong") for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert await attempt("198.51.100.2", PASSWORD) == 200
    assert await attempt("198.51.100.1", PASSWORD) == 429


async def test_nobody_escapes_the_brake_by_a_header_of_his_own(client: Client) -> None:
    statuses = []
    for number in range(6):
        answer = await client.post(
            "/api/v1/login",
            json={"name": "admin", "password": "x"},
            headers={"X-Forwarded-For": f"198.51.100.{number}"},
        )
        statuses.append(answer.status)
    assert statuses == [401] * 5 + [429]
    other = await client.post("/api/v1/login", json={"name": "guest", "password": "x"})
    assert other.status == 401  # a name of one's own is not locked by the failures for another


async def test_log_out_ends_the_token(client: Client) -> None:
    token = await log_in(client)
    answer = await client.post("/api/v1/logout")
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    again = await client.get("/api/v1/user", headers={"Authorization": f"Bearer {token}"})
    assert again.status == 401


async def test_a_page_of_another_site_cannot_use_the_cookie(client: Client) -> None:
    await log_in(client)
    answer = await client.post("/api/v1/logout", headers={"Origin": "https://elsewhere.example"})
    assert answer.status == 403
    assert (await answer.json())["code"] == "foreign_origin"
    lie = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    answer = await client.post("/api/v1/logout", headers=lie | {"Host": "elsewhere.example"})
    assert answer.status == 403
    own = f"http://{client.host}:{client.port}"
    assert (await client.post("/api/v1/logout", headers={"Origin": own})).status == 204


async def test_changing_the_password_ends_the_other_logins(client: Client) -> None:
    other = await log_in(client)
    await log_in(client)
    change = {"old_password": PASSWORD, "new_password": "a better one"}
    assert (await client.post("/api/v1/user/password", json=change)).status == 204
    assert (await client.get("/api/v1/user")).status == 200
    client.session.cookie_jar.clear()
    stale = await client.get("/api/v1/user", headers={"Authorization": f"Bearer {other}"})
    assert stale.status == 401
    await log_in(client, "a better one")


async def test_the_old_password_is_asked(client: Client) -> None:
    await log_in(client)
    change = {"old_password": "wrong", "new_password": "a better one"}
    assert (await client.post("/api/v1/user/password", json=change)).status == 401
    short = {"old_password": PASSWORD, "new_password": "short"}
    assert (await client.post("/api/v1/user/password", json=short)).status == 400


@pytest.mark.parametrize(
    "proof",
    [{"Sec-Fetch-Site": "same-origin"}, {"X-Forwarded-Host": "video.example, inner.example"}],
)
async def test_behind_a_proxy_that_changes_the_host_the_console_works(
    client: Client, proof: dict[str, str]
) -> None:
    await log_in(client)
    headers = {"Origin": "https://video.example", **proof}
    assert (await client.post("/api/v1/logout", headers=headers)).status == 204
