"""What we put on the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipserver.sip.errors import LocalError
from sipserver.sip.flow import UDP, Flow
from sipserver.sip.message import Request, Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.writer import (
    body_tail,
    header_lines,
    mark_via,
    our_contact,
    write_cancel,
    write_request,
    write_response,
)

FLOW = Flow(UDP, ("198.51.100.10", 5060), ("203.0.113.7", 40000))
MARKS = b";received=203.0.113.7;rport=40000"

VIAS = [
    (b"SIP/2.0/UDP cam", b"SIP/2.0/UDP cam"),
    (b"SIP/2.0/UDP cam;rport;branch=z9hG4bK1", b"SIP/2.0/UDP cam;branch=z9hG4bK1"),
    (b"SIP/2.0/UDP cam;branch=z9hG4bK1;rport", b"SIP/2.0/UDP cam;branch=z9hG4bK1"),
    (b"SIP/2.0/UDP cam;rport=1;received=6.6.6.6;x", b"SIP/2.0/UDP cam;x"),
    (b"SIP/2.0/UDP cam;received=6.6.6.6", b"SIP/2.0/UDP cam"),
    (b"SIP/2.0/UDP cam ; rport ; branch=1", b"SIP/2.0/UDP cam  ; branch=1"),
    (b"SIP/2.0/UDP cam;;,;,,", b"SIP/2.0/UDP cam"),
]


@pytest.mark.parametrize(("value", "kept"), VIAS)
def test_received_and_rport_are_always_ours(value: bytes, kept: bytes) -> None:
    assert mark_via(value, FLOW) == kept + MARKS


def _request(wire: Callable[[str], bytes], name: str) -> Request:
    request = parse_message(wire(name))
    assert isinstance(request, Request)
    return request


def test_a_response_repeats_what_it_must(wire: Callable[[str], bytes]) -> None:
    data = write_response(_request(wire, "keepalive"), FLOW, 200, "", "s-1")
    assert data == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK-ka-0043" + MARKS + b"\r\n"
        b"From: <sip:34020000001180000001@3402000000>;tag=1d2c3b4a\r\n"
        b"To: <sip:34020000002000000001@3402000000>;tag=s-1\r\n"
        b"Call-ID: 9f0c7d3e-43@198.51.100.20\r\n"
        b"CSeq: 20 MESSAGE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_every_via_is_repeated_in_order(wire: Callable[[str], bytes]) -> None:
    raw = wire("keepalive").replace(
        b"Max-Forwards", b"Via: SIP/2.0/TCP p1, SIP/2.0/UDP p2\r\nMax-Forwards"
    )
    request = parse_message(raw)
    assert isinstance(request, Request)
    response = parse_message(write_response(request, FLOW, 404))
    assert [via.host for via in response.vias] == ["198.51.100.20", "p1", "p2"]
    assert response.via.parameters.endswith(MARKS)
    assert isinstance(response, Response)
    assert response.reason == "Not Found"


def test_own_reason_and_unknown_status(wire: Callable[[str], bytes]) -> None:
    request = _request(wire, "keepalive")
    assert write_response(request, FLOW, 403, "口令错").startswith(
        "SIP/2.0 403 口令错\r\n".encode()
    )
    assert write_response(request, FLOW, 499).startswith(b"SIP/2.0 499 Unknown\r\n")
    with pytest.raises(LocalError, match="line end"):
        write_response(request, FLOW, 400, "a\r\nb")


def test_a_request_without_via_cannot_be_answered() -> None:
    request = parse_message(b"MESSAGE sip:a@b SIP/2.0\r\n\r\n")
    assert isinstance(request, Request)
    with pytest.raises(LocalError, match="without Via"):
        write_response(request, FLOW, 400)


def test_header_lines_refuse_injection() -> None:
    assert header_lines([("Date", "x"), ("Expires", "0")]) == b"Date: x\r\nExpires: 0\r\n"
    for bad in ("a\r\nb", "a\nb"):
        with pytest.raises(LocalError, match="line end"):
            header_lines([("X", bad)])


REQUEST = OutgoingRequest(
    method="INVITE",
    uri="sip:34020000001310000001@198.51.100.20:5060",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001310000001@3402000000",
    from_tag="f1",
    call_id="c1",
    cseq=3,
    headers=(("Subject", "a:1,b:2"), ("Route", "<sip:p;lr>")),
    body=b"v=0\r\n",
    content_type="application/sdp",
)


def test_a_request() -> None:
    data = write_request(REQUEST, flow=FLOW, branch=b"z9hG4bK7", constant=b"User-Agent: t\r\n")
    assert data == (
        b"INVITE sip:34020000001310000001@198.51.100.20:5060 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.10:5060;rport;branch=z9hG4bK7\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: <sip:34020000002000000001@3402000000>;tag=f1\r\n"
        b"To: <sip:34020000001310000001@3402000000>\r\n"
        b"Call-ID: c1\r\n"
        b"CSeq: 3 INVITE\r\n"
        b"Contact: <sip:34020000002000000001@198.51.100.10:5060>\r\n"
        b"Subject: a:1,b:2\r\n"
        b"Route: <sip:p;lr>\r\n"
        b"User-Agent: t\r\n"
        b"Content-Type: application/sdp\r\n"
        b"Content-Length: 5\r\n\r\n"
        b"v=0\r\n"
    )


def test_cancel_has_the_branch_and_route_of_the_invite() -> None:
    cancel = parse_message(write_cancel(REQUEST, flow=FLOW, branch=b"z9hG4bK7"))
    assert isinstance(cancel, Request)
    cancel.check()
    assert cancel.method == "CANCEL"
    assert cancel.via.branch == b"z9hG4bK7"
    assert (cancel.cseq.number, cancel.to_tag, cancel.body) == (3, "", b"")
    assert cancel.first(b"route") == b"<sip:p;lr>"
    assert cancel.get(b"subject") is None


@pytest.mark.parametrize(
    "change",
    [{"uri": "sip:a b"}, {"from_uri": "sip:a\r\nX: y"}, {"call_id": "a\n"}, {"to_uri": "\r\n"}],
)
def test_a_request_field_cannot_begin_a_line(change: dict[str, str]) -> None:
    fields = {name: getattr(REQUEST, name) for name in OutgoingRequest.__slots__}
    with pytest.raises(LocalError):
        write_request(OutgoingRequest(**(fields | change)), flow=FLOW, branch=b"b")


def test_our_contact() -> None:
    assert our_contact("sip:1@h", FLOW) == b"Contact: <sip:1@198.51.100.10:5060>\r\n"
    assert our_contact("sip:h", FLOW) == b"Contact: <sip:198.51.100.10:5060>\r\n"


def test_own_contact_and_none_for_a_message() -> None:
    fields = {name: getattr(REQUEST, name) for name in OutgoingRequest.__slots__}
    own = OutgoingRequest(**(fields | {"headers": (("Contact", "<sip:me@nat>"),)}))
    assert write_request(own, flow=FLOW, branch=b"b").count(b"Contact:") == 1
    message = OutgoingRequest(**(fields | {"method": "MESSAGE"}))
    assert b"Contact:" not in write_request(message, flow=FLOW, branch=b"b")


def test_body_tail() -> None:
    assert body_tail(b"A: b\r\n", b"", "") == b"A: b\r\nContent-Length: 0\r\n\r\n"
