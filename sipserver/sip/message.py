"""Requests and responses, parsed as late as possible, raw bytes kept.

Reading a message costs one split into lines and one dictionary of header fields. Values are
parsed when somebody asks for them, once; what nobody asks for is never looked at, so an unknown
or broken header that does not matter cannot hurt (RFC 3261 section 16.3, "robustness").

Tolerated, because devices send it (signalling reference 9 and 10): compact names, any case, blanks
before the colon, folded lines, lines ended by LF alone, bytes that are not UTF-8, a header
repeated with the same value, ``sip:ID@`` without a host, requests without Max-Forwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, overload

from sipserver.sip.errors import MalformedMessage, MessageTooLarge
from sipserver.sip.headers import (
    COMPACT,
    METHODS,
    CSeq,
    NameAddr,
    Via,
    is_token,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_via,
    quick_tag,
    split_values,
    via_identity,
)
from sipserver.sip.uri import Uri, parse_uri

MAX_HEAD_SIZE: Final = 64 * 1024
"""Start line and headers in bytes: a UDP datagram carries no more, TCP needs no more."""
MAX_LINE_SIZE: Final = 8 * 1024
"""One header line; Apache's LimitRequestFieldSize, Kamailio and nginx use the same."""
MAX_FIELDS: Final = 256
"""Header fields; RFC 4475's longest request has 46, a GB/T 28181 message about twelve."""
MAX_BODY_SIZE: Final = 16 * 1024 * 1024
"""10,000 catalogue items of 1.2 kB, the most one message may carry (GB/T 28181-2022 Annex M)."""
MAX_CALL_ID_SIZE: Final = 512
"""Bytes; RFC 4475's longest is 200, GB/T 28181 devices write 10 to 50."""
MAX_EXPIRES: Final = 2**32 - 1
"""RFC 3261 section 20.19."""

_SINGLE: Final = (
    b"call-id",
    b"from",
    b"to",
    b"cseq",
    b"content-length",
    b"max-forwards",
    b"content-type",
)
"""Fields that may stand only once; repeated with one value they are read, with two refused."""

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(rb"\r\n[ \t]+")

_USUAL_NAMES: Final = (
    "Via From To Call-ID CSeq Contact Max-Forwards Content-Type Content-Length User-Agent Expires "
    "Authorization WWW-Authenticate Subject Event Subscription-State Allow Accept Supported Date "
    "X-GB-Ver X-GB-ver Require Route Record-Route Server Retry-After Min-Expires "
    "Monitor-User-Identity"
)
_MAX_SPELLINGS: Final = 1024  # what a hostile peer may make us remember
_names: Final[dict[bytes, bytes]] = {
    spelling: name.lower()
    for name in (text.encode() for text in _USUAL_NAMES.split())
    for spelling in (name, name.lower(), name.title())
} | {spelling: long for short, long in COMPACT.items() for spelling in (short, short.upper())}

_T = TypeVar("_T")


class Lazy(Generic[_T]):
    """``functools.cached_property`` without its lock, which costs more than most values here."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute
        self._name = ""
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | _T:
        if instance is None:
            return self
        value = self._compute(instance)
        setattr(instance, self._name, value)  # from now on found before this descriptor
        return value

    if TYPE_CHECKING:  # at run time there is none: a value set wins over the descriptor

        def __set__(self, instance: object, value: _T) -> None: ...


class Message:
    """What requests and responses share. Made by :func:`parse_message`."""

    def __init__(self, raw: bytes, lines: list[bytes], body: bytes) -> None:
        self.raw: Final = raw
        self.start_line: Final = lines[0]
        self._lines = lines
        self.firsts: Final[dict[bytes, bytes]] = {}
        """First value of each field by its lower-case long name; not to be changed."""
        self._repeated: dict[bytes, list[bytes]] | None = None
        self._index()
        self.body: Final = self._own_body(body)

    def _index(self) -> None:
        """Fill the dictionary; the one loop that every message runs through."""
        first = self.firsts
        known = _names
        for line in self._lines[1:]:
            name, colon, value = line.partition(b": ")  # how everybody writes it
            key = known.get(name)
            if key is None or not colon:
                if name[:1] in (b" ", b"\t"):
                    self._index_unfolded()
                    return
                key, value = _split_field(line)
            if key in first:
                self._repeat(key, value.strip())
            else:
                first[key] = value.strip()

    def _index_unfolded(self) -> None:
        """A line that begins with a blank goes on from the one before: begin again."""
        self._lines = _FOLD.sub(b" ", b"\r\n".join(self._lines)).split(b"\r\n")
        if self._lines[0] != self.start_line:
            raise MalformedMessage("folded start line", where=repr(self.start_line[:64]))
        self.firsts.clear()
        self._repeated = None
        self._index()

    def _repeat(self, key: bytes, value: bytes) -> None:
        if self._repeated is None:
            self._repeated = {}
        self._repeated.setdefault(key, [self.firsts[key]]).append(value)

    def _own_body(self, rest: bytes) -> bytes:
        length = self.firsts.get(b"content-length")
        if length is None:
            return rest  # RFC 3261 18.3: over UDP the body is the rest of the datagram
        if length.isdigit() and len(length) < 6:
            size = int(length)
        else:
            size = parse_number(length, "Content-Length", MAX_BODY_SIZE)
        if size == len(rest):
            return rest
        if size > len(rest):
            raise MalformedMessage("body is shorter than Content-Length", where=f"{len(rest)}")
        return rest[:size]

    @Lazy
    def fields(self) -> list[tuple[bytes, bytes]]:
        """``(lower-case long name, value)`` in wire order, folded lines joined."""
        pairs = (_split_field(line) for line in self._lines[1:])
        return [(name, value.strip()) for name, value in pairs]

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field, by its lower-case long name."""
        return self.firsts.get(name)

    def first(self, name: bytes) -> bytes:
        value = self.firsts.get(name)
        if value is None:
            raise MalformedMessage(f"no {name.decode()} header", where=repr(self.start_line[:64]))
        return value

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a field, as many as it has lines; lists are not split."""
        if self._repeated is not None and name in self._repeated:
            return list(self._repeated[name])
        value = self.firsts.get(name)
        return [] if value is None else [value]

    def repeats(self, name: bytes) -> bool:
        """Whether a field has more than one line."""
        return self._repeated is not None and name in self._repeated

    def check_single_fields(self) -> None:
        """:raises MalformedMessage: when a field that may stand once has two values"""
        for name in _SINGLE:
            values = (self._repeated or {}).get(name)
            if values is not None and len(set(values)) > 1:
                raise MalformedMessage(f"several {name.decode()} headers", where=repr(values[:2]))

    @Lazy
    def via_values(self) -> list[bytes]:
        """One element per hop, lists split (RFC 3261 7.3.1)."""
        values = [part for value in self.all(b"via") for part in split_values(value)]
        if not values:
            raise MalformedMessage("no via header", where=repr(self.start_line[:64]))
        return values

    @Lazy
    def via(self) -> Via:
        """The top hop."""
        value = self.first(b"via")
        return parse_via(value if b"," not in value else split_values(value)[0])

    @property
    def vias(self) -> list[Via]:
        return [parse_via(value) for value in self.via_values]

    @Lazy
    def from_(self) -> NameAddr:
        return parse_name_addr(self.first(b"from"))

    @Lazy
    def to(self) -> NameAddr:
        return parse_name_addr(self.first(b"to"))

    @Lazy
    def from_tag(self) -> str:
        """Empty when the peer speaks RFC 2543."""
        return self.from_.tag

    @Lazy
    def to_tag(self) -> str:
        """Empty outside a dialog."""
        return self.to.tag

    @Lazy
    def call_id(self) -> str:
        return _checked_call_id(self.first(b"call-id")).decode("utf-8", "replace")

    @Lazy
    def cseq(self) -> CSeq:
        return parse_cseq(self.first(b"cseq"))

    @Lazy
    def contacts(self) -> list[NameAddr]:
        """Every Contact; ``uri.is_wildcard`` for ``*``."""
        value = self.firsts.get(b"contact")
        if value is None:
            return []
        if b"," not in value and not self.repeats(b"contact"):
            return [parse_name_addr(value)]
        values = [part for value in self.all(b"contact") for part in split_values(value)]
        return [parse_name_addr(value) for value in values]

    @property
    def contact(self) -> NameAddr | None:
        return self.contacts[0] if self.contacts else None

    @Lazy
    def expires(self) -> int | None:
        """Seconds of the Expires header; ``None`` when it is not there."""
        value = self.get(b"expires")
        return None if value is None else parse_number(value, "Expires", MAX_EXPIRES)

    @Lazy
    def content_type(self) -> str:
        """Lower case, without parameters; empty when it is not there."""
        value = self.firsts.get(b"content-type", b"")
        return value.partition(b";")[0].strip().lower().decode("ascii", "replace")

    @property
    def user_agent(self) -> str | None:
        value = self.get(b"user-agent") or self.get(b"server")
        return None if value is None else value.decode("utf-8", "replace")

    @property
    def gb_version(self) -> str | None:
        """``X-GB-Ver``: "1.0", "1.1", "2.0" or "3.0" (GB/T 28181-2022 Annex I)."""
        value = self.get(b"x-gb-ver")
        return None if value is None else value.decode("ascii", "replace")

    def __repr__(self) -> str:
        """Never a header: Authorization is one of them."""
        return f"<{type(self).__name__} {self.start_line[:120]!r}, {len(self.raw)} bytes>"


class Request(Message):
    """A request; ``method`` is case-sensitive (RFC 3261 7.1)."""

    def __init__(
        self, raw: bytes, lines: list[bytes], body: bytes, method: str, uri_text: bytes
    ) -> None:
        self.method: Final = method
        self.uri_text: Final = uri_text
        """The Request-URI as written."""
        super().__init__(raw, lines, body)

    @Lazy
    def via_identity(self) -> tuple[bytes, bytes]:
        """``(branch, sent-by)`` of the top Via."""
        return via_identity(self.via_values[0])

    @Lazy
    def uri(self) -> Uri:
        """:raises MalformedMessage: 416 for another scheme, 400 for headers in it (19.1.1)"""
        uri = parse_uri(self.uri_text)
        if uri.headers:
            raise MalformedMessage("headers in the Request-URI", where=repr(self.uri_text[:64]))
        return uri

    def check_uri(self) -> None:
        """As :attr:`uri`, for those who need no part of it."""
        if parse_uri(self.uri_text).headers:
            _ = self.uri

    def check(self) -> None:
        """What RFC 3261 8.1.1 demands of every request.

        :raises MalformedMessage: with the status to answer
        """
        if self._repeated is not None:
            self.check_single_fields()
            _ = self.via_values  # the answer repeats every one of them
        first = self.firsts
        try:
            cseq, from_, to = first[b"cseq"], first[b"from"], first[b"to"]
            via, call_id = first[b"via"], first[b"call-id"]
        except KeyError as missing:
            name = missing.args[0].decode()
            raise MalformedMessage(f"no {name} header", where=repr(self.start_line[:64])) from None
        self.cseq = parse_cseq(cseq)
        if self.cseq.method != self.method:
            raise MalformedMessage("CSeq names another method", where=repr(self.start_line[:64]))
        self.via_identity = via_identity(via if b"," not in via else self.via_values[0])
        self.from_ = parse_name_addr(from_)
        tag = quick_tag(to)
        self.to_tag = self.to.tag if tag is None else tag
        _checked_call_id(call_id)
        forwards = first.get(b"max-forwards", b"70")
        if forwards != b"70":
            parse_number(forwards, "Max-Forwards", 255)


class Response(Message):
    """A response; ``status`` is 100..699."""

    def __init__(self, raw: bytes, lines: list[bytes], body: bytes, status: int) -> None:
        self.status: Final = status
        super().__init__(raw, lines, body)

    @property
    def reason(self) -> str:
        return self.start_line[12:].decode("utf-8", "replace").strip()


def parse_message(raw: bytes) -> Request | Response:
    """One message that fills ``raw``; bytes behind Content-Length are left out.

    :raises MalformedMessage: with the status to answer in ``status_hint``
    :raises MessageTooLarge: head or a line over its limit
    """
    lines, body = split_message(raw)
    start = lines[0]
    if start[:4] == b"SIP/":
        return Response(raw, lines, body, _status(start))
    parts = start.split(b" ")
    if len(parts) != 3:
        raise MalformedMessage("bad request line", where=repr(start[:64]))
    method, uri_text, version = parts
    if version != b"SIP/2.0":
        _refuse_version(version)
    usual = METHODS.get(method)
    if usual is None and not is_token(method):
        raise MalformedMessage("bad method", where=repr(start[:64]))
    return Request(raw, lines, body, usual or method.decode(), uri_text)


def split_message(raw: bytes) -> tuple[list[bytes], bytes]:
    """``(start line and header lines as sent, everything behind the empty line)``."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    ends = len(lines) - 1
    if not blank or head.count(b"\n") != ends or head.count(b"\r") != ends:
        lines, body = _split_lenient(raw)
        head = raw[: len(raw) - len(body)]
    if len(head) > MAX_LINE_SIZE:
        _check_sizes(head, lines)
    if ends >= MAX_FIELDS:
        raise MessageTooLarge("too many header fields", where=f"{ends}")
    return lines, body


def _split_lenient(raw: bytes) -> tuple[list[bytes], bytes]:
    """Lines ended by LF alone, or by a mixture."""
    end = _END_OF_HEAD.search(raw, 0, MAX_HEAD_SIZE + 4)
    if end is None:
        if len(raw) > MAX_HEAD_SIZE:
            raise MessageTooLarge("no end of head", where=repr(raw[:64]))
        raise MalformedMessage("no end of head", where=repr(raw[:64]))
    head = raw[: end.start()].replace(b"\r\n", b"\n")
    if b"\r" in head:
        raise MalformedMessage("CR inside a line", where=repr(raw[:64]))
    lines = head.split(b"\n")
    if len(lines) > MAX_FIELDS:
        raise MessageTooLarge("too many header fields", where=f"{len(lines)}")
    return lines, raw[end.end() :]


def _check_sizes(head: bytes, lines: list[bytes]) -> None:
    if len(head) > MAX_HEAD_SIZE:
        raise MessageTooLarge("head too large", where=f"{len(head)} bytes")
    longest = max(map(len, lines))
    if longest > MAX_LINE_SIZE:
        raise MessageTooLarge("line too long", where=f"{longest} bytes")


def _checked_call_id(value: bytes) -> bytes:
    if not value or len(value) > MAX_CALL_ID_SIZE:
        raise MalformedMessage("bad Call-ID", where=repr(value[:64]))
    return value


def _split_field(line: bytes) -> tuple[bytes, bytes]:
    """Lower-case long name and value, however the line is spaced."""
    name, colon, value = line.partition(b":")
    if not colon:
        raise MalformedMessage("header line without colon", where=repr(line[:64]))
    return _long_name(name), value


def _long_name(name: bytes) -> bytes:
    key = _names.get(name)
    if key is None:
        key = name.strip().lower()
        if not is_token(key):
            raise MalformedMessage("bad header name", where=repr(name[:64]))
        key = COMPACT.get(key, key)
        if len(_names) < _MAX_SPELLINGS and len(name) < 64:
            _names[name] = key
    return key


def _status(start: bytes) -> int:
    version, _, rest = start.partition(b" ")
    if version.upper() != b"SIP/2.0":
        _refuse_version(version)
    digits = rest[:3]
    if not digits.isdigit() or rest[3:4] not in (b" ", b"") or not 100 <= int(digits) <= 699:
        raise MalformedMessage("bad status line", where=repr(start[:64]))
    return int(digits)


def _refuse_version(version: bytes) -> None:
    upper = version.upper()
    if upper == b"SIP/2.0":
        return
    if re.fullmatch(rb"SIP/\d+\.\d+", upper):
        raise MalformedMessage("SIP version not supported", where=repr(version[:16]), status=505)
    raise MalformedMessage("bad SIP version", where=repr(version[:64]))
