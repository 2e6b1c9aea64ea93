"""What the endpoint counts. Counters never go back; the last four fields are levels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SipStats:
    """One snapshot."""

    received: int
    """Datagrams and framed messages."""
    sent: int
    requests: int
    """New requests, copies not counted."""
    responses: int
    """Responses that belonged to a request of ours."""
    malformed: int
    """Not SIP, or a header that could not be read; answered 400-505 where possible."""
    keep_alives: int
    """CRLF, NUL and "jaK" between messages."""
    retransmissions: int
    """Copies of requests, answered or absorbed by their transaction."""
    stray_responses: int
    """Late, forged or malformed: dropped."""
    stray_acks: int
    no_dialog: int
    """Requests of a dialog we do not know, answered 481."""
    overloaded: int
    """Requests answered 503 because a limit was reached."""
    forgotten: int
    """Answered transactions dropped before Timer J because there were too many."""
    ignored: int
    """Requests our own services chose never to answer."""
    unanswered: int
    """Requests our own services never answered."""
    timed_out: int
    """Requests of ours without a final response."""
    undelivered: int
    """Messages the transport could not send."""
    server_transactions: int
    """Requests waiting for our answer."""
    absorbing: int
    """Answered requests kept for their copies."""
    client_transactions: int
    """Requests of ours."""
    calls: int
    """INVITE usages, from the INVITE to the end of the BYE."""


class Counters:
    """The mutable side of :class:`SipStats`."""

    __slots__ = (
        "forgotten",
        "ignored",
        "keep_alives",
        "malformed",
        "no_dialog",
        "overloaded",
        "received",
        "requests",
        "responses",
        "retransmissions",
        "sent",
        "stray_acks",
        "stray_responses",
        "timed_out",
        "unanswered",
        "undelivered",
    )

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0
        self.requests = 0
        self.responses = 0
        self.malformed = 0
        self.keep_alives = 0
        self.retransmissions = 0
        self.stray_responses = 0
        self.stray_acks = 0
        self.no_dialog = 0
        self.overloaded = 0
        self.forgotten = 0
        self.ignored = 0
        self.unanswered = 0
        self.timed_out = 0
        self.undelivered = 0

    def snapshot(
        self, *, server_transactions: int, absorbing: int, client_transactions: int, calls: int
    ) -> SipStats:
        return SipStats(
            **{name: getattr(self, name) for name in self.__slots__},
            server_transactions=server_transactions,
            absorbing=absorbing,
            client_transactions=client_transactions,
            calls=calls,
        )
