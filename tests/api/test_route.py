from typing import Annotated, Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.errors import NOT_FOUND, ApiError
from api.route import Answer, Call, Nothing, route
from api.settings import HttpSettings

Client = TestClient[Request, Application]


class Page(msgspec.Struct, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    online: bool | None = None
    word: str = ""


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    size: int = 1


async def echo(call: Call[Page, Thing]) -> dict[str, Any]:
    return {
        "limit": call.query.limit,
        "online": call.query.online,
        "name": call.body.name,
        "id": call.path["id"],
        "user": call.user,
    }


async def missing(call: Call[Nothing, Nothing]) -> None:
    raise ApiError(NOT_FOUND, "thing 7")


async def gone(call: Call[Nothing, Nothing]) -> Answer:
    return Answer(None, {"X-Left": "0"})


ROUTES = (
    route("POST", "/api/v1/echo/{id}", echo, summary="Echo", summary_zh="回显", tag="test",
          query=Page, body=Thing, response=dict[str, Any]),
    route("GET", "/api/v1/missing", missing, summary="No", summary_zh="无", tag="test"),
    route("DELETE", "/api/v1/thing", gone, summary="Gone", summary_zh="删除", tag="test"),
)  # fmt: skip


@pytest.fixture
async def client(make_client) -> Client:  # type: ignore[no-untyped-def]
    made: Client = await make_client(ROUTES, settings=HttpSettings(body_limit_bytes=1_024))
    return made


async def test_query_body_and_path_arrive_with_their_types(client: Client) -> None:
    answer = await client.post("/api/v1/echo/7?limit=3&online=true", json={"name": "x"})
    assert answer.status == 200
    expected = {"limit": 3, "online": True, "name": "x", "id": "7", "user": "admin"}
    assert await answer.json() == expected


BAD = [
    ("?limit=11", b'{"name":"x"}', "limit"),
    ("?limit=many", b'{"name":"x"}', "limit"),
    ("?colour=red", b'{"name":"x"}', "colour"),
    ("?limit=1&limit=2", b'{"name":"x"}', "twice"),
    ("", b'{"name":""}', "name"),
    ("", b'{"name":"x","colour":1}', "colour"),
    ("", b'{"name":3}', "name"),
    ("", b"{", "truncated"),
    ("", b"", "truncated"),
    ("", b'{"name":"\xff"}', "utf-8"),
]


@pytest.mark.parametrize(("query", "body", "named"), BAD)
async def test_a_bad_request_names_its_part(
    client: Client, query: str, body: bytes, named: str
) -> None:
    answer = await client.post(
        f"/api/v1/echo/7{query}", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status == 400
    error = await answer.json()
    assert error["code"] == "invalid_request"
    assert named in error["detail"].lower()


async def test_a_body_must_be_declared_json(client: Client) -> None:
    answer = await client.post("/api/v1/echo/7", data=b'{"name":"x"}')
    assert answer.status == 400


async def test_a_large_body_is_refused(client: Client) -> None:
    answer = await client.post("/api/v1/echo/7", json={"name": "x" * 2_000})
    assert answer.status == 413
    assert (await answer.json())["code"] == "too_large"


async def test_an_api_error_becomes_its_answer(client: Client) -> None:
    answer = await client.get("/api/v1/missing")
    assert answer.status == 404
    assert (await answer.json())["detail"] == "thing 7"


async def test_no_response_type_means_204_with_the_headers_asked_for(client: Client) -> None:
    answer = await client.delete("/api/v1/thing")
    assert (answer.status, answer.headers["X-Left"], await answer.read()) == (204, "0", b"")
