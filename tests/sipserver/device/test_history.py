from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sipserver.device.events import DeviceOffline, DeviceOnline, OfflineReason, OnlineReason
from sipserver.device.history import PresenceEdge, PresenceHistory
from sipserver.device.memory import MemoryPresenceLog


def online(number: int) -> DeviceOnline:
    return DeviceOnline(device_id=str(number), at=float(number), reason=OnlineReason.REGISTERED)


async def test_edges_reach_the_log_with_their_reasons() -> None:
    log = MemoryPresenceLog()
    history = PresenceHistory(log)
    writer = asyncio.create_task(history.run())
    history.on_event(online(1))
    history.on_event(DeviceOffline(device_id="1", at=2.0, reason=OfflineReason.SILENT))
    while len(log.edges) < 2:
        await asyncio.sleep(0)
    writer.cancel()
    assert log.edges == [
        PresenceEdge("1", 1.0, True, "registered"),
        PresenceEdge("1", 2.0, False, "heartbeats missing"),
    ]


async def test_a_slow_log_costs_the_oldest_edges_and_they_are_counted() -> None:
    log = MemoryPresenceLog()
    history = PresenceHistory(log, limit=10)
    for number in range(25):
        history.on_event(online(number))
    assert (history.pending, history.dropped) == (10, 15)
    await history.flush()
    assert [edge.device_id for edge in log.edges] == [str(n) for n in range(15, 25)]


async def test_a_failing_log_loses_its_batch_and_does_not_stop() -> None:
    class Broken:
        async def append(self, edges: Sequence[PresenceEdge]) -> None:
            raise OSError("disk full")

    history = PresenceHistory(Broken())
    history.on_event(online(1))
    await history.flush()
    assert (history.pending, history.dropped) == (0, 1)
