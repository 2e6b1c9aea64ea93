"""Logs: one structured line per event, JSON or for a console, never with a credential."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TextIO

import structlog
from structlog.typing import Processor

from sipserver.sip.errors import RemoteError
from sipserver.sip.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written: ``debug``, ``info``, ``warning`` or ``error``."""

    format: Literal["auto", "json", "console"] = "auto"
    """``json``: one object per line; ``console``: coloured; ``auto``: console on a terminal."""


MASK: Final = "***"
_SECRET_KEYS: Final = frozenset(
    {
        "password",
        "secret",
        "token",
        "authorization",
        "cookie",
        "response",
        "nonce",
        "cnonce",
        "ha1",
        "set_cookie",
        "www_authenticate",
        "proxy_authorization",
        "api_key",
    }
)
# Credentials inside text: header lines, digest parameters, URLs with tokens, TOML and JSON pairs.
_PATTERNS: Final = (
    re.compile(r"(?im)((?:proxy-)?authorization|cookie|set-cookie)(\s*:\s*)[^\r\n]+"),
    re.compile(
        r"(?i)\b(response|nonce|cnonce|ha1|password|passwd|token|secret)(\s*=\s*)"
        r"(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
    ),
    re.compile(r"(?i)([\"'](?:password|token|secret)[\"'])(\s*:\s*)(\"[^\"]*\"|'[^']*')"),
    re.compile(r"(?i)(<password>)()[^<]*"),
    re.compile(r"(?i)\b(bearer)(\s+)[\w.~+/=-]+"),
)
Event = MutableMapping[str, Any]


class Incoming(Protocol):
    """A request on its way through the services."""

    @property
    def request(self) -> Request: ...


request_at_hand: ContextVar[Incoming | None] = ContextVar("request_at_hand", default=None)
"""Set around the work on a request: one cheap set per message, read only when a line is logged."""


def add_request_context(logger: object, method: str, event: Event) -> Event:
    """A structlog processor: device and Call-ID of the request at hand."""
    incoming = request_at_hand.get()
    if incoming is not None:
        with suppress(RemoteError):  # a request may be too malformed to say
            event.setdefault("call_id", incoming.request.call_id)
            event.setdefault("device", incoming.request.from_.uri.user)
    return event


def mask_text(text: str) -> str:
    """``text`` with every credential that it may hold replaced."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1\2{MASK}", text)
    return text


def mask_credentials(logger: object, method: str, event: Event) -> Event:
    """A structlog processor; runs last before rendering."""
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS and value:
            event[key] = MASK
        else:
            event[key] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return mask_credentials(None, "", dict(value))
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything, also the standard library's loggers, through one chain to ``stream``.

    Device and Call-ID come from the request at hand, or from ``structlog.contextvars``:
    ``with structlog.contextvars.bound_contextvars(device="3402…", channel="…")``, which the tasks
    begun inside inherit.
    """
    out = stream or sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request_context,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        last += [
            structlog.processors.format_exc_info,
            mask_credentials,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        last += [
            structlog.processors.format_exc_info,
            mask_credentials,
            structlog.dev.ConsoleRenderer(colors=out.isatty()),
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=last
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # play URLs hold tokens
    logging.getLogger("alembic").setLevel(logging.WARNING)  # seven lines at every start
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
