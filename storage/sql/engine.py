"""SQLAlchemy engines for the embedded SQLite file: one for the writer, one for the readers."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The database and the thread that writes it."""

    path: str = "data/gb28181.sqlite3"
    """The SQLite file, below the working directory unless absolute. Created with mode 0600, because
    it holds the passwords of the devices."""

    queue_rows: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    """Rows that may wait for the writer before writes are refused and counted.
    Default: twice the channels of the largest catalogue we promise, about 100 MB at worst."""

    batch_rows: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_000
    """Rows of one transaction. Default measured: SQLite gains nothing beyond."""

    gather_seconds: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.2
    """Seconds that a change may wait for others before it is written: what a crash may lose, too.
    Default: one transaction instead of a thousand when many devices register at once."""

    reader_threads: Annotated[int, msgspec.Meta(ge=1, le=32)] = 2
    """Threads for queries. Default: a long search never delays a short look-up."""

    history_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 90
    """Days that presence and session history are kept. Default: a quarter."""


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
