"""What every live session works with: one value, made once by the composition root."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from media_relay.ports import PortPool
from media_relay.ssrc import SsrcPool
from sipserver.device.clock import Clock
from sipserver.device.sessions.invite import Platform
from sipserver.device.sessions.leg import Caller, just_answer
from sipserver.device.sessions.media import LiveNode
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.target import PlayTarget, TargetLookup
from sipserver.transport.incoming import IncomingRequest


async def ask_nobody(target: PlayTarget) -> None:
    """The key-frame request of a platform that has no way to send one."""


def _new_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    platform: Platform
    caller: Caller
    node: LiveNode
    ports: PortPool
    ssrcs: SsrcPool
    targets: TargetLookup
    settings: LiveSettings = field(default_factory=LiveSettings)
    node_silence: float = 10.0
    """Seconds without packets after which the media node says ``silent``: its own setting."""
    request_key_frame: Callable[[PlayTarget], Coroutine[Any, Any, None]] = ask_nobody
    """Send ``manscdp.control.KeyFrameRequest`` in the target's edition; errors are only logged."""
    pass_on: Callable[[IncomingRequest], None] = just_answer
    """Takes a MESSAGE or NOTIFY that came inside a call and is not about it: the router."""
    clock: Clock = field(default_factory=lambda: Clock(time.monotonic, time.time))
    """``monotonic`` is the clock of the media node's events."""
    new_id: Callable[[], str] = _new_id
