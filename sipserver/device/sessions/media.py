"""The media side of one session: SSRC, port and receiver, held together.

What is taken is given back in reverse order, once, on the session's exit stack.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

from media_relay.errors import MediaError
from media_relay.ports import PortPool
from media_relay.receiver import LeasedReceiver, MediaReceiver, Opener
from media_relay.ssrc import SsrcPool
from sdp.gb import Transport
from sipserver.device.sessions.watch import MediaEvent


class LiveNode(Opener, Protocol):
    """What the live view needs of a ``media_relay.node.MediaNode``."""

    def subscribe(
        self, stream: str | None, callback: Callable[[MediaEvent], None]
    ) -> Callable[[], None]: ...


class MediaLeg:
    def __init__(
        self, node: LiveNode, ports: PortPool, ssrcs: SsrcPool, *, stream: str, host: str
    ) -> None:
        self.transport = Transport.UDP
        self.ssrc = 0
        self.port = 0
        self._node = node
        self._ports = ports
        self._ssrcs = ssrcs
        self._stream = stream
        self._host = host
        self._receiver: MediaReceiver | None = None

    def open(
        self,
        transport: Transport,
        on_event: Callable[[MediaEvent], None],
        leases: AsyncExitStack,
    ) -> None:
        """Take everything; what was taken before a failure is on ``leases`` and goes back with it.

        :raises NoSsrcLeft, NoPortLeft, PortInUse, StreamExists: from ``media_relay``
        """
        self.transport = transport
        self.ssrc = self._ssrcs.lease()
        leases.callback(self._ssrcs.release, self.ssrc)
        leases.callback(self._node.subscribe(self._stream, on_event))
        leased = LeasedReceiver(
            self._node,
            self._ports,
            self._stream,
            host=self._host,
            transport=transport.value,
            ssrc=self.ssrc,
        )
        leases.callback(leased.close)
        self.port = leased.port
        self._receiver = leased.core

    def expect(self, ssrc: int) -> None:
        """Change the expected SSRC in place: the listener must not be reopened (quirk row 52)."""
        if self._receiver is not None:
            self._receiver.expect(ssrc)

    def follow(self, transport: Transport, leases: AsyncExitStack) -> None:
        """The answer chose another transport than offered: take media that way (quirk row 53).

        :raises PortInUse: when another program has the port of that transport
        """
        if transport is self.transport or self._receiver is None:
            return
        self._receiver.close()
        self.transport = transport
        self._receiver = self._node.open_receiver(
            self._stream,
            host=self._host,
            port=self.port,
            transport=transport.value,
            ssrc=self.ssrc,
        )
        leases.callback(self._receiver.close)

    def connect(self, host: str, port: int) -> None:
        """TCP-active. How it went comes as ``connected`` or ``connect_failed``."""
        if self._receiver is not None:
            self._receiver.connect(host, port)

    def stray_packets(self) -> int:
        """Packets that came to our port and were not this stream's."""
        if self._receiver is None:
            return 0
        try:
            stats = self._receiver.stats()
        except MediaError:  # the node is closing
            return 0
        return stats.wrong_ssrc + stats.wrong_source
