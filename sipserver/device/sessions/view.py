"""What the outside sees of a session: a key, a frozen snapshot, and the name of its stream."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sdp.gb import Transport
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.stages import StageTime
from sipserver.device.sessions.state import State
from sipserver.device.sessions.verdict import Verdict

_NOT_IN_A_URL = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What is shared: everybody who asks for the same key watches the same upstream session."""

    device_id: str
    channel_id: str
    stream: int = 0  # 0 main, 1 first sub-stream, as ``a=streamnumber`` (2022 annex G)

    @property
    def stream_name(self) -> str:
        """Name in play URLs. One way only: nobody may take it apart again."""
        parts = (self.device_id, self.channel_id, str(self.stream))
        safe = [_NOT_IN_A_URL.sub("-", part) for part in parts]
        if safe != list(parts):  # two odd ids must not meet in one name
            safe.append(hashlib.blake2s("\0".join(parts).encode(), digest_size=4).hexdigest())
        return "_".join(safe)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session at one moment, running or over."""

    id: str
    device_id: str
    channel_id: str
    stream: int
    stream_name: str
    state: State
    stages: tuple[StageTime, ...]
    verdict: Verdict | None
    ended_by: Ending | None
    viewers: int
    waiting: int  # callers that wait for the picture
    requested_by: str  # who asked first
    transport: Transport
    media_port: int
    ssrc: str  # ten digits as in ``y=``; "" before it is known
    sip_status: int  # of the INVITE; 0 before the answer
    call_id: str
    quirks: tuple[str, ...]
    started_at: float  # seconds since 1970
