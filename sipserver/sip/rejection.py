"""Requests that the core refuses by itself, and what can be saved of malformed ones.

RFC 3261 section 8.2.1 (method), 8.2.2 (header), 8.2.3 (content).
"""

from __future__ import annotations

from typing import Final

from sipserver.sip.errors import RemoteError
from sipserver.sip.headers import is_token, parse_cseq
from sipserver.sip.message import Request, split_message

SERVED: Final = (
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "INFO",
    "OPTIONS",
    "MESSAGE",
    "REGISTER",
    "SUBSCRIBE",
    "NOTIFY",
)
"""Methods of GB/T 28181-2022 4.3 and what a server needs besides (Allow)."""
_SERVED: Final = frozenset(SERVED)
UNDERSTOOD_ELSEWHERE: Final = frozenset({"PRACK", "UPDATE", "REFER", "PUBLISH"})
"""Methods with an RFC that we do not serve: 405, not 501."""
_ALLOW_VALUE: Final = ", ".join(SERVED)
ALLOW: Final = (
    f"Allow: {_ALLOW_VALUE}\r\nAccept: application/sdp, Application/MANSCDP+xml\r\n".encode()
)
"""Header lines of the answer to OPTIONS."""

NAMES_CONTACT: Final = frozenset({"INVITE", "REGISTER", "SUBSCRIBE", "NOTIFY"})
"""Methods whose Contact is read before anybody acts on the rest."""

Refusal = tuple[int, tuple[tuple[str, str], ...], str]
"""Status, header fields, reason phrase (empty: the usual one)."""


def refusal(request: Request) -> Refusal | None:
    """Why the core itself says no; ``None`` when the request may go on.

    :raises MalformedMessage: 416 or 400 for Request-URI and Contact
    """
    method = request.method
    if method not in _SERVED:
        status = 405 if method in UNDERSTOOD_ELSEWHERE else 501
        return status, (("Allow", _ALLOW_VALUE),), ""
    request.check_uri()
    required = request.get(b"require")
    if required is not None and method != "CANCEL":
        tags = b", ".join(request.all(b"require")).decode("utf-8", "replace")
        return 420, (("Unsupported", tags),), ""
    if method in NAMES_CONTACT:
        _ = request.contacts
        if method == "INVITE":
            return _refuse_content(request)
    return None


def _refuse_content(request: Request) -> Refusal | None:
    """An INVITE here offers SDP or nothing, and gets SDP."""
    kind = request.content_type
    if request.body and kind and kind != "application/sdp":
        return 415, (("Accept", "application/sdp"),), ""
    accepted = request.get(b"accept")
    if accepted is not None:
        kinds = {part.partition(b";")[0].strip().lower() for part in accepted.split(b",")}
        if kinds.isdisjoint((b"application/sdp", b"application/*", b"*/*")):
            return 406, (), ""
    return None


def salvage(data: bytes) -> Request | None:
    """As much of a malformed request as an answer needs; ``None`` when it must be dropped.

    Responses and ACKs are never answered; without Via and CSeq an answer would find nobody.
    """
    if b"\r\n\r\n" not in data and b"\n\n" not in data:
        data = data.rstrip(b"\r\n") + b"\r\n\r\n"
    try:
        lines, _ = split_message(data)
        method = lines[0].partition(b" ")[0]
        if lines[0].startswith(b"SIP/") or method == b"ACK" or not is_token(method):
            return None
        lines = [lines[0], *(line for line in lines[1:] if not _is_length(line))]
        request = Request(data, lines, b"", method.decode(), b"")
        if request.get(b"via") is None or request.get(b"cseq") is None:
            return None
        _ = request.via_values
        if parse_cseq_method(request) == "ACK":
            return None
    except RemoteError:
        return None
    return request


def parse_cseq_method(request: Request) -> str:
    """The method that CSeq names, or the start line's when CSeq cannot be read."""
    try:
        return parse_cseq(request.first(b"cseq")).method
    except RemoteError:
        return request.method


def _is_length(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() in (b"content-length", b"l")
