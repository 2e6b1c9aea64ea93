"""Calls and incoming requests as the services see them.

A call is awaitable steps and callbacks over an INVITE usage. A request knows the call it came in,
and a call hands on requests: the two know each other, so they live in one module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sipserver.sip.events import RequestReceived
from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.invite_usage import CallFailed, CallRefused, InviteUsage
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.writer import Headers
from sipserver.transport.errors import (
    InviteCancelled,
    InviteRejected,
    RequestTimedOut,
    TransportError,
    TransportFailed,
)


class CallService(Protocol):
    """What a call needs of the service that runs it."""

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response: ...
    def acknowledge(self, usage: InviteUsage, body: bytes, content_type: str) -> None: ...
    def hang_up(self, usage: InviteUsage) -> None:
        """CANCEL before the answer, BYE after it."""


def failure_error(failure: Failure, what: str) -> TransportError:
    """The exception for a failure event."""
    kind = RequestTimedOut if failure is Failure.TIMED_OUT else TransportFailed
    return kind(f"{what}: {failure.value}")


class Call:
    """One INVITE dialog, either role. Callbacks run in the event loop and must not block."""

    def __init__(self, usage: InviteUsage, service: CallService) -> None:
        self.on_provisional: Callable[[Response], None] | None = None
        """1xx to our INVITE."""
        self.on_request: Callable[[IncomingRequest], None] | None = None
        """Requests inside the call; a BYE among them is answered already."""
        self.on_ended: Callable[[str], None] | None = None
        """Once, after an established call is over, with the reason."""
        self.acknowledged = asyncio.Event()
        """Set when the peer acknowledged our 200."""
        self._usage = usage
        self._service = service
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._outcome: Response | TransportError | None = None
        self._cancelled = False

    @property
    def call_id(self) -> str:
        dialog, invite = self._usage.dialog, self._usage.invite
        if dialog is not None:
            return dialog.call_id
        return invite.call_id if invite is not None else ""

    @property
    def local_tag(self) -> str:
        dialog, invite = self._usage.dialog, self._usage.invite
        if dialog is not None:
            return dialog.local_tag
        return invite.from_tag if invite is not None else ""

    @property
    def remote_tag(self) -> str:
        """Empty until the call is answered."""
        return "" if self._usage.dialog is None else self._usage.dialog.remote_tag

    @property
    def flow(self) -> Flow:
        return self._usage.flow

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    async def answered(self) -> Response:
        """The 2xx to our INVITE; :meth:`ack` is the caller's next step.

        :raises InviteRejected: 3xx..6xx
        :raises RequestTimedOut: no final response
        :raises TransportFailed: the INVITE could not be sent, or the connection is lost
        :raises InviteCancelled: :meth:`cancel` was called
        """
        await self._settled.wait()
        if isinstance(self._outcome, Response):
            return self._outcome
        raise self._outcome or TransportFailed("the call is over")

    def ack(self, body: bytes = b"", content_type: str = "") -> None:
        """Acknowledge the 2xx; repeated by the core when the 2xx comes again."""
        self._service.acknowledge(self._usage, body, content_type)

    def cancel(self) -> None:
        """Take the INVITE back; :meth:`answered` raises at once, the core does the rest.

        CANCEL waits for a provisional answer (RFC 3261 9.1); a 2xx that crosses it is
        acknowledged and ended with BYE. After the answer this is :meth:`bye` without waiting.
        """
        if self._outcome is None:
            self._cancelled = True
            self._settle(InviteCancelled("the INVITE was cancelled"))
        self._service.hang_up(self._usage)

    async def request(
        self, method: str, *, headers: Headers = (), body: bytes = b"", content_type: str = ""
    ) -> Response:
        """A request inside the call, and its final response.

        :raises LocalError: before the answer or after the end, or for a method with its own way
        """
        request = self._usage.make_request(method, headers, body, content_type)
        return await self._service.request(request, self.flow)

    async def bye(self) -> None:
        """Hang up and wait for the end; 481 and a time-out are ends too. Safe twice."""
        if not self.ended:
            self.cancel()
            await self._ended.wait()

    # ------------------------------------------------------------------ told by the service
    def settle_answered(self, response: Response) -> None:
        self._settle(response)

    def settle_refused(self, event: CallRefused) -> None:
        response = event.response
        self._settle(InviteRejected(response.status, response.reason, response))
        self._ended.set()

    def settle_failed(self, event: CallFailed) -> None:
        self._settle(failure_error(event.failure, "INVITE"))
        self._ended.set()

    def settle_accepted(self) -> None:
        """The peer called and we accepted: there is no answer to wait for."""
        self._settle(TransportFailed("the peer called, not we"))

    def settle_ended(self, reason: str) -> None:
        self._settle(TransportFailed(reason))
        self._ended.set()
        if self.on_ended is not None and not self._cancelled:
            self.on_ended(reason)

    def _settle(self, outcome: Response | TransportError) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._settled.set()


class Answerer(Protocol):
    """What a request needs of the service it came through."""

    def respond(
        self,
        received: RequestReceived,
        status: int,
        reason: str,
        headers: Headers,
        body: bytes,
        content_type: str,
    ) -> None: ...
    def accept(
        self, received: RequestReceived, body: bytes, content_type: str, headers: Headers
    ) -> Call: ...
    def ignore(self, received: RequestReceived) -> None: ...


class IncomingRequest:
    """Answer it at once or keep it and answer later; unanswered for 32 s it is dropped."""

    __slots__ = ("_answerer", "_received", "call", "flow", "on_cancel", "received_at", "request")

    def __init__(self, received: RequestReceived, answerer: Answerer, call: Call | None) -> None:
        self.request = received.request
        self.flow: Flow = received.flow
        self.received_at = received.received_at
        """Seconds on the monotonic clock."""
        self.call = call
        """The call it belongs to, when it came inside one."""
        self.on_cancel: Callable[[], None] | None = None
        """INVITE only; 200 to the CANCEL and 487 to the INVITE are sent already."""
        self._received = received
        self._answerer = answerer

    @property
    def answered(self) -> bool:
        """Whether the final response is sent."""
        return self._received.transaction.answered

    def respond(
        self,
        status: int,
        reason: str = "",
        *,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """
        :raises LocalError: when it is answered already, or for a 2xx to an INVITE (``accept``)
        """
        self._answerer.respond(self._received, status, reason, headers, body, content_type)

    def ignore(self) -> None:
        """Never answer, and forget it: for floods and scanners. A copy counts as new."""
        self._answerer.ignore(self._received)

    def accept(
        self, *, body: bytes, content_type: str = "application/sdp", headers: Headers = ()
    ) -> Call:
        """INVITE only: 200 and a dialog, repeated until the ACK comes.

        :raises LocalError: when it is no INVITE or answered already
        """
        return self._answerer.accept(self._received, body, content_type, headers)
