"""The aiohttp application: the route table, the pages around it, one error middleware."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from api.authentication import Authenticator, logged_in
from api.errors import Problem
from api.middleware import add_security_headers, error_middleware
from api.openapi import document, encode
from api.pages import add_console, add_docs_page
from api.route import Access, Route, aiohttp_handler
from api.settings import HttpSettings

TITLE: Final = "GB/T 28181 platform API"
DESCRIPTION: Final = (
    "Devices, channels, live view and state of the platform. Log in first: the cookie or the"
    " bearer token of POST /api/v1/login opens everything else."
    " 设备、通道、实时点播与平台状态接口。请先登录。"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What the application is made of."""

    settings: HttpSettings
    authenticator: Authenticator
    routes: Sequence[Route]
    errors: Mapping[type[Exception], Problem]
    console: Path
    more_routes: Sequence[web.AbstractRouteDef] = ()
    """Routes beside the table: the hand-over of live streams, ``/metrics``."""
    applications: Mapping[str, web.Application] = field(default_factory=dict)
    """Prefix -> application of its own: the media node API."""
    documented: Sequence[Route] = ()
    """Routes of these applications, for the OpenAPI document."""


def openapi_document(routes: Sequence[Route]) -> bytes:
    return encode(document(routes, title=TITLE, description=DESCRIPTION))


def make_application(parts: ApiParts) -> web.Application:
    app = web.Application(
        middlewares=[error_middleware(parts.errors)],
        client_max_size=parts.settings.body_limit_bytes,
    )
    app.on_response_prepare.append(add_security_headers)
    for row in parts.routes:
        handler = aiohttp_handler(row)
        if row.access is Access.USER:
            handler = logged_in(handler, parts.authenticator)
        app.router.add_route(row.method, row.path, handler)
    app.add_routes(parts.more_routes)
    for prefix, sub in parts.applications.items():
        app.add_subapp(prefix, sub)
    add_docs_page(app, openapi_document((*parts.routes, *parts.documented)))
    add_console(app, parts.console)
    return app
