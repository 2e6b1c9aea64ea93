"""The one door of the SIP core: bytes and time in, bytes and events out.

After each call into the endpoint drain it: take every event, send everything in
:meth:`Endpoint.data_to_send`, ask :meth:`Endpoint.get_timer` when to come back.

What the endpoint answers by itself: OPTIONS (200 with Allow), methods it does not serve (405 or
501), requests it cannot understand (400, 416, 420, 505, and 406 or 415 for an INVITE that cannot
lead to SDP), requests of dialogs that do not exist (481), CANCEL, BYE, overload (503).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from sipserver.sip.client_transaction import ClientTransaction, TransactionUser
from sipserver.sip.dialog import Dialog, DialogKey
from sipserver.sip.errors import LocalError, RemoteError, TooManyTransactions
from sipserver.sip.events import (
    CallCancelled,
    ConnectionCondemned,
    Event,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.framing import PONG
from sipserver.sip.invite_usage import InviteUsage
from sipserver.sip.invite_usage import State as UsageState
from sipserver.sip.message import MAX_BODY_SIZE, Request, Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.rejection import ALLOW, refusal, salvage
from sipserver.sip.server_transaction import (
    InviteServerTransaction,
    NonInviteServerTransaction,
    ServerTransaction,
)
from sipserver.sip.stats import Counters, SipStats
from sipserver.sip.streams import Streams
from sipserver.sip.timers import Timer, TimerTarget
from sipserver.sip.transaction_layer import COOKIE, TransactionLayer, server_key
from sipserver.sip.writer import (
    Headers,
    body_tail,
    header_lines,
    our_contact,
    write_cancel,
    write_request,
    write_response,
)

NEEDS_DIALOG: Final = frozenset({"BYE", "INFO"})
"""Without a dialog 481. A MESSAGE or NOTIFY with a To tag is served: devices send such."""
RETRY_AFTER: Final = 10
"""Seconds that an overloaded server asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """Limits of the SIP core and what it says of itself."""

    user_agent: str = "gb28181"
    """Value of User-Agent in everything we send; empty: no such header."""
    max_server_transactions: int = 20_000
    """Requests that may wait for our answer; the next one is answered 503 (two registrations
    in flight for each of 10,000 devices)."""
    max_absorbing: int = 65_536
    """Answered requests kept 32 s for their copies: 2,000 a second; about 60 MB."""
    max_client_transactions: int = 65_536
    """Requests of ours without an answer."""
    max_calls: int = 20_000
    """INVITE dialogs at once."""
    max_body_size: int = MAX_BODY_SIZE
    """Bytes of one message's body on a stream."""
    max_pending_size: int = 256 * 1024 * 1024
    """Bytes of unfinished messages on all streams together."""


class Endpoint:
    """A user agent, RFC 3261 section 8, on as many flows as there are peers."""

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        new_token: Callable[[], str],
        on_malformed: Callable[[bytes, Flow, RemoteError], None] = lambda data, flow, error: None,
    ) -> None:
        self._settings = settings
        self._new_token = new_token
        self._on_malformed = on_malformed
        self._tag_prefix = new_token()[:10] + "-"
        self._tags = 0
        self._count = Counters()
        self._layer = TransactionLayer(
            self._count,
            max_absorbing=settings.max_absorbing,
            on_unanswered=self._unanswered,
        )
        self._events: deque[Event] = deque()
        self._handed: RequestReceived | None = None
        self._usages: dict[DialogKey, InviteUsage] = {}
        self._invites: dict[InviteServerTransaction, RequestReceived] = {}  # not answered yet
        self._calls: set[InviteUsage] = set()
        self._calls_on: dict[int, set[InviteUsage]] = {}  # by TCP connection
        self._streams = Streams(
            max_body_size=settings.max_body_size, max_pending_size=settings.max_pending_size
        )
        self._constant = (
            header_lines([("User-Agent", settings.user_agent)]) if settings.user_agent else b""
        )
        self._empty_tail = body_tail(self._constant, b"", "")

    # ------------------------------------------------------------------ bytes and time in
    def receive_datagram(self, data: bytes, flow: Flow, now: float) -> None:
        if len(data) < 32 or data[0] in b"\r\n\0":
            data = data.lstrip(b"\r\n\0")
            if data.strip(b"\r\n\0 ") in (b"", b"jaK"):
                self._count.keep_alives += 1
                return
        self._receive_message(data, flow, now)

    def receive_stream(self, data: bytes, flow: Flow, now: float) -> int:
        """Bytes of one connection; nothing may follow a :class:`ConnectionCondemned`.

        Returns how many messages they completed.
        """
        framer = self._streams.framer(flow)
        completed = 0
        framer.receive_data(data)
        try:
            while (message := framer.next_message()) is not None:
                completed += 1
                self._receive_message(message, flow, now)
        except RemoteError as error:
            self._receive_garbage(framer.rest, flow, error)
            self._events.append(ConnectionCondemned(flow, str(error)))
        if framer.pings:
            framer.pings = 0
            self._count.keep_alives += 1
            self._layer.send(PONG, flow)
        if (greediest := self._streams.weigh(flow)) is not None:
            self._events.append(ConnectionCondemned(greediest, "too many unfinished messages"))
        return completed

    def pending_size(self, flow: Flow) -> int:
        """Bytes of an unfinished message on that connection."""
        return self._streams.pending(flow)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """The connection is gone: so are its transactions and calls."""
        self._streams.lost(flow)
        self._layer.connection_lost(flow.connection, now)
        for usage in list(self._calls_on.get(flow.connection, ())):
            usage.receive_gone(Failure.CONNECTION_LOST.value)

    def send_failed(self, transaction: ClientTransaction | None, now: float) -> None:
        """A message of :meth:`data_to_send` could not be sent (RFC 3261 18.4)."""
        self._count.undelivered += 1
        if transaction is not None:
            transaction.fail(Failure.TRANSPORT, now)

    def handle_timer(self, now: float) -> None:
        self._layer.handle_timer(now)

    # ------------------------------------------------------------------ bytes and events out
    def get_timer(self) -> float | None:
        """When :meth:`handle_timer` is due."""
        due = self._layer.get_timer()
        return None if due == inf else due

    def data_to_send(self) -> list[tuple[bytes, Flow, ClientTransaction | None]]:
        """``(bytes, where, whose)`` in order; ``whose`` goes into :meth:`send_failed`."""
        return self._layer.take_outbox()

    def next_event(self) -> Event | None:
        """The oldest event. Fetching the next one tells that the last request was looked at."""
        handed = self._handed
        if handed is not None:
            self._handed = None
            if not handed.transaction.answered:
                self._layer.expect_answer(handed.transaction, handed.received_at)
        if not self._events:
            return None
        event = self._events.popleft()
        if type(event) is RequestReceived:
            self._handed = event
        return event

    def stats(self) -> SipStats:
        return self._count.snapshot(
            server_transactions=self._layer.active,
            absorbing=self._layer.absorbing,
            client_transactions=self._layer.client_count,
            calls=len(self._calls),
        )

    # ------------------------------------------------------------------ what our user asks for
    def send_request(
        self,
        request: OutgoingRequest,
        flow: Flow,
        now: float,
        *,
        user: TransactionUser | None = None,
    ) -> ClientTransaction:
        """Send a request; events name the transaction that is returned.

        :raises LocalError: for ACK and CANCEL, which are not requests of their own
        :raises TooManyTransactions: when too many are unanswered
        """
        if request.method in ("ACK", "CANCEL"):
            raise LocalError(f"{request.method} is not sent this way")
        if user is None:  # the BYE of a call is bounded by the number of calls
            self._check_clients()
        complete = replace(
            request,
            from_tag=request.from_tag or self._new_token(),
            call_id=request.call_id or f"{self._new_token()}@{flow.local[0]}",
            cseq=request.cseq or 1,
        )
        branch = self._new_branch()
        data = write_request(complete, flow=flow, branch=branch, constant=self._constant)
        return self._layer.open_client(
            complete, data, branch=branch, flow=flow, user=user or self, now=now
        )

    def invite(self, request: OutgoingRequest, flow: Flow, now: float) -> InviteUsage:
        """Call somebody. CallAnswered, CallRefused or CallFailed follows.

        :raises TooManyTransactions: when too many calls are open
        """
        if request.method != "INVITE":
            raise LocalError(f"a call begins with INVITE, not {request.method}")
        self._check_calls()
        self._check_clients()
        usage = InviteUsage(self, flow, UsageState.CALLING)
        usage.call(request, now)
        self._add_call(usage)
        return usage

    def respond(
        self,
        received: RequestReceived,
        status: int,
        now: float,
        *,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """
        :raises LocalError: when it has its final answer already, or for a 2xx to an INVITE
        """
        if 200 <= status < 300 and received.request.method == "INVITE":
            raise LocalError("a 2xx to an INVITE makes a dialog: use accept")
        extra = header_lines(headers) if headers else b""
        tail = body_tail(self._constant, body, content_type) if body else self._empty_tail
        self._answer(received, status, now, reason, extra, tail)

    def ignore(self, received: RequestReceived) -> None:
        """Never answer: for floods and scanners. A copy counts as a new request."""
        self._count.ignored += 1
        transaction = received.transaction
        self._layer.forget(transaction)
        if isinstance(transaction, InviteServerTransaction):
            self._invites.pop(transaction, None)
            if received.usage is not None and received.usage.pending_invite is transaction:
                received.usage.pending_invite = None

    def accept(
        self,
        received: RequestReceived,
        now: float,
        *,
        body: bytes,
        content_type: str = "application/sdp",
        headers: Headers = (),
    ) -> InviteUsage:
        """Answer an INVITE 200; it is repeated until the ACK comes.

        :raises LocalError: when it is answered already
        """
        transaction = received.transaction
        if not isinstance(transaction, InviteServerTransaction) or transaction.answered:
            raise LocalError("only an unanswered INVITE can be accepted")
        usage = received.usage
        if usage is None:
            self._check_calls()
            transaction.to_tag = transaction.to_tag or self._new_token()
            usage = InviteUsage(self, received.flow, UsageState.ACCEPTED)
            dialog = Dialog.of_server(received.request, transaction.to_tag)
            received.usage = usage
            self._add_call(usage)
        elif usage.dialog is not None:
            dialog = usage.dialog
            dialog.refresh_target(received.request)
        else:
            raise LocalError("the call is not established")
        extra = self._dialog_headers(received, headers)
        tail = body_tail(self._constant, body, content_type if body else "")
        data = self._answer(received, 200, now, extra=extra, tail=tail)
        usage.accept(dialog, transaction, data, now)
        return usage

    # ------------------------------------------------------------------ a message came in
    def _receive_message(self, data: bytes, flow: Flow, now: float) -> None:
        self._count.received += 1
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                self._receive_response(message, now)
                return
            message.check()
        except RemoteError as error:
            self._receive_garbage(data, flow, error)
            return
        self._receive_request(message, flow, now)

    def _receive_garbage(self, data: bytes, flow: Flow, error: RemoteError) -> None:
        """Answer what can be answered, without a transaction; count it."""
        self._count.malformed += 1
        self._on_malformed(data, flow, error)
        if (request := salvage(data)) is not None:
            self._answer_statelessly(request, flow, error.status_hint, error.reason)

    def _receive_response(self, response: Response, now: float) -> None:
        if self._layer.receive_response(response, now):
            self._count.responses += 1
        else:
            self._count.stray_responses += 1

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        key = server_key(request, flow.remote[0])
        transaction = self._layer.find_server(key)
        method = request.method
        if transaction is not None and method != "ACK":
            self._count.retransmissions += 1
            transaction.receive_retransmission(flow)
            return
        if method == "ACK":
            self._receive_ack(request, transaction, now)
            return
        if self._is_full():
            self._count.overloaded += 1
            self._answer_statelessly(request, flow, 503, retry_after=RETRY_AFTER)
            return
        self._count.requests += 1
        received = RequestReceived(request, flow, now)
        self._layer.open_server(key, received)
        if isinstance(received.transaction, InviteServerTransaction):
            self._invites[received.transaction] = received
        self._dispatch(received, now)

    def _dispatch(self, received: RequestReceived, now: float) -> None:
        request = received.request
        try:
            no = refusal(request)
        except RemoteError as error:
            self._count.malformed += 1
            self._on_malformed(request.raw, received.flow, error)
            no = error.status_hint, (), error.reason
        if no is not None:
            status, headers, reason = no
            self._answer(received, status, now, reason=reason, extra=header_lines(headers))
        elif request.method == "CANCEL":
            self._receive_cancel(received, now)
        elif request.to_tag or request.method in NEEDS_DIALOG:
            self._receive_in_dialog(received, now)
        elif request.method == "OPTIONS":
            self._answer(received, 200, now, extra=ALLOW)
        else:
            self._events.append(received)

    def _receive_ack(
        self, request: Request, transaction: ServerTransaction | None, now: float
    ) -> None:
        usage = self._usages.get((request.call_id, request.to_tag, request.from_tag))
        if isinstance(transaction, InviteServerTransaction) and not transaction.receive_ack(now):
            return
        if usage is None or not usage.receive_ack(request, now):
            self._count.stray_acks += 1

    def _receive_cancel(self, received: RequestReceived, now: float) -> None:
        """RFC 3261 section 9.2."""
        branch, sent_by, call_id, number, _, host = received.transaction.key
        invite = self._layer.find_server((branch, sent_by, call_id, number, "INVITE", host))
        if not isinstance(invite, InviteServerTransaction):
            self._count.no_dialog += 1
            self._answer(received, 481, now)
            return
        received.transaction.to_tag = invite.to_tag = invite.to_tag or self._next_tag()
        self._answer(received, 200, now)
        cancelled = self._invites.get(invite)
        if cancelled is not None:
            self._answer(cancelled, 487, now)
            self._events.append(CallCancelled(cancelled))

    def _receive_in_dialog(self, received: RequestReceived, now: float) -> None:
        request = received.request
        method = request.method
        usage = self._usages.get((request.call_id, request.to_tag, request.from_tag))
        if usage is None or usage.dialog is None:
            self._receive_out_of_dialog(received, now)
            return
        received.usage = usage
        in_order = usage.dialog.in_order(request)
        if not usage.flow.reliable and not received.flow.reliable:
            usage.flow = received.flow  # the tags match: a NAT moved the peer
        if method == "BYE":  # whatever its CSeq: refusing it would only leak the call
            self._receive_bye(received, usage, now)
        elif not in_order:
            self._answer(received, 500, now, reason="CSeq goes back")
        elif method == "OPTIONS":
            self._answer(received, 200, now, extra=ALLOW)
        elif method == "INVITE" and not self._may_reinvite(received, usage):
            self._answer(received, 500, now, extra=b"Retry-After: 5\r\n")
        else:
            self._events.append(received)

    def _receive_out_of_dialog(self, received: RequestReceived, now: float) -> None:
        """A To tag, or a method that needs a dialog, but no dialog (12.2.2)."""
        method = received.request.method
        if method in NEEDS_DIALOG or method == "INVITE":
            self._count.no_dialog += 1
            self._answer(received, 481, now)
        elif method == "OPTIONS":
            self._answer(received, 200, now, extra=ALLOW)
        else:
            self._events.append(received)

    def _receive_bye(self, received: RequestReceived, usage: InviteUsage, now: float) -> None:
        self._answer(received, 200, now)
        if usage.pending_invite is not None:
            self._answer(self._invites[usage.pending_invite], 487, now)
        self._events.append(received)
        usage.receive_bye(now)

    def _may_reinvite(self, received: RequestReceived, usage: InviteUsage) -> bool:
        """One INVITE at a time in a dialog (14.2); in a call that is ending none."""
        transaction = received.transaction
        if usage.pending_invite is not None or usage.state is not UsageState.CONFIRMED:
            return False
        if isinstance(transaction, InviteServerTransaction):
            usage.pending_invite = transaction
        return True

    # ------------------------------------------------------------------ answering
    def _answer(
        self,
        received: RequestReceived,
        status: int,
        now: float,
        reason: str = "",
        extra: bytes = b"",
        tail: bytes = b"",
    ) -> bytes:
        transaction = received.transaction
        request = received.request
        tag = ""
        if not request.to_tag and status > 100:
            tag = transaction.to_tag
            if not tag:
                calls = request.method == "INVITE"  # its tag may come to name a dialog
                tag = transaction.to_tag = self._new_token() if calls else self._next_tag()
        data = write_response(
            request, received.flow, status, reason, tag, extra, tail or self._empty_tail
        )
        self._layer.respond(transaction, status, data, now)
        usage = received.usage
        if status >= 200 and isinstance(transaction, InviteServerTransaction):
            self._invites.pop(transaction, None)
            if usage is not None and usage.pending_invite is transaction:
                usage.pending_invite = None
        return data

    def _answer_statelessly(
        self, request: Request, flow: Flow, status: int, reason: str = "", retry_after: int = 0
    ) -> None:
        extra = b"Retry-After: %d\r\n" % retry_after if retry_after else b""
        try:
            tag = "" if request.to_tag else self._next_tag()
        except RemoteError:
            tag = ""
        self._layer.send(
            write_response(request, flow, status, reason, tag, extra, self._empty_tail), flow
        )

    def _dialog_headers(self, received: RequestReceived, headers: Headers) -> bytes:
        """What a 2xx to an INVITE says beyond the usual (12.1.1)."""
        request = received.request
        routes = b"".join(
            b"Record-Route: " + value + b"\r\n" for value in request.all(b"record-route")
        )
        contact = b""
        if not any(name.lower() == "contact" for name, _ in headers):
            contact = our_contact(request.to.uri_text, received.flow)
        return routes + contact + header_lines(headers)

    def _unanswered(self, transaction: ServerTransaction, timer: Timer, now: float) -> None:
        if timer is Timer.ANSWER:
            self._count.unanswered += 1
        if isinstance(transaction, NonInviteServerTransaction):
            return
        received = self._invites[transaction]
        if timer is Timer.ANSWER:
            self._answer(received, 408, now)
        elif transaction.silent:
            self._answer(received, 100, now)

    # ------------------------------------------------------------------ for the calls
    def receive_response(
        self, transaction: ClientTransaction, response: Response, now: float
    ) -> None:
        """A response to a request that is no call's own."""
        request = transaction.request
        self._events.append(ResponseReceived(transaction, response))
        if response.status == 481 and request.to_tag:
            usage = self._usages.get((request.call_id, request.from_tag, request.to_tag))
            if usage is not None:
                usage.receive_gone("the peer does not know the call")

    def transaction_failed(
        self, transaction: ClientTransaction, failure: Failure, now: float
    ) -> None:
        self._events.append(RequestFailed(transaction, failure))

    def send_ack(self, request: OutgoingRequest, flow: Flow) -> bytes:
        data = write_request(request, flow=flow, branch=self._new_branch(), constant=self._constant)
        self._layer.send(data, flow)
        return data

    def send_cancel(self, transaction: ClientTransaction, now: float) -> None:
        request = replace(transaction.request, method="CANCEL", body=b"", content_type="")
        data = write_cancel(request, flow=transaction.flow, branch=transaction.branch)
        self._layer.open_client(
            request,
            data,
            branch=transaction.branch,
            flow=transaction.flow,
            user=transaction.user,
            now=now,
        )

    def send(self, data: bytes, flow: Flow) -> None:
        self._layer.send(data, flow)

    def start_timer(self, timer: Timer, duration: float, now: float, target: TimerTarget) -> None:
        self._layer.start_timer(timer, duration, now, target)

    def emit(self, event: Event) -> None:
        self._events.append(event)

    def usage_established(self, usage: InviteUsage) -> None:
        if usage.dialog is not None:
            self._usages[usage.dialog.key] = usage

    def usage_ended(self, usage: InviteUsage) -> None:
        self._calls.discard(usage)
        group = self._calls_on.get(usage.flow.connection)
        if group is not None:
            group.discard(usage)
            if not group:
                del self._calls_on[usage.flow.connection]
        if usage.dialog is not None:
            self._usages.pop(usage.dialog.key, None)

    def _add_call(self, usage: InviteUsage) -> None:
        self._calls.add(usage)
        if usage.flow.connection:
            self._calls_on.setdefault(usage.flow.connection, set()).add(usage)

    def _is_full(self) -> bool:
        """Too many requests wait for our answer, or too many answered ones for their time."""
        waiting = self._settings.max_server_transactions
        everything = waiting + self._settings.max_absorbing
        return self._layer.active >= waiting or self._layer.server_count >= everything

    def _check_calls(self) -> None:
        if len(self._calls) >= self._settings.max_calls:
            raise TooManyTransactions(f"{len(self._calls)} calls are open")

    def _check_clients(self) -> None:
        if self._layer.client_count >= self._settings.max_client_transactions:
            raise TooManyTransactions(f"{self._layer.client_count} requests are unanswered")

    def _new_branch(self) -> bytes:
        return COOKIE + self._new_token().encode()

    def _next_tag(self) -> str:
        """A To tag for an answer that makes no dialog: unique, need not be secret."""
        self._tags += 1
        return f"{self._tag_prefix}{self._tags:x}"
