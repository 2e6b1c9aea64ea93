import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.errors import UNKNOWN_DEVICE
from api.middleware import SECURITY_HEADERS, add_security_headers, error_middleware


class Missing(Exception):
    pass


class VeryMissing(Missing):
    pass


async def fail(request: web.Request) -> web.StreamResponse:
    kind = request.query["kind"]
    if kind == "known":
        raise VeryMissing("device 7")
    if kind == "redirect":
        raise web.HTTPFound("/elsewhere")
    raise RuntimeError("secret detail")


@pytest.fixture
def app() -> web.Application:
    made = web.Application(middlewares=[error_middleware({Missing: UNKNOWN_DEVICE})])
    made.on_response_prepare.append(add_security_headers)
    made.router.add_get("/api/fail", fail)
    return made


async def test_an_error_of_a_service_has_its_entry(app: web.Application) -> None:
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/fail?kind=known")
        assert answer.status == 404
        body = await answer.json()
    assert (body["code"], body["detail"]) == ("unknown_device", "device 7")


async def test_a_fault_is_logged_and_not_shown(
    app: web.Application, caplog: pytest.LogCaptureFixture
) -> None:
    async with TestClient(TestServer(app)) as client:
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/api/fail?kind=fault")
        body = await answer.json()
    assert (answer.status, body["code"]) == (500, "server_fault")
    assert "secret detail" not in str(body)
    number = body["detail"].removeprefix("request ")
    assert number in caplog.text
    assert "secret detail" in caplog.text


async def test_every_answer_has_the_security_headers(app: web.Application) -> None:
    async with TestClient(TestServer(app)) as client:
        for path in ("/api/fail?kind=fault", "/none"):
            answer = await client.get(path)
            for name, value in SECURITY_HEADERS.items():
                assert answer.headers[name] == value
            assert answer.headers["Server"] == "gb28181"
        answer = await client.get("/api/fail?kind=fault")
        assert answer.headers["Cache-Control"] == "no-store"


async def test_other_http_answers_pass(app: web.Application) -> None:
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/api/fail?kind=redirect", allow_redirects=False)
    assert answer.status == 302
    assert answer.headers["Location"] == "/elsewhere"
