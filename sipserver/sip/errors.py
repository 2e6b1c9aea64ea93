"""Everything ``sipserver.sip`` may raise.

* :exc:`SipError`
    * :exc:`LocalError`  -- we asked for something RFC 3261 forbids: a bug of ours
    * :exc:`TooManyTransactions` -- our own bound is reached; try again later
    * :exc:`RemoteError` -- the peer sent something RFC 3261 forbids
        * :exc:`MalformedMessage`
        * :exc:`MessageTooLarge`
"""


class SipError(Exception):
    """Base of every error of the SIP core."""


class LocalError(SipError):
    """The caller broke the protocol. Never caught inside the core."""


class TooManyTransactions(SipError):
    """As many requests of ours are unanswered as ``EndpointSettings`` allows."""


class RemoteError(SipError):
    """The peer broke the protocol; ``status_hint`` is what a server may answer."""

    status_hint = 400  # Bad Request, RFC 3261 section 21.4.1

    def __init__(self, reason: str, *, where: str = "", status: int = 0) -> None:
        super().__init__(f"{reason} ({where})" if where else reason)
        self.reason = reason
        if status:
            self.status_hint = status


class MalformedMessage(RemoteError):
    """Not SIP, or a header that cannot be read; ``status_hint`` 400, 416 or 505."""


class MessageTooLarge(RemoteError):
    """Larger than a limit of ``message.py``."""

    status_hint = 413  # Request Entity Too Large, RFC 3261 section 21.4.11
