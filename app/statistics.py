"""One place that knows what every service counts: for /api/v1/statistics and for /metrics."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import msgspec

Snapshot = Callable[[], Any]
"""A frozen dataclass, a struct or a mapping of numbers, made at once and cheap."""


@dataclass(frozen=True, slots=True)
class Source:
    """A service that counts."""

    name: str
    snapshot: Snapshot
    levels: frozenset[str] = frozenset()
    """Fields that go up and down; all others only grow."""


def values_of(source: Source) -> dict[str, Any]:
    """Field -> number, text, or a mapping of label to number."""
    taken = source.snapshot()
    if isinstance(taken, Mapping):
        return dict(taken)
    if is_dataclass(taken):
        return {item.name: getattr(taken, item.name) for item in fields(taken)}
    values: dict[str, Any] = msgspec.to_builtins(taken)
    return values


def all_values(sources: Iterable[Source]) -> dict[str, dict[str, Any]]:
    return {source.name: values_of(source) for source in sources}


def texts_of(snapshot: Any) -> dict[str, str]:
    """What each field says of itself, when its class is a dataclass with field docstrings."""
    from app.group import keys_of

    kind = type(snapshot)
    if not is_dataclass(kind):
        return {}
    return {name: key.text for name, key in keys_of(kind).items()}


SIP_LEVELS: Final = frozenset(
    {"server_transactions", "absorbing", "client_transactions", "calls", "connections"}
)
