import asyncio

import pytest

from api.errors import ApiError
from api.events import PER_CLIENT, EventHub, EventView


def event(number: int) -> EventView:
    return EventView(type="device_online", at=float(number), device_id="1", data={"n": number})


async def test_every_client_gets_every_event_in_order() -> None:
    hub = EventHub(clients=2)
    with hub.listen() as one, hub.listen() as other:
        hub.publish(event(1))
        hub.publish(event(2))
        frames = await one.take()
        assert frames == await other.take()
        assert frames.startswith(b"id: 1\nevent: device_online\ndata: {")
        assert frames.count(b"\n\n") == 2
    assert hub.clients == 0


async def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    hub = EventHub(clients=1)
    for number in range(1, 4):
        hub.publish(event(number))
    with hub.listen("1") as queue:
        frames = await queue.take()
    assert b"id: 1\n" not in frames
    assert b"id: 2\n" in frames
    assert b"id: 3\n" in frames


@pytest.mark.parametrize("text", ["", "x", "-1", "9" * 40, "²"])
async def test_a_strange_last_event_id_is_ignored(text: str) -> None:
    hub = EventHub(clients=1)
    hub.publish(event(1))
    with hub.listen(text) as queue:
        hub.publish(event(2))
        assert b"id: 1\n" not in await queue.take()


async def test_a_slow_client_loses_the_oldest_and_is_told() -> None:
    hub = EventHub(clients=1)
    with hub.listen() as queue:
        for number in range(PER_CLIENT + 10):
            hub.publish(event(number))
        frames = await queue.take()
    assert frames.startswith(b'event: lost\ndata: {"lost":10}\n\n')
    assert frames.count(b"event: device_online") == PER_CLIENT


async def test_a_client_beyond_the_limit_is_refused() -> None:
    hub = EventHub(clients=1)
    with hub.listen(), pytest.raises(ApiError, match="too_many_listeners"), hub.listen():
        pass


async def test_events_need_not_be_built_for_nobody() -> None:
    now = 1_000.0
    hub = EventHub(clients=1, clock=lambda: now)
    assert not hub.is_heard
    with hub.listen():
        assert hub.is_heard
    now += 59.0
    assert hub.is_heard  # it may come back
    now += 2.0
    assert not hub.is_heard


async def test_taking_waits_for_the_next_event() -> None:
    hub = EventHub(clients=1)
    with hub.listen() as queue:
        waiting = asyncio.ensure_future(queue.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.publish(event(1))
        assert b"id: 1\n" in await waiting
