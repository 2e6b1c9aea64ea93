"""What the endpoint reports, in the past tense; the news of calls is in ``invite_usage``."""

from __future__ import annotations

from dataclasses import dataclass

from sipserver.sip.client_transaction import ClientTransaction
from sipserver.sip.failure import Failure
from sipserver.sip.flow import Flow
from sipserver.sip.invite_usage import CallEvent, InviteUsage
from sipserver.sip.message import Request, Response
from sipserver.sip.server_transaction import ServerTransaction


class RequestReceived:
    """A request for our user, and the handle to answer it by. Slots: one is made per request."""

    __slots__ = ("flow", "owner", "received_at", "request", "transaction", "usage")

    def __init__(self, request: Request, flow: Flow, received_at: float) -> None:
        self.request = request
        self.flow = flow
        self.received_at = received_at
        self.transaction: ServerTransaction
        self.usage: InviteUsage | None = None
        """The dialog it came in, if it came in one."""
        self.owner: object = None
        """What the shell made of it."""


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """The peer took its INVITE back; 200 and 487 are on their way."""

    received: RequestReceived


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request of ours outside the INVITE usages."""

    transaction: ClientTransaction
    response: Response


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request of ours will get no response any more."""

    transaction: ClientTransaction
    failure: Failure


@dataclass(frozen=True, slots=True)
class ConnectionCondemned:
    """A stream that cannot be read any further: send what is queued, then close it."""

    flow: Flow
    reason: str


Event = (
    RequestReceived
    | CallCancelled
    | ResponseReceived
    | RequestFailed
    | ConnectionCondemned
    | CallEvent
)
