"""When devices came and went, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select

from sipserver.device.history import PresenceEdge
from storage.sql.database import Database
from storage.sql.schema import presence
from storage.sql.statements import append_sql
from storage.sql.writer import LogTable

_LOG: Final = LogTable(
    append_sql=append_sql(presence, ["device_id", "at", "online", "reason"]),
    row=lambda edge: (edge.device_id, edge.at, edge.online, edge.reason),
)


@dataclass(frozen=True, slots=True)
class StoredEdge:
    id: int
    """Grows with time; the key of the next page."""
    edge: PresenceEdge


class SqlPresenceLog:
    """A ``PresenceLog`` of :mod:`sipserver.device.history`, and its reader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, edges: Sequence[PresenceEdge]) -> None:
        """Queue ``edges`` for the writer.

        :raises BlockingIOError: when the queue is full; the batch is lost, and counted by both
        """
        if not self._database.writer.append(_LOG, edges):
            raise BlockingIOError("the write queue of the database is full")

    async def newest(
        self, *, device_id: str = "", before: int | None = None, limit: int = 100
    ) -> list[StoredEdge]:
        """The newest first; ``before`` continues a page."""
        query = select(presence).order_by(presence.c.id.desc()).limit(limit)
        if device_id:
            query = query.where(presence.c.device_id == device_id)
        if before is not None:
            query = query.where(presence.c.id < before)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            StoredEdge(row.id, PresenceEdge(row.device_id, row.at, row.online, row.reason))
            for row in rows
        ]

    async def forget_before(self, at: float) -> int:
        """Delete what is older; returns how many."""
        query = delete(presence).where(presence.c.at < at)
        return await self._database.writer.run(
            lambda connection: connection.execute(query).rowcount
        )
