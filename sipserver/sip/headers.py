"""Header values as small frozen values: Via, CSeq, From/To/Contact, and how lists are split.

Each ``parse_*`` takes the value as it stood on the wire (folded lines already joined) and either
returns it or raises :exc:`MalformedMessage`. The first regular expression of a pair reads what
devices send day in, day out; what it does not match goes through the patient reader behind it.
No expression has two neighbouring repetitions that can match the same character, so none takes
more than linear time on hostile input.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from sipserver.sip.errors import MalformedMessage
from sipserver.sip.uri import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_SIZE,
    WILDCARD,
    Uri,
    parse_uri,
)

COMPACT: Final = {
    b"v": b"via",
    b"f": b"from",
    b"t": b"to",
    b"i": b"call-id",
    b"m": b"contact",
    b"l": b"content-length",
    b"c": b"content-type",
    b"s": b"subject",
    b"k": b"supported",
    b"e": b"content-encoding",
    b"o": b"event",  # RFC 6665 section 8.4
    b"u": b"allow-events",
    b"r": b"refer-to",  # RFC 3515
    b"a": b"accept-contact",  # RFC 3841
    b"j": b"reject-contact",
    b"d": b"request-disposition",
    b"b": b"referred-by",  # RFC 3892
    b"x": b"session-expires",  # RFC 4028
    b"y": b"identity",  # RFC 8224
}

MAX_CSEQ: Final = 2**32 - 1
"""RFC 3261 8.1.1.5 ends at 2**31 - 1; devices with an unsigned counter run past it."""

MAX_LIST: Final = 128
"""Values of one header field; RFC 4475's longest request has 34 Vias, a GB path at most ten."""

METHODS: Final = {
    name.encode(): name
    for name in (
        *("REGISTER", "MESSAGE", "INVITE", "ACK", "BYE", "CANCEL", "INFO", "OPTIONS"),
        *("SUBSCRIBE", "NOTIFY"),
    )
}
_TRANSPORTS: Final = {b"UDP": "UDP", b"TCP": "TCP"}

_TOKEN: Final = re.compile(rb"[\w\-.!%*+`'~]+", re.ASCII)
_VIA: Final = re.compile(
    rb"SIP/2\.0/([A-Za-z]+) ([^\s;:,\[\]]+)(?::(\d{1,5}))?((?:;[\w-]+(?:=[^\s;,\"]*)?)*)", re.ASCII
)
_VIA_LENIENT: Final = re.compile(
    rb"SIP\s*/\s*2\.0\s*/\s*([\w\-.!%*+`'~]+)\s+(\[[0-9a-f:.]+\]|[^\s;:,\[\]]+)"
    rb"(?:\s*:\s*(\d{1,5}))?\s*(;.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_NAME_ADDR: Final = re.compile(
    rb'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<display>[^"<>,;]*))<(?P<uri>[^<>]*)>(?P<tail>.*)',
    re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Via(NamedTuple):
    """One hop, RFC 3261 section 20.42."""

    transport: str
    host: str
    port: int | None
    branch: bytes
    """Empty when the hop speaks RFC 2543."""
    sent_by: bytes
    """Host and port as written: part of the transaction's key (RFC 3261 17.2.3)."""
    parameters: bytes = b""


class CSeq(NamedTuple):
    number: int
    method: str


class NameAddr(NamedTuple):
    """From, To, Contact, Route: ``"display" <uri>;parameters``."""

    display: str
    uri: Uri
    raw_parameters: bytes = b""
    """Header parameters as written, with the leading ``;``."""
    uri_text: str = ""
    """The URI as written: what a Request-URI or a To of ours repeats."""

    @property
    def parameters(self) -> dict[str, str]:
        return {
            name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
            for name, value in parse_parameters(self.raw_parameters)
        }

    @property
    def tag(self) -> str:
        """Empty when there is none."""
        raw = self.raw_parameters
        if not raw:
            return ""
        if is_plain_tag(raw):
            return raw[5:].strip().decode()
        return self.parameters.get("tag", "")


def split_values(value: bytes, separator: bytes = b",") -> list[bytes]:
    """Split at separators that stand outside quotes and angle brackets; bounded by MAX_LIST."""
    if separator not in value:
        return [value]
    if b'"' not in value and b"<" not in value:
        parts = value.split(separator)
    else:
        parts = _split_quoted(value, separator[0])
    if len(parts) > MAX_LIST:
        raise MalformedMessage("too many values in one header", where=repr(value[:64]))
    return [part.strip() for part in parts]


def _split_quoted(value: bytes, separator: int) -> list[bytes]:
    parts = []
    start = 0
    quoted = angle = escaped = False
    for position, byte in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            escaped = byte == 0x5C  # backslash
            quoted = byte != 0x22
        elif byte == 0x22:
            quoted = True
        elif byte in (0x3C, 0x3E):
            angle = byte == 0x3C
        elif byte == separator and not angle:
            parts.append(value[start:position])
            start = position + 1
    if quoted or angle:
        raise MalformedMessage("unbalanced quote or bracket", where=repr(value[:64]))
    parts.append(value[start:])
    return parts


def parse_parameters(raw: bytes, separator: bytes = b";") -> list[tuple[bytes, bytes]]:
    """``;name=value;name`` -> lower-case names, values without quotes, in order."""
    if not raw:
        return []
    first, *parts = split_values(raw, separator)
    if first:
        raise MalformedMessage("parameters must begin with a separator", where=repr(raw[:64]))
    found = []
    for part in parts:
        name, _, value = part.partition(b"=")
        name, value = name.strip().lower(), value.strip()
        if not name and not value:
            raise MalformedMessage("empty parameter", where=repr(raw[:64]))
        if value[:1] == b'"' and value[-1:] == b'"' and len(value) > 1:
            value = value[1:-1]
        found.append((name, value))
    return found


def parse_via(raw: bytes) -> Via:
    """One Via value."""
    match = _VIA.fullmatch(raw)
    if match is not None:
        transport, host, port, parameters = match.groups()
        at = parameters.find(b";branch=")
        if at >= 0:
            end = parameters.find(b";", at + 8)
            branch = parameters[at + 8 :] if end < 0 else parameters[at + 8 : end]
        else:
            branch = _parameter(parameters, b"branch")
    else:
        match = _VIA_LENIENT.fullmatch(raw.strip())
        if match is None:
            raise MalformedMessage("bad Via", where=repr(raw[:64]))
        transport, host, port, parameters = match.groups(b"")
        branch = _parameter(parameters, b"branch")
    if port and int(port) > 65535:
        raise MalformedMessage("bad port in Via", where=repr(raw[:64]))
    return Via(
        _TRANSPORTS.get(transport) or transport.decode().upper(),
        host.decode("utf-8", "replace"),
        int(port) if port else None,
        branch,
        host + b":" + port if port else host,
        parameters,
    )


def via_identity(raw: bytes) -> tuple[bytes, bytes]:
    """``(branch, sent-by)`` of a Via value: what a transaction is found by."""
    match = _VIA.fullmatch(raw)
    if match is not None:
        parameters = match[4]
        at = parameters.find(b";branch=")
        if at >= 0:
            end = parameters.find(b";", at + 8)
            branch = parameters[at + 8 :] if end < 0 else parameters[at + 8 : end]
            return branch, raw[match.start(2) : match.start(4)]
    via = parse_via(raw)
    return via.branch, via.sent_by


def quick_tag(raw: bytes) -> str | None:
    """The tag of ``<uri>`` or ``<uri>;tag=..`` with a sound URI; ``None``: read it patiently."""
    text, bracket, tail = raw.partition(b">")
    if not bracket or text[:1] != b"<" or (tail and not is_plain_tag(tail)):
        return None
    _bracketed(text)
    return tail[5:].strip().decode()


def _parameter(raw: bytes, wanted: bytes) -> bytes:
    return next((value for name, value in parse_parameters(raw) if name == wanted), b"")


def parse_name_addr(raw: bytes) -> NameAddr:
    """``"display" <uri>;parameters`` or ``uri;parameters`` (RFC 3261 20.10)."""
    if raw == b"*":
        return NameAddr("", WILDCARD, b"", "*")
    if raw[:1] == b"<":
        text, bracket, tail = raw.partition(b">")
        if bracket and not tail:
            return _bracketed(text)
        if bracket and is_plain_tag(tail):
            plain = _bracketed(text)
            return NameAddr("", plain.uri, tail, plain.uri_text)
    match = _NAME_ADDR.fullmatch(raw)
    if match is None:
        return _parse_addr_spec(raw)
    quoted, display, uri, tail = match.groups()
    tail = tail.strip()
    if tail and not is_plain_tag(tail):
        parse_parameters(tail)
    uri = uri.strip()
    if quoted is not None:
        name = _ESCAPED.sub(r"\1", quoted.decode("utf-8", "replace"))
    else:
        name = display.strip().decode("utf-8", "replace")
    return NameAddr(name, _parse_address_uri(uri), tail, uri.decode("utf-8", "replace"))


def _bracketed(text: bytes) -> NameAddr:
    """``<uri`` alone; a device names itself the same way in every request, so it is remembered."""
    return _remembered(text) if len(text) <= MAX_REMEMBERED_SIZE else _parse_bracketed(text)


def _parse_bracketed(text: bytes) -> NameAddr:
    return NameAddr("", _parse_address_uri(text[1:]), b"", text[1:].decode("utf-8", "replace"))


_remembered = lru_cache(maxsize=MAX_REMEMBERED)(_parse_bracketed)


def is_plain_tag(tail: bytes) -> bool:
    """Whether header parameters are a tag and nothing else."""
    return tail[:5] == b";tag=" and tail.isascii() and tail.find(b";", 5) < 0 and b'"' not in tail


def _parse_addr_spec(raw: bytes) -> NameAddr:
    """Without brackets ``;`` begins header parameters, and ``?`` and ``,`` are forbidden."""
    uri, semicolon, rest = raw.partition(b";")
    uri = uri.strip()
    if b"?" in uri or b"," in uri or b'"' in uri:
        raise MalformedMessage("this URI must stand in <>", where=repr(raw[:64]))
    tail = semicolon + rest.strip()
    parse_parameters(tail)
    return NameAddr("", _parse_address_uri(uri), tail, uri.decode("utf-8", "replace"))


def _parse_address_uri(raw: bytes) -> Uri:
    try:
        return parse_uri(raw)
    except MalformedMessage as error:  # 416 is for Request-URIs alone (RFC 3261 8.2.2.1)
        raise MalformedMessage(error.reason, where=repr(raw[:64])) from None


def parse_cseq(raw: bytes) -> CSeq:
    number, _, method = raw.partition(b" ")
    usual = METHODS.get(method)
    if usual is not None and number.isdigit() and len(number) < 10:
        return CSeq(int(number), usual)
    if b"\t" in number:
        number, _, method = raw.partition(b"\t")
    if not number.isdigit() or len(number) > 10 or int(number) > MAX_CSEQ:
        raise MalformedMessage("bad CSeq", where=repr(raw[:32]))
    method = method.strip()
    if not _TOKEN.fullmatch(method):
        raise MalformedMessage("bad CSeq", where=repr(raw[:32]))
    return CSeq(int(number), method.decode())


def parse_number(raw: bytes, name: str, limit: int) -> int:
    """A decimal number; digits are bounded before ``int()``."""
    if not raw.isdigit() or len(raw) > 20 or int(raw) > limit:
        raise MalformedMessage(f"bad {name}", where=repr(raw[:32]))
    return int(raw)


def is_token(raw: bytes) -> bool:
    return _TOKEN.fullmatch(raw) is not None
