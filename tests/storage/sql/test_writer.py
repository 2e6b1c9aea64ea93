import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, insert, select

from storage.errors import DuplicateKey, WriteFailed, WriteRefused
from storage.sql.database import Database
from storage.sql.engine import prepare_file, writer_engine
from storage.sql.schema import facts, presence, users
from storage.sql.writer import Writer

INSERT_FACT = insert(facts)


def fact(name: str, value: str | None = "x") -> dict[str, str | None]:
    return {"name": name, "value": value}


async def names(database: Database) -> list[str]:
    return list(
        await database.read(
            lambda connection: (
                connection.execute(select(facts.c.name).order_by("name")).scalars().all()
            )
        )
    )


async def test_rows_and_units_keep_their_order(database: Database) -> None:
    writer = database.writer
    assert writer.submit(INSERT_FACT, [fact("a"), fact("b")])
    count = await writer.run(
        lambda connection: connection.execute(select(func.count()).select_from(facts)).scalar_one()
    )
    assert count == 2


async def test_one_bad_row_costs_only_itself(database: Database) -> None:
    writer = database.writer
    gate = threading.Event()
    held = asyncio.ensure_future(writer.run(lambda connection: gate.wait()))
    writer.submit(INSERT_FACT, [fact("a"), fact("bad", None), fact("b")])
    good = asyncio.ensure_future(
        writer.run(lambda connection: connection.execute(INSERT_FACT, [fact("c")]) and None)
    )
    gate.set()
    await held
    await good
    assert await names(database) == ["a", "b", "c"]
    stats = writer.stats()
    assert (stats.failed, stats.waiting) == (1, 0)
    assert "NOT NULL" in stats.last_error
    assert not stats.failing  # the newest write worked


async def test_a_taken_key_is_told_to_who_waits(database: Database) -> None:
    def add(connection: Connection) -> None:
        connection.execute(INSERT_FACT, [fact("a")])

    await database.writer.run(add)
    with pytest.raises(DuplicateKey):
        await database.writer.run(add)
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


async def test_a_caller_that_gave_up_does_not_undo_the_write(database: Database) -> None:
    gate = threading.Event()
    held = asyncio.ensure_future(database.writer.run(lambda connection: gate.wait()))
    waiting = asyncio.ensure_future(
        database.writer.run(
            lambda connection: connection.execute(INSERT_FACT, [fact("a")]) and None
        )
    )
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    await held
    await database.writer.run(lambda connection: None)
    assert await names(database) == ["a"]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    path = tmp_path / "small.sqlite3"
    prepare_file(path)
    made = writer_engine(path)
    with made.begin() as connection:
        for table in (facts, presence, users):
            table.create(connection)
    return made


async def test_a_full_queue_refuses_and_counts(engine: Engine) -> None:
    writer = Writer(engine, queue_rows=2, batch_rows=10)  # not started: nothing drains
    assert writer.submit(INSERT_FACT, [fact("a"), fact("b")])
    assert not writer.submit(INSERT_FACT, [fact("c")])
    with pytest.raises(WriteRefused, match="Too many"):
        await writer.run(lambda connection: None)
    assert (writer.stats().refused, writer.stats().waiting) == (2, 2)
    writer.start()
    await writer.close()
    assert (writer.stats().written, writer.stats().waiting) == (2, 0)
    engine.dispose()


async def test_closing_writes_what_waits_and_then_refuses(engine: Engine) -> None:
    writer = Writer(engine, queue_rows=1_000, batch_rows=10)
    for number in range(100):
        writer.submit(INSERT_FACT, [fact(f"{number:03}")])
    writer.start()
    await writer.close()
    await writer.close()
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(facts)).scalar_one() == 100
    assert not writer.submit(INSERT_FACT, [fact("late")])
    with pytest.raises(WriteRefused, match="closing"):
        await writer.run(lambda connection: None)
    engine.dispose()
