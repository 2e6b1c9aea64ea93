"""The transaction layer: which message belongs to which transaction, and how many there may be.

RFC 3261 17.1.3 and 17.2.3. A server transaction is found by branch, sent-by, Call-ID, CSeq, method
and the host of the source: Call-ID and CSeq are more than the RFC asks, so devices that reuse one
branch for every request are served; the source keeps apart devices of one firmware that use the
same private address and the same "random" numbers behind different NATs. A branch without
``z9hG4bK`` (or with nothing behind it) is replaced by the From tag, which is RFC 2543's rule.
Merged requests are not answered 482 (8.2.2.2): no GB/T 28181 peer forks, but some repeat a request
under a new branch and expect its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from sipserver.sip.client_transaction import (
    ClientTransaction,
    InviteClientTransaction,
    NonInviteClientTransaction,
    TransactionUser,
)
from sipserver.sip.errors import MalformedMessage
from sipserver.sip.events import RequestReceived
from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.message import Request, Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.server_transaction import (
    InviteServerTransaction,
    NonInviteServerTransaction,
    ServerKey,
    ServerTransaction,
)
from sipserver.sip.stats import Counters
from sipserver.sip.timers import TIMEOUT, Timer, TimerQueues, TimerTarget

COOKIE: Final = b"z9hG4bK"
"""RFC 3261 section 8.1.1.7."""

Unanswered = Callable[[ServerTransaction, Timer, float], None]


def server_key(request: Request, host: str) -> ServerKey:
    """
    :param host: the address the request came from
    :raises MalformedMessage: when a field of the key cannot be read
    """
    branch, sent_by = request.via_identity
    if branch[:7] != COOKIE or len(branch) == 7:
        branch = b"2543 " + request.from_tag.encode("utf-8", "replace")
    number, method = request.cseq
    if method == "ACK":
        method = "INVITE"
    return branch, sent_by, request.first(b"call-id"), number, method, host


class TransactionLayer:
    """Both books of transactions, their timers, and what waits to be sent."""

    def __init__(
        self,
        counters: Counters,
        *,
        max_absorbing: int,
        on_unanswered: Unanswered,
    ) -> None:
        self.timers = TimerQueues()
        self.active = 0
        """Server transactions that wait for our answer."""
        self._counters = counters
        self._max_absorbing = max_absorbing
        self._on_unanswered = on_unanswered
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._clients: dict[tuple[bytes, str], ClientTransaction] = {}
        self._on_connection: dict[int, set[ClientTransaction]] = {}
        self._absorbing: deque[NonInviteServerTransaction] = deque()
        self._outbox: list[tuple[bytes, Flow, ClientTransaction | None]] = []

    @property
    def absorbing(self) -> int:
        return len(self._absorbing)

    @property
    def server_count(self) -> int:
        """Server transactions in any state."""
        return len(self._servers)

    @property
    def client_count(self) -> int:
        return len(self._clients)

    # ------------------------------------------------------------------ server side
    def find_server(self, key: ServerKey) -> ServerTransaction | None:
        return self._servers.get(key)

    def open_server(self, key: ServerKey, received: RequestReceived) -> None:
        transaction: ServerTransaction
        if received.request.method == "INVITE":
            transaction = InviteServerTransaction(key, received.flow, self)
        else:
            transaction = NonInviteServerTransaction(key, received.flow, self)
        received.transaction = transaction
        self._servers[key] = transaction
        self.active += 1

    def expect_answer(self, transaction: ServerTransaction, now: float) -> None:
        """Our user did not answer a request at once."""
        if self._servers.get(transaction.key) is transaction:  # else it was forgotten
            transaction.expect_answer(now)

    def respond(
        self, transaction: ServerTransaction, status: int, response: bytes, now: float
    ) -> None:
        if transaction.respond(status, response, now):
            self.active -= 1

    def forget(self, transaction: ServerTransaction) -> None:
        """The request is not answered, now or later."""
        if not transaction.answered:
            self.active -= 1
            transaction.forget()

    def absorb(self, transaction: NonInviteServerTransaction, now: float) -> None:
        if transaction.flow.connection:
            transaction.handle_timer(Timer.J, now)
            return
        transaction.expires_at = now + TIMEOUT
        absorbing = self._absorbing
        absorbing.append(transaction)
        if len(absorbing) > self._max_absorbing:
            self._counters.forgotten += 1
            absorbing.popleft().handle_timer(Timer.J, now)

    def server_terminated(self, transaction: ServerTransaction) -> None:
        self._servers.pop(transaction.key, None)

    def unanswered(self, transaction: ServerTransaction, timer: Timer, now: float) -> None:
        if isinstance(transaction, NonInviteServerTransaction):
            self.active -= 1  # it ends without a response
        self._on_unanswered(transaction, timer, now)

    # ------------------------------------------------------------------ client side
    def open_client(
        self,
        request: OutgoingRequest,
        data: bytes,
        *,
        branch: bytes,
        flow: Flow,
        user: TransactionUser,
        now: float,
    ) -> ClientTransaction:
        kind = InviteClientTransaction if request.method == "INVITE" else NonInviteClientTransaction
        transaction = kind(request, data, branch=branch, flow=flow, user=user, host=self)
        self._clients[branch, request.method] = transaction
        if flow.connection:
            self._on_connection.setdefault(flow.connection, set()).add(transaction)
        transaction.start(now)
        return transaction

    def receive_response(self, response: Response, now: float) -> bool:
        """Whether it belonged to a request of ours; all else is stray or forged."""
        try:
            transaction = self._clients.get((response.via.branch, response.cseq.method))
            if transaction is None or len(response.via_values) != 1:
                return False  # more than one Via: meant for somebody else (8.1.3.3)
            _ = response.to_tag
            if not transaction.belongs(response):
                return False
        except MalformedMessage:
            return False
        transaction.receive_response(response, now)
        return True

    def client_terminated(self, transaction: ClientTransaction) -> None:
        self._clients.pop((transaction.branch, transaction.request.method), None)
        connection = transaction.flow.connection
        if connection and (group := self._on_connection.get(connection)) is not None:
            group.discard(transaction)
            if not group:
                del self._on_connection[connection]

    def client_timed_out(self, transaction: ClientTransaction) -> None:
        self._counters.timed_out += 1
        self.client_terminated(transaction)

    def connection_lost(self, connection: int, now: float) -> None:
        for transaction in self._on_connection.pop(connection, set()):
            transaction.fail(Failure.CONNECTION_LOST, now)

    # ------------------------------------------------------------------ sending, time
    def send(self, data: bytes, flow: Flow, transaction: ClientTransaction | None = None) -> None:
        self._outbox.append((data, flow, transaction))

    def take_outbox(self) -> list[tuple[bytes, Flow, ClientTransaction | None]]:
        outbox = self._outbox
        if outbox:
            self._counters.sent += len(outbox)
            self._outbox = []
        return outbox

    def start_timer(self, timer: Timer, duration: float, now: float, target: TimerTarget) -> None:
        self.timers.start(timer, duration, now, target)

    def get_timer(self) -> float:
        """When :meth:`handle_timer` is due; ``inf`` when nothing waits."""
        due = self.timers.next_deadline
        if self._absorbing and self._absorbing[0].expires_at < due:
            return self._absorbing[0].expires_at
        return due

    def handle_timer(self, now: float) -> None:
        absorbing = self._absorbing
        while absorbing and absorbing[0].expires_at <= now:
            absorbing.popleft().handle_timer(Timer.J, now)
        self.timers.handle_timer(now)
