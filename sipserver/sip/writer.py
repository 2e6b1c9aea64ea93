"""Requests and responses to bytes.

Responses repeat Via, From, To, Call-ID and CSeq as they were received, byte for byte
(RFC 3261 8.2.6.2); what is the same in every message is made once per endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sipserver.sip.errors import LocalError
from sipserver.sip.flow import Flow
from sipserver.sip.headers import split_values
from sipserver.sip.message import Request, Response
from sipserver.sip.outgoing import OutgoingRequest

Headers = Sequence[tuple[str, str]]

MAX_FORWARDS: Final = 70
"""RFC 3261 section 8.1.1.6."""

CONTACT_METHODS: Final = frozenset({"INVITE", "REGISTER", "SUBSCRIBE", "NOTIFY"})
"""Requests that get our Contact when the caller gives none; a MESSAGE may not have one."""

REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}

_STATUS_LINES: Final = {
    status: f"SIP/2.0 {status} {reason}\r\nVia: ".encode() for status, reason in REASONS.items()
}
_MARKS: Final = re.compile(
    rb";\s*+(?:rport|received)(?:\s*+=[^;,]*+)?+(?=\s*+(?:;|$))",  # possessive, so linear
    re.IGNORECASE,
)
_BROKEN_LINE: Final = re.compile(r"[\r\n\0]")


def header_lines(headers: Headers) -> bytes:
    """``Name: value`` lines.

    :raises LocalError: for a value that would begin a new line
    """
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\n") != text.count("\r\n") or text.count("\n") != len(headers):
        raise LocalError("a header value with a line end")
    return text.encode("utf-8", "replace")


def mark_via(value: bytes, flow: Flow) -> bytes:
    """The top Via with ``received`` and ``rport`` filled in (RFC 3581, always)."""
    if b"received" not in value:
        if b"rport" not in value:
            return value.rstrip(b";, ") + flow.via_marks
        if value.endswith(b";rport"):
            return value[:-6] + flow.via_marks
        before, found, behind = value.partition(b";rport;")
        if found:
            return before + b";" + behind + flow.via_marks
    return _MARKS.sub(b"", value).rstrip(b";, ") + flow.via_marks


def write_response(
    request: Request,
    flow: Flow,
    status: int,
    reason: str = "",
    to_tag: str = "",
    extra: bytes = b"",
    tail: bytes = b"Content-Length: 0\r\n\r\n",
) -> bytes:
    """A response to ``request``.

    :param extra: header lines, each with its CRLF
    :param tail: everything from the last constant headers to the end of the body
    """
    if reason or status not in _STATUS_LINES:
        words = reason or "Unknown"
        if _BROKEN_LINE.search(words):
            raise LocalError("a reason phrase with a line end")
        start = f"SIP/2.0 {status} {words}\r\nVia: ".encode("utf-8", "replace")
    else:
        start = _STATUS_LINES[status]
    get = request.firsts.get
    value = get(b"via")
    if value is None:
        raise LocalError("a request without Via cannot be answered")
    if b"," in value or request.repeats(b"via"):
        values = [part for value in request.all(b"via") for part in split_values(value)]
        via = b"\r\nVia: ".join([mark_via(values[0], flow), *values[1:]])
    else:
        via = mark_via(value, flow)
    from_, to, call_id = get(b"from"), get(b"to"), get(b"call-id")
    if from_ is None or to is None or call_id is None:
        return _write_partial_response(request, start + via, extra + tail)
    tag = b";tag=" + to_tag.encode() if to_tag else b""
    return b"%s%s\r\nFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n%s%s" % (
        *(start, via, from_, to, tag, call_id),
        *(get(b"cseq") or b"0", extra, tail),
    )


def _write_partial_response(request: Request, head: bytes, rest: bytes) -> bytes:
    """For a request that lacks what every answer repeats: repeat what is there."""
    names = ((b"From", b"from"), (b"To", b"to"), (b"Call-ID", b"call-id"), (b"CSeq", b"cseq"))
    found = [b"%s: %s\r\n" % (name, request.first(key)) for name, key in names if request.get(key)]
    return head + b"\r\n" + b"".join(found) + rest


def body_tail(constant: bytes, body: bytes, content_type: str) -> bytes:
    """User-Agent (``constant``), Content-Type, Content-Length, empty line, body."""
    kind = header_lines([("Content-Type", content_type)]) if content_type else b""
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (constant, kind, len(body), body)


def write_request(
    request: OutgoingRequest, *, flow: Flow, branch: bytes, constant: bytes = b""
) -> bytes:
    """A request with every field filled in.

    :param constant: header lines of every message: User-Agent
    """
    head = _request_head(request, request.method, flow, branch, _to_line(request))
    names = {name.lower() for name, _ in request.headers}
    contact = b""
    if request.method in CONTACT_METHODS and "contact" not in names:
        contact = our_contact(request.from_uri, flow)
    extra = header_lines(request.headers)
    return head + contact + extra + body_tail(constant, request.body, request.content_type)


def write_ack(request: OutgoingRequest, response: Response, *, flow: Flow, branch: bytes) -> bytes:
    """The ACK of a refusal: branch, URI and Route of the INVITE (RFC 3261 17.1.1.3)."""
    to = b"To: " + response.first(b"to") + b"\r\n"
    head = _request_head(request, "ACK", flow, branch, to)
    return head + _routes(request) + b"Content-Length: 0\r\n\r\n"


def write_cancel(request: OutgoingRequest, *, flow: Flow, branch: bytes) -> bytes:
    """The CANCEL of an INVITE, RFC 3261 section 9.1."""
    head = _request_head(request, "CANCEL", flow, branch, _to_line(request))
    return head + _routes(request) + b"Content-Length: 0\r\n\r\n"


def our_contact(uri: str, flow: Flow) -> bytes:
    """Our Contact: the user of ``uri`` at the address this peer reaches us by.

    Without a transport parameter, as the platforms in the field write it: devices keep to the
    transport of the session anyway, and UDP and TCP share our port.
    """
    user = uri.partition(":")[2].partition("@")[0] if "@" in uri else ""
    host, port = flow.local
    at = f"{user}@" if user else ""
    return header_lines([("Contact", f"<sip:{at}{host}:{port}>")])


def _to_line(request: OutgoingRequest) -> bytes:
    tag = f";tag={request.to_tag}" if request.to_tag else ""
    return header_lines([("To", f"<{request.to_uri}>{tag}")])


def _request_head(
    request: OutgoingRequest, method: str, flow: Flow, branch: bytes, to: bytes
) -> bytes:
    host, port = flow.local
    start = f"{method} {request.uri} SIP/2.0\r\nVia: SIP/2.0/{flow.transport} {host}:{port};rport"
    rest = (
        f"\r\nMax-Forwards: {MAX_FORWARDS}\r\nFrom: <{request.from_uri}>;tag={request.from_tag}\r\n"
    )
    last = f"Call-ID: {request.call_id}\r\nCSeq: {request.cseq} {method}\r\n"
    if (start + rest + last).count("\n") != 6 or " " in request.uri:
        raise LocalError("a request field with a line end or a blank")
    return b"".join(
        (
            start.encode("utf-8", "replace"),
            b";branch=",
            branch,
            rest.encode("utf-8", "replace"),
            to,
            last.encode("utf-8", "replace"),
        )
    )


def _routes(request: OutgoingRequest) -> bytes:
    return header_lines([pair for pair in request.headers if pair[0].lower() == "route"])
