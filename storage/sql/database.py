"""The open database: migrated, one writer, some readers, closed once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageUnavailable
from storage.sql.engine import check, prepare_file, reader_engine, writer_engine
from storage.sql.settings import StorageSettings
from storage.sql.writer import Writer, WriterStats

T = TypeVar("T")
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class Database:
    """``await open()`` first; ``await close()`` writes what waits and frees the file."""

    def __init__(self, settings: StorageSettings) -> None:
        self.path: Final = Path(settings.path)
        self._settings = settings
        self._writer_engine: Engine | None = None
        self._reader_engine: Engine | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        """Create or migrate the file and start the writer.

        :raises StorageUnavailable: with what to do about it
        """
        await asyncio.to_thread(self._prepare)
        settings = self._settings
        self._readers = ThreadPoolExecutor(settings.reader_threads, "storage-reader")
        assert self._writer_engine is not None  # noqa: S101 - set by _prepare()
        self._writer = Writer(
            self._writer_engine,
            queue_rows=settings.queue_rows,
            batch_rows=settings.batch_rows,
            gather=settings.gather_seconds,
        )
        self._writer.start()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
        for engine in (self._reader_engine, self._writer_engine):
            if engine is not None:
                engine.dispose()

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("the database is not open")
        return self._writer

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on a reader thread; it sees everything committed before.

        :raises StorageUnavailable: when the file cannot be read
        """
        if self._readers is None:
            raise RuntimeError("the database is not open")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self.read_blocking, query)

    def stats(self) -> WriterStats:
        return self.writer.stats()

    def read_blocking(self, query: Callable[[Connection], T]) -> T:
        """:meth:`read` on this thread; for the start, when nothing else runs yet.

        :raises StorageUnavailable: when the file cannot be read
        """
        assert self._reader_engine is not None  # noqa: S101 - set by open()
        try:
            with self._reader_engine.connect() as connection:
                return query(connection)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or type(error).__name__
            raise StorageUnavailable(f"The database {self.path} cannot be read: {cause}") from error

    def _prepare(self) -> None:
        prepare_file(self.path)
        self._writer_engine = writer_engine(self.path)
        check(self._writer_engine, self.path)
        migrate(self._writer_engine, self.path)
        self._reader_engine = reader_engine(self.path, self._settings.reader_threads)


def migrate(engine: Engine, path: Path) -> None:
    """Bring the schema to the newest revision.

    :raises StorageUnavailable: when the file was written by a newer version
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise StorageUnavailable(
                f"The database {path} was written by a newer version (revision {current})."
                f" Install that version again, or start with another file in [storage] path."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
