"""The 50 messages of RFC 4475 (49, and one of other collections), one row each.

Each row runs over our own fixtures, and over the exact bytes of ``../shared/fixtures/rfc4475``
when that folder is there. No row is skipped or expected to fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from sipserver.sip.auth import parse_authorization
from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.errors import MalformedMessage
from sipserver.sip.events import ConnectionCondemned, RequestReceived
from sipserver.sip.flow import TCP, UDP, Flow
from sipserver.sip.message import Request, Response, parse_message

ROOT = Path(__file__).parents[3]
OURS = ROOT / "tests/wire/sip/torture"
SHARED = ROOT.parent / "shared/fixtures/rfc4475"

LOCAL = ("198.51.100.10", 5060)
REMOTE = ("192.0.2.70", 5060)


@dataclass(frozen=True)
class HandedOn:
    """The core finds nothing wrong; our services answer as their policy says."""

    check: Callable[[Request], bool] = lambda request: True


@dataclass(frozen=True)
class Answered:
    """The core answers by itself."""

    status: int
    header: bytes = b""
    """What must stand in the answer besides."""


@dataclass(frozen=True)
class Stray:
    """A response we can read, but never asked for: dropped."""

    status: int


@dataclass(frozen=True)
class Dropped:
    """Nothing is answered, nothing handed on."""


Outcome = HandedOn | Answered | Stray | Dropped


def _contacts_differ(request: Request) -> bool:
    first, second = request.contacts
    return first.uri.user != second.uri.user


def _no_digest(request: Request) -> bool:
    with pytest.raises(MalformedMessage, match="not the Digest scheme"):
        parse_authorization(request.first(b"authorization"))
    return True  # so a registrar answers 401 with its own challenge


CASES: list[tuple[str, str, Outcome, str]] = [
    # 3.1.1 Valid messages
    (
        "wsinv",
        "3.1.1.1",
        Answered(481),
        "well-formed in every strange way; its To tag names no dialog",
    ),
    ("intmeth", "3.1.1.2", Answered(501, b"Allow: INVITE"), "any token is a method"),
    (
        "esc01",
        "3.1.1.3",
        HandedOn(lambda r: r.uri.user.startswith("sips%3A") and r.uri.scheme == "sip"),
        "escapes stay in the user part and do not make another scheme",
    ),
    ("escnull", "3.1.1.4", HandedOn(_contacts_differ), "%00 does not end a string"),
    ("esc02", "3.1.1.5", Answered(501), "% in a method escapes nothing: it is not REGISTER"),
    ("lwsdisp", "3.1.1.6", Answered(200), "no blank between display name and <"),
    ("longreq", "3.1.1.7", HandedOn(lambda r: len(r.vias) > 30), "long, but within all limits"),
    (
        "dblreq",
        "3.1.1.8",
        HandedOn(lambda r: r.method == "REGISTER" and r.body == b""),
        "what follows Content-Length in a datagram is no message",
    ),
    (
        "semiuri",
        "3.1.1.9",
        Answered(200),
        "; in a user part begins no parameter",
    ),
    ("transports", "3.1.1.10", Answered(200), "unknown transports further down the path"),
    (
        "mpart01",
        "3.1.1.11",
        HandedOn(lambda r: b"\0" in r.body and r.content_type == "multipart/mixed"),
        "NUL and CRLF in a body are the body's",
    ),
    ("unreason", "3.1.1.12", Stray(200), "a reason phrase in UTF-8"),
    ("noreason", "3.1.1.13", Stray(100), "an empty reason phrase"),
    # 3.1.2 Invalid messages
    ("badinv01", "3.1.2.1", Answered(400), "separators without parameters in the Via"),
    ("clerr", "3.1.2.2", Answered(400), "Content-Length beyond the datagram"),
    ("ncl", "3.1.2.3", Answered(400), "negative Content-Length"),
    ("scalar02", "3.1.2.4", Answered(400), "CSeq of 65 bits"),
    ("scalarlg", "3.1.2.5", Dropped(), "a response with such a CSeq is no answer of ours"),
    ("quotbal", "3.1.2.6", Answered(400), "an open quote in To"),
    ("ltgtruri", "3.1.2.7", Answered(400), "<> around the Request-URI"),
    ("lwsruri", "3.1.2.8", Answered(400), "a blank inside the Request-URI"),
    ("lwsstart", "3.1.2.9", Answered(400), "several blanks in the request line"),
    ("trws", "3.1.2.10", Answered(400), "blanks behind the request line"),
    ("escruri", "3.1.2.11", Answered(400), "headers inside the Request-URI"),
    ("baddate", "3.1.2.12", HandedOn(), "GB/T 28181 has its own Date, so Date is never judged"),
    ("regbadct", "3.1.2.13", Answered(400), "a Contact with ? that is not in <>"),
    ("badaspec", "3.1.2.14", Answered(200), "blanks inside <>: recovered, as the RFC allows"),
    ("baddn", "3.1.2.15", Answered(400), "a comma in an unquoted display name"),
    ("badvers", "3.1.2.16", Answered(505), "SIP/7.0"),
    ("mismatch01", "3.1.2.17", Answered(400), "CSeq names another method"),
    ("mismatch02", "3.1.2.18", Answered(400), "the same with an unknown method"),
    ("bigcode", "3.1.2.19", Dropped(), "a status that overflows into a valid one"),
    # 3.2 Transaction layer semantics
    ("badbranch", "3.2.1", Answered(200), "nothing behind the cookie: RFC 2543 matching"),
    # 3.3 Application layer semantics
    ("insuf", "3.3.1", Answered(400), "no From, To, Call-ID: answered with what is there"),
    ("unkscm", "3.3.2", Answered(416), "unknown scheme in the Request-URI"),
    ("novelsc", "3.3.3", Answered(416), "known scheme that is not SIP"),
    ("unksm2", "3.3.4", Answered(400), "unknown schemes in From and To"),
    ("bext01", "3.3.5", Answered(420, b"Unsupported: nothingSupportsThis"), "Require"),
    ("invut", "3.3.6", Answered(415, b"Accept: application/sdp"), "no SDP in an INVITE"),
    ("regaut01", "3.3.7", HandedOn(_no_digest), "unknown scheme in Authorization"),
    ("multi01", "3.3.8", Answered(400), "several From, To, Call-ID, CSeq"),
    ("mcl01", "3.3.9", Answered(400), "two Content-Lengths"),
    ("bcast", "3.3.10", Stray(200), "a response for somebody else"),
    ("zeromf", "3.3.11", Answered(200), "Max-Forwards 0 is reached, not exceeded"),
    ("cparam01", "3.3.12", HandedOn(lambda r: len(r.contacts) == 1), "unknown Contact parameter"),
    ("cparam02", "3.3.13", HandedOn(lambda r: len(r.contacts) == 1), "unknown URI parameter"),
    (
        "regescrt",
        "3.3.14",
        HandedOn(lambda r: r.contact is not None and r.contact.uri.headers.startswith("?Route=")),
        "a Contact with a Route in its URI keeps it",
    ),
    ("sdp01", "3.3.15", Answered(406), "an Accept that refuses SDP"),
    # 3.4 Backward compatibility
    (
        "inv2543",
        "3.4.1",
        HandedOn(lambda r: r.via.branch == b"" and r.from_tag == ""),
        "no branch, no From tag, no Max-Forwards, no Content-Length",
    ),
    ("test", "-", Dropped(), "no SIP version and no Via: no way to answer"),
]

STREAM_CASES = [
    ("clerr", 0, False, "waits for the missing bytes; the connection times out"),
    ("ncl", 1, True, "400, then closed: the next message cannot be found"),
    ("mcl01", 1, True, "400, then closed"),
    ("dblreq", 2, None, "two messages; the collection's copy has bytes to spare behind them"),
]


def _raw(name: str, source: str) -> bytes:
    if source == "ours":
        return (OURS / f"{name}.sip").read_bytes()
    path = SHARED / f"{name}.dat"
    if not path.exists():
        pytest.skip("../shared/fixtures/rfc4475 is not on this machine")
    return path.read_bytes()


def _endpoint() -> Endpoint:
    tokens = count()
    return Endpoint(EndpointSettings(), new_token=lambda: f"token-{next(tokens):05}")


def test_the_table_has_every_message_once() -> None:
    names = [name for name, *_ in CASES]
    assert len(names) == len(set(names)) == 50
    assert {path.stem for path in OURS.iterdir()} == set(names)


@pytest.mark.parametrize("source", ["ours", "shared"])
@pytest.mark.parametrize(("name", "section", "outcome", "why"), CASES, ids=[c[0] for c in CASES])
def test_datagram(name: str, section: str, outcome: Outcome, why: str, source: str) -> None:
    raw = _raw(name, source)
    endpoint = _endpoint()
    endpoint.receive_datagram(raw, Flow(UDP, LOCAL, REMOTE), 1.0)
    event = endpoint.next_event()
    sent = [data for data, _, _ in endpoint.data_to_send()]
    match outcome:
        case HandedOn(check):
            assert isinstance(event, RequestReceived)
            assert sent == []
            assert check(event.request)
        case Answered(status, header):
            assert event is None
            assert [_status(data) for data in sent] == [status]
            assert header in sent[0]
        case Stray(status):
            assert (event, sent) == (None, [])
            assert endpoint.stats().stray_responses == 1
            message = parse_message(raw)
            assert isinstance(message, Response)
            assert message.status == status
        case Dropped():
            assert (event, sent) == (None, [])
            assert endpoint.stats().malformed + endpoint.stats().stray_responses == 1


@pytest.mark.parametrize("source", ["ours", "shared"])
@pytest.mark.parametrize(("name", "messages", "closed", "why"), STREAM_CASES)
def test_stream(name: str, messages: int, closed: bool | None, why: str, source: str) -> None:
    endpoint = _endpoint()
    flow = Flow(TCP, LOCAL, REMOTE, connection=1)
    endpoint.receive_stream(_raw(name, source), flow, 1.0)
    events = []
    while (event := endpoint.next_event()) is not None:
        events.append(event)
    answers = [data for data, _, _ in endpoint.data_to_send()]
    condemned = [event for event in events if isinstance(event, ConnectionCondemned)]
    requests = [event for event in events if isinstance(event, RequestReceived)]
    assert closed is None or bool(condemned) is closed
    assert len(requests) + len(answers) == messages
    if closed:
        assert [_status(data) for data in answers] == [400]


def _status(data: bytes) -> int:
    message = parse_message(data)
    assert isinstance(message, Response)
    return message.status
