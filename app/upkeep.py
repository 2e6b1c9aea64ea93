"""What is done now and then: history that is too old goes."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from storage.errors import StorageError

PERIOD: Final = 3600.0
DAY: Final = 86_400.0
log = logging.getLogger(__name__)


class History(Protocol):
    async def forget_before(self, at: float) -> int: ...


class HistoryPruning:
    def __init__(
        self, histories: tuple[History, ...], days: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._histories = histories
        self._days = days
        self._clock = clock

    async def run(self) -> None:
        """Every hour, until cancelled."""
        while True:
            try:
                await self.prune()
            except StorageError as error:
                log.warning("old history was not deleted: %s", error)
            await asyncio.sleep(PERIOD)

    async def prune(self) -> int:
        """Delete what is too old; returns how many rows."""
        before = self._clock() - self._days * DAY
        return sum([await history.forget_before(before) for history in self._histories])
