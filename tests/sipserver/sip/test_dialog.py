"""Dialogs: ids, route set, CSeq, target refresh."""

from __future__ import annotations

from collections.abc import Callable

from sipserver.sip.dialog import Dialog
from sipserver.sip.message import Request, Response
from sipserver.sip.outgoing import OutgoingRequest

INVITE = OutgoingRequest(
    method="INVITE",
    uri="sip:34020000001310000001@198.51.100.20",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001310000001@3402000000",
    from_tag="ours",
    call_id="c1",
    cseq=5,
)


def _answer(response_of: Callable[[bytes], Response], headers: str) -> Response:
    return response_of(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=ours\r\n"
        b"To: <sip:c@d>;tag=theirs\r\nCall-ID: c1\r\nCSeq: 5 INVITE\r\n"
        + headers.encode()
        + b"\r\n"
    )


def test_of_client(response_of: Callable[[bytes], Response]) -> None:
    routes = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n"
    contact = "Contact: <sip:cam@192.0.2.9:7100>\r\n"
    dialog = Dialog.of_client(INVITE, _answer(response_of, routes + contact))
    assert dialog.key == ("c1", "ours", "theirs")
    bye = dialog.make_request("BYE")
    assert (bye.uri, bye.cseq) == ("sip:cam@192.0.2.9:7100", 6)
    assert (bye.from_uri, bye.from_tag, bye.to_tag) == (INVITE.from_uri, "ours", "theirs")
    assert [value for _, value in bye.headers] == ["<sip:p3;lr>", "<sip:p2;lr>", "<sip:p1;lr>"]
    assert dialog.make_request("ACK", cseq=5).cseq == 5
    assert dialog.make_request("INFO").cseq == 7


def test_without_contact_the_request_uri_is_kept(response_of: Callable[[bytes], Response]) -> None:
    for contact in ("", "Contact: garbage<\r\n", "Contact: *\r\n"):
        dialog = Dialog.of_client(INVITE, _answer(response_of, contact))
        assert dialog.remote_target == INVITE.uri


def test_a_broken_record_route_is_no_route(response_of: Callable[[bytes], Response]) -> None:
    dialog = Dialog.of_client(INVITE, _answer(response_of, 'Record-Route: "open <sip:p>\r\n'))
    assert dialog.route_set == ()


def test_a_strict_router_stands_in_the_request_uri(
    response_of: Callable[[bytes], Response],
) -> None:
    headers = "Record-Route: <sip:far;lr>,<sip:near>\r\nContact: <sip:cam@h>\r\n"
    request = Dialog.of_client(INVITE, _answer(response_of, headers)).make_request("BYE")
    assert request.uri == "sip:near"
    assert request.headers == (("Route", "<sip:far;lr>"), ("Route", "<sip:cam@h>"))


def test_of_server(wire: Callable[[str], bytes], request_of: Callable[[bytes], Request]) -> None:
    raw = wire("invite_live").replace(
        b"Subject", b"Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nSubject"
    )
    request = request_of(raw)
    dialog = Dialog.of_server(request, "ours")
    assert dialog.key == ("live-1@198.51.100.10", "ours", "s-live1")
    assert dialog.remote_target == "sip:34020000002000000001@198.51.100.10:5060"
    assert dialog.route_set == ("<sip:p1;lr>", "<sip:p2;lr>")
    assert dialog.remote_cseq == 1
    bye = dialog.make_request("BYE")
    assert (bye.cseq, bye.from_uri) == (1, "sip:34020000001310000001@3402000000")


def test_cseq_may_not_go_back(
    wire: Callable[[str], bytes], request_of: Callable[[bytes], Request]
) -> None:
    request = request_of(wire("invite_live").replace(b"CSeq: 1 ", b"CSeq: 7 "))
    dialog = Dialog.of_server(request, "ours")
    assert dialog.in_order(request)
    assert not dialog.in_order(request_of(wire("invite_live")))
    assert dialog.remote_cseq == 7


def test_target_refresh(
    wire: Callable[[str], bytes], request_of: Callable[[bytes], Request]
) -> None:
    dialog = Dialog.of_server(request_of(wire("invite_live")), "ours")
    moved = wire("invite_live").replace(b"@198.51.100.10:5060>", b"@203.0.113.9:6060>")
    dialog.refresh_target(request_of(moved))
    assert dialog.remote_target == "sip:34020000002000000001@203.0.113.9:6060"
