"""Everything ``media_relay`` may raise.

* :exc:`MediaError` -- base; also what the operating system refused
    * :exc:`PortInUse` -- the local port is taken by another program
    * :exc:`UnknownStream` -- no stream, relay or sender of that name is open
    * :exc:`StreamExists` -- a stream of that name, or with that SSRC on the port, is open already
    * :exc:`LimitReached` -- a bound of the settings is reached
    * :exc:`NodeClosed` -- the node is closed
    * :exc:`NoPortLeft` -- every port of the media range is leased
    * :exc:`NoSsrcLeft` -- every SSRC of the domain is leased or resting
    * :exc:`TokenRefused` -- a play token is malformed or was not issued for this stream
        * :exc:`TokenExpired`

``ValueError`` means a caller's mistake (a port that is odd, a transport that does not exist).
"""

from media_relay._core import (
    LimitReached,
    MediaError,
    NodeClosed,
    PortInUse,
    StreamExists,
    UnknownStream,
)

__all__ = [
    "LimitReached",
    "MediaError",
    "NoPortLeft",
    "NoSsrcLeft",
    "NodeClosed",
    "PortInUse",
    "StreamExists",
    "TokenExpired",
    "TokenRefused",
    "UnknownStream",
]


class NoPortLeft(MediaError):
    """Every port of the media range is leased."""


class NoSsrcLeft(MediaError):
    """Every SSRC of the domain is leased or resting after its release."""


class TokenRefused(MediaError):
    """The token is malformed or was not issued for this stream."""


class TokenExpired(TokenRefused):
    """The token was right and its time is over."""
