"""SIP URIs, RFC 3261 section 19.1, as tolerant as GB/T 28181 devices need.

``sip:34020000001320000001@3402000000``: the user part is the identity; the host part is a domain,
an address or missing, differs between vendors and must never be compared.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from sipserver.sip.errors import MalformedMessage

_URI: Final = re.compile(
    rb"""(?P<scheme>sips?):
         (?:(?P<user>[^@\s<>"]*)@)?
         (?P<host>\[[0-9a-f:.]+\]|[^\s:;?@<>"\[\],]*)
         (?::(?P<port>\d{1,5}))?
         (?P<parameters>;[^?\s<>"]*)?
         (?P<headers>\?[^\s<>"]*)?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME: Final = re.compile(rb"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Uri(NamedTuple):
    """A ``sip:`` or ``sips:`` URI. ``Uri("*", ...)`` is the wildcard of a Contact."""

    scheme: str
    user: str
    host: str
    """Empty in ``sip:ID@``, which devices send."""
    port: int | None
    parameters: str = ""
    """As written, with the leading ``;``."""
    headers: str = ""
    """As written, with the leading ``?``."""

    @property
    def is_wildcard(self) -> bool:
        return self.scheme == "*"

    @property
    def address(self) -> str:
        """``host`` or ``host:port`` as written."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def parameter(self, name: str) -> str | None:
        """Value of a URI parameter; ``""`` for one without a value, ``None`` when absent."""
        for part in self.parameters.split(";"):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip()
        return None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}:{user}{self.address}{self.parameters}{self.headers}"


WILDCARD: Final = Uri("*", "", "", None)

MAX_REMEMBERED: Final = 32_768
"""URIs: From and Contact of 10,000 devices and their channels; about 20 MB."""
MAX_REMEMBERED_SIZE: Final = 96
"""Bytes of a URI worth remembering; GB/T 28181 URIs have 30 to 50."""


def parse_uri(raw: bytes) -> Uri:
    """The URI; the same few thousand come again and again, so they are remembered.

    :raises MalformedMessage: with status 416 when the scheme is not SIP (RFC 3261 8.2.2.1)
    """
    return _remembered(raw) if len(raw) <= MAX_REMEMBERED_SIZE else _parse(raw)


def _parse(raw: bytes) -> Uri:
    match = _URI.fullmatch(raw)
    if match is None:
        if _SCHEME.match(raw) and not raw[:5].lower().startswith((b"sip:", b"sips:")):
            raise MalformedMessage("URI scheme is not SIP", where=repr(raw[:64]), status=416)
        raise MalformedMessage("bad URI", where=repr(raw[:64]))
    scheme, user, host, port, parameters, headers = match.groups()
    if not user and not host:
        raise MalformedMessage("URI without user and host", where=repr(raw[:64]))
    number = None if port is None else int(port)
    if number is not None and number > 65535:
        raise MalformedMessage("bad port in URI", where=repr(raw[:64]))
    return Uri(
        scheme.decode().lower(),
        (user or b"").partition(b":")[0].decode("utf-8", "replace"),
        host.decode("utf-8", "replace"),
        number,
        (parameters or b"").decode("utf-8", "replace"),
        (headers or b"").decode("utf-8", "replace"),
    )


_remembered = lru_cache(maxsize=MAX_REMEMBERED)(_parse)
