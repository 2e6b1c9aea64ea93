import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, insert, select

from storage.errors import DuplicateKey, WriteFailed, WriteRefused
from storage.sql.database import Database
from storage.sql.engine import prepare_file, writer_engine
from storage.sql.schema import facts, presence
from storage.sql.statements import append_sql, remove_sql, save_sql
from storage.sql.writer import KeyedTable, LogTable, Writer

FACTS = KeyedTable(
    save_sql=save_sql(facts, ["name"], ["value"]),
    remove_sql=remove_sql(facts, ["name"]),
    row=lambda key, value: (key, value),
    key=lambda key: (key,),
)
PRESENCE = LogTable(
    append_sql=append_sql(presence, ["device_id", "at", "online", "reason"]),
    row=lambda at: ("d", at, True, "r"),
)


def put(connection: Connection, name: str) -> None:
    connection.execute(insert(facts), [{"name": name, "value": "x"}])


async def names(database: Database) -> list[str]:
    query = select(facts.c.name).order_by("name")
    rows = await database.read(lambda connection: connection.execute(query).scalars().all())
    return list(rows)


class Gate:
    """Holds the writer in a unit of work, so that a queue builds up behind it."""

    def __init__(self, writer: Writer) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()
        self._held = asyncio.ensure_future(writer.run(self._wait))

    def _wait(self, connection: Connection) -> None:
        self._entered.set()
        self._open.wait()

    async def entered(self) -> None:
        await asyncio.to_thread(self._entered.wait)

    async def open(self) -> None:
        self._open.set()
        await self._held


async def test_a_unit_runs_after_everything_queued_before(database: Database) -> None:
    writer = database.writer
    assert writer.save(FACTS, "a", "1")
    assert writer.append(PRESENCE, [1.0, 2.0])
    query = select(facts.c.name, presence.c.at).select_from(facts.join(presence, presence.c.id > 0))
    rows = await writer.run(lambda connection: connection.execute(query).all())
    assert [tuple(row) for row in rows] == [("a", 1.0), ("a", 2.0)]


async def test_only_the_newest_value_of_a_key_is_written(database: Database) -> None:
    writer = database.writer
    gate = Gate(writer)
    await gate.entered()
    for number in range(100):
        writer.save(FACTS, "a", str(number))
    writer.save(FACTS, "b", "1")
    writer.remove(FACTS, "b")
    await gate.open()
    await writer.run(lambda connection: None)
    query = select(facts.c.name, facts.c.value)
    rows = await database.read(lambda connection: connection.execute(query).all())
    assert [tuple(row) for row in rows] == [("a", "99")]
    assert writer.stats().coalesced == 100


async def test_one_bad_row_costs_only_itself(database: Database) -> None:
    writer = database.writer
    gate = Gate(writer)
    await gate.entered()
    for name, value in (("a", "1"), ("bad", None), ("b", "1")):
        writer.save(FACTS, name, value)
    good = asyncio.ensure_future(writer.run(lambda connection: put(connection, "c")))
    await asyncio.sleep(0)
    await gate.open()
    await good
    assert await names(database) == ["a", "b", "c"]
    stats = writer.stats()
    assert (stats.failed, stats.waiting) == (1, 0)
    assert "NOT NULL" in stats.last_error
    assert not stats.failing  # the newest write worked


async def test_a_taken_key_is_told_to_who_waits(database: Database) -> None:
    await database.writer.run(lambda connection: put(connection, "a"))
    with pytest.raises(DuplicateKey):
        await database.writer.run(lambda connection: put(connection, "a"))
    assert not database.writer.stats().failing


async def test_a_failing_write_is_told_and_seen(database: Database) -> None:
    with pytest.raises(WriteFailed, match="no such table"):
        await database.writer.run(lambda connection: connection.exec_driver_sql("DROP TABLE none"))
    assert database.writer.stats().failing
    await database.writer.run(lambda connection: None)
    assert not database.writer.stats().failing


async def test_a_fault_in_the_work_does_not_stop_the_writer(database: Database) -> None:
    with pytest.raises(WriteFailed, match="ZeroDivisionError"):
        await database.writer.run(lambda connection: 1 // 0)
    assert await database.writer.run(lambda connection: 7) == 7


async def test_a_value_that_cannot_be_encoded_does_not_stop_the_writer(database: Database) -> None:
    broken = KeyedTable(
        FACTS.save_sql, FACTS.remove_sql, lambda key, value: (key, 1 // 0), FACTS.key
    )
    database.writer.save(broken, "a", "1")
    await database.writer.run(lambda connection: put(connection, "b"))
    assert await names(database) == ["b"]
    assert database.writer.stats().failed == 1


async def test_a_caller_that_gave_up_does_not_undo_the_write(database: Database) -> None:
    gate = Gate(database.writer)
    waiting = asyncio.ensure_future(database.writer.run(lambda connection: put(connection, "a")))
    await gate.entered()
    waiting.cancel()
    await gate.open()
    await database.writer.run(lambda connection: None)
    assert await names(database) == ["a"]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    path = tmp_path / "small.sqlite3"
    prepare_file(path)
    made = writer_engine(path)
    with made.begin() as connection:
        for table in (facts, presence):
            table.create(connection)
    return made


async def test_a_full_queue_refuses_and_counts(engine: Engine) -> None:
    writer = Writer(engine, queue_rows=2, batch_rows=10)  # not started: nothing drains
    assert writer.append(PRESENCE, [1.0, 2.0])
    assert not writer.append(PRESENCE, [3.0])
    assert not writer.save(FACTS, "a", "1")
    assert not writer.submit(lambda connection: None, 1)
    with pytest.raises(WriteRefused, match="Too many"):
        await writer.run(lambda connection: None)
    assert (writer.stats().refused, writer.stats().waiting) == (4, 2)
    writer.start()
    await writer.close()
    assert (writer.stats().written, writer.stats().waiting) == (2, 0)
    engine.dispose()


async def test_closing_writes_what_waits_and_then_refuses(engine: Engine) -> None:
    writer = Writer(engine, queue_rows=1_000, batch_rows=10, gather=60.0)
    for number in range(100):
        writer.save(FACTS, f"{number:03}", "x")
    writer.start()
    await writer.close()
    await writer.close()
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(facts)).scalar_one() == 100
    assert not writer.append(PRESENCE, [1.0])
    with pytest.raises(WriteRefused, match="closing"):
        await writer.run(lambda connection: None)
    engine.dispose()


async def test_a_unit_does_not_wait_for_company(engine: Engine) -> None:
    writer = Writer(engine, queue_rows=1_000, batch_rows=10, gather=60.0)
    writer.start()
    writer.save(FACTS, "a", "x")
    async with asyncio.timeout(5):
        await writer.run(lambda connection: None)
    assert writer.stats().written == 2
    await writer.close()
    engine.dispose()


@pytest.mark.slow
async def test_what_a_registration_costs(engine: Engine) -> None:
    """An account, a registration and a presence edge each: at most 25 us of CPU."""
    writer = Writer(engine, queue_rows=100_000, batch_rows=2_000, gather=0.2)
    writer.start()
    started = time.process_time()
    for number in range(10_000):
        writer.save(FACTS, f"account {number}", "x" * 300)
        writer.save(FACTS, f"binding {number}", "x" * 300)
        writer.append(PRESENCE, [float(number)])
    await writer.close()
    spent = (time.process_time() - started) / 10_000
    assert writer.stats().written == 30_000
    assert spent < 60e-6  # twice what is wanted, for a busy machine
    engine.dispose()
