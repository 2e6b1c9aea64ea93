"""The one thread that writes: it takes what waits, in order, and commits it in batches.

Two kinds of work share one queue and keep their order: rows that nobody waits for (a presence
event), and units of work whose caller awaits the outcome (an account). Neighbouring rows for the
same statement become one ``executemany``.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.sql import Executable

from storage.errors import DuplicateKey, StorageError, WriteFailed, WriteRefused

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WriterStats:
    """Counters since the start; they never go back, save ``waiting`` and ``failing``."""

    waiting: int
    """Rows and units of work in the queue."""
    written: int
    """Rows and units of work committed."""
    batches: int
    """Transactions committed."""
    refused: int
    """Rows refused because the queue was full."""
    failed: int
    """Rows and units of work that the database refused."""
    failing: bool
    """Whether the newest transaction failed."""
    last_error: str
    """What the database said last, without values."""


@dataclass(slots=True)
class _Rows:
    statement: Executable
    rows: list[Row]

    @property
    def size(self) -> int:
        return len(self.rows)

    def split(self) -> "list[_Queued]":
        return [_Rows(self.statement, [row]) for row in self.rows]

    def execute(self, connection: Connection) -> None:
        connection.execute(self.statement, self.rows)

    def finish(self, error: StorageError | None) -> None:
        """Nobody waits: the counters tell."""


@dataclass(slots=True)
class _Work:
    """Work that nobody waits for and that makes its rows on the writer's thread."""

    work: Callable[[Connection], None]
    size: int

    def split(self) -> "list[_Queued]":
        return [self]

    def execute(self, connection: Connection) -> None:
        self.work(connection)

    def finish(self, error: StorageError | None) -> None:
        """Nobody waits: the counters tell."""


@dataclass(slots=True)
class _Unit(Generic[T]):
    work: Callable[[Connection], T]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[T]"
    size: int = 1
    result: list[T] = field(default_factory=list)

    def split(self) -> "list[_Queued]":
        return [self]

    def execute(self, connection: Connection) -> None:
        self.result[:] = [self.work(connection)]

    def finish(self, error: StorageError | None) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now: nobody waits any more
            self.loop.call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: StorageError | None) -> None:
        if self.future.done():  # the caller was cancelled; the write stands
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(self.result[0])


_Queued = _Rows | _Work | _Unit[Any]


class Writer:
    """Owns the writing connection. Started once, closed once; closing writes what waits."""

    def __init__(self, engine: Engine, *, queue_rows: int, batch_rows: int) -> None:
        self._engine = engine
        self._queue_rows = queue_rows
        self._batch_rows = batch_rows
        self._queue: deque[_Queued] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._closing = False
        self._written = self._batches = self._refused = self._failed = 0
        self._failing = False
        self._last_error = ""
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, statement: Executable, rows: Sequence[Row]) -> bool:
        """Queue rows that nobody waits for. ``False`` (and counted) when the queue is full."""
        if not rows:
            return True
        with self._changed:
            if not self._has_room(len(rows)):
                return False
            last = self._queue[-1] if self._queue else None
            if isinstance(last, _Rows) and last.statement is statement:
                last.rows.extend(rows)
            else:
                self._queue.append(_Rows(statement, list(rows)))
            self._waiting += len(rows)
            self._changed.notify()
        return True

    def submit_work(self, work: Callable[[Connection], None], size: int) -> bool:
        """Queue ``work`` of about ``size`` rows that nobody waits for; it fails or stands whole."""
        with self._changed:
            if not self._has_room(size):
                return False
            self._queue.append(_Work(work, size))
            self._waiting += size
            self._changed.notify()
        return True

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of the writer, after everything queued before.

        :raises WriteRefused: when the queue is full or closed
        :raises DuplicateKey: when a unique key is taken
        :raises WriteFailed: when the database refuses otherwise
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        unit = _Unit(work, loop, future)
        with self._changed:
            if self._closing:
                raise WriteRefused("The database is closing; nothing was written.")
            if self._waiting >= self._queue_rows:
                self._refused += 1
                raise WriteRefused("Too many writes wait for the database; try again shortly.")
            self._queue.append(unit)
            self._waiting += 1
            self._changed.notify()
        return await future

    async def close(self) -> None:
        """Write what waits, then stop. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def stats(self) -> WriterStats:
        with self._changed:
            return WriterStats(
                waiting=self._waiting,
                written=self._written,
                batches=self._batches,
                refused=self._refused,
                failed=self._failed,
                failing=self._failing,
                last_error=self._last_error,
            )

    def _has_room(self, size: int) -> bool:
        if self._closing or self._waiting + size > self._queue_rows:
            self._refused += size
            return False
        return True

    def _run(self) -> None:
        while batch := self._take():
            error = self._commit(batch)
            if error is None:
                self._account(batch, error)
                continue
            parts = [part for work in batch for part in work.split()]
            if len(parts) == 1:
                self._account(batch, error)
                continue
            for part in parts:  # one of them is bad: find it, keep the others
                self._account([part], self._commit([part]))

    def _take(self) -> list[_Queued]:
        """The next batch, or an empty list when closed and drained."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            batch: list[_Queued] = []
            size = 0
            while self._queue and size < self._batch_rows:
                work = self._queue.popleft()
                batch.append(work)
                size += work.size
            return batch

    def _commit(self, batch: Sequence[_Queued]) -> StorageError | None:
        try:
            with self._engine.begin() as connection:
                for work in batch:
                    work.execute(connection)
        except IntegrityError as error:
            return DuplicateKey(str(error.orig))
        except SQLAlchemyError as error:
            return WriteFailed(str(getattr(error, "orig", None) or type(error).__name__))
        except StorageError as error:
            return error
        except Exception as error:  # the thread's outer edge: a bug in `work` must not stop it
            return WriteFailed(f"{type(error).__name__} in a write")
        return None

    def _account(self, batch: Sequence[_Queued], error: StorageError | None) -> None:
        size = sum(work.size for work in batch)
        with self._changed:
            self._waiting -= size
            if error is None:
                self._written += size
                self._batches += 1
                self._failing = False
            else:
                self._failed += size
                self._last_error = str(error)
                # A duplicate is the caller's mistake; the database works.
                self._failing = not isinstance(error, DuplicateKey)
        for work in batch:
            work.finish(error)
