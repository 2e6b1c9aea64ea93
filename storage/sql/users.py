"""The users of the console. Only hashes of their passwords are here."""

import time
from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from storage.sql.database import Database
from storage.sql.schema import users


class SqlUserStore:
    """A ``UserStore`` of :mod:`api.authentication`."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def password_hash(self, name: str) -> str | None:
        query = select(users.c.password_hash).where(users.c.name == name)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def set_password(self, name: str, password_hash: str) -> None:
        """Create the user, or replace the password."""
        now = self._clock()
        statement = upsert(users).values(
            name=name, password_hash=password_hash, created_at=now, password_changed_at=now
        )
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"password_hash": password_hash, "password_changed_at": now},
        )
        await self._database.writer.run(lambda connection: connection.execute(statement).rowcount)

    async def count(self) -> int:
        query = select(func.count()).select_from(users)
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())
