"""What the endpoint reports, in the past tense. Slots classes: one is made for every request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sipserver.sip.flow import Flow
from sipserver.sip.message import Request, Response

if TYPE_CHECKING:
    from sipserver.sip.client_transaction import ClientTransaction
    from sipserver.sip.invite_usage import InviteUsage
    from sipserver.sip.server_transaction import ServerTransaction


class Failure(Enum):
    """Why there is no response; the words are for people."""

    TIMED_OUT = "no response"
    TRANSPORT = "the message could not be sent"
    CONNECTION_LOST = "the connection was lost"


class RequestReceived:
    """A request for our user, and the handle to answer it by."""

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
    | CallProgressed
    | CallAnswered
    | CallRefused
    | CallFailed
    | CallAcknowledged
    | CallEnded
    | ConnectionCondemned
)
