import json
from typing import Annotated, Any

import msgspec
import pytest

from api.errors import INVALID_REQUEST, UNKNOWN_DEVICE
from api.openapi import document, encode
from api.route import Access, Call, Nothing, route


class Query(msgspec.Struct):
    needed: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=9, description="How many.")] = 3


class Body(msgspec.Struct):
    """What is sent."""

    name: str


class View(msgspec.Struct):
    """What comes back."""

    items: list[Body]


async def change(call: Call[Query, Body]) -> View:
    return View([])


async def remove(call: Call[Nothing, Nothing]) -> None:
    return None


async def listen(call: Call[Nothing, Nothing]) -> None:
    return None


ROUTES = (
    route("PUT", "/api/v1/x/{x_id}", change, summary="Change", summary_zh="修改", tag="x",
          query=Query, body=Body, response=View, errors=(INVALID_REQUEST, UNKNOWN_DEVICE)),
    route("DELETE", "/api/v1/x/{x_id}", remove, summary="Remove", summary_zh="删除", tag="x",
          access=Access.PUBLIC),
    route("GET", "/api/v1/y", listen, summary="Listen", summary_zh="监听", tag="y", response=str,
          content="text/event-stream", access=Access.NODE),
)  # fmt: skip


@pytest.fixture
def openapi() -> dict[str, Any]:
    return document(ROUTES, title="T", description="D")


def test_an_operation_has_parameters_body_and_answers(openapi: dict[str, Any]) -> None:
    put = openapi["paths"]["/api/v1/x/{x_id}"]["put"]
    assert (put["operationId"], put["summary"], put["description"]) == ("change", "Change", "修改")
    parameters = {parameter["name"]: parameter for parameter in put["parameters"]}
    assert parameters["x_id"] == {
        "name": "x_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
    limit = parameters["limit"]
    assert (limit["in"], limit["required"], limit["description"]) == ("query", False, "How many.")
    assert (limit["schema"]["maximum"], limit["schema"]["default"]) == (9, 3)
    assert parameters["needed"]["required"]
    schema = put["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Body"}
    assert set(put["responses"]) == {"200", "400", "401", "404"}
    assert "`unknown_device`" in put["responses"]["404"]["description"]


def test_access_is_told(openapi: dict[str, Any]) -> None:
    paths = openapi["paths"]
    assert "security" not in paths["/api/v1/x/{x_id}"]["put"]
    assert paths["/api/v1/x/{x_id}"]["delete"]["security"] == []
    assert paths["/api/v1/y"]["get"]["security"] == [{"node": []}]


def test_answers_without_a_body_and_without_json(openapi: dict[str, Any]) -> None:
    assert list(openapi["paths"]["/api/v1/x/{x_id}"]["delete"]["responses"]) == ["204"]
    listen = openapi["paths"]["/api/v1/y"]["get"]["responses"]["200"]
    assert list(listen["content"]) == ["text/event-stream"]


def test_every_reference_leads_somewhere(openapi: dict[str, Any]) -> None:
    schemas = openapi["components"]["schemas"]
    text = json.dumps(openapi)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(schemas)
    assert schemas["Body"]["description"] == "What is sent."


def test_the_same_table_gives_the_same_bytes(openapi: dict[str, Any]) -> None:
    again = document(ROUTES, title="T", description="D")
    assert encode(openapi) == encode(again)
    assert encode(openapi).endswith(b"}\n")
