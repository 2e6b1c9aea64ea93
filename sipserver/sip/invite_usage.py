"""One call: the INVITE usage of a dialog (RFC 5057), in either role, from INVITE to BYE.

RFC 3261 sections 9, 13, 14 and 15. The table below is the life of a call; the class does what a
step costs on the wire: the ACK and its repetition, CANCEL once a provisional answer allows it,
ACK and BYE for a 2xx that crossed our CANCEL or came from a second fork, the 2xx of ours repeated
until its ACK, and the BYE that waits for that ACK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from sipserver.sip.client_transaction import (
    ClientTransaction,
    InviteClientTransaction,
    TransactionUser,
)
from sipserver.sip.dialog import Dialog
from sipserver.sip.errors import LocalError
from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.message import Request, Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.server_transaction import InviteServerTransaction
from sipserver.sip.server_transaction import State as ServerState
from sipserver.sip.timers import T1, T2, TIMEOUT, Timer, TimerTarget


class State(IntEnum):
    CALLING = 1
    """INVITE sent, nothing heard."""
    PROCEEDING = 2
    CANCEL_WANTED = 3
    """Our user gave up before any answer; CANCEL has to wait for one (9.1)."""
    CANCELLING = 4
    ANSWERED = 5
    """2xx received, our user owes the ACK."""
    ACCEPTED = 6
    """2xx sent, the peer owes the ACK."""
    BYE_WANTED = 7
    """Our user hung up before that ACK (15: the callee must wait for it)."""
    CONFIRMED = 8
    ENDING = 9
    """BYE sent."""
    ENDED = 10


class Input(IntEnum):
    PROVISIONAL = 1
    SUCCESS = 2
    REFUSAL = 3
    FAILURE = 4
    CANCEL = 5
    ACK_SENT = 6
    ACK_RECEIVED = 7
    NO_ACK = 8
    BYE = 9
    """Our user hangs up."""
    BYE_RECEIVED = 10
    BYE_DONE = 11
    GONE = 12
    """The connection is lost, or the peer answered 481."""


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.CALLING, Input.PROVISIONAL): State.PROCEEDING,
    (State.CALLING, Input.SUCCESS): State.ANSWERED,
    (State.CALLING, Input.REFUSAL): State.ENDED,
    (State.CALLING, Input.FAILURE): State.ENDED,
    (State.CALLING, Input.CANCEL): State.CANCEL_WANTED,
    (State.PROCEEDING, Input.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Input.SUCCESS): State.ANSWERED,
    (State.PROCEEDING, Input.REFUSAL): State.ENDED,
    (State.PROCEEDING, Input.FAILURE): State.ENDED,
    (State.PROCEEDING, Input.CANCEL): State.CANCELLING,
    (State.CANCEL_WANTED, Input.PROVISIONAL): State.CANCELLING,
    (State.CANCEL_WANTED, Input.SUCCESS): State.ENDING,
    (State.CANCEL_WANTED, Input.REFUSAL): State.ENDED,
    (State.CANCEL_WANTED, Input.FAILURE): State.ENDED,
    (State.CANCELLING, Input.PROVISIONAL): State.CANCELLING,
    (State.CANCELLING, Input.SUCCESS): State.ENDING,
    (State.CANCELLING, Input.REFUSAL): State.ENDED,
    (State.CANCELLING, Input.FAILURE): State.ENDED,
    (State.ANSWERED, Input.ACK_SENT): State.CONFIRMED,
    (State.ANSWERED, Input.BYE): State.ENDING,
    (State.ANSWERED, Input.BYE_RECEIVED): State.ENDED,
    (State.ANSWERED, Input.GONE): State.ENDED,
    (State.ACCEPTED, Input.ACK_RECEIVED): State.CONFIRMED,
    (State.ACCEPTED, Input.NO_ACK): State.ENDING,
    (State.ACCEPTED, Input.BYE): State.BYE_WANTED,
    (State.ACCEPTED, Input.BYE_RECEIVED): State.ENDED,
    (State.ACCEPTED, Input.GONE): State.ENDED,
    (State.BYE_WANTED, Input.ACK_RECEIVED): State.ENDING,
    (State.BYE_WANTED, Input.NO_ACK): State.ENDING,
    (State.BYE_WANTED, Input.BYE_RECEIVED): State.ENDED,
    (State.BYE_WANTED, Input.GONE): State.ENDED,
    (State.CONFIRMED, Input.ACK_RECEIVED): State.CONFIRMED,
    (State.CONFIRMED, Input.NO_ACK): State.ENDING,
    (State.CONFIRMED, Input.BYE): State.ENDING,
    (State.CONFIRMED, Input.BYE_RECEIVED): State.ENDED,
    (State.CONFIRMED, Input.GONE): State.ENDED,
    (State.ENDING, Input.BYE_DONE): State.ENDED,
    (State.ENDING, Input.GONE): State.ENDED,
}


@dataclass(frozen=True, slots=True)
class CallProgressed:
    """1xx to our INVITE."""

    usage: InviteUsage
    response: Response


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The first 2xx to our INVITE; the user owes an ACK."""

    usage: InviteUsage
    response: Response


@dataclass(frozen=True, slots=True)
class CallRefused:
    """3xx..6xx to our INVITE; after our CANCEL normally 487."""

    usage: InviteUsage
    response: Response


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Our INVITE was never answered."""

    usage: InviteUsage
    failure: Failure


@dataclass(frozen=True, slots=True)
class CallAcknowledged:
    """The ACK for our 2xx came."""

    usage: InviteUsage
    request: Request


@dataclass(frozen=True, slots=True)
class CallEnded:
    """An established call is over; nothing follows."""

    usage: InviteUsage
    reason: str


CallEvent = CallProgressed | CallAnswered | CallRefused | CallFailed | CallAcknowledged | CallEnded
"""The news of calls."""


class Host(Protocol):
    """What a call needs of the endpoint."""

    def send_request(
        self,
        request: OutgoingRequest,
        flow: Flow,
        now: float,
        *,
        user: TransactionUser | None = None,
    ) -> ClientTransaction: ...
    def send_ack(self, request: OutgoingRequest, flow: Flow) -> bytes:
        """Write and send an ACK with a branch of its own; returned for its repetition."""

    def send_cancel(self, transaction: ClientTransaction, now: float) -> None: ...
    def send(self, data: bytes, flow: Flow) -> None: ...
    def start_timer(
        self, timer: Timer, duration: float, now: float, target: TimerTarget
    ) -> None: ...
    def emit(self, event: CallEvent) -> None: ...
    def usage_established(self, usage: InviteUsage) -> None: ...
    def usage_ended(self, usage: InviteUsage) -> None: ...


class _UnacknowledgedSuccess:
    """Our 2xx, repeated until its ACK: T1, doubled up to T2, for 64*T1 (13.3.1.4)."""

    __slots__ = ("_data", "_host", "_interval", "_transaction", "_usage", "cseq", "open")

    def __init__(
        self, usage: InviteUsage, host: Host, transaction: InviteServerTransaction, data: bytes
    ) -> None:
        self.cseq = transaction.key[3]
        self.open = True
        self._usage = usage
        self._host = host
        self._transaction = transaction
        self._data = data
        self._interval = T1

    def start(self, now: float) -> None:
        self._host.start_timer(Timer.SUCCESS, T1, now, self)
        self._host.start_timer(Timer.ACK, TIMEOUT, now, self)

    def handle_timer(self, timer: Timer, now: float) -> None:
        if not self.open:
            return
        if timer is Timer.ACK:
            self.open = False
            self._usage.receive_no_ack(now)
        elif self._transaction.state is ServerState.ACCEPTED:
            self._transaction.respond(200, self._data, now)
            self._interval = min(2 * self._interval, T2)
            self._host.start_timer(Timer.SUCCESS, self._interval, now, self)


class InviteUsage:
    """A call. Its events carry it; the shell hangs what it likes on :attr:`dialog`'s ids."""

    def __init__(self, host: Host, flow: Flow, state: State) -> None:
        self.state = state
        self.flow = flow
        self.dialog: Dialog | None = None
        self.invite: OutgoingRequest | None = None
        """Our INVITE; ``None`` when the peer called."""
        self.pending_invite: InviteServerTransaction | None = None
        """An INVITE of the peer inside the dialog that we have not answered yet."""
        self._host = host
        self._transaction: ClientTransaction | None = None
        self._unacknowledged: _UnacknowledgedSuccess | None = None
        self._ack = b""
        self._end_reason = ""

    @property
    def established(self) -> bool:
        return self.dialog is not None and self.state is not State.ENDED

    # ------------------------------------------------------------------ we called
    def call(self, request: OutgoingRequest, now: float) -> None:
        """Send the INVITE."""
        self._transaction = self._host.send_request(request, self.flow, now, user=self)
        self.invite = self._transaction.request

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        if transaction.request.method == "BYE":
            if response.status >= 200:
                self._finish_bye()
        elif transaction.request.method == "CANCEL":
            pass  # its answer says nothing about the INVITE (9.1)
        elif response.status < 200:
            self._receive_provisional(response, now)
        elif response.status < 300:
            self._receive_success(transaction, response, now)
        else:
            self._advance(Input.REFUSAL)
            self._end()
            self._host.emit(CallRefused(self, response))

    def transaction_failed(
        self, transaction: ClientTransaction, failure: Failure, now: float
    ) -> None:
        if transaction.request.method == "BYE":
            self._finish_bye()
        elif transaction.request.method == "INVITE":
            self._advance(Input.FAILURE)
            self._end()
            self._host.emit(CallFailed(self, failure))

    def _receive_provisional(self, response: Response, now: float) -> None:
        cancel = self.state is State.CANCEL_WANTED
        self._advance(Input.PROVISIONAL)
        if cancel:
            self._send_cancel(now)
        self._host.emit(CallProgressed(self, response))

    def _receive_success(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        if self.dialog is not None:
            self._receive_further_success(transaction, response, now)
            return
        self.dialog = Dialog.of_client(transaction.request, response)
        self._host.usage_established(self)
        self._advance(Input.SUCCESS)
        if self.state is State.ENDING:  # it crossed our CANCEL
            self._send_ack()
            self._send_bye("cancelled", now)
        else:
            self._host.emit(CallAnswered(self, response))

    def _receive_further_success(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        """A copy: our ACK was lost. Another To tag: a fork answered too (13.2.2.4)."""
        if self.dialog is not None and response.to_tag == self.dialog.remote_tag:
            if self._ack:
                self._host.send(self._ack, self.flow)
            return
        fork = Dialog.of_client(transaction.request, response)
        self._host.send_ack(fork.make_request("ACK", cseq=transaction.request.cseq), self.flow)
        self._host.send_request(fork.make_request("BYE"), self.flow, now, user=_Ignored())

    def acknowledge(self, body: bytes = b"", content_type: str = "") -> None:
        """Send the ACK for the 2xx; again whenever the 2xx comes again."""
        if self._ack:
            return
        self._advance(Input.ACK_SENT)
        self._send_ack(body, content_type)

    def cancel(self, now: float) -> None:
        """Take the INVITE back, or hang up when it is answered already."""
        if self.state is State.CALLING:
            self._advance(Input.CANCEL)
        elif self.state is State.PROCEEDING:
            self._advance(Input.CANCEL)
            self._send_cancel(now)
        elif self.state not in (State.CANCEL_WANTED, State.CANCELLING):
            self.bye(now)

    def _send_cancel(self, now: float) -> None:
        if isinstance(self._transaction, InviteClientTransaction):
            self._host.send_cancel(self._transaction, now)
            self._transaction.give_up_after_cancel(now)

    def _send_ack(self, body: bytes = b"", content_type: str = "") -> None:
        if self.dialog is None or self.invite is None:
            raise LocalError("ACK without a dialog of our own INVITE")
        request = self.dialog.make_request(
            "ACK", body=body, content_type=content_type, cseq=self.invite.cseq
        )
        self._ack = self._host.send_ack(request, self.flow)

    # ------------------------------------------------------------------ the peer called
    def accept(
        self, dialog: Dialog, transaction: InviteServerTransaction, data: bytes, now: float
    ) -> None:
        """``data``, our 2xx to an INVITE or re-INVITE, was sent: repeat it until its ACK."""
        if self.dialog is None:
            self.dialog = dialog
            self._host.usage_established(self)
        self._unacknowledged = _UnacknowledgedSuccess(self, self._host, transaction, data)
        self._unacknowledged.start(now)

    def receive_ack(self, request: Request, now: float) -> bool:
        """Whether it acknowledged our 2xx; a copy of an ACK says nothing new."""
        success = self._unacknowledged
        if success is None or not success.open or request.cseq.number != success.cseq:
            return False
        success.open = False
        hang_up = self.state is State.BYE_WANTED
        if (self.state, Input.ACK_RECEIVED) not in TRANSITIONS:
            return True  # the call ended before its ACK came
        self._advance(Input.ACK_RECEIVED)
        self._host.emit(CallAcknowledged(self, request))
        if hang_up:
            self._send_bye("hung up", now)
        return True

    def receive_no_ack(self, now: float) -> None:
        if (self.state, Input.NO_ACK) in TRANSITIONS:
            self._advance(Input.NO_ACK)
            self._send_bye("no ACK came", now)

    # ------------------------------------------------------------------ either
    def bye(self, now: float, reason: str = "hung up") -> None:
        """Hang up. Safe to call twice."""
        if (self.state, Input.BYE) not in TRANSITIONS:
            return
        if self.state is State.ANSWERED:
            self._send_ack()
        self._advance(Input.BYE)
        if self.state is State.ENDING:
            self._send_bye(reason, now)

    def make_request(
        self, method: str, headers: Sequence[tuple[str, str]], body: bytes, content_type: str
    ) -> OutgoingRequest:
        """A request inside the call: INFO, MESSAGE ...

        :raises LocalError: when there is no dialog, or the method has its own way
        """
        if self.dialog is None or self.state in (State.ENDING, State.ENDED):
            raise LocalError(f"{method} in state {self.state.name}")
        if method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise LocalError(f"{method} is not sent this way")
        return self.dialog.make_request(
            method, headers=headers, body=body, content_type=content_type
        )

    def receive_bye(self, now: float) -> None:
        """The BYE is answered already; when ours is on its way, that one decides the end."""
        if (self.state, Input.BYE_RECEIVED) in TRANSITIONS:
            self._advance(Input.BYE_RECEIVED)
            self._end("the peer hung up")

    def receive_gone(self, reason: str) -> None:
        """The connection is lost, or the peer does not know the call any more."""
        if (self.state, Input.GONE) in TRANSITIONS:
            self._advance(Input.GONE)
            self._end(self._end_reason or reason)

    def _send_bye(self, reason: str, now: float) -> None:
        if self.dialog is None:
            raise LocalError("BYE without a dialog")
        self._end_reason = reason
        self._host.send_request(self.dialog.make_request("BYE"), self.flow, now, user=self)

    def _finish_bye(self) -> None:
        """Any final response, or none in time, ends the call (15.1.1)."""
        if (self.state, Input.BYE_DONE) in TRANSITIONS:
            self._advance(Input.BYE_DONE)
            self._end(self._end_reason)

    def _end(self, reason: str = "") -> None:
        if self._unacknowledged is not None:
            self._unacknowledged.open = False
        self._host.usage_ended(self)
        if self.dialog is not None:
            self._host.emit(CallEnded(self, reason))

    def _advance(self, event: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalError(f"{event.name} in state {self.state.name}") from None


class _Ignored:
    """Nobody waits for the BYE of a fork."""

    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        pass

    def transaction_failed(
        self, transaction: ClientTransaction, failure: Failure, now: float
    ) -> None:
        pass
