"""Calls: the rows of the table by what they do on the wire, against scripted bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipserver.sip.endpoint import Endpoint
from sipserver.sip.errors import LocalError
from sipserver.sip.events import Event, RequestReceived
from sipserver.sip.failure import Failure
from sipserver.sip.flow import UDP, Flow
from sipserver.sip.invite_usage import (
    TRANSITIONS,
    CallAcknowledged,
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgressed,
    CallRefused,
    Input,
    InviteUsage,
    State,
)
from sipserver.sip.message import Request, parse_message
from sipserver.sip.outgoing import OutgoingRequest

Build = Callable[..., bytes]

INVITE = OutgoingRequest(
    method="INVITE",
    uri="sip:34020000001320000001@198.51.100.20:5060",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001320000001@3402000000",
    headers=(("Subject", "34020000001320000001:1,34020000002000000001:0"),),
    body=b"v=0\r\n",
    content_type="application/sdp",
)


class Caller:
    """Our endpoint, and a device made of bytes."""

    def __init__(self, endpoint: Endpoint, flow: Flow, answer: Build) -> None:
        self.endpoint, self.flow, self._answer = endpoint, flow, answer
        self.usage = endpoint.invite(INVITE, flow, 0.0)
        (self.invite,) = self.sent()

    def sent(self) -> list[bytes]:
        return [data for data, _, _ in self.endpoint.data_to_send()]

    def methods(self) -> list[str]:
        """What was sent since: methods, or statuses."""
        parts = [data.split(b" ") for data in self.sent()]
        return [(p[1] if p[0] == b"SIP/2.0" else p[0]).decode() for p in parts]

    def events(self) -> list[Event]:
        found = []
        while (event := self.endpoint.next_event()) is not None:
            found.append(event)
        return found

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events()]

    def state(self) -> str:
        return self.usage.state.name

    def answer(self, status: int, now: float = 1.0, *, to_tag: str = "dev") -> None:
        data = self._answer(self.invite, status, to_tag=to_tag)
        self.endpoint.receive_datagram(data, self.flow, now)

    def answer_last(self, data: bytes, status: int = 200, now: float = 2.0) -> None:
        self.endpoint.receive_datagram(self._answer(data, status), self.flow, now)

    def in_dialog(self, build: Build, method: str, number: int = 1, **fields: str) -> bytes:
        dialog = self.usage.dialog
        assert dialog is not None
        return build(
            method,
            number=number,
            call_id=dialog.call_id,
            to_tag=dialog.local_tag,
            from_tag=dialog.remote_tag,
            **fields,
        )


@pytest.fixture
def caller(endpoint: Endpoint, udp_flow: Flow, device_answer: Build) -> Caller:
    return Caller(endpoint, udp_flow, device_answer)


@pytest.fixture
def confirmed(caller: Caller) -> Caller:
    caller.answer(200)
    caller.usage.acknowledge()
    caller.sent()
    caller.events()
    return caller


def test_a_call_from_invite_to_bye(caller: Caller, device_request: Build) -> None:
    for status in (100, 101, 181, 180):
        caller.answer(status, to_tag="")
    assert caller.kinds() == ["CallProgressed"] * 4
    caller.answer(200)
    (event,) = caller.events()
    assert isinstance(event, CallAnswered)
    assert caller.state() == "ANSWERED"
    caller.usage.acknowledge(b"v=0\r\n", "application/sdp")
    (ack,) = caller.sent()
    assert ack.startswith(b"ACK sip:34020000001320000001@198.51.100.20:5060 SIP/2.0\r\n")
    assert b"CSeq: 1 ACK\r\n" in ack
    assert ack.endswith(b"v=0\r\n")
    assert parse_message(ack).via.branch != parse_message(caller.invite).via.branch
    assert caller.usage.established
    caller.usage.bye(3.0)
    caller.usage.bye(3.0)
    (bye,) = caller.sent()
    assert b"CSeq: 2 BYE\r\n" in bye
    caller.answer_last(bye)
    assert caller.events() == [CallEnded(caller.usage, "hung up")]
    assert caller.state() == "ENDED"
    assert caller.endpoint.stats().calls == 0
    late = caller.in_dialog(device_request, "INFO")
    caller.endpoint.receive_datagram(late, caller.flow, 4.0)
    assert caller.methods() == ["481"]


def test_the_ack_is_repeated_for_each_copy_of_the_2xx(caller: Caller) -> None:
    caller.answer(200)
    caller.answer(200)
    assert caller.sent() == []  # our user has not acknowledged yet
    caller.usage.acknowledge()
    caller.usage.acknowledge()
    caller.answer(200)
    first, second = caller.sent()
    assert first == second
    assert caller.kinds() == ["CallAnswered"]


def test_a_second_fork_is_acknowledged_and_hung_up(caller: Caller) -> None:
    caller.answer(200)
    caller.usage.acknowledge()
    caller.sent()
    caller.answer(200, to_tag="other")
    ack, bye = caller.sent()
    assert (ack[:4], bye[:4]) == (b"ACK ", b"BYE ")
    assert b"tag=other" in bye
    caller.answer_last(bye)
    assert caller.state() == "CONFIRMED"
    caller.answer(200, to_tag="third")
    caller.endpoint.handle_timer(60.0)
    assert caller.kinds() == ["CallAnswered"]


@pytest.mark.parametrize("status", [302, 401, 404, 486, 503, 603])
def test_a_refusal(status: int, caller: Caller) -> None:
    caller.answer(status)
    (event,) = caller.events()
    assert isinstance(event, CallRefused)
    assert event.response.status == status
    assert caller.methods() == ["ACK"]
    assert caller.endpoint.stats().calls == 0


def test_nobody_answers(caller: Caller) -> None:
    caller.endpoint.handle_timer(32.0)
    assert caller.events() == [CallFailed(caller.usage, Failure.TIMED_OUT)]


def test_cancel_waits_for_a_provisional_answer(caller: Caller) -> None:
    caller.usage.cancel(0.5)
    caller.usage.cancel(0.6)
    assert caller.methods() == []
    caller.answer(100, to_tag="")
    (cancel,) = caller.sent()
    assert cancel.startswith(b"CANCEL ")
    assert parse_message(cancel).via.branch == parse_message(caller.invite).via.branch
    caller.answer_last(cancel)
    caller.answer(487)
    assert caller.kinds() == ["CallProgressed", "CallRefused"]
    assert caller.methods() == ["ACK"]


def test_cancel_at_once_when_it_rings(caller: Caller) -> None:
    caller.answer(180)
    caller.usage.cancel(1.0)
    assert caller.methods() == ["CANCEL"]
    caller.answer(180)
    assert caller.methods() == []


@pytest.mark.parametrize("ringing", [False, True])
def test_a_2xx_that_crosses_the_cancel_is_hung_up(ringing: bool, caller: Caller) -> None:
    if ringing:
        caller.answer(180)
    caller.usage.cancel(1.0)
    caller.sent()
    caller.answer(200)
    ack, bye = caller.sent()
    assert (ack[:4], bye[:4]) == (b"ACK ", b"BYE ")
    caller.answer(200)  # our ACK was lost
    assert caller.sent() == [ack]
    caller.answer_last(bye)
    assert caller.kinds()[-1] == "CallEnded"
    assert caller.endpoint.stats().calls == 0


@pytest.mark.parametrize("ringing", [False, True])
def test_no_final_answer_after_cancel(ringing: bool, caller: Caller) -> None:
    if ringing:
        caller.answer(180, 1.0)
    caller.usage.cancel(1.0)
    for now in range(2, 70):
        caller.endpoint.handle_timer(float(now))
    assert caller.kinds()[-1] == "CallFailed"
    assert caller.endpoint.stats().calls == 0


def test_bye_before_our_ack_sends_both(caller: Caller) -> None:
    caller.answer(200)
    caller.usage.cancel(1.0)
    assert caller.methods() == ["ACK", "BYE"]


@pytest.mark.parametrize("status", [200, 408, 481, 500])
def test_any_answer_to_bye_ends_the_call(status: int, confirmed: Caller) -> None:
    confirmed.usage.bye(2.0)
    (bye,) = confirmed.sent()
    confirmed.answer_last(bye, 100)
    assert confirmed.events() == []
    confirmed.answer_last(bye, status)
    assert confirmed.kinds() == ["CallEnded"]


def test_a_bye_without_answer_ends_the_call(confirmed: Caller) -> None:
    confirmed.usage.bye(2.0)
    confirmed.endpoint.handle_timer(34.0)
    assert confirmed.kinds() == ["CallEnded"]


def test_the_peer_hangs_up(confirmed: Caller, device_request: Build) -> None:
    bye = confirmed.in_dialog(device_request, "BYE")
    confirmed.endpoint.receive_datagram(bye, confirmed.flow, 3.0)
    received, ended = confirmed.events()
    assert isinstance(received, RequestReceived)
    assert received.usage is confirmed.usage
    assert ended == CallEnded(confirmed.usage, "the peer hung up")
    assert confirmed.methods() == ["200"]
    confirmed.endpoint.receive_datagram(bye, confirmed.flow, 3.1)
    assert confirmed.methods() == ["200"]
    confirmed.usage.bye(4.0)
    assert confirmed.methods() == []


def test_the_peer_hangs_up_before_our_ack(caller: Caller, device_request: Build) -> None:
    caller.answer(200)
    caller.endpoint.receive_datagram(caller.in_dialog(device_request, "BYE"), caller.flow, 1.5)
    assert caller.kinds() == ["CallAnswered", "RequestReceived", "CallEnded"]


def test_crossing_byes(confirmed: Caller, device_request: Build) -> None:
    confirmed.usage.bye(2.0)
    (ours,) = confirmed.sent()
    bye = confirmed.in_dialog(device_request, "BYE")
    confirmed.endpoint.receive_datagram(bye, confirmed.flow, 2.1)
    assert confirmed.methods() == ["200"]
    confirmed.answer_last(ours, 481)
    assert confirmed.kinds() == ["RequestReceived", "CallEnded"]


def test_requests_inside_the_call(confirmed: Caller, device_request: Build) -> None:
    info = confirmed.in_dialog(device_request, "INFO", number=9)
    moved = Flow(UDP, confirmed.flow.local, ("198.51.100.20", 7777))
    confirmed.endpoint.receive_datagram(info, moved, 3.0)
    (event,) = confirmed.events()
    assert isinstance(event, RequestReceived)
    assert event.usage is confirmed.usage
    assert confirmed.usage.flow is moved  # a NAT moved the peer, and it knew the tags
    confirmed.endpoint.respond(event, 200, 3.0)
    older = confirmed.in_dialog(device_request, "INFO", number=8)
    confirmed.endpoint.receive_datagram(older, moved, 3.1)
    options = confirmed.in_dialog(device_request, "OPTIONS", number=10)
    confirmed.endpoint.receive_datagram(options, moved, 3.2)
    assert confirmed.methods() == ["200", "500", "200"]
    low_bye = confirmed.in_dialog(device_request, "BYE", number=2)
    confirmed.endpoint.receive_datagram(low_bye, moved, 3.3)
    assert confirmed.methods() == ["200"]  # a BYE is never refused


def test_our_requests_inside_the_call(confirmed: Caller) -> None:
    request = confirmed.usage.make_request("INFO", (), b"PAUSE", "Application/MANSRTSP")
    assert (request.cseq, request.to_tag) == (2, "dev")
    confirmed.endpoint.send_request(request, confirmed.flow, 3.0)
    (info,) = confirmed.sent()
    confirmed.answer_last(info, 481)
    assert confirmed.kinds() == ["ResponseReceived", "CallEnded"]
    for method in ("INVITE", "BYE", "ACK"):
        with pytest.raises(LocalError):
            confirmed.usage.make_request(method, (), b"", "")
    with pytest.raises(LocalError, match="in state ENDED"):
        confirmed.usage.make_request("INFO", (), b"", "")


def test_misuse(caller: Caller) -> None:
    with pytest.raises(LocalError, match="ACK_SENT in state CALLING"):
        caller.usage.acknowledge()
    with pytest.raises(LocalError, match="INFO in state CALLING"):
        caller.usage.make_request("INFO", (), b"", "")


# ---------------------------------------------------------------- the peer calls
class Callee(Caller):
    """The device called us and we said 200."""

    def __init__(self, endpoint: Endpoint, flow: Flow, build: Build) -> None:
        self.endpoint, self.flow = endpoint, flow
        self.invite = build(
            "INVITE",
            headers="Contact: <sip:34020000001180000001@198.51.100.20:5060>\r\n"
            "Record-Route: <sip:proxy;lr>\r\n",
        )
        endpoint.receive_datagram(self.invite, flow, 0.0)
        event = endpoint.next_event()
        assert isinstance(event, RequestReceived)
        self.received = event
        self.usage: InviteUsage = endpoint.accept(event, 0.0, body=b"v=0\r\n")

    def ack(self, build: Build, now: float = 1.0, number: int = 1) -> None:
        data = self.in_dialog(build, "ACK", number, branch=f"z9hG4bK-ack{number}")
        self.endpoint.receive_datagram(data, self.flow, now)


@pytest.fixture
def callee(endpoint: Endpoint, udp_flow: Flow, device_request: Build) -> Callee:
    return Callee(endpoint, udp_flow, device_request)


def test_accepting(callee: Callee, device_request: Build) -> None:
    (data,) = callee.sent()
    response = parse_message(data)
    assert response.first(b"contact") == b"<sip:34020000002000000001@198.51.100.10:5060>"
    assert response.first(b"record-route") == b"<sip:proxy;lr>"
    assert (response.content_type, response.body) == ("application/sdp", b"v=0\r\n")
    assert callee.state() == "ACCEPTED"
    callee.ack(device_request)
    (event,) = callee.events()
    assert isinstance(event, CallAcknowledged)
    callee.ack(device_request)
    assert callee.events() == []
    assert callee.endpoint.stats().stray_acks == 1
    assert callee.state() == "CONFIRMED"
    callee.usage.bye(5.0)
    bye = parse_message(callee.sent()[0])
    assert isinstance(bye, Request)
    assert bye.uri_text == b"sip:34020000001180000001@198.51.100.20:5060"
    assert bye.first(b"route") == b"<sip:proxy;lr>"
    assert bye.cseq.number == 1


def test_our_2xx_is_repeated_until_the_ack(callee: Callee, device_request: Build) -> None:
    times = []
    for tick in range(1, 30):
        callee.endpoint.handle_timer(tick * 0.5)
        times += [tick * 0.5 for method in callee.methods() if tick and method == "200"]
    assert times == [0.5, 0.5, 1.5, 3.5, 7.5, 11.5]  # the first 200 was still in the outbox
    callee.ack(device_request, 15.0)
    for tick in range(30, 80):
        callee.endpoint.handle_timer(tick * 0.5)
    assert callee.methods() == []


def test_no_ack_ends_with_bye(callee: Callee) -> None:
    callee.sent()
    for tick in range(1, 65):
        callee.endpoint.handle_timer(tick * 0.5)
    assert callee.methods()[-1] == "BYE"
    assert callee.state() == "ENDING"
    callee.endpoint.handle_timer(64.0)
    assert callee.events() == [CallEnded(callee.usage, "no ACK came")]


def test_hanging_up_waits_for_the_ack(callee: Callee, device_request: Build) -> None:
    callee.sent()
    callee.usage.bye(0.1)
    assert callee.state() == "BYE_WANTED"
    assert callee.methods() == []
    callee.ack(device_request)
    assert callee.methods() == ["BYE"]


def test_hanging_up_without_ack_waits_for_the_time_out(callee: Callee) -> None:
    callee.usage.bye(0.1)
    for tick in range(1, 65):
        callee.endpoint.handle_timer(tick * 0.5)
    assert callee.methods()[-1] == "BYE"


def test_a_rfc2543_ack_has_the_branch_of_the_invite(
    endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    callee = Callee(endpoint, udp_flow, device_request)
    data = callee.in_dialog(device_request, "ACK", branch="z9hG4bK-INVITE-1")
    endpoint.receive_datagram(data, udp_flow, 1.0)
    assert callee.kinds() == ["CallAcknowledged"]


@pytest.mark.parametrize("acknowledged", [False, True])
def test_the_caller_hangs_up(acknowledged: bool, callee: Callee, device_request: Build) -> None:
    if acknowledged:
        callee.ack(device_request)
    bye = callee.in_dialog(device_request, "BYE", number=2)
    callee.endpoint.receive_datagram(bye, callee.flow, 2.0)
    assert callee.kinds()[-1] == "CallEnded"
    callee.sent()
    callee.ack(device_request, 2.1)
    for tick in range(5, 80):
        callee.endpoint.handle_timer(tick * 0.5)
    assert callee.methods() == []  # neither 200s nor a BYE of ours


def test_reinvite(callee: Callee, device_request: Build) -> None:
    early = callee.in_dialog(device_request, "INVITE", number=2)
    callee.endpoint.receive_datagram(early, callee.flow, 0.5)
    assert callee.methods() == ["200", "500"]  # the first INVITE is not acknowledged yet
    callee.ack(device_request)
    callee.events()
    headers = "Contact: <sip:34020000001180000001@203.0.113.5:5062>\r\n"
    again = callee.in_dialog(device_request, "INVITE", number=3, headers=headers)
    callee.endpoint.receive_datagram(again, callee.flow, 2.0)
    (received,) = callee.events()
    assert isinstance(received, RequestReceived)
    third = callee.in_dialog(device_request, "INVITE", number=4)
    callee.endpoint.receive_datagram(third, callee.flow, 2.1)
    assert callee.methods() == ["500"]  # one at a time
    fourth = callee.in_dialog(device_request, "INVITE", number=5)
    callee.endpoint.receive_datagram(fourth, callee.flow, 2.1)
    assert callee.methods() == ["500"]
    usage = callee.endpoint.accept(received, 2.2, body=b"v=1\r\n")
    assert usage is callee.usage
    assert usage.dialog is not None
    assert usage.dialog.remote_target == "sip:34020000001180000001@203.0.113.5:5062"
    callee.sent()
    callee.endpoint.handle_timer(2.7)
    assert callee.methods()[-1] == "200"
    callee.ack(device_request, 3.0, number=3)
    assert callee.kinds() == ["CallAcknowledged"]
    assert callee.state() == "CONFIRMED"


def test_a_refused_reinvite_leaves_the_call(callee: Callee, device_request: Build) -> None:
    callee.ack(device_request)
    callee.events()
    for number in (2, 3):
        again = callee.in_dialog(device_request, "INVITE", number=number)
        callee.endpoint.receive_datagram(again, callee.flow, 2.0)
        (received,) = callee.events()
        assert isinstance(received, RequestReceived)
        callee.endpoint.respond(received, 488, 2.0)
    assert callee.state() == "CONFIRMED"


def test_bye_and_cancel_end_a_pending_reinvite(callee: Callee, device_request: Build) -> None:
    callee.ack(device_request)
    callee.sent()
    again = callee.in_dialog(device_request, "INVITE", number=2)
    callee.endpoint.receive_datagram(again, callee.flow, 2.0)
    cancel = callee.in_dialog(device_request, "CANCEL", number=2, branch="z9hG4bK-INVITE-2")
    callee.endpoint.receive_datagram(cancel, callee.flow, 2.1)
    assert callee.methods() == ["200", "487"]
    callee.endpoint.receive_datagram(
        callee.in_dialog(device_request, "INVITE", number=3), callee.flow, 2.2
    )
    callee.endpoint.receive_datagram(
        callee.in_dialog(device_request, "BYE", number=4), callee.flow, 2.3
    )
    assert callee.methods() == ["200", "487"]


def test_a_reinvite_that_no_ack_follows_ends_the_call(
    callee: Callee, device_request: Build
) -> None:
    callee.ack(device_request)
    again = callee.in_dialog(device_request, "INVITE", number=2)
    callee.endpoint.receive_datagram(again, callee.flow, 2.0)
    received = callee.events()[-1]
    assert isinstance(received, RequestReceived)
    callee.endpoint.accept(received, 2.0, body=b"")
    for tick in range(5, 75):
        callee.endpoint.handle_timer(tick * 0.5)
    assert callee.methods()[-1] == "BYE"


# ---------------------------------------------------------------- connections, the table
def test_a_lost_connection_ends_its_calls(
    endpoint: Endpoint, tcp_flow: Flow, device_request: Build, device_answer: Build
) -> None:
    callee = Callee(endpoint, tcp_flow, device_request)
    callee.sent()
    caller = Caller(endpoint, tcp_flow, device_answer)
    endpoint.connection_lost(tcp_flow, 5.0)
    assert sorted(caller.kinds()) == ["CallEnded", "CallFailed"]
    assert endpoint.stats().calls == 0
    assert callee.usage.state is caller.usage.state is State.ENDED


def test_a_lost_connection_ends_a_call_that_is_ending(
    endpoint: Endpoint, tcp_flow: Flow, device_answer: Build
) -> None:
    caller = Caller(endpoint, tcp_flow, device_answer)
    caller.answer(200)
    caller.usage.acknowledge()
    caller.usage.bye(2.0)
    endpoint.connection_lost(tcp_flow, 3.0)
    assert caller.kinds() == ["CallAnswered", "CallEnded"]


def test_every_state_has_a_way_out() -> None:
    for state in State:
        ways = {TRANSITIONS[s, i] for s, i in TRANSITIONS if s is state}
        assert bool(ways - {state}) is (state is not State.ENDED)
    assert {i for _, i in TRANSITIONS} == set(Input)


def test_progress_carries_the_response(caller: Caller) -> None:
    caller.answer(183)
    (event,) = caller.events()
    assert isinstance(event, CallProgressed)
    assert event.response.status == 183
