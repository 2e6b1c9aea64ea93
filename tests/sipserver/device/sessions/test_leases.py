"""100,000 plays with failures at random stages: nothing leaks, nothing is returned twice."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from media_relay.errors import MediaError
from sdp.gb import Transport
from sipserver.device.sessions.errors import PlayFailed, PlayStopped
from sipserver.transport.errors import RequestTimedOut, TransportFailed

if TYPE_CHECKING:
    from tests.sipserver.device.sessions.conftest import FakeCall, World

CYCLES = 100_000
AT_ONCE = 250


def answer_sdp(protocol: str = "RTP/AVP", port: int = 15060, encoding: str = "PS") -> bytes:
    lines = ["v=0", "s=Play", "c=IN IP4 192.0.2.7", "t=0 0", f"m=video {port} {protocol} 96"]
    return "\r\n".join([*lines, f"a=rtpmap:96 {encoding}/90000", ""]).encode()


ANSWERS = (
    *(answer_sdp() + ssrc for ssrc in (b"", b"y=0000000000\r\n", b"y=4711\r\n") * 2),
    answer_sdp("TCP/RTP/AVP") + b"a=setup:active\r\n",
    answer_sdp("TCP/RTP/AVP") + b"a=setup:passive\r\n",
    answer_sdp(port=0),
    answer_sdp(encoding="DAHUA"),
    b"?",
)


class Chaos:
    """A device, a node and callers that do the wrong thing at a random moment. Seeded."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        world.caller.device = self.device
        world.caller.keep_calls = False
        world.node.keep_receivers = False

    async def pause(self) -> None:
        await asyncio.sleep(self.random.choice((0.0, 0.001, 0.5, 3.0, 14.0)))

    async def device(self, call: FakeCall) -> None:
        """Goes on step by step, unless it is its turn to fail."""
        stream = self.world.node.stream_at(call.media_port)
        call.bye_takes = self.random.choice((0.0, 0.1, 30.0))
        if self.random.random() < 0.1:
            call.bye_error = RequestTimedOut("BYE")
        report = self.world.node.report
        steps: list[Callable[[], None]] = [
            lambda: call.provisional(100),
            lambda: call.provisional(self.random.choice((101, 180, 183))),
            lambda: self.answer(call),
            *(partial(report, kind, stream=stream) for kind in ("connected", *self.world.PICTURE)),
            partial(report, "viewer_first_byte", stream=stream, viewer=1),
            partial(report, "viewer_left", stream=stream, viewer=1),
        ]
        fails_at = self.random.randrange(len(steps) + 4)
        for number, step in enumerate(steps):
            if self.random.random() < 0.15:
                await self.pause()
            if number == fails_at:
                self.fail(call, stream)
                return
            step()

    def answer(self, call: FakeCall) -> None:
        call.answer(self.random.choice(ANSWERS))

    def fail(self, call: FakeCall, stream: str) -> None:
        status = self.random.choice((302, 404, 480, 486, 488, 500, 603))
        report = self.world.node.report
        self.random.choice(
            (
                lambda: call.reject(status),
                lambda: call.fail(TransportFailed("lost")),
                lambda: call.fail(RequestTimedOut("Timer B")),
                call.hang_up,
                lambda: call.end("connection lost"),
                lambda: report("silent", stream=stream),
                lambda: report("disconnected", stream=stream),
                lambda: report("connect_failed", stream=stream, detail="refused"),
                lambda: None,
            )
        )()

    async def play(self, number: int) -> None:
        """One caller: a few channels, so that callers meet in one session."""
        world, channel = self.world, str(self.random.randrange(AT_ONCE * 4))
        device = channel[-2:]
        if self.random.random() < 0.02:
            world.node.errors.append(MediaError("no memory"))
        world.caller.error = TransportFailed("gone") if self.random.random() < 0.01 else None
        patience = self.random.choice((0.0, 0.0005, 0.7, 10.0, 60.0, 60.0, 60.0))
        transport = self.random.choice(list(Transport))
        try:
            async with asyncio.timeout(patience):
                session = await world.sessions.play(device, channel, transport=transport)
        except (PlayFailed, PlayStopped) as error:
            self.outcomes[str(error).partition(":")[0]] += 1
            return
        except TimeoutError:
            self.outcomes["caller left"] += 1
            return
        self.outcomes["played"] += 1
        await self.after(session.id, device)

    async def after(self, session_id: str, device: str) -> None:
        dice = self.random.random()
        if dice < 0.3:
            self.world.sessions.get(session_id).stop()
        elif dice < 0.35:
            self.world.sessions.device_offline(device, "heartbeats missing")
        elif dice < 0.6:
            detach = self.world.sessions.get(session_id).attach()
            await self.pause()
            detach()


def churn(world: World, cycles: int, seed: int) -> Chaos:
    chaos = Chaos(world, seed)

    async def scenario() -> None:
        turn = iter(range(cycles))

        async def caller() -> None:
            for number in turn:
                await chaos.play(number)

        async with asyncio.TaskGroup() as callers:
            for _ in range(AT_ONCE):
                callers.create_task(caller())
        await world.sessions.close()

    usual = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)  # sessions come and go by the thousand: a third of the time
    try:
        world.run(scenario())
    finally:
        gc.set_threshold(*usual)
    return chaos


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_random_plays_leave_no_lease(world: World, seed: int) -> None:
    chaos = churn(world, 1_000, seed)
    assert chaos.outcomes.total() == 1_000
    world.assert_nothing_is_held()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_thousand_random_plays_leave_no_lease(world: World) -> None:
    chaos = churn(world, CYCLES, seed=28181)
    stats = world.sessions.stats()
    assert chaos.outcomes.total() == CYCLES
    assert stats.started + stats.joined == CYCLES
    assert sum(stats.endings.values()) == stats.started
    assert len(stats.verdicts) > 20, stats.verdicts  # it did fail in many ways
    assert "internal" not in stats.verdicts
    world.assert_nothing_is_held()
