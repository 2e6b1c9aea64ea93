"""The endpoint alone: what it answers by itself, hands on, drops, bounds and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.errors import LocalError, TooManyTransactions
from sipserver.sip.events import (
    CallCancelled,
    ConnectionCondemned,
    Event,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sipserver.sip.failure import Failure
from sipserver.sip.flow import UDP, Flow
from sipserver.sip.message import Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest

Build = Callable[..., bytes]

QUERY = OutgoingRequest(
    method="MESSAGE",
    uri="sip:34020000001180000001@198.51.100.20:5060",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001180000001@3402000000",
    body=b"<Query/>",
    content_type="Application/MANSCDP+xml",
)


def _sent(endpoint: Endpoint) -> list[bytes]:
    return [data for data, _, _ in endpoint.data_to_send()]


def _statuses(endpoint: Endpoint) -> list[int]:
    return [m.status for d in _sent(endpoint) if isinstance(m := parse_message(d), Response)]


def _events(endpoint: Endpoint) -> list[Event]:
    events = []
    while (event := endpoint.next_event()) is not None:
        events.append(event)
    return events


def _received(endpoint: Endpoint) -> RequestReceived:
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    return event


def test_a_request_is_handed_on_answered_and_its_copies_absorbed(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    raw = device_request("MESSAGE", body=b"<Notify/>")
    endpoint.receive_datagram(raw, udp_flow, 1.0)
    received = _received(endpoint)
    assert (received.request.body, received.received_at) == (b"<Notify/>", 1.0)
    endpoint.receive_datagram(raw, udp_flow, 1.1)
    assert (_events(endpoint), _sent(endpoint)) == ([], [])
    endpoint.respond(received, 200, 1.2)
    endpoint.receive_datagram(raw, udp_flow, 1.3)
    first, second = _sent(endpoint)
    assert first == second
    stats = endpoint.stats()
    assert (stats.requests, stats.retransmissions, stats.absorbing) == (1, 2, 1)
    endpoint.handle_timer(33.2)
    endpoint.receive_datagram(raw, udp_flow, 33.3)
    assert isinstance(endpoint.next_event(), RequestReceived)


def test_a_copy_from_another_port_is_answered_there(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    moved = Flow(UDP, udp_flow.local, ("198.51.100.20", 6000))
    endpoint.receive_datagram(device_request(), udp_flow, 1.0)
    endpoint.respond(_received(endpoint), 200, 1.0)
    endpoint.receive_datagram(device_request(), moved, 2.0)
    assert [flow for _, flow, _ in endpoint.data_to_send()] == [udp_flow, moved]


@pytest.mark.parametrize("branch", ["z9hG4bKsame", "123456", "z3hG9bK1", "z9hG4bK"])
def test_one_branch_for_every_request(
    branch: str, endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    for number in (1, 2):
        raw = device_request(number=number, branch=branch)
        endpoint.receive_datagram(raw, udp_flow, 1.0)
        endpoint.receive_datagram(raw, udp_flow, 1.0)
    assert len(_events(endpoint)) == 2
    assert endpoint.stats().retransmissions == 2


def test_rfc2543_requests_differ_by_from_tag(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    for tag in ("a", "b"):
        raw = device_request(branch="old", from_tag=tag)
        endpoint.receive_datagram(raw, udp_flow, 1.0)
    assert len(_events(endpoint)) == 2


OWN_ANSWERS = [
    ({"method": "OPTIONS"}, 200, b"Allow: INVITE, ACK, CANCEL, BYE"),
    ({"method": "OPTIONS", "to_tag": "x"}, 200, b"Allow"),
    ({"method": "PRACK"}, 405, b"Allow: INVITE"),
    ({"method": "UPDATE"}, 405, b"Allow"),
    ({"method": "FROBNICATE"}, 501, b"Allow"),
    ({"method": "message"}, 501, b"Allow"),
    ({"method": "BYE", "to_tag": "x"}, 481, b""),
    ({"method": "BYE"}, 481, b""),
    ({"method": "INFO"}, 481, b""),
    ({"method": "INVITE", "to_tag": "x"}, 481, b""),
    ({"method": "CANCEL"}, 481, b""),
    ({"uri": "tel:110"}, 416, b""),
    ({"headers": "Require: 100rel\r\n"}, 420, b"Unsupported: 100rel"),
    ({"method": "REGISTER", "headers": "Contact: <sip:\r\n"}, 400, b""),
    ({"method": "INVITE", "body": b"x", "content_type": "text/plain"}, 415, b"Accept"),
    ({"method": "INVITE", "headers": "Accept: text/plain\r\n"}, 406, b""),
    ({"headers": "Max-Forwards: 5\r\n"}, 400, b""),
]


@pytest.mark.parametrize(("fields", "status", "header"), OWN_ANSWERS)
def test_answered_by_the_core(
    fields: dict[str, Any],
    status: int,
    header: bytes,
    endpoint: Endpoint,
    udp_flow: Flow,
    device_request: Build,
) -> None:
    endpoint.receive_datagram(device_request(**fields), udp_flow, 1.0)
    assert endpoint.next_event() is None
    (data,) = _sent(endpoint)
    assert parse_message(data).start_line.split(b" ")[1] == str(status).encode()
    assert header in data
    assert endpoint.stats().server_transactions == 0


HANDED_ON = [
    {"method": "REGISTER", "to_tag": "x"},
    {"method": "MESSAGE", "to_tag": "x"},
    {"method": "NOTIFY", "to_tag": "x"},
    {"method": "SUBSCRIBE"},
    {"method": "INVITE", "headers": "Accept: text/plain, application/sdp;q=1\r\n"},
    {"method": "INVITE", "body": b"v=0", "content_type": "APPLICATION/SDP"},
    {"uri": "sip:34020000002000000001@"},
]


@pytest.mark.parametrize("fields", HANDED_ON)
def test_handed_on(
    fields: dict[str, Any], endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request(**fields), udp_flow, 1.0)
    assert _received(endpoint).usage is None
    assert _sent(endpoint) == []


def test_our_to_tag_is_the_same_in_every_response(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build, response_of: Callable[..., Response]
) -> None:
    endpoint.receive_datagram(device_request("INVITE"), udp_flow, 1.0)
    received = _received(endpoint)
    for status in (100, 180, 486):
        endpoint.respond(received, status, 1.0)
    trying, ringing, busy = (response_of(data) for data in _sent(endpoint))
    assert trying.to_tag == ""
    assert ringing.to_tag == busy.to_tag != ""


def test_respond_writes_headers_and_body(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build, response_of: Callable[..., Response]
) -> None:
    endpoint.receive_datagram(device_request("SUBSCRIBE"), udp_flow, 1.0)
    endpoint.respond(
        _received(endpoint),
        200,
        1.0,
        reason="Fine",
        headers=(("Expires", "60"),),
        body=b"<Response/>",
        content_type="Application/MANSCDP+xml",
    )
    (data,) = _sent(endpoint)
    response = response_of(data)
    assert (response.reason, response.expires, response.body) == ("Fine", 60, b"<Response/>")
    assert response.content_type == "application/manscdp+xml"
    assert response.user_agent == "test"


def test_misuse_is_a_local_error(endpoint: Endpoint, udp_flow: Flow, device_request: Build) -> None:
    endpoint.receive_datagram(device_request("MESSAGE"), udp_flow, 1.0)
    message = _received(endpoint)
    with pytest.raises(LocalError, match="only an unanswered INVITE"):
        endpoint.accept(message, 1.0, body=b"")
    endpoint.respond(message, 200, 1.0)
    with pytest.raises(LocalError, match="200 in state COMPLETED"):
        endpoint.respond(message, 200, 1.0)
    endpoint.receive_datagram(device_request("INVITE"), udp_flow, 1.0)
    invite = _received(endpoint)
    with pytest.raises(LocalError, match="use accept"):
        endpoint.respond(invite, 200, 1.0)
    with pytest.raises(LocalError, match="not sent this way"):
        endpoint.send_request(
            OutgoingRequest(method="ACK", uri="sip:a", from_uri="sip:a", to_uri="sip:a"),
            udp_flow,
            1.0,
        )
    with pytest.raises(LocalError, match="begins with INVITE"):
        endpoint.invite(QUERY, udp_flow, 1.0)


def test_an_unanswered_invite_gets_100_and_at_last_408(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("INVITE"), udp_flow, 0.0)
    assert len(_events(endpoint)) == 1
    endpoint.handle_timer(0.2)
    assert _statuses(endpoint) == [100]
    endpoint.handle_timer(180.0)
    assert _statuses(endpoint) == [408]
    assert endpoint.stats().unanswered == 1


def test_no_100_after_our_user_answered(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("INVITE"), udp_flow, 0.0)
    endpoint.respond(_received(endpoint), 180, 0.0)
    endpoint.handle_timer(0.2)
    assert _statuses(endpoint) == [180]


def test_an_unanswered_message_ends_in_silence(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("MESSAGE"), udp_flow, 0.0)
    received = _received(endpoint)
    assert endpoint.next_event() is None  # now it is known to be kept for later
    endpoint.handle_timer(32.0)
    stats = endpoint.stats()
    assert (stats.unanswered, stats.server_transactions) == (1, 0)
    with pytest.raises(LocalError):
        endpoint.respond(received, 200, 33.0)


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_an_ignored_request_is_forgotten(
    method: str, endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    for copy in (1, 2):
        endpoint.receive_datagram(device_request(method), udp_flow, 0.0)
        received = _received(endpoint)
        endpoint.ignore(received)
        assert (_sent(endpoint), endpoint.stats().ignored) == ([], copy)
        assert endpoint.stats().server_transactions == 0
    with pytest.raises(LocalError):
        endpoint.respond(received, 404, 0.0)
    for now in (0.2, 32.0, 180.0):
        endpoint.handle_timer(now)
    assert (_sent(endpoint), endpoint.stats().unanswered) == ([], 0)


def test_cancel(endpoint: Endpoint, udp_flow: Flow, device_request: Build) -> None:
    branch = "z9hG4bKinv"
    invite = device_request("INVITE", branch=branch)
    cancel = device_request("CANCEL", branch=branch)
    endpoint.receive_datagram(invite, udp_flow, 0.0)
    received = _received(endpoint)
    endpoint.receive_datagram(cancel, udp_flow, 0.1)
    assert _events(endpoint) == [CallCancelled(received)]
    ok, terminated = _sent(endpoint)
    assert (b"200 OK" in ok, b"CSeq: 1 CANCEL" in ok) == (True, True)
    assert (b"487 " in terminated, b"CSeq: 1 INVITE" in terminated) == (True, True)
    endpoint.receive_datagram(cancel, udp_flow, 0.2)
    assert _sent(endpoint) == [ok]
    endpoint.receive_datagram(device_request("ACK", branch=branch), udp_flow, 0.3)
    assert (_events(endpoint), _sent(endpoint)) == ([], [])


def test_cancel_after_the_answer_changes_nothing(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("INVITE", branch="z9hG4bKi"), udp_flow, 0.0)
    endpoint.respond(_received(endpoint), 486, 0.0)
    endpoint.receive_datagram(device_request("CANCEL", branch="z9hG4bKi"), udp_flow, 0.1)
    assert _statuses(endpoint) == [486, 200]
    assert _events(endpoint) == []


@pytest.mark.parametrize(
    "data", [b"\r\n\r\n", b"jaK\0", b"\0\0\0\0", b"", b"\r\n", b"\r\njaK\0\r\n"]
)
def test_keep_alive_datagrams(data: bytes, endpoint: Endpoint, udp_flow: Flow) -> None:
    endpoint.receive_datagram(data, udp_flow, 0.0)
    stats = endpoint.stats()
    assert (stats.keep_alives, stats.malformed, stats.received) == (1, 0, 0)


def test_crlf_in_front_of_a_datagram(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(b"\r\n\r\n" + device_request(), udp_flow, 0.0)
    assert isinstance(endpoint.next_event(), RequestReceived)


def test_garbage_is_dropped_and_counted(endpoint: Endpoint, udp_flow: Flow) -> None:
    garbage = (
        b"\x80\x00" * 40,
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + b" " * 20,
        b"Content-Length: 5\r\nno start line before it\r\n\r\n",
    )
    for data in garbage:
        endpoint.receive_datagram(data, udp_flow, 0.0)
    assert (_events(endpoint), _sent(endpoint)) == ([], [])
    assert endpoint.stats().malformed == 3


def test_a_malformed_ack_is_never_answered(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    raw = device_request("ACK").replace(b"From: <sip:", b"From: <tel:")
    endpoint.receive_datagram(raw, udp_flow, 0.0)
    endpoint.receive_datagram(device_request("ACK").replace(b"1 ACK", b"x ACK"), udp_flow, 0.0)
    endpoint.receive_datagram(device_request("ACK").replace(b"ACK sip", b"A sip"), udp_flow, 0.0)
    assert _sent(endpoint) == []


def test_an_ack_for_nothing_is_counted(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("ACK"), udp_flow, 0.0)
    assert endpoint.stats().stray_acks == 1


def test_overload_is_answered_503_without_a_transaction(
    udp_flow: Flow, device_request: Build, new_token: Callable[[], str]
) -> None:
    settings = EndpointSettings(max_server_transactions=2)
    endpoint = Endpoint(settings, new_token=new_token)
    for number in range(3):
        endpoint.receive_datagram(device_request(number=number + 1), udp_flow, 0.0)
    (answer,) = _sent(endpoint)
    assert answer.startswith(b"SIP/2.0 503 ")
    assert b"Retry-After: 10\r\n" in answer
    assert (endpoint.stats().overloaded, endpoint.stats().server_transactions) == (1, 2)
    endpoint.respond(_received(endpoint), 200, 0.0)
    endpoint.receive_datagram(device_request(number=4), udp_flow, 0.0)
    assert endpoint.stats().overloaded == 1


def test_answered_transactions_are_bounded_too(
    udp_flow: Flow, device_request: Build, new_token: Callable[[], str]
) -> None:
    endpoint = Endpoint(EndpointSettings(max_absorbing=3), new_token=new_token)
    for number in range(10):
        endpoint.receive_datagram(device_request(number=number + 1), udp_flow, 0.0)
        endpoint.respond(_received(endpoint), 200, 0.0)
    stats = endpoint.stats()
    assert (stats.absorbing, stats.forgotten) == (3, 7)


def test_a_request_of_ours(endpoint: Endpoint, udp_flow: Flow, device_answer: Build) -> None:
    transaction = endpoint.send_request(QUERY, udp_flow, 0.0)
    (data,) = _sent(endpoint)
    assert data.startswith(b"MESSAGE sip:34020000001180000001@198.51.100.20:5060 SIP/2.0\r\n")
    answer = device_answer(data, 200, headers="")
    endpoint.receive_datagram(answer, udp_flow, 0.1)
    endpoint.receive_datagram(answer, udp_flow, 0.2)
    (event,) = _events(endpoint)
    assert isinstance(event, ResponseReceived)
    assert event.transaction is transaction
    assert event.response.status == 200


FORGERIES = [
    (b"branch=z9hG4bK", b"branch=z9hG4bK0"),
    (b"Call-ID: ", b"Call-ID: x"),
    (b"CSeq: 1 ", b"CSeq: 2 "),
    (b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE"),
    (b"From: <sip:34020000002000000001@3402000000>;tag=", b"From: <sip:a@b>;tag=x"),
    (b"Via: ", b"Via: SIP/2.0/UDP proxy;branch=z9hG4bKp\r\nVia: "),
    (b"CSeq: 1 MESSAGE", b"CSeq: one"),
    (b"To: <", b"To: <<"),
]


@pytest.mark.parametrize(("old", "new"), FORGERIES)
def test_forged_and_stray_responses_are_dropped(
    old: bytes, new: bytes, endpoint: Endpoint, udp_flow: Flow, device_answer: Build
) -> None:
    endpoint.send_request(QUERY, udp_flow, 0.0)
    answer = device_answer(_sent(endpoint)[0], 200)
    assert old in answer
    endpoint.receive_datagram(answer.replace(old, new), udp_flow, 0.1)
    assert _events(endpoint) == []
    assert endpoint.stats().stray_responses == 1


def test_time_out_and_transport_failure(endpoint: Endpoint, udp_flow: Flow) -> None:
    first = endpoint.send_request(QUERY, udp_flow, 0.0)
    second = endpoint.send_request(QUERY, udp_flow, 0.0)
    _, (_, _, owner) = endpoint.data_to_send()
    assert owner is second
    endpoint.send_failed(owner, 0.0)
    endpoint.send_failed(None, 0.0)
    endpoint.handle_timer(32.0)
    assert _events(endpoint) == [
        RequestFailed(second, Failure.TRANSPORT),
        RequestFailed(first, Failure.TIMED_OUT),
    ]
    assert endpoint.stats().undelivered == 2
    assert endpoint.stats().timed_out == 1


def test_requests_of_ours_are_bounded(udp_flow: Flow, new_token: Callable[[], str]) -> None:
    endpoint = Endpoint(
        EndpointSettings(max_client_transactions=1, max_calls=0), new_token=new_token
    )
    endpoint.send_request(QUERY, udp_flow, 0.0)
    with pytest.raises(TooManyTransactions, match="1 requests"):
        endpoint.send_request(QUERY, udp_flow, 0.0)
    invite = OutgoingRequest(method="INVITE", uri="sip:a", from_uri="sip:a@b", to_uri="sip:a")
    with pytest.raises(TooManyTransactions, match="0 calls"):
        endpoint.invite(invite, udp_flow, 0.0)


def test_get_timer(endpoint: Endpoint, udp_flow: Flow, device_request: Build) -> None:
    assert endpoint.get_timer() is None
    endpoint.receive_datagram(device_request(), udp_flow, 1.0)
    endpoint.respond(_received(endpoint), 200, 1.0)
    assert endpoint.get_timer() == 33.0
    endpoint.send_request(QUERY, udp_flow, 2.0)
    assert endpoint.get_timer() == 2.5


def test_a_stream(endpoint: Endpoint, tcp_flow: Flow, device_request: Build) -> None:
    raw = device_request()
    endpoint.receive_stream(b"\r\n\r\n" + raw[:50], tcp_flow, 0.0)
    assert _sent(endpoint) == [b"\r\n"]
    assert endpoint.pending_size(tcp_flow) == 50
    endpoint.receive_stream(raw[50:] + device_request(number=2), tcp_flow, 0.0)
    for _ in range(2):
        endpoint.respond(_received(endpoint), 200, 0.0)
    assert _statuses(endpoint) == [200, 200]
    assert endpoint.stats().absorbing == 0  # no copies on a stream
    endpoint.connection_lost(tcp_flow, 1.0)
    assert endpoint.pending_size(tcp_flow) == 0


def test_a_stream_that_lost_its_framing_is_condemned(
    endpoint: Endpoint, tcp_flow: Flow, device_request: Build
) -> None:
    raw = device_request().replace(b"Content-Length: 0\r\n", b"")
    endpoint.receive_stream(raw, tcp_flow, 0.0)
    assert _statuses(endpoint) == [400]
    (event,) = _events(endpoint)
    assert isinstance(event, ConnectionCondemned)
    assert "Content-Length" in event.reason


def test_unfinished_messages_are_bounded_over_all_streams(
    tcp_flow: Flow, device_request: Build, new_token: Callable[[], str]
) -> None:
    endpoint = Endpoint(EndpointSettings(max_pending_size=100), new_token=new_token)
    endpoint.receive_stream(device_request()[:90], tcp_flow, 0.0)
    assert _events(endpoint) == []
    other = Flow("TCP", tcp_flow.local, tcp_flow.remote, connection=8)
    endpoint.receive_stream(device_request()[:90], other, 0.0)
    (event,) = _events(endpoint)
    assert isinstance(event, ConnectionCondemned)
    endpoint.connection_lost(other, 0.0)
    endpoint.receive_stream(device_request()[90:], tcp_flow, 0.0)
    assert isinstance(endpoint.next_event(), RequestReceived)


def test_a_lost_connection_fails_its_requests(endpoint: Endpoint, tcp_flow: Flow) -> None:
    transaction = endpoint.send_request(QUERY, tcp_flow, 0.0)
    endpoint.connection_lost(tcp_flow, 1.0)
    assert _events(endpoint) == [RequestFailed(transaction, Failure.CONNECTION_LOST)]
    assert endpoint.stats().client_transactions == 0


def test_no_user_agent(udp_flow: Flow, device_request: Build, new_token: Callable[[], str]) -> None:
    endpoint = Endpoint(EndpointSettings(user_agent=""), new_token=new_token)
    endpoint.receive_datagram(device_request("OPTIONS"), udp_flow, 0.0)
    assert b"User-Agent" not in _sent(endpoint)[0]
