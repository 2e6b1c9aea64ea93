"""Around every request: errors become JSON, answers get the security headers, faults are logged."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from api.errors import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    SERVER_FAULT,
    TOO_LARGE,
    ApiError,
    Problem,
    error_view,
    problem_of,
)
from api.route import json_response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("api")

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), payment=()",
    # blob: and data: are what a Media Source player and inline pictures use.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
        " worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; object-src 'none';"
        " base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
}
_BY_STATUS: Final = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE}


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal ``on_response_prepare``."""
    response.headers["Server"] = "gb28181"
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")


def error_middleware(table: Mapping[type[Exception], Problem]) -> Middleware:
    """Every failure as ``{code, message, ...}``.

    :param table: what the errors of the services below mean to a client
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return json_response(error.view(), status=error.problem.status, headers=error.headers)
        except web.HTTPException as error:
            return _http_error(error)
        except Exception as error:
            problem = problem_of(error, table)
            if problem is not None:
                return json_response(error_view(problem, str(error)), status=problem.status)
            number = secrets.token_hex(4)
            log.exception("request %s failed: %s %s", number, request.method, request.path)
            return json_response(error_view(SERVER_FAULT, f"request {number}"), status=500)

    return middleware


def _http_error(error: web.HTTPException) -> web.StreamResponse:
    problem = _BY_STATUS.get(error.status)
    if problem is None:
        raise error
    allowed = error.headers.get("Allow")
    headers = {"Allow": allowed} if allowed else {}
    return json_response(error_view(problem), status=problem.status, headers=headers)
