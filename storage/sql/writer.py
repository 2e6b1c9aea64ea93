"""The one thread that writes: it gathers for a moment and commits in batches.

Three kinds of work:

* values under a key (an account, a registration): only the newest of each key is written;
* rows of a log (a presence edge): appended in order;
* units of work whose caller may await the outcome: run in order, after everything queued before.

What is queued costs the event loop a lock and a dictionary entry; encoding and SQL are the
thread's. Values and rows wait up to ``gather`` seconds for company, units never.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from storage.errors import DuplicateKey, StorageError, WriteFailed, WriteRefused

T = TypeVar("T")

ENOUGH: Final = 500
"""Rows that are worth a transaction at once."""


@dataclass(frozen=True, eq=False)
class KeyedTable:
    """A table of which only the newest value of each key counts."""

    save_sql: str
    remove_sql: str
    row: Callable[[Any, Any], tuple[Any, ...]]
    """Key and value to the parameters of ``save_sql``; runs on the writer's thread."""
    key: Callable[[Any], tuple[Any, ...]]
    """Key to the parameters of ``remove_sql``."""


@dataclass(frozen=True, eq=False)
class LogTable:
    """A table that only grows."""

    append_sql: str
    row: Callable[[Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class WriterStats:
    """Counters since the start; they never go back, save ``waiting`` and ``failing``."""

    waiting: int
    """Rows and units of work in the queue."""
    written: int
    """Rows and units of work committed."""
    coalesced: int
    """Values that a newer one of the same key replaced before they were written."""
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


class _Step(Protocol):
    """A part of a transaction."""

    @property
    def size(self) -> int: ...
    def split(self) -> Sequence["_Step"]: ...
    def execute(self, connection: Connection) -> None: ...
    def finish(self, error: StorageError | None) -> None: ...


@dataclass(slots=True)
class _Rows:
    sql: str
    values: Sequence[tuple[Any, ...]]
    row: Callable[..., tuple[Any, ...]]
    """Values to the parameters of ``sql``."""

    @property
    def size(self) -> int:
        return len(self.values)

    def split(self) -> Sequence[_Step]:
        return [_Rows(self.sql, [value], self.row) for value in self.values]

    def execute(self, connection: Connection) -> None:
        connection.exec_driver_sql(self.sql, [self.row(*value) for value in self.values])

    def finish(self, error: StorageError | None) -> None:
        """Nobody waits: the counters tell."""


@dataclass(slots=True)
class _Work:
    """Work that nobody waits for and that makes its rows on the writer's thread."""

    work: Callable[[Connection], None]
    size: int

    def split(self) -> Sequence[_Step]:
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

    def split(self) -> Sequence[_Step]:
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


_REMOVED: Final = object()


class Writer:
    """Owns the writing connection. Started once, closed once; closing writes what waits."""

    def __init__(
        self, engine: Engine, *, queue_rows: int, batch_rows: int, gather: float = 0.0
    ) -> None:
        self._engine = engine
        self._queue_rows = queue_rows
        self._batch_rows = batch_rows
        self._gather = gather
        self._keyed: dict[KeyedTable, dict[Hashable, Any]] = {}
        self._logs: dict[LogTable, list[Any]] = {}
        self._units: deque[_Step] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._closing = False
        self._written = self._coalesced = self._batches = self._refused = self._failed = 0
        self._failing = False
        self._last_error = ""
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # ----------------------------------------------------------------- queue
    def save(self, table: KeyedTable, key: Hashable, value: Any) -> bool:
        """The newest value of ``key``. ``False`` (and counted) when the queue is full."""
        with self._changed:
            values = self._keyed.setdefault(table, {})
            if key in values:
                self._coalesced += 1
            elif not self._enter(1):
                return False
            values[key] = value
            return True

    def remove(self, table: KeyedTable, key: Hashable) -> bool:
        return self.save(table, key, _REMOVED)

    def append(self, table: LogTable, values: Sequence[Any]) -> bool:
        """Add to a log. ``False`` (and counted) when the queue is full."""
        with self._changed:
            if not self._enter(len(values)):
                return False
            self._logs.setdefault(table, []).extend(values)
            return True

    def submit(self, work: Callable[[Connection], None], size: int) -> bool:
        """Queue ``work`` of about ``size`` rows that nobody waits for; it fails or stands whole."""
        with self._changed:
            if not self._enter(size):
                return False
            self._units.append(_Work(work, size))
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
        with self._changed:
            if self._closing:
                raise WriteRefused("The database is closing; nothing was written.")
            if not self._enter(1):
                raise WriteRefused("Too many writes wait for the database; try again shortly.")
            self._units.append(_Unit(work, loop, future))
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
                coalesced=self._coalesced,
                batches=self._batches,
                refused=self._refused,
                failed=self._failed,
                failing=self._failing,
                last_error=self._last_error,
            )

    def _enter(self, size: int) -> bool:
        """Take room for ``size`` rows; the thread is woken once per batch, not once per row."""
        before = self._waiting
        if self._closing or before + size > self._queue_rows:
            self._refused += size
            return False
        self._waiting = before + size
        if before == 0 or before < ENOUGH <= self._waiting:
            self._changed.notify()
        return True

    # ---------------------------------------------------------------- thread
    def _run(self) -> None:
        while batch := self._take():
            error = self._commit(batch)
            parts = [batch] if error is None else [[part] for s in batch for part in s.split()]
            if error is None or len(parts) == 1:
                self._account(batch, error)
                continue
            for part in parts:  # one of them is bad: find it, keep the others
                self._account(part, self._commit(part))

    def _take(self) -> list[_Step]:
        """The next batch, or an empty list when closed and drained."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if not self._is_urgent():
                self._changed.wait_for(self._is_urgent, self._gather)
            keyed, self._keyed = self._keyed, {}
            logs, self._logs = self._logs, {}
            units: list[_Step] = []
            size = 0
            while self._units and size < self._batch_rows:
                units.append(self._units.popleft())
                size += units[-1].size
        return [*_keyed_steps(keyed), *_log_steps(logs), *units]

    def _is_urgent(self) -> bool:
        return bool(self._units) or self._closing or self._waiting >= ENOUGH

    def _commit(self, batch: Sequence[_Step]) -> StorageError | None:
        try:
            with self._engine.begin() as connection:
                for step in batch:
                    step.execute(connection)
        except IntegrityError as error:
            return DuplicateKey(str(error.orig))
        except SQLAlchemyError as error:
            return WriteFailed(str(getattr(error, "orig", None) or type(error).__name__))
        except StorageError as error:
            return error
        except Exception as error:  # the thread's outer edge: a bug in `work` must not stop it
            return WriteFailed(f"{type(error).__name__} in a write")
        return None

    def _account(self, batch: Sequence[_Step], error: StorageError | None) -> None:
        size = sum(step.size for step in batch)
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
        for step in batch:
            step.finish(error)


def _keyed_steps(keyed: dict[KeyedTable, dict[Hashable, Any]]) -> list[_Step]:
    steps: list[_Step] = []
    for table, values in keyed.items():
        saved = [item for item in values.items() if item[1] is not _REMOVED]
        removed = [(key,) for key, value in values.items() if value is _REMOVED]
        if saved:
            steps.append(_Rows(table.save_sql, saved, table.row))
        if removed:
            steps.append(_Rows(table.remove_sql, removed, table.key))
    return steps


def _log_steps(logs: dict[LogTable, list[Any]]) -> list[_Step]:
    return [
        _Rows(table.append_sql, [(value,) for value in values], table.row)
        for table, values in logs.items()
        if values
    ]
