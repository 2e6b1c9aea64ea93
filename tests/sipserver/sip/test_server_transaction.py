"""Every row of both server tables, in virtual time."""

from __future__ import annotations

import pytest

from sipserver.sip.errors import LocalError
from sipserver.sip.flow import TCP, UDP, Flow
from sipserver.sip.server_transaction import (
    INVITE,
    NON_INVITE,
    Input,
    InviteServerTransaction,
    NonInviteServerTransaction,
    ServerTransaction,
    State,
)
from sipserver.sip.timers import Timer, TimerQueues, TimerTarget

KEY = (b"z9hG4bK1", b"h", b"id", 1, "INVITE", "192.0.2.7")


class RecordingHost:
    """A layer that only writes down."""

    def __init__(self) -> None:
        self.timers = TimerQueues()
        self.sent: list[bytes] = []
        self.ended: list[ServerTransaction] = []
        self.reminders: list[Timer] = []

    def send(self, data: bytes, flow: Flow) -> None:
        self.sent.append(data)

    def start_timer(self, timer: Timer, duration: float, now: float, target: TimerTarget) -> None:
        self.timers.start(timer, duration, now, target)

    def absorb(self, transaction: NonInviteServerTransaction, now: float) -> None:
        self.timers.start(Timer.J, 0.0 if transaction.flow.reliable else 32.0, now, transaction)

    def server_terminated(self, transaction: ServerTransaction) -> None:
        self.ended.append(transaction)

    def unanswered(self, transaction: ServerTransaction, timer: Timer, now: float) -> None:
        self.reminders.append(timer)


class Run:
    """One transaction, its host, and the steps that lead into each state."""

    def __init__(self, *, invite: bool, flow: Flow) -> None:
        self.host = RecordingHost()
        self.flow = flow
        self.transaction: ServerTransaction
        if invite:
            self.transaction = InviteServerTransaction(KEY, flow, self.host)
        else:
            self.transaction = NonInviteServerTransaction(KEY, flow, self.host)

    def feed(self, event: int, now: float = 0.0) -> None:
        transaction = self.transaction
        match event:
            case Input.PROVISIONAL:
                transaction.respond(180, b"180", now)
            case Input.SUCCESS:
                transaction.respond(200, b"200", now)
            case Input.FAILURE:
                transaction.respond(486, b"486", now)
            case Input.RETRANSMISSION:
                transaction.receive_retransmission(self.flow)
            case Input.ACK:
                assert isinstance(transaction, InviteServerTransaction)
                transaction.receive_ack(now)
            case _:
                transaction.handle_timer(Timer(event), now)


PATHS: dict[State, list[int]] = {
    State.TRYING: [],
    State.PROCEEDING: [Input.PROVISIONAL],
    State.COMPLETED: [Input.FAILURE],
    State.ACCEPTED: [Input.SUCCESS],
    State.CONFIRMED: [Input.FAILURE, Input.ACK],
    State.TERMINATED: [Input.SUCCESS, Timer.L],
}
ALL_TIMERS = (Timer.G, Timer.H, Timer.I, Timer.J, Timer.L, Timer.TRYING, Timer.ANSWER)
EVERY = [*Input, *ALL_TIMERS]
NOT_ACK = [event for event in EVERY if event is not Input.ACK]  # its key says INVITE


@pytest.mark.parametrize("reliable", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("event", EVERY, ids=lambda event: event.name)
@pytest.mark.parametrize(
    "state", [State.PROCEEDING, State.COMPLETED, State.ACCEPTED, State.CONFIRMED]
)
def test_invite_table(state: State, event: int, reliable: bool) -> None:
    flow = Flow(TCP if reliable else UDP, ("h", 1), ("p", 2), int(reliable))
    run = Run(invite=True, flow=flow)
    for step in PATHS[state]:
        run.feed(step)
    reached = run.transaction.state
    expected = INVITE.get((reached, event))
    if expected is None and event in (Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE):
        with pytest.raises(LocalError, match=f"in state {reached.name}"):
            run.feed(event)
        return
    run.feed(event)
    after = run.transaction.state
    if expected is State.CONFIRMED and reliable:
        expected = State.TERMINATED  # Timer I is zero
    assert after == (reached if expected is None else expected)


@pytest.mark.parametrize("event", NOT_ACK, ids=lambda event: event.name)
@pytest.mark.parametrize("state", [State.TRYING, State.PROCEEDING, State.COMPLETED])
def test_non_invite_table(state: State, event: int, udp_flow: Flow) -> None:
    run = Run(invite=False, flow=udp_flow)
    for step in PATHS[state]:
        run.feed(step)
    expected = NON_INVITE.get((state, event))
    if expected is None and event in (Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE):
        with pytest.raises(LocalError, match=f"in state {state.name}"):
            run.feed(event)
        return
    run.feed(event)
    assert run.transaction.state == (state if expected is None else expected)
    assert bool(run.host.ended) is (expected is State.TERMINATED)


def test_copies_get_the_same_bytes_until_timer_j(udp_flow: Flow) -> None:
    run = Run(invite=False, flow=udp_flow)
    run.feed(Input.RETRANSMISSION)
    assert run.host.sent == []  # Trying: discarded
    run.feed(Input.SUCCESS, 10.0)
    run.feed(Input.RETRANSMISSION)
    assert run.host.sent == [b"200", b"200"]
    for now, ended in ((41.9, 0), (42.0, 1)):
        run.host.timers.handle_timer(now)
        assert len(run.host.ended) == ended


def test_respond_tells_the_first_final_response(udp_flow: Flow) -> None:
    for invite in (True, False):
        transaction = Run(invite=invite, flow=udp_flow).transaction
        assert [transaction.respond(180, b"", 0.0), transaction.answered] == [False, False]
        assert [transaction.respond(200, b"", 0.0), transaction.answered] == [True, True]


def test_a_refusal_is_repeated_until_its_ack(udp_flow: Flow) -> None:
    run = Run(invite=True, flow=udp_flow)
    run.feed(Input.FAILURE, 0.0)
    times = []
    for tick in range(1, 40):
        before = len(run.host.sent)
        run.host.timers.handle_timer(tick * 0.5)
        times += [tick * 0.5] * (len(run.host.sent) - before)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]  # T1 doubled up to T2
    run.feed(Input.ACK, 20.0)
    run.feed(Input.RETRANSMISSION, 20.0)
    run.host.timers.handle_timer(24.9)
    assert (len(run.host.sent), run.host.ended) == (8, [])
    run.host.timers.handle_timer(25.0)
    assert run.host.ended == [run.transaction]


def test_a_refusal_without_ack_ends_with_timer_h(udp_flow: Flow) -> None:
    run = Run(invite=True, flow=udp_flow)
    run.feed(Input.FAILURE, 0.0)
    for tick in range(1, 65):
        run.host.timers.handle_timer(tick * 0.5)
    assert run.host.ended == [run.transaction]


def test_after_a_2xx_copies_of_the_invite_are_absorbed(udp_flow: Flow) -> None:
    run = Run(invite=True, flow=udp_flow)
    transaction = run.transaction
    assert isinstance(transaction, InviteServerTransaction)
    run.feed(Input.SUCCESS, 0.0)
    run.feed(Input.RETRANSMISSION)
    assert run.host.sent == [b"200"]  # the user repeats it, not the transaction
    assert transaction.receive_ack(1.0)  # the user's
    run.host.timers.handle_timer(32.0)
    assert run.host.ended == [transaction]
    assert not transaction.receive_ack(33.0)


def test_the_user_is_reminded(udp_flow: Flow) -> None:
    run = Run(invite=True, flow=udp_flow)
    run.transaction.expect_answer(0.0)
    run.host.timers.handle_timer(0.2)
    assert run.host.reminders == [Timer.TRYING]
    run.host.timers.handle_timer(180.0)
    assert run.host.reminders == [Timer.TRYING, Timer.ANSWER]
