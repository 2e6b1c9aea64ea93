from storage.sql.database import Database
from storage.sql.users import SqlUserStore


async def test_users_and_their_newest_hash(database: Database) -> None:
    users = SqlUserStore(database, clock=lambda: 1.0)
    assert await users.count() == 0
    assert await users.password_hash("admin") is None
    await users.set_password("admin", "one")
    await users.set_password("admin", "other")
    assert await users.password_hash("admin") == "other"
    assert await users.count() == 1
