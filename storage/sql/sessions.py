"""Live sessions that are over: found by channel, kept for as long as the settings say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, delete, func, select

from storage.sql.database import Database
from storage.sql.schema import sessions
from storage.sql.statements import remove_sql, save_sql
from storage.sql.writer import KeyedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """The columns that are searched, and all the rest as one JSON object."""

    session_id: str
    device_id: str
    channel_id: str
    started_at: float
    ended_at: float
    verdict: str
    """Code, or empty when it ended because somebody wanted it to."""
    detail: Mapping[str, Any]


def _row(session_id: str, session: EndedSession) -> tuple[Any, ...]:
    return (
        session_id,
        session.device_id,
        session.channel_id,
        session.started_at,
        session.ended_at,
        session.verdict,
        msgspec.json.encode(session.detail),
    )


_COLUMNS: Final = ["device_id", "channel_id", "started_at", "ended_at", "verdict", "detail"]
_SESSIONS: Final = KeyedTable(
    save_sql=save_sql(sessions, ["session_id"], _COLUMNS),
    remove_sql=remove_sql(sessions, ["session_id"]),
    row=_row,
    key=lambda session_id: (session_id,),
)


class SqlSessionArchive:
    """Appends without waiting; reads page by page, the newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, session: EndedSession) -> bool:
        """``False`` when the write queue is full; the writer counts it."""
        return self._database.writer.save(_SESSIONS, session.session_id, session)

    async def newest(
        self, *, device_id: str = "", channel_id: str = "", offset: int = 0, limit: int = 100
    ) -> tuple[list[EndedSession], int]:
        """A page, and how many there are in all."""
        wanted: list[ColumnElement[bool]] = []
        if device_id:
            wanted.append(sessions.c.device_id == device_id)
        if channel_id:
            wanted.append(sessions.c.channel_id == channel_id)
        newest = sessions.c.started_at.desc()
        page = select(sessions).where(*wanted).order_by(newest).offset(offset).limit(limit)
        count = select(func.count()).select_from(sessions).where(*wanted)
        rows, total = await self._database.read(
            lambda connection: (
                connection.execute(page).all(),
                connection.execute(count).scalar_one(),
            )
        )
        return [_session(row) for row in rows], total

    async def find(self, session_id: str) -> EndedSession | None:
        query = select(sessions).where(sessions.c.session_id == session_id)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return _session(row) if row is not None else None

    async def forget_before(self, at: float) -> int:
        """Delete what ended earlier; returns how many."""
        query = delete(sessions).where(sessions.c.ended_at < at)
        return await self._database.writer.run(
            lambda connection: connection.execute(query).rowcount
        )


def _session(row: Any) -> EndedSession:
    return EndedSession(
        session_id=row.session_id,
        device_id=row.device_id,
        channel_id=row.channel_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        verdict=row.verdict,
        detail=msgspec.json.decode(row.detail),
    )
