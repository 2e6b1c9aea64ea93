"""Server transactions: RFC 3261 section 17.2, INVITE as corrected by RFC 6026.

Two tables; what is not in them is either our bug (:exc:`LocalError`), or a timer or an ACK that
came too late and means nothing any more. Transactions own no queue and no socket: they tell
their :class:`Host` what to send and which timer to start.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

from sipserver.sip.errors import LocalError
from sipserver.sip.flow import Flow
from sipserver.sip.timers import (
    INVITE_ANSWER_TIMEOUT,
    T1,
    T2,
    T4,
    TIMEOUT,
    TRYING_DELAY,
    Timer,
    TimerTarget,
)

ServerKey = tuple[bytes, bytes, bytes, int, str, str]
"""Branch, sent-by, Call-ID, CSeq number, method (INVITE for its ACK), host of the source."""


class Host(Protocol):
    """What a server transaction needs of the layer it lives in."""

    def send(self, data: bytes, flow: Flow) -> None: ...
    def start_timer(
        self, timer: Timer, duration: float, now: float, target: TimerTarget
    ) -> None: ...
    def absorb(self, transaction: NonInviteServerTransaction, now: float) -> None:
        """Keep the transaction for Timer J; over TCP it is zero and the end is now."""

    def server_terminated(self, transaction: ServerTransaction) -> None: ...
    def unanswered(self, transaction: ServerTransaction, timer: Timer, now: float) -> None:
        """Our user has not answered for so long (``TRYING``) or never did (``ANSWER``)."""


class State(IntEnum):
    TRYING = 1
    PROCEEDING = 2
    COMPLETED = 3
    CONFIRMED = 4
    ACCEPTED = 5
    TERMINATED = 6


class Input(IntEnum):
    PROVISIONAL = 1
    SUCCESS = 2
    FAILURE = 3
    ACK = 4
    RETRANSMISSION = 5


NON_INVITE: Final[dict[tuple[int, int], State]] = {
    (State.TRYING, Input.PROVISIONAL): State.PROCEEDING,
    (State.TRYING, Input.SUCCESS): State.COMPLETED,
    (State.TRYING, Input.FAILURE): State.COMPLETED,
    (State.TRYING, Input.RETRANSMISSION): State.TRYING,
    (State.TRYING, Timer.ANSWER): State.TERMINATED,
    (State.PROCEEDING, Input.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Input.SUCCESS): State.COMPLETED,
    (State.PROCEEDING, Input.FAILURE): State.COMPLETED,
    (State.PROCEEDING, Input.RETRANSMISSION): State.PROCEEDING,
    (State.PROCEEDING, Timer.ANSWER): State.TERMINATED,
    (State.COMPLETED, Input.RETRANSMISSION): State.COMPLETED,
    (State.COMPLETED, Timer.J): State.TERMINATED,
}
"""Figure 8 of RFC 3261."""

INVITE: Final[dict[tuple[int, int], State]] = {
    (State.PROCEEDING, Input.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Input.SUCCESS): State.ACCEPTED,
    (State.PROCEEDING, Input.FAILURE): State.COMPLETED,
    (State.PROCEEDING, Input.RETRANSMISSION): State.PROCEEDING,
    (State.PROCEEDING, Timer.TRYING): State.PROCEEDING,
    (State.PROCEEDING, Timer.ANSWER): State.PROCEEDING,
    (State.ACCEPTED, Input.SUCCESS): State.ACCEPTED,
    (State.ACCEPTED, Input.RETRANSMISSION): State.ACCEPTED,
    (State.ACCEPTED, Input.ACK): State.ACCEPTED,
    (State.ACCEPTED, Timer.L): State.TERMINATED,
    (State.COMPLETED, Input.RETRANSMISSION): State.COMPLETED,
    (State.COMPLETED, Input.ACK): State.CONFIRMED,
    (State.COMPLETED, Timer.G): State.COMPLETED,
    (State.COMPLETED, Timer.H): State.TERMINATED,
    (State.CONFIRMED, Input.RETRANSMISSION): State.CONFIRMED,
    (State.CONFIRMED, Input.ACK): State.CONFIRMED,
    (State.CONFIRMED, Timer.I): State.TERMINATED,
}
"""Figure 5 of RFC 6026."""


def _input(status: int) -> Input:
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


class NonInviteServerTransaction:
    """Answers one request once, however often the peer retransmits it."""

    __slots__ = (
        *("_host", "_response", "answered", "expires_at", "flow", "key", "state", "to_tag"),
    )

    def __init__(self, key: ServerKey, flow: Flow, host: Host) -> None:
        self.key: Final = key
        self.flow: Final = flow
        self.state = State.TRYING
        self.answered = False
        """Whether the final response was sent."""
        self.to_tag = ""
        self.expires_at = 0.0
        """When Timer J fires; set by the host that absorbs."""
        self._host = host
        self._response = b""

    def expect_answer(self, now: float) -> None:
        """Our user keeps the request to answer it later: bound how much later."""
        self._host.start_timer(Timer.ANSWER, TIMEOUT, now, self)

    def forget(self) -> None:
        """Our user will never answer, and copies are to count as new requests."""
        self.state = State.TERMINATED
        self._host.server_terminated(self)

    def receive_retransmission(self, flow: Flow) -> None:
        """``flow``: where this copy came from; a NAT may have moved the peer since the first."""
        if self._response:  # in Trying there is none, and the copy is discarded
            self._host.send(self._response, flow)

    def respond(self, status: int, response: bytes, now: float) -> bool:
        """Send a response; whether it was the first final one."""
        state = NON_INVITE.get((self.state, _input(status)))
        if state is None:
            raise LocalError(f"{status} in state {self.state.name}")
        self.state = state
        self._response = response
        self._host.send(response, self.flow)
        if status < 200:
            return False
        self.answered = True
        self._host.absorb(self, now)
        return True

    def handle_timer(self, timer: Timer, now: float) -> None:
        state = NON_INVITE.get((self.state, timer))
        if state is None:
            return
        self.state = state
        if timer is Timer.ANSWER:  # no response at all, as RFC 4320 section 4.1 has it
            self._host.unanswered(self, timer, now)
        self._host.server_terminated(self)


class InviteServerTransaction:
    """Answers one INVITE; after a 2xx it only keeps copies of the INVITE away (RFC 6026 7.1)."""

    __slots__ = (
        *("_host", "_interval", "_response", "answered"),
        *("flow", "key", "state", "to_tag"),
    )

    def __init__(self, key: ServerKey, flow: Flow, host: Host) -> None:
        self.key: Final = key
        self.flow: Final = flow
        self.state = State.PROCEEDING
        self.answered = False
        """Whether a final response was sent."""
        self.to_tag = ""
        self._host = host
        self._interval = T1
        self._response = b""

    def expect_answer(self, now: float) -> None:
        """Our user keeps the INVITE: 100 soon, and a bound on the ringing."""
        self._host.start_timer(Timer.TRYING, TRYING_DELAY, now, self)
        self._host.start_timer(Timer.ANSWER, INVITE_ANSWER_TIMEOUT, now, self)

    @property
    def silent(self) -> bool:
        """Nothing was sent yet, not even 100."""
        return not self._response

    def forget(self) -> None:
        """Our user will never answer, and copies are to count as new requests."""
        self.state = State.TERMINATED
        self._host.server_terminated(self)

    def receive_retransmission(self, flow: Flow) -> None:
        if self._response and self.state in (State.PROCEEDING, State.COMPLETED):
            self._host.send(self._response, flow)

    def receive_ack(self, now: float) -> bool:
        """Whether the ACK belongs to our user (it acknowledges a 2xx)."""
        state = INVITE.get((self.state, Input.ACK))
        if state is None:
            return False
        first = self.state is State.COMPLETED
        self.state = state
        if first and self.flow.reliable:  # Timer I is zero
            self.handle_timer(Timer.I, now)
        elif first:
            self._host.start_timer(Timer.I, T4, now, self)
        return state is State.ACCEPTED

    def respond(self, status: int, response: bytes, now: float) -> bool:
        """Send a response; whether it was the first final one."""
        state = INVITE.get((self.state, _input(status)))
        if state is None:
            raise LocalError(f"{status} in state {self.state.name}")
        self.state = state
        self._response = response
        self._host.send(response, self.flow)
        if status < 200 or self.answered:
            return False
        self.answered = True
        if state is State.ACCEPTED:
            self._host.start_timer(Timer.L, TIMEOUT, now, self)
            return True
        self._host.start_timer(Timer.H, TIMEOUT, now, self)
        if not self.flow.reliable:
            self._host.start_timer(Timer.G, T1, now, self)
        return True

    def handle_timer(self, timer: Timer, now: float) -> None:
        state = INVITE.get((self.state, timer))
        if state is None:
            return
        if timer is Timer.G:
            self._host.send(self._response, self.flow)
            self._interval = min(2 * self._interval, T2)
            self._host.start_timer(Timer.G, self._interval, now, self)
        elif timer in (Timer.TRYING, Timer.ANSWER):
            self._host.unanswered(self, timer, now)
            return
        self.state = state
        if state is State.TERMINATED:
            self._host.server_terminated(self)


ServerTransaction = NonInviteServerTransaction | InviteServerTransaction
