"""A stream passed on to a further address, as a cascade does it."""

from typing import Protocol

from media_relay._core import RelayStats


class MediaRelay(Protocol):
    """See :class:`media_relay._core.Relay`: RTP passes through, under an SSRC of our own."""

    @property
    def stream(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def local_port(self) -> int: ...
    def stats(self) -> RelayStats: ...
    def close(self) -> RelayStats | None: ...
