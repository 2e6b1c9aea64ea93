"""What a REGISTER asks for, how long it is granted, and the time we tell: values only.

GB/T 28181-2022 9.1.2.1, 9.10 and RFC 3261 section 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple, Self

from sipserver.sip.auth import DigestCredentials, parse_authorization
from sipserver.sip.errors import MalformedMessage
from sipserver.sip.headers import NameAddr
from sipserver.sip.message import Request

BEIJING: Final = timezone(timedelta(hours=8))
"""Standard time of GB/T 28181-2022 9.10: UTC+8 the whole year."""

LONGEST_CONTACT: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPolicy:
    """All in seconds."""

    default: int = 86_400
    """Granted when the device names none. GB/T 28181-2022 9.1.1."""

    minimum: int = 3_600
    """Below it 423 in strict mode. GB/T 28181-2022 9.1.1."""

    tolerated: int = 60
    """Below it 423 in tolerant mode: devices in the field ask for 60 to 3,600."""

    maximum: int = 604_800
    """Granted at most. A week bounds how long a lost device is taken for registered."""

    strict: bool = False

    def grant(self, wanted: int | None, *, strict: bool | None = None) -> int | None:
        """Seconds to grant; None: too short, answer 423 with :meth:`floor`."""
        seconds = self.default if wanted is None else wanted
        if 0 < seconds < self.floor(strict=strict):
            return None
        return min(seconds, self.maximum)

    def floor(self, *, strict: bool | None = None) -> int:
        return self.minimum if (self.strict if strict is None else strict) else self.tolerated


class RegistrationWish(NamedTuple):
    """One REGISTER, read. Hosts of its URIs are kept for the operator, never compared."""

    device_id: str
    """User part of To; identities are user parts only."""
    from_id: str
    """User part of From; the same, unless the device is set up wrongly."""
    server_id: str
    """User part of the Request-URI: whom the device takes us for."""
    expires: int | None
    """Seconds; 0 unregisters; None: not said, or not a number (RFC 3261 10.2.1.1)."""
    contact: str
    """URI of the first Contact as written, or empty."""
    is_query: bool
    """Neither Contact nor Expires: it asks for its binding (RFC 3261 10.2.3)."""
    credentials: DigestCredentials | None
    call_id: str
    cseq: int
    gb_version: str | None
    user_agent: str

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """:raises MalformedMessage: answer its status"""
        from_id = request.from_.uri.user
        device_id = request.to.uri.user or from_id
        if not device_id:
            raise MalformedMessage("no user part in To", where=repr(request.start_line[:64]))
        contacts = request.contacts
        expires = _expires(request, contacts)
        for contact in contacts:
            if contact.uri.is_wildcard and (len(contacts) > 1 or expires != 0):
                raise MalformedMessage("Contact * needs Expires 0 and no other Contact")
        authorization = request.get(b"authorization")
        return cls(
            device_id=device_id,
            from_id=from_id,
            server_id=request.uri.user,
            expires=expires,
            contact=contacts[0].uri_text[:LONGEST_CONTACT] if contacts else "",
            is_query=not contacts and expires is None,
            credentials=None if authorization is None else parse_authorization(authorization),
            call_id=request.call_id,
            cseq=request.cseq.number,
            gb_version=request.gb_version,
            user_agent=_printable((request.user_agent or "")[:128]),
        )


def _expires(request: Request, contacts: list[NameAddr]) -> int | None:
    """The header, else the parameter of the first Contact; what is no number counts as missing."""
    try:
        expires = request.expires
        if expires is not None:
            return expires
    except MalformedMessage:
        return None
    text = contacts[0].parameters.get("expires", "") if contacts else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def gb_date(wall: float) -> str:
    """``2024-05-06T08:00:00.125``: Beijing time without a zone (GB/T 28181-2022 9.10)."""
    milliseconds = round(wall * 1000.0)
    return f"{_seconds(milliseconds // 1000)}.{milliseconds % 1000:03d}"


@lru_cache(maxsize=4)
def _seconds(wall: int) -> str:
    """Thousands of REGISTERs share a second."""
    return datetime.fromtimestamp(wall, BEIJING).strftime("%Y-%m-%dT%H:%M:%S")
