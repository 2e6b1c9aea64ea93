import asyncio
import os
import signal

import pytest

from app.running import run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    async def main(stop: asyncio.Event) -> str:
        os.kill(os.getpid(), number)
        await stop.wait()
        return "stopped"

    assert run(main) == "stopped"


def test_a_second_interrupt_is_not_waited_for() -> None:
    async def main(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_the_loop_is_uvloop() -> None:
    async def main(stop: asyncio.Event) -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main).startswith("uvloop")
