from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

Client = TestClient[Request, Application]


@pytest.fixture
def console(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><p>the console")
    (static / "assets" / "app-1a2b.js").write_text("let x = 1")
    (tmp_path / "secret.txt").write_text("secret")
    (static / "out.txt").symlink_to(tmp_path / "secret.txt")
    return static


@pytest.fixture
async def client(make_client, console: Path) -> Client:  # type: ignore[no-untyped-def]
    made: Client = await make_client(login=False, console=console)
    return made


@pytest.mark.parametrize("path", ["/", "/index.html", "/channels/34020000001320000001"])
async def test_pages_of_the_console_are_its_index(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 200
    assert "the console" in await answer.text()
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_page_with_an_endless_name_is_the_consoles_too(client: Client) -> None:
    assert (await client.get(f"/{'a' * 300}")).status == 200


async def test_hashed_files_may_be_kept_for_ever(client: Client) -> None:
    answer = await client.get("/assets/app-1a2b.js")
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.content_type == "text/javascript"


@pytest.mark.parametrize(
    "path",
    [
        "/out.txt",
        "/assets/no.js",
        "/..%2fsecret.txt",
        "/%00.txt",
        "/api/v1/none",
        f"/{'a' * 300}.txt",
    ],
)
async def test_nothing_outside_is_served(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 404
    assert (await answer.json())["code"] == "not_found"


async def test_without_a_built_console_the_page_says_how_to_build_it(make_client) -> None:  # type: ignore[no-untyped-def]
    client: Client = await make_client(login=False)
    answer = await client.get("/")
    assert answer.status == 503
    assert "make console" in await answer.text()


async def test_the_documentation_stands_alone(client: Client) -> None:
    openapi = await (await client.get("/api/openapi.json")).json()
    assert openapi["openapi"] == "3.1.0"
    page = await (await client.get("/api/docs")).text()
    script = await (await client.get("/api/docs/docs.js")).text()
    assert "http://" not in page + script
    assert "https://" not in page + script
    assert (await client.get("/api/docs/other.js")).status == 404


async def test_a_wrong_method_is_told_the_right_one(client: Client) -> None:
    answer = await client.delete("/api/v1/login")
    assert answer.status in (404, 405)
