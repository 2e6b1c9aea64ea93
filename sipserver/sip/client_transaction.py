"""Client transactions: RFC 3261 section 17.1, INVITE as corrected by RFC 6026.

As in ``server_transaction``: two tables, and a host that sends, keeps the timers and takes the
transaction out of its book. What happens is told to the :class:`TransactionUser`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.timers import T1, T2, T4, TIMEOUT, TIMER_D, Timer, TimerTarget
from sipserver.sip.writer import write_ack


class Host(Protocol):
    """What a client transaction needs of the layer it lives in."""

    def send(
        self, data: bytes, flow: Flow, transaction: ClientTransaction | None = None
    ) -> None: ...
    def start_timer(
        self, timer: Timer, duration: float, now: float, target: TimerTarget
    ) -> None: ...
    def client_terminated(self, transaction: ClientTransaction) -> None: ...
    def client_timed_out(self, transaction: ClientTransaction) -> None: ...


class TransactionUser(Protocol):
    """The "TU" of RFC 3261 section 17."""

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None: ...
    def transaction_failed(
        self, transaction: ClientTransaction, failure: Failure, now: float
    ) -> None: ...


class State(IntEnum):
    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    COMPLETED = 4
    ACCEPTED = 5
    TERMINATED = 6


class Input(IntEnum):
    PROVISIONAL = 1
    SUCCESS = 2
    FAILURE = 3
    TRANSPORT_ERROR = 4


NON_INVITE: Final[dict[tuple[int, int], State]] = {
    (State.TRYING, Input.PROVISIONAL): State.PROCEEDING,
    (State.TRYING, Input.SUCCESS): State.COMPLETED,
    (State.TRYING, Input.FAILURE): State.COMPLETED,
    (State.TRYING, Timer.E): State.TRYING,
    (State.TRYING, Timer.F): State.TERMINATED,
    (State.TRYING, Input.TRANSPORT_ERROR): State.TERMINATED,
    (State.PROCEEDING, Input.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Input.SUCCESS): State.COMPLETED,
    (State.PROCEEDING, Input.FAILURE): State.COMPLETED,
    (State.PROCEEDING, Timer.E): State.PROCEEDING,
    (State.PROCEEDING, Timer.F): State.TERMINATED,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): State.TERMINATED,
    (State.COMPLETED, Timer.K): State.TERMINATED,
}
"""Figure 6 of RFC 3261."""

INVITE: Final[dict[tuple[int, int], State]] = {
    (State.CALLING, Input.PROVISIONAL): State.PROCEEDING,
    (State.CALLING, Input.SUCCESS): State.ACCEPTED,
    (State.CALLING, Input.FAILURE): State.COMPLETED,
    (State.CALLING, Timer.A): State.CALLING,
    (State.CALLING, Timer.B): State.TERMINATED,
    (State.CALLING, Input.TRANSPORT_ERROR): State.TERMINATED,
    (State.PROCEEDING, Input.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Input.SUCCESS): State.ACCEPTED,
    (State.PROCEEDING, Input.FAILURE): State.COMPLETED,
    (State.PROCEEDING, Input.TRANSPORT_ERROR): State.TERMINATED,
    (State.PROCEEDING, Timer.CANCELLED): State.TERMINATED,
    (State.ACCEPTED, Input.SUCCESS): State.ACCEPTED,
    (State.ACCEPTED, Timer.M): State.TERMINATED,
    (State.COMPLETED, Input.FAILURE): State.COMPLETED,
    (State.COMPLETED, Input.TRANSPORT_ERROR): State.TERMINATED,
    (State.COMPLETED, Timer.D): State.TERMINATED,
}
"""Figure 4 of RFC 6026."""


def _input(status: int) -> Input:
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


class ClientTransaction:
    """What both kinds share: the request as sent, and who waits for the answer."""

    __slots__ = ("_host", "_interval", "branch", "data", "flow", "request", "state", "user")

    table: dict[tuple[int, int], State] = NON_INVITE

    def __init__(
        self,
        request: OutgoingRequest,
        data: bytes,
        *,
        branch: bytes,
        flow: Flow,
        user: TransactionUser,
        host: Host,
    ) -> None:
        self.request: Final = request
        self.data: Final = data
        self.branch: Final = branch
        self.flow: Final = flow
        self.user: Final = user
        self.state = State.TRYING
        self._host = host
        self._interval = T1

    def start(self, now: float) -> None:
        raise NotImplementedError

    def receive_response(self, response: Response, now: float) -> None:
        raise NotImplementedError

    def handle_timer(self, timer: Timer, now: float) -> None:
        raise NotImplementedError

    def belongs(self, response: Response) -> bool:
        """Whether a response with our branch also names our request; a forged one does not."""
        request = self.request
        return (
            response.cseq.number == request.cseq
            and response.call_id == request.call_id
            and response.from_tag == request.from_tag
        )

    def fail(self, failure: Failure, now: float) -> None:
        """The transport could not deliver (RFC 3261 17.1.4)."""
        state = self.table.get((self.state, Input.TRANSPORT_ERROR))
        if state is None:
            return
        waiting = self.state is not State.COMPLETED
        self.state = state
        self._host.client_terminated(self)
        if waiting:
            self.user.transaction_failed(self, failure, now)

    def _time_out(self, now: float) -> None:
        self.state = State.TERMINATED
        self._host.client_timed_out(self)
        self.user.transaction_failed(self, Failure.TIMED_OUT, now)

    def _end_after(self, timer: Timer, duration: float, now: float) -> None:
        if self.flow.reliable:
            self.state = State.TERMINATED
            self._host.client_terminated(self)
        else:
            self._host.start_timer(timer, duration, now, self)


class NonInviteClientTransaction(ClientTransaction):
    """Sends one request until an answer or Timer F comes."""

    __slots__ = ()

    def start(self, now: float) -> None:
        self._host.send(self.data, self.flow, self)
        self._host.start_timer(Timer.F, TIMEOUT, now, self)
        if not self.flow.reliable:
            self._host.start_timer(Timer.E, T1, now, self)

    def receive_response(self, response: Response, now: float) -> None:
        state = NON_INVITE.get((self.state, _input(response.status)))
        if state is None:
            return  # a copy of the final response, absorbed in Completed
        self.state = state
        if state is State.COMPLETED:
            self._end_after(Timer.K, T4, now)
        self.user.receive_response(self, response, now)

    def handle_timer(self, timer: Timer, now: float) -> None:
        state = NON_INVITE.get((self.state, timer))
        if state is None:
            return
        if timer is Timer.E:
            self._host.send(self.data, self.flow, self)
            proceeding = state is State.PROCEEDING
            self._interval = T2 if proceeding else min(2 * self._interval, T2)
            self._host.start_timer(Timer.E, self._interval, now, self)
        elif timer is Timer.F:
            self._time_out(now)
        else:
            self.state = state
            self._host.client_terminated(self)


class InviteClientTransaction(ClientTransaction):
    """Sends one INVITE; acknowledges a refusal itself; hands every 2xx to its user."""

    __slots__ = ("_ack",)

    table = INVITE

    def start(self, now: float) -> None:
        self.state = State.CALLING
        self._ack = b""
        self._host.send(self.data, self.flow, self)
        self._host.start_timer(Timer.B, TIMEOUT, now, self)
        if not self.flow.reliable:
            self._host.start_timer(Timer.A, T1, now, self)

    def receive_response(self, response: Response, now: float) -> None:
        before = self.state
        state = INVITE.get((before, _input(response.status)))
        if state is None:
            return  # a late 1xx, or a 2xx behind a refusal
        self.state = state
        if state is State.COMPLETED:
            if before is State.COMPLETED:
                self._host.send(self._ack, self.flow)
                return
            self._ack = write_ack(self.request, response, flow=self.flow, branch=self.branch)
            self._host.send(self._ack, self.flow)
            self._end_after(Timer.D, TIMER_D, now)
        elif state is State.ACCEPTED and before is not State.ACCEPTED:
            self._host.start_timer(Timer.M, TIMEOUT, now, self)
        self.user.receive_response(self, response, now)

    def give_up_after_cancel(self, now: float) -> None:
        """Start the wait of RFC 3261 9.1 for a final response to a cancelled INVITE."""
        self._host.start_timer(Timer.CANCELLED, TIMEOUT, now, self)

    def handle_timer(self, timer: Timer, now: float) -> None:
        state = INVITE.get((self.state, timer))
        if state is None:
            return
        if timer is Timer.A:
            self._host.send(self.data, self.flow, self)
            self._interval *= 2
            self._host.start_timer(Timer.A, self._interval, now, self)
        elif timer in (Timer.B, Timer.CANCELLED):
            self._time_out(now)
        else:
            self.state = state
            self._host.client_terminated(self)
