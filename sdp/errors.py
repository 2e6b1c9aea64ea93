"""Everything ``sdp`` may raise.

* :exc:`SdpError`
    * :exc:`LocalError`   -- we asked for a line that SDP does not allow: a bug of ours
    * :exc:`RemoteError`  -- the peer sent something that is no session description
        * :exc:`MalformedSdp`
"""


class SdpError(Exception):
    """Base of every error of this package."""


class LocalError(SdpError):
    """The caller broke the format. Never caught inside the package."""


class RemoteError(SdpError):
    """The peer broke the format; ``status_hint`` is what a server may answer."""

    status_hint = 400  # Bad Request, RFC 3261 section 21.4.1

    def __init__(self, reason: str, *, where: str = "") -> None:
        super().__init__(f"{reason} ({where})" if where else reason)


class MalformedSdp(RemoteError):
    """No SDP, or none that says where media goes: 488 Not Acceptable Here (GB/T 28181 9.2.2)."""

    status_hint = 488
