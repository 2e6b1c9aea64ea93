"""What an attacker needs no password for: nothing escapes, nothing stays, nothing takes long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from time import process_time

import pytest

from sipserver.sip import message
from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.events import ConnectionCondemned, RequestReceived, ResponseReceived
from sipserver.sip.flow import Flow
from sipserver.sip.framing import StreamFramer
from sipserver.sip.invite_usage import CallAcknowledged
from sipserver.sip.message import MAX_LINE_SIZE, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.writer import mark_via

Build = Callable[..., bytes]

BROKEN_VIAS = [
    'Via: SIP/2.0/UDP a;x="never closed, b\r\n',
    "Via: SIP/2.0/UDP a, <b\r\n",
    "Via: " + "SIP/2.0/UDP a," * 200 + "SIP/2.0/UDP b\r\n",
]


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE", "BYE", "CANCEL", "REFER"])
@pytest.mark.parametrize("line", BROKEN_VIAS)
def test_a_broken_second_via_is_dropped_and_leaves_no_transaction(
    method: str, line: str, endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    """An answer repeats every Via, so none can be written: the request is garbage as a whole."""
    endpoint.receive_datagram(device_request(method, headers=line), udp_flow, now=0.0)
    assert endpoint.next_event() is None
    assert endpoint.data_to_send() == []
    assert endpoint.stats().server_transactions == 0
    assert endpoint.stats().malformed == 1


@pytest.mark.parametrize(
    "via",
    [
        b'SIP/2.0/UDP h;branch=z9hG4bKx;rport="' + b" " * MAX_LINE_SIZE + b',"',
        b"SIP/2.0/UDP h" + b";rport" * 1000 + b"=" + b" " * MAX_LINE_SIZE + b'"',
        b"SIP/2.0/UDP h;received" + b" " * MAX_LINE_SIZE + b"x",
        b"SIP/2.0/UDP h" + b"; " * (MAX_LINE_SIZE // 2) + b"rport",
    ],
)
def test_marking_a_hostile_via_takes_linear_time(via: bytes, udp_flow: Flow) -> None:
    started = process_time()
    mark_via(via, udp_flow)
    assert process_time() - started < 0.1  # a quadratic expression needs seconds


@pytest.mark.parametrize("noise", [b"\r\n", b"\r", b"\r\n\r", b"\r\n\0", b"jaK\0\r\n", b"jaK"])
def test_a_line_end_behind_a_message_is_no_unfinished_message(
    noise: bytes, wire: Callable[[str], bytes]
) -> None:
    """Devices that miscount their body by its last line end must not run into the time limit."""
    framer = StreamFramer()
    framer.receive_data(wire("keepalive") + noise)
    assert framer.next_message() == wire("keepalive")
    assert framer.next_message() is None
    assert framer.pending == 0
    framer.receive_data(wire("keepalive") + b"MESS")
    assert framer.next_message() == wire("keepalive")
    assert framer.next_message() is None
    assert framer.pending == 4


def test_answered_invites_are_bounded_and_not_kept_for_the_ringing_time(
    udp_flow: Flow, device_request: Build, new_token: Callable[[], str]
) -> None:
    """A flood of INVITEs, each refused at once and never acknowledged."""
    settings = EndpointSettings(max_server_transactions=20, max_absorbing=30)
    endpoint = Endpoint(settings, new_token=new_token)
    statuses: Counter[int] = Counter()
    for number in range(1, 101):
        endpoint.receive_datagram(device_request("INVITE", number=number), udp_flow, 0.0)
        while (event := endpoint.next_event()) is not None:
            assert isinstance(event, RequestReceived)
            endpoint.respond(event, 403, 0.0)
        statuses.update(int(data[8:11]) for data, _, _ in endpoint.data_to_send())
    assert statuses == {403: 50, 503: 50}
    endpoint.handle_timer(32.0)
    assert endpoint.get_timer() is None  # and so nothing refers to them any more


def test_an_ignored_request_leaves_no_timer(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    for method in ("INVITE", "MESSAGE"):
        endpoint.receive_datagram(device_request(method), udp_flow, 0.0)
        event = endpoint.next_event()
        assert isinstance(event, RequestReceived)
        endpoint.ignore(event)
        assert endpoint.next_event() is None
    assert endpoint.get_timer() is None
    assert endpoint.stats().server_transactions == 0
    assert endpoint.data_to_send() == []


def test_devices_with_the_same_numbers_behind_two_addresses_are_two(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    """One firmware, one default address 192.168.1.64, one seed: branch and Call-ID are equal."""
    other = replace(udp_flow, remote=("203.0.113.9", 5060))
    for flow in (udp_flow, other):
        endpoint.receive_datagram(device_request("REGISTER"), flow, 0.0)
        event = endpoint.next_event()
        assert isinstance(event, RequestReceived)
        assert event.flow == flow
        endpoint.respond(event, 401, 0.0)
    assert [flow for _, flow, _ in endpoint.data_to_send()] == [udp_flow, other]
    assert endpoint.stats().retransmissions == 0


def test_a_retransmission_from_another_port_of_the_host_is_one(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    """A NAT may open another port between two copies."""
    other = replace(udp_flow, remote=(udp_flow.remote[0], 61000))
    endpoint.receive_datagram(device_request("REGISTER"), udp_flow, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    endpoint.respond(event, 401, 0.0)
    endpoint.receive_datagram(device_request("REGISTER"), other, 0.5)
    assert endpoint.next_event() is None
    assert [flow for _, flow, _ in endpoint.data_to_send()] == [udp_flow, other]


@pytest.mark.parametrize("to", ["<tel:+8613800000000>", "<tel:+8613800000000>;x=1"])
def test_416_is_for_request_uris_alone(
    to: str, endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    raw = device_request("MESSAGE")
    line = next(line for line in raw.split(b"\r\n") if line.startswith(b"To: "))
    endpoint.receive_datagram(raw.replace(line, b"To: " + to.encode()), udp_flow, now=0.0)
    [(answer, _, _)] = endpoint.data_to_send()
    assert answer.startswith(b"SIP/2.0 400 ")


def test_who_holds_most_unfinished_bytes_goes_not_who_came_last(
    new_token: Callable[[], str], tcp_flow: Flow, device_request: Build
) -> None:
    endpoint = Endpoint(EndpointSettings(max_pending_size=2000), new_token=new_token)
    greedy, honest = replace(tcp_flow, connection=1), replace(tcp_flow, connection=2)
    wire = device_request(body=b"x" * 10_000)
    endpoint.receive_stream(wire[:1900], greedy, 0.0)
    endpoint.receive_stream(wire[:300], honest, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, ConnectionCondemned)
    assert event.flow == greedy
    endpoint.connection_lost(greedy, 0.0)
    endpoint.receive_stream(wire[300:1900], honest, 0.0)
    assert endpoint.next_event() is None  # nothing is counted of a stream that is gone


def test_an_ack_of_another_invite_acknowledges_nothing(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    endpoint.receive_datagram(device_request("INVITE", number=5), udp_flow, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, RequestReceived)
    usage = endpoint.accept(event, 0.0, body=b"v=0\r\n")
    assert usage.dialog is not None
    tag, call_id = usage.dialog.local_tag, usage.dialog.call_id
    endpoint.data_to_send()
    for number, acknowledged in ((4, False), (6, False), (5, True)):
        ack = device_request("ACK", number=number, to_tag=tag, call_id=call_id)
        endpoint.receive_datagram(ack, udp_flow, 0.1)
        assert isinstance(endpoint.next_event(), CallAcknowledged) is acknowledged
    assert endpoint.stats().stray_acks == 2
    endpoint.handle_timer(0.5)
    assert endpoint.data_to_send() == []  # our 2xx is not repeated any more


def test_spellings_of_header_names_are_remembered_up_to_a_limit() -> None:
    for number in range(3000):
        parse_message(b"OPTIONS sip:a SIP/2.0\r\nX-%d: 1\r\n\r\n" % number)
    assert len(message._names) <= message._MAX_SPELLINGS


def test_a_response_with_a_second_via_is_meant_for_somebody_else(
    endpoint: Endpoint, udp_flow: Flow, device_answer: Build
) -> None:
    """RFC 3261 8.1.3.3."""
    request = OutgoingRequest(method="MESSAGE", uri="sip:a", from_uri="sip:b", to_uri="sip:a")
    endpoint.send_request(request, udp_flow, 0.0)
    [(sent, _, _)] = endpoint.data_to_send()
    forwarded = device_answer(sent, 200, headers="Via: SIP/2.0/UDP other;branch=z9hG4bKo\r\n")
    endpoint.receive_datagram(forwarded, udp_flow, 0.1)
    assert endpoint.next_event() is None
    assert endpoint.stats().stray_responses == 1
    endpoint.receive_datagram(device_answer(sent, 200), udp_flow, 0.1)
    assert isinstance(endpoint.next_event(), ResponseReceived)
