"""TCP connections: opened by devices or by us, numbered, bounded, closed when silent."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from sipserver.sip.flow import TCP, Address, Flow
from sipserver.transport.errors import TransportFailed
from sipserver.transport.settings import TransportSettings

SWEEP_INTERVAL = 5.0
"""Seconds between two looks for silent connections."""
MAX_UNSENT = 256 * 1024 * 1024
"""Bytes that all peers together may leave unread; beyond, who left most is disconnected first."""
CLOSE_TIMEOUT = 1.0
"""Seconds that peers get to read what is queued when the service closes."""


class StreamOwner(Protocol):
    """What connections need of the service."""

    def stream_local(self, remote: Address, bound: Address) -> Address: ...
    def stream_received(self, data: bytes, flow: Flow) -> bool:
        """Whether a message was completed."""

    def stream_lost(self, flow: Flow, reason: str) -> None: ...
    def stream_pending(self, flow: Flow) -> int:
        """Bytes of an unfinished message."""

    def stream_in_use(self, flow: Flow) -> bool:
        """Whether somebody above watches over its silence."""


class TcpConnection(asyncio.Protocol):
    """One connection. Its flow's number is never used twice."""

    def __init__(self, connections: TcpConnections, *, accepted: bool = True) -> None:
        self.accepted = accepted
        """Opened by the peer, not by us."""
        self.flow: Flow | None = None
        self.last_heard = 0.0
        self.opened_at = 0.0
        self.spoke = False
        """Whether a whole message or keep-alive ever came."""
        self.pending_since: float | None = None
        self.closed_at: float | None = None
        """Since when only what is queued keeps it open."""
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._close_reason = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.opened_at = self.last_heard = asyncio.get_running_loop().time()
        self.flow = self._connections.register(self, self._transport)
        if self.flow is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.flow is None or self._close_reason:
            return
        self.last_heard = asyncio.get_running_loop().time()
        completed = self._connections.owner.stream_received(data, self.flow)
        if self.flow is None:
            return
        pending = self._connections.owner.stream_pending(self.flow) > 0
        if completed or not pending:
            self.spoke = True
            self.pending_since = None
        if pending and self.pending_since is None:
            self.pending_since = self.last_heard

    def connection_lost(self, exc: Exception | None) -> None:
        flow, self.flow = self.flow, None
        if flow is not None:
            reason = self._close_reason or (str(exc) if exc else "closed by the peer")
            self._connections.forget(flow, reason)

    @property
    def unsent(self) -> int:
        """Bytes the peer has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, data: bytes, limit: int) -> bool:
        """Whether the data was taken; a peer that does not read is disconnected instead."""
        if self._transport is None or self._transport.is_closing():
            return False
        waiting = self._transport.get_write_buffer_size()
        if waiting and waiting + len(data) > limit:
            self.close("the peer does not read", abort=True)
            return False
        self._transport.write(data)
        return True

    def close(self, reason: str, *, abort: bool = False) -> None:
        if self._transport is None or self._close_reason:
            return
        self._close_reason = reason
        self.closed_at = asyncio.get_running_loop().time()
        if abort:
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is queued."""
        if self._transport is not None:
            self._transport.abort()


class TcpConnections:
    """Every connection of the service."""

    def __init__(self, settings: TransportSettings, owner: StreamOwner) -> None:
        self.owner = owner
        self.refused = 0
        """Connections closed at once because there were too many."""
        self.refused_by_host = 0
        """The same, too many of one host."""
        self._settings = settings
        self._connections: dict[int, TcpConnection] = {}
        self._accepted_from: dict[str, int] = {}
        self._empty = asyncio.Event()
        self._last_number = 0
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    async def listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: TcpConnection(self), sock=listener, backlog=1024
        )
        self._sweep = loop.call_later(SWEEP_INTERVAL, self._close_silent)

    async def connect(self, remote: Address) -> Flow:
        """
        :raises TransportFailed: refused, no route, or not within ``connect_timeout``
        """
        loop = asyncio.get_running_loop()
        host, port = remote
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: TcpConnection(self, accepted=False), host, port
                )
        except (OSError, TimeoutError) as error:
            reason = str(error) or "timed out"
            raise TransportFailed(f"no connection to {host}:{port}: {reason}") from error
        if connection.flow is None:
            raise TransportFailed(f"no connection to {host}:{port}: it was closed at once")
        connection.spoke = True  # we speak first here
        return connection.flow

    async def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.close("the service is closing")
        if not await self._emptied(CLOSE_TIMEOUT):
            for connection in list(self._connections.values()):
                connection.abort()
            await self._emptied(CLOSE_TIMEOUT)

    async def _emptied(self, timeout: float) -> bool:
        """Whether every connection reports its end in time."""
        if self._connections:
            self._empty.clear()
            try:
                await asyncio.wait_for(self._empty.wait(), timeout)
            except TimeoutError:
                return False
        return True

    def register(self, connection: TcpConnection, transport: asyncio.Transport) -> Flow | None:
        """The flow of a new connection; ``None``: there are too many, or it is gone already."""
        if len(self._connections) >= self._settings.max_connections:
            self.refused += 1
            return None
        peer = transport.get_extra_info("peername")
        if peer is None:  # reset between the kernel's accept and ours, as port scanners do
            return None
        remote: Address = peer[:2]
        if connection.accepted and not self._admit(remote[0]):
            return None
        bound: Address = transport.get_extra_info("sockname")[:2]
        self._last_number += 1
        number = self._last_number
        self._connections[number] = connection
        return Flow(TCP, self.owner.stream_local(remote, bound), remote, number)

    def _admit(self, host: str) -> bool:
        """Count one more that ``host`` opened, if it may: nobody fills the table alone."""
        opened = self._accepted_from.get(host, 0)
        if opened >= self._settings.max_connections_per_host:
            self.refused_by_host += 1
            return False
        self._accepted_from[host] = opened + 1
        return True

    def forget(self, flow: Flow, reason: str) -> None:
        connection = self._connections.pop(flow.connection, None)
        if connection is not None and connection.accepted:
            left = self._accepted_from.pop(flow.remote[0]) - 1
            if left:
                self._accepted_from[flow.remote[0]] = left
        if not self._connections:
            self._empty.set()
        self.owner.stream_lost(flow, reason)

    def send(self, data: bytes, flow: Flow) -> bool:
        connection = self._connections.get(flow.connection)
        return connection is not None and connection.write(data, self._settings.max_write_buffer)

    def disconnect(self, flow: Flow, reason: str) -> None:
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.close(reason)

    def _close_silent(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        unsent = 0
        for connection in list(self._connections.values()):
            unsent += connection.unsent
            closed_at = connection.closed_at
            if closed_at is not None and now - closed_at > self._settings.message_timeout:
                connection.abort()
            elif reason := self._silence(connection, now):
                connection.close(reason)
        if unsent > MAX_UNSENT:
            self._close_unread(unsent)
        self._sweep = loop.call_later(SWEEP_INTERVAL, self._close_silent)

    def _close_unread(self, unsent: int) -> None:
        greediest = sorted(self._connections.values(), key=lambda c: c.unsent, reverse=True)
        for connection in greediest:
            unsent -= connection.unsent
            connection.close("the peer does not read")
            connection.abort()
            if unsent <= MAX_UNSENT:
                return

    def _silence(self, connection: TcpConnection, now: float) -> str:
        settings = self._settings
        pending = connection.pending_since
        if pending is not None and now - pending > settings.message_timeout:
            return "a message was not finished in time"
        if not connection.spoke and now - connection.opened_at > settings.first_message_timeout:
            return "no message came"
        if now - connection.last_heard > settings.idle_timeout and not (
            connection.flow and self.owner.stream_in_use(connection.flow)
        ):
            return "silent for too long"
        return ""
