"""The media node as the rest of the server sees it, and the one that runs in this process."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, Self

from media_relay import _core
from media_relay._core import Event, NodeStats, StreamStats
from media_relay.receiver import MediaReceiver
from media_relay.relay import MediaRelay

EventCallback = Callable[[Event], None]
Unsubscribe = Callable[[], None]

log = logging.getLogger("media_relay")


class MediaNode(Protocol):
    """Where streams come in and go out. All calls return at once; news comes as events."""

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
        payload_type: int = 96,
        live: bool = True,
        mu_law: bool = False,
    ) -> MediaReceiver:
        """See :meth:`media_relay._core.Node.open_receiver`."""

    def open_relay(
        self,
        stream: str,
        *,
        remote: tuple[str, int],
        transport: str,
        ssrc: int,
        local_host: str = "0.0.0.0",  # noqa: S104
        local_port: int = 0,
    ) -> MediaRelay:
        """See :meth:`media_relay._core.Node.open_relay`."""

    def add_viewer(
        self,
        stream: str,
        fd: int,
        *,
        container: str,
        websocket: bool = False,
        head: bytes = b"",
    ) -> int:
        """See :meth:`media_relay._core.Node.add_viewer`."""

    def remove_viewer(self, stream: str, viewer: int) -> bool: ...

    def subscribe(self, stream: str | None, callback: EventCallback) -> Unsubscribe:
        """Call back for each event of a stream (``None``: of every stream), in order."""

    def stream_stats(self) -> list[StreamStats]: ...

    def stats(self) -> NodeStats: ...


class LocalMediaNode:
    """The media core in this process, its events on this event loop.

    >>> async with LocalMediaNode(MediaSettings().node_settings()) as node: ...
    """

    def __init__(self, settings: _core.NodeSettings | None = None) -> None:
        self._core = _core.Node(settings)
        self._subscribers: dict[str | None, list[EventCallback]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to deliver events on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._core.event_fd, self._deliver)

    def close(self) -> None:
        """Free every port and stop the threads. Safe to call twice."""
        self._core.close()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._core.event_fd)
            while self._deliver():
                pass
        self._loop = None

    # ---------------------------------------------------------------- events
    def subscribe(self, stream: str | None, callback: EventCallback) -> Unsubscribe:
        """Call back for each event of a stream (``None``: of every stream), in order."""
        self._subscribers.setdefault(stream, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._subscribers.get(stream, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._subscribers.pop(stream, None)

        return unsubscribe

    def _deliver(self) -> int:
        events = self._core.take_events()
        for event in events:
            for callback in (
                *self._subscribers.get(event.stream, ()),
                *self._subscribers.get(None, ()),
            ):
                try:
                    callback(event)
                except Exception:  # one listener's fault must not silence the others
                    log.exception("a listener failed on %s of %s", event.kind, event.stream)
        return len(events)

    # --------------------------------------------------------------- streams
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
        payload_type: int = 96,
        live: bool = True,
        mu_law: bool = False,
    ) -> _core.Receiver:
        return self._core.open_receiver(
            stream,
            host=host,
            port=port,
            transport=transport,
            ssrc=ssrc,
            single_port=single_port,
            source=source,
            ready=ready,
            payload_type=payload_type,
            live=live,
            mu_law=mu_law,
        )

    def open_relay(
        self,
        stream: str,
        *,
        remote: tuple[str, int],
        transport: str,
        ssrc: int,
        local_host: str = "0.0.0.0",  # noqa: S104 - the address the route to the peer has
        local_port: int = 0,
    ) -> _core.Relay:
        return self._core.open_relay(
            stream,
            remote=remote,
            transport=transport,
            ssrc=ssrc,
            local_host=local_host,
            local_port=local_port,
        )

    def add_viewer(
        self,
        stream: str,
        fd: int,
        *,
        container: str,
        websocket: bool = False,
        head: bytes = b"",
    ) -> int:
        return self._core.add_viewer(
            stream, fd, container=container, websocket=websocket, head=head
        )

    def remove_viewer(self, stream: str, viewer: int) -> bool:
        return self._core.remove_viewer(stream, viewer)

    def stream_stats(self) -> list[StreamStats]:
        return self._core.stream_stats()

    def stats(self) -> NodeStats:
        return self._core.stats()
