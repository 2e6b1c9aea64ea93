import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from storage.errors import StorageUnavailable
from storage.sql.database import Database
from storage.sql.schema import metadata
from storage.sql.settings import StorageSettings


async def test_the_migrations_lead_to_the_schema(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []


async def test_only_the_owner_may_read_the_file(database: Database) -> None:
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    wal = database.path.with_name(database.path.name + "-wal")
    assert stat.S_IMODE(wal.stat().st_mode) == 0o600


async def test_a_second_start_finds_what_the_first_wrote(settings: StorageSettings) -> None:
    first = Database(settings)
    await first.open()
    statement = text("INSERT INTO facts (name, value) VALUES ('a', '1')")
    await first.writer.run(lambda connection: connection.execute(statement).rowcount)
    await first.close()
    second = Database(settings)
    await second.open()
    query = text("SELECT name FROM facts")
    assert await second.read(lambda connection: connection.execute(query).scalar()) == "a"
    await second.close()


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(StorageUnavailable, match="readonly"):
        await database.read(lambda connection: connection.execute(text("DELETE FROM facts")))


async def test_a_database_of_a_newer_version_is_refused(settings: StorageSettings) -> None:
    database = Database(settings)
    await database.open()
    await database.writer.run(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num='9'"))
    )
    await database.close()
    newer = Database(settings)
    with pytest.raises(StorageUnavailable, match="newer version"):
        await newer.open()
    await newer.close()


async def test_another_kind_of_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but longer than its header would be" * 20)
    database = Database(StorageSettings(path=str(path)))
    with pytest.raises(StorageUnavailable, match="Move it away"):
        await database.open()
    await database.close()


async def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(StorageSettings(path=str(tmp_path / "file" / "db.sqlite3")))
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        await database.open()
    await database.close()


async def test_the_journal_is_write_ahead(database: Database) -> None:
    with sqlite3.connect(database.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
