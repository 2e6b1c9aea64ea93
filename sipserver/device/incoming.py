"""What the services need of a request that came in; ``IncomingRequest`` of the transport has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sipserver.sip.flow import Flow
from sipserver.sip.message import Request


class Incoming(Protocol):
    @property
    def request(self) -> Request: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def received_at(self) -> float:
        """Monotonic seconds."""

    def respond(
        self,
        status: int,
        reason: str = "",
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None: ...

    def ignore(self) -> None:
        """Never answer it, and forget it at once."""
