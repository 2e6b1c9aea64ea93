"""The UDP socket: read until it is empty or 64 datagrams are in, send at once or queue.

An own non-blocking socket under ``add_reader`` was measured against a ``DatagramProtocol`` of
uvloop: they cost the same (an echo of one keepalive takes 3.3 and 3.4 us of CPU under load, 5.6
and 5.3 us one at a time). The own socket is used because its queue is bounded, a failed send is
seen at once by the transaction it belongs to, and one clock reading serves a whole batch.

A socket that listens on every address answers from the one a datagram came to: on a host with
several the route may lead through another, and a device drops what comes from there. The kernel
tells and takes that address beside each datagram (``IP_PKTINFO``, ip(7)); receiving and sending
one costs 0.8 to 1.3 us more so.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from sipserver.sip.flow import Address

BATCH: Final = 64
"""Datagrams per wake-up, so that a flood does not starve timers and TCP."""
MAX_DATAGRAM: Final = 65_535
MAX_QUEUED: Final = 4_096
"""Datagrams that wait for a full socket buffer; SIP repeats what is dropped beyond."""
IP_PKTINFO: Final = 8
"""Of linux/in.h; the ``socket`` module has no name for it yet."""
_PKTINFO_SIZE: Final = 12  # struct in_pktinfo: interface, our address, address in the header
_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(_PKTINFO_SIZE)

Receive = Callable[[bytes, Address, bytes, float], None]
"""Data, peer, source to answer from, time."""


def source_address(source: bytes) -> str:
    """The address in the ``source`` that a datagram came with."""
    return socket.inet_ntoa(source[4:8])


class UdpSocket:
    """One bound socket in one event loop."""

    def __init__(
        self,
        bound: socket.socket,
        *,
        receive: Receive,
        batch_done: Callable[[float], None],
        loop: asyncio.AbstractEventLoop,
        every_address: bool = False,
    ) -> None:
        """``every_address``: bound to none of the host's own, see above."""
        self.dropped = 0
        """Datagrams given up because the queue was full."""
        self._socket = bound
        self._receive = receive
        self._batch_done = batch_done
        self._loop = loop
        self._queue: deque[tuple[bytes, Address, bytes]] = deque()
        if every_address:
            bound.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        loop.add_reader(bound.fileno(), self._readable_marked if every_address else self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()

    def send(self, data: bytes, remote: Address, source: bytes = b"") -> None:
        """
        :raises OSError: when this datagram can never be sent (no route, too long, ``source`` is
            no address of this host any more)
        """
        if not self._queue:
            try:
                self._send(data, remote, source)
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._writable)
            else:
                return
        if len(self._queue) >= MAX_QUEUED:
            self.dropped += 1
            return
        self._queue.append((data, remote, source))

    def _readable(self) -> None:
        receive_from = self._socket.recvfrom
        receive = self._receive
        now = monotonic()
        for _ in range(BATCH):
            try:
                data, remote = receive_from(MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error of an earlier datagram
            receive(data, remote, b"", now)
        self._batch_done(now)

    def _readable_marked(self) -> None:
        receive_message = self._socket.recvmsg
        receive = self._receive
        now = monotonic()
        for _ in range(BATCH):
            try:
                data, marks, _, remote = receive_message(MAX_DATAGRAM, _ANCILLARY_SIZE)
            except BlockingIOError:
                break
            except OSError:
                continue
            # Without the interface: the route chooses it, the address stays.
            source = b"\0\0\0\0" + marks[0][2][4:8] + b"\0\0\0\0" if marks else b""
            receive(data, remote, source, now)
        self._batch_done(now)

    def _send(self, data: bytes, remote: Address, source: bytes) -> None:
        if source:
            self._socket.sendmsg((data,), ((socket.IPPROTO_IP, IP_PKTINFO, source),), 0, remote)
        else:
            self._socket.sendto(data, remote)

    def _writable(self) -> None:
        while self._queue:
            try:
                self._send(*self._queue[0])
            except BlockingIOError:
                return
            except OSError:
                self.dropped += 1
            self._queue.popleft()
        self._loop.remove_writer(self._socket.fileno())
