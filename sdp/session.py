"""Session description (RFC 8866, GB/T 28181-2022 annex G): lines <-> values, order kept.

Read tolerantly: any order of lines, LF or CR alone as line end, blanks around everything, lines
that are no SDP (``y=``, ``f=``) and junk between them. Written strictly.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .errors import LocalError, MalformedSdp

MAX_SDP_BYTES: Final = 64 * 1024
"""A GB session description has about 300 bytes; 64 KiB is what a UDP datagram carries."""
MAX_LINES: Final = 512
MAX_PAYLOAD_TYPES: Final = 64

_LINE = re.compile(r"\s*([A-Za-z])\s*=(.*)", re.DOTALL)
_PORT = re.compile(r"(\d{1,5})(?:/\d{1,4})?", re.ASCII)
_PAYLOAD_TYPE = re.compile(r"\d{1,3}", re.ASCII)
_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)(?:\s*/\s*(\d{1,9}))?(?:\s*/\s*(\d{1,3}))?", re.ASCII)

Line = tuple[str, str]  # type letter, value


@dataclass(frozen=True, slots=True)
class RtpMap:
    payload_type: int
    encoding: str  # as written: "PS", "H264", "HIKVISION"
    clock_rate: int | None  # Hz
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` line and what stands below it."""

    kind: str  # lower case: "video", "audio"
    port: int  # 0: refused
    protocol: str  # upper case: "RTP/AVP", "TCP/RTP/AVP"
    payload_types: tuple[int, ...]
    attributes: tuple[tuple[str, str], ...] = ()  # (name, value), lower-case name
    address: str | None = None  # of its own c= line

    def attribute(self, name: str) -> str | None:
        name = name.lower()
        return next((value for key, value in self.attributes if key == name), None)

    @property
    def rtpmaps(self) -> tuple[RtpMap, ...]:
        found = (_RTPMAP.match(value) for key, value in self.attributes if key == "rtpmap")
        return tuple(
            RtpMap(int(m[1]), m[2], int(m[3]) if m[3] else None, int(m[4]) if m[4] else None)
            for m in found
            if m is not None and int(m[1]) < 128
        )


class Sdp:
    """The lines in wire order, and the values of the usual ones."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines: Final[tuple[Line, ...]] = tuple(lines)

    @classmethod
    def parse(cls, body: bytes) -> "Sdp":
        """Raises :exc:`MalformedSdp`: too large, or no line of the form ``letter=value``."""
        if len(body) > MAX_SDP_BYTES:
            raise MalformedSdp(f"SDP of {len(body)} bytes")
        lines: list[Line] = []
        for raw in _text(body).replace("\0", "").replace("\r", "\n").split("\n"):
            match = _LINE.match(raw.strip(" \t\ufeff"))
            if match is not None:
                lines.append((match[1].lower(), match[2].strip()))
        if not lines:
            raise MalformedSdp("no SDP line", where=repr(body[:32]))
        if len(lines) > MAX_LINES:
            raise MalformedSdp(f"{len(lines)} SDP lines")
        return cls(lines)

    def to_bytes(self) -> bytes:
        """Raises :exc:`LocalError` for a line that would not come back as it is."""
        for letter, value in self.lines:
            if len(letter) != 1 or not ("a" <= letter <= "z"):
                raise LocalError(f"no SDP line type: {letter!r}")
            if "\r" in value or "\n" in value or "\0" in value:
                raise LocalError(f"line end inside {letter}=")
        return "".join(f"{letter}={value}\r\n" for letter, value in self.lines).encode()

    def value(self, letter: str) -> str | None:
        """The first line of that type; ``None`` when missing or empty."""
        return next((value for key, value in self.lines if key == letter and value), None)

    @property
    def origin_user(self) -> str:
        """The first word of ``o=``: the code of who wrote this (or what a peer thinks that is)."""
        return (self.value("o") or "").partition(" ")[0]

    @property
    def name(self) -> str:
        """``s=`` in the standard's spelling when it is one of its words."""
        text = self.value("s") or ""
        return _SESSION_NAMES.get(text.lower(), text)

    @property
    def times(self) -> tuple[int, int]:
        """``t=`` in Unix seconds, (0, 0) when missing or strange; NTP seconds are converted."""
        parts = (self.value("t") or "").split()
        if len(parts) < 2 or not all(_is_number(part) for part in parts[:2]):
            return (0, 0)
        return (_unix_seconds(int(parts[0])), _unix_seconds(int(parts[1])))

    @cached_property
    def address(self) -> str | None:
        """The session's ``c=`` address: the first one, wherever it stands."""
        return _address(self.value("c") or "") or _address(" ".join(self._origin_tail()))

    def _origin_tail(self) -> list[str]:
        return (self.value("o") or "").split()[-3:]

    @cached_property
    def media(self) -> tuple[Media, ...]:
        """Every readable ``m=`` line. Attributes above the first one count for all."""
        shared: list[Line] = []
        blocks: list[tuple[str, list[Line]]] = []
        for letter, value in self.lines:
            if letter == "m":
                blocks.append((value, []))
            elif letter in "ac":
                (blocks[-1][1] if blocks else shared).append((letter, value))
        found = (_media(value, below, shared) for value, below in blocks)
        return tuple(media for media in found if media is not None)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sdp) and self.lines == other.lines

    def __hash__(self) -> int:
        return hash(self.lines)

    def __repr__(self) -> str:
        return f"<Sdp {self.name!r} by {self.origin_user!r}, {len(self.lines)} lines>"


_SESSION_NAMES: Final = {name.lower(): name for name in ("Play", "Playback", "Download", "Talk")}
_NTP_OFFSET: Final = 2_208_988_800  # seconds from 1900 to 1970


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("gb18030", "replace")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19


def _unix_seconds(value: int) -> int:
    return value - _NTP_OFFSET if value > _NTP_OFFSET else value


def _address(value: str) -> str | None:
    """``IN IP4 192.0.2.1`` (also with ``/ttl``, lower case, or the address alone)."""
    words = value.split()
    if not words or len(words[-1]) > 255:
        return None
    address = words[-1].partition("/")[0]
    if len(words) >= 3 and words[-2].upper() in ("IP4", "IP6"):
        return address or None
    looks_like_one = len(words) == 1 and ("." in address or ":" in address)
    return address if looks_like_one else None


def _media(value: str, below: list[Line], shared: list[Line]) -> Media | None:
    words = value.split()
    port = _PORT.fullmatch(words[1]) if len(words) >= 3 else None
    if port is None or int(port[1]) > 65535:
        return None
    numbers = [int(word) for word in words[3:] if _PAYLOAD_TYPE.fullmatch(word)]
    own = [_attribute(text) for letter, text in below if letter == "a"]
    inherited = [_attribute(text) for letter, text in shared if letter == "a"]
    addresses = (_address(text) for letter, text in below if letter == "c")
    return Media(
        kind=words[0].lower(),
        port=int(port[1]),
        protocol=words[2].upper(),
        payload_types=tuple(n for n in numbers[:MAX_PAYLOAD_TYPES] if n < 128),
        attributes=tuple(own + inherited),
        address=next((address for address in addresses if address), None),
    )


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip().lower(), value.strip()
