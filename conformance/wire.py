"""A strict reader of what a server sends: SIP (RFC 3261), SDP (RFC 8866 as GB/T 28181-2022 annex G
bends it) and MANSCDP XML (annex A).

It shares no code with the server and forgives nothing: every departure is a :exc:`NotConformant`
that names the rule. Small on purpose.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree

TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
DEVICE_CODE: Final = re.compile(r"[0-9]{20}")
SSRC_TEXT: Final = re.compile(r"[01][0-9]{9}")
REQUIRED: Final = ("via", "from", "to", "call-id", "cseq")
COMPACT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "s": "subject",
    "k": "supported",
    "e": "content-encoding",
    "o": "event",
}
SDP_ORDER: Final = "vosuctmabyf"
MAX_MESSAGE: Final = 65_535


class NotConformant(Exception):
    """The message breaks the rule named in the text."""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One SIP message, every rule of :func:`read_message` kept."""

    start_line: str
    headers: tuple[tuple[str, str], ...]
    """(lower-case long name, value) in wire order."""
    body: bytes

    @property
    def is_request(self) -> bool:
        return not self.start_line.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        return self.start_line.split(" ")[0] if self.is_request else self.one("cseq").split(" ")[1]

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start_line.split(" ")[1])

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def one(self, name: str) -> str:
        values = self.all(name)
        if len(values) != 1:
            raise NotConformant(f"{name} stands {len(values)} times, once is required")
        return values[0]

    def parameter(self, name: str, parameter: str) -> str | None:
        """A parameter of a header, outside ``<...>``; ``None`` when it is not there."""
        after = re.sub(r'"[^"]*"|<[^>]*>', "", self.one(name))
        for part in after.split(";")[1:]:
            key, _, value = part.strip().partition("=")
            if key.lower() == parameter:
                return value
        return None


def read_message(raw: bytes) -> WireMessage:
    """Read one whole message as it stood in a datagram.

    :raises NotConformant: with the rule that is broken
    """
    if len(raw) > MAX_MESSAGE:
        raise NotConformant("longer than a datagram can be")
    head, blank, body = raw.partition(b"\r\n\r\n")
    if not blank:
        raise NotConformant("no blank line after the headers (RFC 3261 7)")
    if b"\n" in head.replace(b"\r\n", b""):
        raise NotConformant("a line does not end in CRLF (RFC 3261 7)")
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise NotConformant("headers are not UTF-8 (RFC 3261 7.3.1)") from None
    headers = _read_headers(lines[1:])
    message = WireMessage(lines[0], tuple(headers), body)
    _check_start_line(lines[0])
    _check_required(message)
    return message


def _read_headers(lines: list[str]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t"):
            if not headers:
                raise NotConformant("the first header is a folded line (RFC 3261 7.3.1)")
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name.rstrip(" \t")):
            raise NotConformant(f"not a header: {line[:60]!r} (RFC 3261 7.3.1)")
        lowered = name.rstrip(" \t").lower()
        headers.append((COMPACT.get(lowered, lowered), value.strip()))
    return headers


def _check_start_line(line: str) -> None:
    if line.startswith("SIP/2.0 "):
        if not re.fullmatch(r"SIP/2\.0 [1-6][0-9]{2} [^\r\n]*", line):
            raise NotConformant(f"not a status line: {line[:60]!r} (RFC 3261 7.2)")
        return
    if not re.fullmatch(r"[A-Z]+ sips?:\S+ SIP/2\.0", line):
        raise NotConformant(f"not a request line: {line[:60]!r} (RFC 3261 7.1)")


def _check_required(message: WireMessage) -> None:
    for name in REQUIRED:
        if not message.all(name):
            raise NotConformant(f"no {name} (RFC 3261 8.1.1)")
    number, _, method = message.one("cseq").partition(" ")
    if not number.isdigit() or int(number) >= 2**31:
        raise NotConformant(f"CSeq number {number!r} (RFC 3261 8.1.1.5)")
    if message.is_request:
        _check_request(message, method)
    elif message.status > 100 and not message.parameter("to", "tag"):
        raise NotConformant("a response above 100 has no To tag (RFC 3261 8.2.6.2)")
    length = message.one("content-length")
    if not length.isdigit() or int(length) != len(message.body):
        raise NotConformant(f"Content-Length {length}, body {len(message.body)} (RFC 3261 20.14)")
    if message.body and not message.all("content-type"):
        raise NotConformant("a body without Content-Type (RFC 3261 20.15)")


def _check_request(message: WireMessage, method: str) -> None:
    if method != message.method:
        raise NotConformant("CSeq method is not the request's (RFC 3261 8.1.1.5)")
    if message.one("max-forwards") != "70" and not message.one("max-forwards").isdigit():
        raise NotConformant("Max-Forwards is no number (RFC 3261 8.1.1.6)")
    if not (message.parameter("from", "tag") or ""):
        raise NotConformant("From has no tag (RFC 3261 8.1.1.3)")
    branch = re.search(r";branch=([^;,\s]+)", message.all("via")[0])
    if not branch or not branch.group(1).startswith("z9hG4bK"):
        raise NotConformant("Via branch without z9hG4bK (RFC 3261 8.1.1.7)")


@dataclass(frozen=True, slots=True)
class WireSdp:
    """One session description in the order of GB/T 28181-2022 annex G."""

    lines: tuple[tuple[str, str], ...]
    attributes: dict[str, str] = field(default_factory=dict)

    def one(self, letter: str) -> str:
        values = [value for name, value in self.lines if name == letter]
        if len(values) != 1:
            raise NotConformant(f"{letter}= stands {len(values)} times, once is required")
        return values[0]


def read_sdp(body: bytes) -> WireSdp:
    """Read the description of one media session.

    :raises NotConformant: for a wrong order, a missing line or a bad SSRC
    """
    text = body.decode("ascii", "strict") if body.isascii() else ""
    if not text.endswith("\r\n"):
        raise NotConformant("the description is not ASCII lines that end in CRLF (RFC 8866 5)")
    lines = []
    for line in text[:-2].split("\r\n"):
        if len(line) < 2 or line[1] != "=" or line[0] not in SDP_ORDER:
            raise NotConformant(f"not a line of a description: {line!r} (annex G)")
        lines.append((line[0], line[2:]))
    order = [SDP_ORDER.index(letter) for letter, _ in lines]
    if order != sorted(order):
        raise NotConformant("lines out of order (annex G)")
    pairs = (value.partition(":") for letter, value in lines if letter == "a")
    sdp = WireSdp(tuple(lines), {name: value for name, _, value in pairs})
    for letter in "voscmt":
        sdp.one(letter)
    if any(letter == "y" for letter, _ in lines) and not SSRC_TEXT.fullmatch(sdp.one("y")):
        raise NotConformant(f"y={sdp.one('y')} is not 0 or 1 and nine digits (annex G)")
    return sdp


def read_manscdp(body: bytes) -> ElementTree.Element:
    """Read one MANSCDP body: right root, CmdType, SN and DeviceID (GB/T 28181-2022 A.2).

    :raises NotConformant: when it is not well formed or lacks one of them
    """
    declared = re.match(rb'<\?xml version="1\.0"(?: encoding="([^"]+)")?\?>', body)
    if not declared:
        raise NotConformant("no XML declaration (annex A)")
    encoding = (declared.group(1) or b"GB18030").decode("ascii").lower()
    codec = "gb18030" if encoding.startswith("gb") else encoding
    try:
        root = ElementTree.fromstring(body[declared.end() :].decode(codec))  # noqa: S314 - no DTD follows the cut declaration
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise NotConformant(f"not well formed in {encoding}: {error}") from error
    if root.tag not in ("Control", "Query", "Notify", "Response"):
        raise NotConformant(f"root {root.tag} (annex A.2)")
    for name in ("CmdType", "SN", "DeviceID"):
        if not (root.findtext(name) or "").strip():
            raise NotConformant(f"no {name} (annex A.2)")
    if not (root.findtext("SN") or "").strip().isdigit():
        raise NotConformant("SN is no number (annex A.2)")
    return root
