"""Presence history: when devices came and went, and why."""

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from api.errors import INVALID_REQUEST
from api.models import Limit
from api.route import Call, Nothing, Route, route


class PresenceView(msgspec.Struct, frozen=True):
    """A device came online or went offline."""

    id: int
    """Grows with time: the ``before`` of the next page."""
    device_id: str
    at: float
    """Seconds since 1970, UTC."""
    online: bool
    reason: str


class PresenceList(msgspec.Struct, frozen=True):
    """The newest first."""

    items: list[PresenceView]
    more: bool
    """Whether older ones follow."""


class PresenceQuery(msgspec.Struct, frozen=True):
    device_id: Annotated[str, Meta(max_length=32)] = ""
    before: Annotated[int, Meta(ge=0)] | None = None
    limit: Limit = 100


class Edge(Protocol):
    @property
    def device_id(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def online(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class Entry(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def edge(self) -> Edge: ...


class PresenceArchive(Protocol):
    """What the storage keeps."""

    async def newest(
        self, *, device_id: str, before: int | None, limit: int
    ) -> Sequence[Entry]: ...


class HistoryRoutes:
    def __init__(self, archive: PresenceArchive) -> None:
        self._archive = archive

    async def presence_history(self, call: Call[PresenceQuery, Nothing]) -> PresenceList:
        query = call.query
        found = await self._archive.newest(
            device_id=query.device_id, before=query.before, limit=query.limit + 1
        )
        items = [
            PresenceView(
                id=entry.id,
                device_id=entry.edge.device_id,
                at=entry.edge.at,
                online=entry.edge.online,
                reason=entry.edge.reason,
            )
            for entry in found[: query.limit]
        ]
        return PresenceList(items=items, more=len(found) > query.limit)

    def table(self) -> Sequence[Route]:
        return (
            route(
                "GET",
                "/api/v1/presence",
                self.presence_history,
                summary="When devices came and went, and why; the newest first",
                summary_zh="设备上下线历史（新的在前）",
                tag="history",
                query=PresenceQuery,
                response=PresenceList,
                errors=(INVALID_REQUEST,),
            ),
        )
