from storage.sql.database import Database
from storage.sql.sessions import EndedSession, SqlSessionArchive


def ended(number: int, channel_id: str = "c1", verdict: str = "") -> EndedSession:
    return EndedSession(
        session_id=f"s{number}",
        device_id="d1",
        channel_id=channel_id,
        started_at=float(number),
        ended_at=number + 10.0,
        verdict=verdict,
        detail={"stages": [{"stage": "queued", "seconds": 0.0}], "名": "门"},
    )


async def test_sessions_are_found_by_channel_and_by_id(database: Database) -> None:
    archive = SqlSessionArchive(database)
    for number in range(4):
        assert archive.append(ended(number, f"c{number % 2}"))
    await archive.forget_before(0.0)  # waits for the writer
    page, total = await archive.newest(channel_id="c1", limit=1)
    assert ([session.session_id for session in page], total) == (["s3"], 2)
    page, total = await archive.newest(device_id="d1", offset=2)
    assert ([session.session_id for session in page], total) == (["s1", "s0"], 4)
    assert await archive.find("s2") == ended(2, "c0")
    assert await archive.find("none") is None


async def test_the_same_session_is_kept_once(database: Database) -> None:
    archive = SqlSessionArchive(database)
    archive.append(ended(1))
    archive.append(ended(1, verdict="no_answer"))
    await archive.forget_before(0.0)
    page, total = await archive.newest()
    assert (page[0].verdict, total) == ("no_answer", 1)


async def test_old_sessions_are_forgotten(database: Database) -> None:
    archive = SqlSessionArchive(database)
    for number in range(4):
        archive.append(ended(number))
    assert await archive.forget_before(12.0) == 2
    assert (await archive.newest())[1] == 2
