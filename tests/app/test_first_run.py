import stat
from pathlib import Path

from api.passwords import verify_password
from app.first_run import (
    ensure_user,
    forget_initial_password,
    read_initial_password,
    reset_password,
)


class MemoryUsers:
    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}

    async def count(self) -> int:
        return len(self.hashes)

    async def set_password(self, name: str, password_hash: str) -> None:
        self.hashes[name] = password_hash


async def test_the_first_start_makes_a_user_and_the_second_does_not(tmp_path: Path) -> None:
    users = MemoryUsers()
    login = await ensure_user(users, tmp_path)
    assert login is not None
    assert verify_password(login.password, users.hashes["admin"])
    assert read_initial_password(tmp_path) == ("admin", login.password)
    assert stat.S_IMODE(login.file.stat().st_mode) == 0o600
    assert await ensure_user(users, tmp_path) is None


async def test_a_reset_replaces_password_and_file(tmp_path: Path) -> None:
    users = MemoryUsers()
    (tmp_path / "initial-password.txt").write_text("admin old")
    first = await reset_password(users, "admin", tmp_path)
    second = await reset_password(users, "admin", tmp_path)
    assert first.password != second.password
    assert read_initial_password(tmp_path) == ("admin", second.password)
    assert "password=" not in repr(second)


def test_a_changed_password_makes_the_file_stale(tmp_path: Path) -> None:
    (tmp_path / "initial-password.txt").write_text("admin old\n")
    forget_initial_password(tmp_path)
    forget_initial_password(tmp_path)
    assert read_initial_password(tmp_path) is None
