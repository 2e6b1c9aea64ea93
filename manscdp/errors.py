"""Everything ``manscdp`` may raise.

* :exc:`ManscdpError`
    * :exc:`LocalError`   -- we asked for a message that annex A does not know: a bug of ours
    * :exc:`RemoteError`  -- the peer sent something that is no MANSCDP message
        * :exc:`MalformedXml`
        * :exc:`BodyTooLarge`
"""


class ManscdpError(Exception):
    """Base of every error of this package."""


class LocalError(ManscdpError):
    """The caller asked for something annex A does not allow. Never caught inside the package."""


class RemoteError(ManscdpError):
    """The peer broke the format; ``status_hint`` is what a server may answer."""

    status_hint = 400  # Bad Request, RFC 3261 section 21.4.1

    def __init__(self, reason: str, *, where: str = "") -> None:
        super().__init__(f"{reason} ({where})" if where else reason)
        self.reason = reason


class MalformedXml(RemoteError):
    """The body is no XML, no MANSCDP message, too deep, or carries a DOCTYPE."""


class BodyTooLarge(RemoteError):
    """The body is larger than :data:`manscdp.charset.MAX_BODY_BYTES`."""

    status_hint = 413  # Request Entity Too Large, RFC 3261 section 21.4.11
