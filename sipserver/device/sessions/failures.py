"""Which error of which neighbour ends a setup how: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from media_relay.errors import MediaError, NoPortLeft, NoSsrcLeft
from sipserver.device.errors import DeviceNotOnline, UnknownChannel, UnknownDevice
from sipserver.device.sessions.errors import LimitReached
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.invite import AnswerRefused
from sipserver.sip.errors import TooManyTransactions
from sipserver.transport.errors import (
    InviteCancelled,
    InviteRejected,
    RequestTimedOut,
    TransportFailed,
)

MAX_DETAIL: Final = 160  # characters of a peer's or a system's words that we repeat


@dataclass(frozen=True, slots=True)
class Failure:
    ending: Ending
    detail: str = ""
    sip_status: int = 0
    sip_reason: str = ""
    encoding: str = ""
    limit: int = 0
    waited: float = 0.0  # seconds, when a time-out fired


BY_ERROR: Final[tuple[tuple[type[BaseException], Ending], ...]] = (
    (DeviceNotOnline, Ending.NOT_ONLINE),
    (UnknownDevice, Ending.UNKNOWN_CHANNEL),
    (UnknownChannel, Ending.UNKNOWN_CHANNEL),
    (NoSsrcLeft, Ending.NO_SSRC),
    (NoPortLeft, Ending.NO_PORT),
    (MediaError, Ending.RECEIVER_FAILED),
    (RequestTimedOut, Ending.NO_ANSWER),
    (TimeoutError, Ending.NO_ANSWER),
    (TransportFailed, Ending.SIP_UNREACHABLE),
    (InviteCancelled, Ending.DIALOG_LOST),
    (TooManyTransactions, Ending.OVERLOADED),
)
"""The first row that fits counts; what fits none is a bug of ours."""


def failure_of(error: Exception, *, invite_timeout: float) -> Failure:
    if isinstance(error, AnswerRefused):
        return Failure(error.ending, clean(error.detail), encoding=clean(error.encoding))
    if isinstance(error, LimitReached):
        return Failure(error.ending, limit=error.limit)
    if isinstance(error, InviteRejected):
        reason = clean(error.reason)
        return Failure(Ending.REJECTED, sip_status=error.status, sip_reason=reason)
    for kind, ending in BY_ERROR:
        if isinstance(error, kind):
            return Failure(ending, clean(str(error)), waited=invite_timeout)
    return Failure(Ending.INTERNAL, type(error).__name__)


def clean(text: str) -> str:
    """A peer's words, short and printable."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_DETAIL]).strip()
