"""A stream's way in, and one that holds its port lease."""

from contextlib import ExitStack
from typing import Final, Protocol, Self

from media_relay._core import StreamStats
from media_relay.errors import PortInUse
from media_relay.ports import PortPool

OPEN_ATTEMPTS: Final = 4
"""Other programs may sit on a few ports of our range; on more the range is wrong."""


class MediaReceiver(Protocol):
    """See :class:`media_relay._core.Receiver`."""

    @property
    def stream(self) -> str: ...
    @property
    def port(self) -> int: ...
    def expect(self, ssrc: int | None) -> None: ...
    def connect(self, host: str, port: int) -> None: ...
    def set_paused(self, paused: bool) -> None: ...
    def set_ready(self, ready: bool) -> None: ...
    def stats(self) -> StreamStats: ...
    def close(self) -> None: ...


class Opener(Protocol):
    """The part of a media node that opens receivers."""

    def open_receiver(
        self,
        stream: str,
        *,
        host: str,
        port: int,
        transport: str,
        ssrc: int | None,
        single_port: bool = False,
        source: str | None = None,
        ready: bool = True,
    ) -> MediaReceiver: ...


class LeasedReceiver:
    """A port of the media range and the receiver on it, held together."""

    def __init__(
        self,
        node: Opener,
        ports: PortPool,
        stream: str,
        *,
        host: str,
        transport: str,
        ssrc: int | None,
        source: str | None = None,
        ready: bool = True,
    ) -> None:
        """
        :raises NoPortLeft: when every port is leased
        :raises PortInUse: when other programs sit on our ports
        :raises StreamExists: when a stream of that name is open
        """
        with ExitStack() as undo:
            for attempt in range(1, OPEN_ATTEMPTS + 1):
                port = ports.lease()
                undo.callback(ports.release, port)
                try:
                    self.core = node.open_receiver(
                        stream,
                        host=host,
                        port=port,
                        transport=transport,
                        ssrc=ssrc,
                        source=source,
                        ready=ready,
                    )
                except PortInUse:
                    if attempt == OPEN_ATTEMPTS:
                        raise
                else:
                    break
            undo.callback(self.core.close)
            self._undo = undo.pop_all()

    @property
    def port(self) -> int:
        return self.core.port

    def close(self) -> None:
        """Close the receiver, then give the port back. Safe to call twice."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
