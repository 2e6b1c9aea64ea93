"""Runs a coroutine on uvloop until it ends or the operating system asks to stop."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import uvloop

T = TypeVar("T")
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run(main: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """``main`` gets an event that the first SIGINT or SIGTERM sets; the second one kills."""

    async def supervised() -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask_to_stop() -> None:
            stop.set()
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, ask_to_stop)
        try:
            return await main(stop)
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(supervised())
