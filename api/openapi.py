"""OpenAPI 3.1 from the route table and the types of the answers."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from api.errors import NOT_LOGGED_IN, ErrorView, Problem
from api.route import JSON, Access, Nothing, Route

VERSION: Final = "1.0"
_PATH_PARAMETER: Final = re.compile(r"{(\w+)(?::[^}]*)?}")
_REFERENCE: Final = "#/components/schemas/{name}"


def document(routes: Sequence[Route], *, title: str, description: str) -> dict[str, Any]:
    """The whole document; the same table gives the same bytes."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema_of = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for row in routes:
        path = _PATH_PARAMETER.sub(r"{\1}", row.path)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": VERSION,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "cookie": {"type": "apiKey", "in": "cookie", "name": "gb28181_session"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "node": {"type": "http", "scheme": "bearer", "description": "[media_node] token"},
            },
        },
        "security": [{"cookie": []}, {"bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(row.tag for row in routes)],
    }


def encode(openapi: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(openapi), indent=2) + b"\n"


def _types(routes: Iterable[Route]) -> list[Any]:
    """Each type once. Compared by identity: ``list[X]`` must not collapse with another."""
    found: dict[int, Any] = {id(ErrorView): ErrorView}
    for row in routes:
        for kind in (row.body, row.response, row.failure):
            if kind is not None and kind is not Nothing:
                found[id(kind)] = kind
    return list(found.values())


def _operation(row: Route, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": row.operation,
        "tags": [row.tag],
        "summary": row.summary,
        "description": row.summary_zh,
    }
    if parameters := [*_path_parameters(row.path), *_query_parameters(row.query)]:
        operation["parameters"] = parameters
    if row.body is not Nothing:
        content = {JSON: {"schema": schema_of[id(row.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _responses(row, schema_of)
    if row.access is Access.PUBLIC:
        operation["security"] = []
    if row.access is Access.NODE:
        operation["security"] = [{"node": []}]
    return operation


def _responses(row: Route, schema_of: dict[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if row.content != JSON:
        responses["200"] = {"description": row.summary, "content": {row.content: {}}}
    elif row.response is None:
        responses["204"] = {"description": "Done."}
    else:
        content = {JSON: {"schema": schema_of[id(row.response)]}}
        responses["200"] = {"description": row.summary, "content": content}
    problems = (NOT_LOGGED_IN, *row.errors) if row.access is Access.USER else row.errors
    by_status: dict[int, list[Problem]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    for status, group in sorted(by_status.items()):
        responses[str(status)] = {
            "description": " ".join(f"`{problem.code}`: {problem.message}" for problem in group),
            "content": {JSON: {"schema": schema_of[id(row.failure)]}},
        }
    return responses


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(path)
    ]


def _query_parameters(query: type[Any]) -> list[dict[str, Any]]:
    if query is Nothing:
        return []
    _, components = msgspec.json.schema_components([query], ref_template=_REFERENCE)
    schema = components[query.__name__]
    required = set(schema.get("required", ()))
    parameters = []
    for name, value in schema["properties"].items():
        kept = {key: part for key, part in value.items() if key != "description"}
        parameter = {"name": name, "in": "query", "required": name in required, "schema": kept}
        if "description" in value:
            parameter["description"] = value["description"]
        parameters.append(parameter)
    return parameters
