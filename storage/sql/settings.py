"""Settings of the database; apart from the engine, which takes a second to import."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The database and the thread that writes it."""

    path: str = "data/gb28181.sqlite3"
    """The SQLite file, below the working directory unless absolute. Created with mode 0600, because
    it holds the passwords of the devices."""

    queue_rows: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 200_000
    """Rows that may wait for the writer before writes are refused and counted.
    Default: twice the channels of the largest catalogue we promise, about 100 MB at worst."""

    batch_rows: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    """Rows of one transaction. Default measured: SQLite gains nothing beyond."""

    gather_seconds: Annotated[float, Meta(ge=0, le=10)] = 0.2
    """Seconds that a change may wait for others before it is written: what a crash may lose, too.
    Default: one transaction instead of a thousand when many devices register at once."""

    reader_threads: Annotated[int, Meta(ge=1, le=32)] = 2
    """Threads for queries. Default: a long search never delays a short look-up."""

    history_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    """Days that presence and session history are kept. Default: a quarter."""
