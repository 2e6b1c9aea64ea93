from __future__ import annotations

import logging

import pytest

from sipserver.device.events import DeviceEvent, DeviceOnline, EventBus, OnlineReason

EVENT = DeviceOnline(device_id="a", at=0.0, reason=OnlineReason.REGISTERED)


def test_every_subscriber_gets_every_event_until_it_leaves() -> None:
    bus = EventBus()
    first: list[DeviceEvent] = []
    second: list[DeviceEvent] = []
    leave = bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.publish(EVENT)
    leave()
    bus.publish(EVENT)
    assert (len(first), len(second)) == (1, 2)


def test_a_failing_subscriber_does_not_keep_the_others_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = EventBus()
    seen: list[DeviceEvent] = []

    def broken(event: DeviceEvent) -> None:
        raise RuntimeError("bug")

    bus.subscribe(broken)
    bus.subscribe(seen.append)
    with caplog.at_level(logging.ERROR):
        bus.publish(EVENT)
    assert seen == [EVENT]
    assert "DeviceOnline" in caplog.text
