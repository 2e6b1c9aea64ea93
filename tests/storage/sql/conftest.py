"""An open database in a temporary directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.sql.database import Database
from storage.sql.settings import StorageSettings


@pytest.fixture
def settings(tmp_path: Path) -> StorageSettings:
    return StorageSettings(path=str(tmp_path / "data" / "test.sqlite3"))


@pytest.fixture
async def database(settings: StorageSettings) -> AsyncIterator[Database]:
    opened = Database(settings)
    await opened.open()
    yield opened
    await opened.close()
