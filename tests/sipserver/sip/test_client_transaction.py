"""Every row of both client tables, in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipserver.sip.client_transaction import (
    INVITE,
    NON_INVITE,
    ClientTransaction,
    Input,
    InviteClientTransaction,
    NonInviteClientTransaction,
    State,
)
from sipserver.sip.failure import Failure
from sipserver.sip.flow import TCP, UDP, Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.timers import Timer, TimerQueues, TimerTarget
from sipserver.sip.writer import write_request

Answer = Callable[..., bytes]
ResponseOf = Callable[[bytes], Response]


class Recorder:
    """Host and user of one transaction."""

    def __init__(self) -> None:
        self.timers = TimerQueues()
        self.sent: list[bytes] = []
        self.ended = 0
        self.responses: list[int] = []
        self.failures: list[Failure] = []

    def send(self, data: bytes, flow: Flow, transaction: ClientTransaction | None = None) -> None:
        self.sent.append(data)

    def start_timer(self, timer: Timer, duration: float, now: float, target: TimerTarget) -> None:
        self.timers.start(timer, duration, now, target)

    def client_terminated(self, transaction: ClientTransaction) -> None:
        self.ended += 1

    def client_timed_out(self, transaction: ClientTransaction) -> None:
        self.ended += 1

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        self.responses.append(response.status)

    def transaction_failed(
        self, transaction: ClientTransaction, failure: Failure, now: float
    ) -> None:
        self.failures.append(failure)


class Run:
    def __init__(self, method: str, answer: Answer, response_of: ResponseOf, *, tcp: bool) -> None:
        self.recorder = Recorder()
        self._answer, self._response_of = answer, response_of
        flow = Flow(TCP if tcp else UDP, ("h", 1), ("p", 2), int(tcp))
        request = OutgoingRequest(
            method=method,
            uri="sip:1@p",
            from_uri="sip:2@h",
            to_uri="sip:1@p",
            from_tag="f",
            call_id="c",
            cseq=1,
            headers=(("Route", "<sip:r;lr>"),),
        )
        self.data = write_request(request, flow=flow, branch=b"z9hG4bKx")
        kind = InviteClientTransaction if method == "INVITE" else NonInviteClientTransaction
        self.transaction: ClientTransaction = kind(
            request,
            self.data,
            branch=b"z9hG4bKx",
            flow=flow,
            user=self.recorder,
            host=self.recorder,
        )
        self.transaction.start(0.0)

    def feed(self, event: int, now: float = 0.0) -> None:
        statuses = {Input.PROVISIONAL: 180, Input.SUCCESS: 200, Input.FAILURE: 486}
        if event is Input.TRANSPORT_ERROR:
            self.transaction.fail(Failure.TRANSPORT, now)
        elif event in statuses:
            self.receive(statuses[Input(event)], now)
        else:
            self.transaction.handle_timer(Timer(event), now)

    def receive(self, status: int, now: float = 0.0) -> None:
        response = self._response_of(self._answer(self.data, status))
        assert self.transaction.belongs(response)
        self.transaction.receive_response(response, now)


PATHS: dict[State, list[int]] = {
    State.CALLING: [],
    State.TRYING: [],
    State.PROCEEDING: [Input.PROVISIONAL],
    State.COMPLETED: [Input.FAILURE],
    State.ACCEPTED: [Input.SUCCESS],
}
TIMERS = (Timer.A, Timer.B, Timer.D, Timer.E, Timer.F, Timer.K, Timer.M, Timer.CANCELLED)
ROWS = [
    ("INVITE", state, event)
    for state in (State.CALLING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED)
    for event in (*Input, *TIMERS)
] + [
    ("MESSAGE", state, event)
    for state in (State.TRYING, State.PROCEEDING, State.COMPLETED)
    for event in (*Input, *TIMERS)
]


@pytest.mark.parametrize(("method", "state", "event"), ROWS)
def test_tables(
    method: str, state: State, event: int, device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run(method, device_answer, response_of, tcp=False)
    for step in PATHS[state]:
        run.feed(step)
    assert run.transaction.state is state
    table = INVITE if method == "INVITE" else NON_INVITE
    expected = table.get((state, event), state)
    run.feed(event)
    assert run.transaction.state is expected
    assert run.recorder.ended == (expected is State.TERMINATED)


def test_an_invite_is_repeated_with_doubled_intervals(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("INVITE", device_answer, response_of, tcp=False)
    times = _send_times(run, 33.0)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert run.recorder.failures == [Failure.TIMED_OUT]


def test_a_message_is_repeated_at_most_every_four_seconds(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("MESSAGE", device_answer, response_of, tcp=False)
    times = _send_times(run, 33.0)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert run.recorder.failures == [Failure.TIMED_OUT]


def test_after_1xx_a_message_is_repeated_slowly(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("MESSAGE", device_answer, response_of, tcp=False)
    run.receive(100, 0.1)
    assert _send_times(run, 13.0) == [0.5, 4.5, 8.5, 12.5]


def test_tcp_repeats_nothing_and_ends_at_once(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    for method, status in (("MESSAGE", 200), ("INVITE", 486)):
        run = Run(method, device_answer, response_of, tcp=True)
        assert _send_times(run, 10.0) == []
        run.receive(status, 11.0)
        assert (run.recorder.ended, run.recorder.responses) == (1, [status])


def test_a_refused_invite_is_acknowledged_each_time(
    device_answer: Answer, response_of: ResponseOf, request_of: Callable[[bytes], object]
) -> None:
    run = Run("INVITE", device_answer, response_of, tcp=False)
    run.receive(486)
    run.receive(486)
    _, first, second = run.recorder.sent
    assert first == second
    assert first.startswith(b"ACK sip:1@p SIP/2.0\r\n")
    assert b"branch=z9hG4bKx" in first
    assert b"To: <sip:1@p>;tag=dev\r\n" in first
    assert b"CSeq: 1 ACK\r\n" in first
    assert b"Route: <sip:r;lr>\r\n" in first
    request_of(first)
    assert run.recorder.responses == [486]
    assert _end(run) == 32.0


def test_every_2xx_goes_to_the_user_for_32_seconds(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("INVITE", device_answer, response_of, tcp=False)
    run.receive(200)
    run.receive(200)
    run.receive(180)
    run.receive(486)
    assert run.recorder.responses == [200, 200]
    assert len(run.recorder.sent) == 1
    assert _end(run) == 32.0


def test_a_copy_of_a_final_response_is_absorbed(
    device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("MESSAGE", device_answer, response_of, tcp=False)
    run.receive(200)
    run.receive(200)
    assert run.recorder.responses == [200]
    assert _end(run) == 5.0  # Timer K


def test_giving_up_after_cancel(device_answer: Answer, response_of: ResponseOf) -> None:
    run = Run("INVITE", device_answer, response_of, tcp=False)
    run.receive(180, 1.0)
    assert isinstance(run.transaction, InviteClientTransaction)
    run.transaction.give_up_after_cancel(10.0)
    assert _end(run) == 42.0
    assert run.recorder.failures == [Failure.TIMED_OUT]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Call-ID: c", b"Call-ID: d"), (b"CSeq: 1", b"CSeq: 2"), (b"tag=f", b"tag=g")],
)
def test_a_forged_response_does_not_belong(
    old: bytes, new: bytes, device_answer: Answer, response_of: ResponseOf
) -> None:
    run = Run("MESSAGE", device_answer, response_of, tcp=False)
    forged = device_answer(run.data, 200).replace(old, new)
    assert not run.transaction.belongs(response_of(forged))


def _send_times(run: Run, until: float) -> list[float]:
    times = []
    now = 0.0
    while now < until:
        now += 0.1
        before = len(run.recorder.sent)
        run.recorder.timers.handle_timer(round(now, 1))
        times += [round(now, 1)] * (len(run.recorder.sent) - before)
    return times


def _end(run: Run) -> float:
    now = 0.0
    while not run.recorder.ended:
        now = round(now + 0.5, 1)
        run.recorder.timers.handle_timer(now)
        assert now < 100
    return now
