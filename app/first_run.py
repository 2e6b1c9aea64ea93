"""The first start: a user with a random password, printed once and kept in a file for its owner."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from api.passwords import hash_password, random_password

ADMIN: Final = "admin"
FILE_NAME: Final = "initial-password.txt"


class Users(Protocol):
    async def count(self) -> int: ...
    async def set_password(self, name: str, password_hash: str) -> None: ...


@dataclass(frozen=True, slots=True)
class InitialLogin:
    name: str
    password: str = field(repr=False)
    file: Path


async def ensure_user(users: Users, directory: Path) -> InitialLogin | None:
    """Make the first user when there is none; ``None`` when there is one."""
    if await users.count():
        return None
    return await reset_password(users, ADMIN, directory)


async def reset_password(users: Users, name: str, directory: Path) -> InitialLogin:
    """Give ``name`` a random password and write it to a file that only its owner may read."""
    password = random_password()
    await users.set_password(name, await asyncio.to_thread(hash_password, password))
    path = directory / FILE_NAME
    await asyncio.to_thread(_write, path, f"{name} {password}\n")
    return InitialLogin(name, password, path)


def forget_initial_password(directory: Path) -> None:
    """After the first change of a password the file is stale."""
    (directory / FILE_NAME).unlink(missing_ok=True)


def read_initial_password(directory: Path) -> tuple[str, str] | None:
    """Name and password while they have not been changed."""
    try:
        text = (directory / FILE_NAME).read_text(encoding="utf-8")
    except OSError:
        return None
    name, _, password = text.strip().partition(" ")
    return (name, password) if password else None


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # an old file may have another mode or owner
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
