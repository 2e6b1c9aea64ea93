"""SQLAlchemy engines for the embedded SQLite file: one for the writer, one for the readers."""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageUnavailable

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # With WAL, NORMAL never corrupts; a power cut may lose the last transactions.
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
)


def prepare_file(path: Path) -> None:
    """Create the directory and the file, readable by the owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(descriptor)
        path.chmod(0o600)
    except OSError as error:
        raise StorageUnavailable(
            f"The database {path} cannot be opened ({error.strerror}). Give another file in"
            f" [storage] path, or make the directory writable for this user."
        ) from error


def writer_engine(path: Path) -> Engine:
    """One connection that takes the write lock at the start of each transaction."""
    engine = _engine(path, pool_size=1, pragmas=_PRAGMAS)

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reader_engine(path: Path, threads: int) -> Engine:
    """Connections that cannot write."""
    return _engine(path, pool_size=threads, pragmas=(*_PRAGMAS, "PRAGMA query_only=ON"))


def _engine(path: Path, *, pool_size: int, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(f"sqlite:///{path}", pool_size=pool_size, max_overflow=0)

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver's own is too late
        for pragma in pragmas:
            connection.execute(pragma)

    return engine


def check(engine: Engine, path: Path) -> None:
    """:raises StorageUnavailable: when the file is not a database that we can read."""
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except SQLAlchemyError as error:
        raise StorageUnavailable(
            f"{path} is not a usable SQLite database ({_cause(error)}). Move it away, or give"
            f" another file in [storage] path."
        ) from error


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
