import pytest

from sipserver.device.history import PresenceEdge
from storage.sql.database import Database
from storage.sql.presence import SqlPresenceLog


def edges(device_id: str, count: int) -> list[PresenceEdge]:
    return [PresenceEdge(device_id, float(n), n % 2 == 0, "registered") for n in range(count)]


async def test_edges_are_read_newest_first_and_page_by_page(database: Database) -> None:
    log = SqlPresenceLog(database)
    await log.append(edges("1", 5))
    await log.append(edges("2", 5))
    await log.forget_before(0.0)  # waits for the writer
    first = await log.newest(limit=3)
    assert [(entry.edge.device_id, entry.edge.at) for entry in first] == [
        ("2", 4.0),
        ("2", 3.0),
        ("2", 2.0),
    ]
    rest = await log.newest(before=first[-1].id)
    assert len(rest) == 7
    mine = await log.newest(device_id="1")
    assert [entry.edge for entry in mine] == edges("1", 5)[::-1]


async def test_old_edges_are_forgotten(database: Database) -> None:
    log = SqlPresenceLog(database)
    await log.append(edges("1", 10))
    assert await log.forget_before(7.0) == 7
    assert [entry.edge.at for entry in await log.newest()] == [9.0, 8.0, 7.0]


async def test_a_full_queue_is_an_error_the_history_counts(database: Database) -> None:
    await database.writer.close()
    with pytest.raises(OSError, match="queue"):
        await SqlPresenceLog(database).append(edges("1", 1))
