"""Everything ``sipserver.transport`` may raise.

* :exc:`TransportError`
    * :exc:`PortInUse`        -- the address to listen on is taken
    * :exc:`TransportFailed`  -- a connection could not be made, was lost, or is full
    * :exc:`RequestTimedOut`  -- no final response in 32 s (Timer B or F)
    * :exc:`InviteRejected`   -- the peer answered 3xx..6xx
    * :exc:`InviteCancelled`  -- we took the INVITE back
"""

from __future__ import annotations

from sipserver.sip.message import Response


class TransportError(Exception):
    """Base of every error of the asyncio shell."""


class PortInUse(TransportError):
    """The port is taken; the message says which, and what to do."""


class TransportFailed(TransportError):
    """The peer cannot be reached on this flow."""


class RequestTimedOut(TransportError):
    """The peer did not answer."""


class InviteRejected(TransportError):
    """The peer refused the call."""

    def __init__(self, status: int, reason: str, response: Response) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.response = response


class InviteCancelled(TransportError):
    """:meth:`Call.cancel` was called before the answer came."""
