"""Typed routes: one table of methods, paths, types and errors makes handlers and OpenAPI."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import msgspec
from aiohttp import web

from api.errors import INVALID_REQUEST, TOO_LARGE, ApiError, ErrorView, Problem

Query = TypeVar("Query")
Body = TypeVar("Body")

JSON: Final = "application/json"
USER: Final = web.RequestKey("user", str)


class Nothing(msgspec.Struct, frozen=True):
    """No body, or no query parameters."""


class Access(Enum):
    PUBLIC = "public"
    USER = "user"
    NODE = "node"
    """The media node's own token."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """One request, decoded and checked."""

    query: Query
    body: Body
    path: Mapping[str, str]
    user: str
    """Name of the user, or empty on a public route."""
    request: web.Request


@dataclass(frozen=True, slots=True)
class Answer:
    """A value with headers of its own; most handlers return the bare value."""

    value: object
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A row of the table; build it with :func:`route`."""

    method: str
    path: str
    summary: str
    summary_zh: str
    handler: Callable[[Call[Any, Any]], Awaitable[object]]
    query: type[Any]
    body: type[Any]
    response: Any
    """The type of the JSON answer; ``None``: 204 without a body."""
    errors: tuple[Problem, ...]
    access: Access
    tag: str
    failure: type[ErrorView]
    """The body of its errors."""
    content: str
    """Content type of the answer; other than JSON, the handler returns a ready response."""

    @property
    def operation(self) -> str:
        """The name of the operation in OpenAPI: that of the handler."""
        return str(getattr(self.handler, "__name__", "operation"))


def route(
    method: str,
    path: str,
    handler: Callable[[Call[Query, Body]], Awaitable[object]],
    *,
    summary: str,
    summary_zh: str,
    tag: str,
    query: type[Query] = Nothing,  # type: ignore[assignment]
    body: type[Body] = Nothing,  # type: ignore[assignment]
    response: Any = None,
    errors: Sequence[Problem] = (),
    access: Access = Access.USER,
    failure: type[ErrorView] = ErrorView,
    content: str = JSON,
) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        summary_zh=summary_zh,
        tag=tag,
        query=query,
        body=body,
        response=response,
        errors=tuple(errors),
        access=access,
        failure=failure,
        content=content,
    )


_encoder: Final = msgspec.json.Encoder()


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=_encoder.encode(value), status=status, content_type=JSON, headers=dict(headers or {})
    )


def aiohttp_handler(row: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of one row: decode, check, call, encode."""
    read_body = _body_reader(row)
    query_names = frozenset(field.name for field in msgspec.structs.fields(row.query))
    no_query: Any = Nothing() if row.query is Nothing else None

    async def handle(request: web.Request) -> web.StreamResponse:
        query = no_query if no_query and not request.query else _query(row, request, query_names)
        call: Call[Any, Any] = Call(
            query=query,
            body=await read_body(request),
            path=request.match_info,
            user=request.get(USER, ""),
            request=request,
        )
        value = await row.handler(call)
        return _response(row, value)

    return handle


def _response(row: Route, value: object) -> web.StreamResponse:
    if isinstance(value, web.StreamResponse):
        return value
    answer = value if isinstance(value, Answer) else Answer(value, {})
    if row.response is None:
        return web.Response(status=204, headers=answer.headers)
    return json_response(answer.value, headers=answer.headers)


def _query(row: Route, request: web.Request, names: frozenset[str]) -> Any:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in names:
            raise ApiError(INVALID_REQUEST, f"unknown query parameter {name[:64]!r}")
        if name in values:
            raise ApiError(INVALID_REQUEST, f"query parameter {name!r} is given twice")
        values[name] = value
    try:
        return msgspec.convert(values, row.query, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(INVALID_REQUEST, str(error).replace("$.", "")) from error


def _body_reader(row: Route) -> Callable[[web.Request], Awaitable[Any]]:
    if row.body is Nothing:

        async def no_body(request: web.Request) -> Any:
            return Nothing()

        return no_body

    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row.body)

    async def read(request: web.Request) -> Any:
        if request.content_type != JSON:
            raise ApiError(INVALID_REQUEST, "the Content-Type must be application/json")
        try:
            return decoder.decode(await request.read())
        except web.HTTPRequestEntityTooLarge as error:
            raise ApiError(TOO_LARGE) from error
        except msgspec.DecodeError as error:  # ValidationError is one of them
            raise ApiError(INVALID_REQUEST, str(error).replace("$.", "")) from error
        except UnicodeDecodeError as error:
            raise ApiError(INVALID_REQUEST, "the body is not UTF-8") from error

    return read
