"""A request on its way through our services: what came, and how to answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sipserver.sip.events import RequestReceived
from sipserver.sip.flow import Flow
from sipserver.sip.writer import Headers

if TYPE_CHECKING:
    from sipserver.transport.call import Call


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

    def accept(
        self, *, body: bytes, content_type: str = "application/sdp", headers: Headers = ()
    ) -> Call:
        """INVITE only: 200 and a dialog, repeated until the ACK comes.

        :raises LocalError: when it is no INVITE or answered already
        """
        return self._answerer.accept(self._received, body, content_type, headers)
