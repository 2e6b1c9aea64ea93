"""The framer of every stream, and what all of them together may hold."""

from __future__ import annotations

from sipserver.sip.flow import Flow
from sipserver.sip.framing import StreamFramer


class _Stream:
    __slots__ = ("flow", "framer", "size")

    def __init__(self, flow: Flow, framer: StreamFramer) -> None:
        self.flow = flow
        self.framer = framer
        self.size = 0  # of its unfinished message, when it was last weighed


class Streams:
    """Unfinished messages, bounded as a whole: a few peers that dawdle must not cost the others."""

    def __init__(self, *, max_body_size: int, max_pending_size: int) -> None:
        self._max_body_size = max_body_size
        self._max_pending_size = max_pending_size
        self._streams: dict[int, _Stream] = {}
        self._total = 0

    def framer(self, flow: Flow) -> StreamFramer:
        stream = self._streams.get(flow.connection)
        if stream is None:
            framer = StreamFramer(max_body_size=self._max_body_size)
            stream = self._streams[flow.connection] = _Stream(flow, framer)
        return stream.framer

    def pending(self, flow: Flow) -> int:
        """Bytes of an unfinished message on that connection."""
        stream = self._streams.get(flow.connection)
        return 0 if stream is None else stream.framer.pending

    def weigh(self, flow: Flow) -> Flow | None:
        """After bytes came. When there are too many: who holds most of them, and has to go."""
        stream = self._streams[flow.connection]
        pending = stream.framer.pending
        self._total += pending - stream.size
        stream.size = pending
        if self._total <= self._max_pending_size:
            return None
        return max(self._streams.values(), key=lambda one: one.size).flow

    def lost(self, flow: Flow) -> None:
        stream = self._streams.pop(flow.connection, None)
        if stream is not None:
            self._total -= stream.size
