"""Events of the services as the console's event stream shows them."""

import re
from dataclasses import fields
from enum import Enum
from typing import Any, Final

import msgspec

from api.events import EventView
from api.models import session_json
from sipserver.device.events import DeviceEvent, DeviceRegistered
from sipserver.device.sessions.events import LiveEnded, LiveEvent, LiveStarted

MOST_IDS: Final = 50
"""Longer lists of channel IDs are given as their length: 20,000 of them fit no event."""

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
_SHAPES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {}


def device_event_view(event: DeviceEvent) -> EventView | None:
    """``None`` for what no person wants to see: the refresh of a registration."""
    if isinstance(event, DeviceRegistered) and event.refreshed:
        return None
    kind, names = _SHAPES.get(type(event).__name__) or _shape(event)
    data = {name: _plain(getattr(event, name)) for name in names}
    return EventView(type=kind, at=event.at, device_id=event.device_id, data=data)


def live_event_view(event: LiveEvent) -> EventView | None:
    """``None`` for what a device taught us about its SSRC."""
    if not isinstance(event, LiveStarted | LiveEnded):
        return None
    kind = "session_started" if isinstance(event, LiveStarted) else "session_ended"
    session: dict[str, Any] = msgspec.to_builtins(session_json(event.view))
    return EventView(type=kind, at=event.at, device_id=event.view.device_id, data=session)


def _shape(event: DeviceEvent) -> tuple[str, tuple[str, ...]]:
    """The name of such events, and what they add; remembered: thousands come in a second."""
    name = type(event).__name__
    added = tuple(item.name for item in fields(event) if item.name not in ("device_id", "at"))
    shape = _SHAPES[name] = (_WORD.sub("_", name).lower(), added)
    return shape


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"count": len(value)} if len(value) > MOST_IDS else list(value)
    return value.value if isinstance(value, Enum) else value
