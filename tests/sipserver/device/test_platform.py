"""What the joined services tell the transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sipserver.device.accounts import DeviceAccount
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import PlatformBench

CAMERA = "34020000001320000001"
PASSWORD = "12345678"
CONNECTION = Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.7", 40000), 5)


def test_a_connection_is_in_use_until_its_heartbeats_are_missing(
    virtual: Any, make_platform: type[PlatformBench]
) -> None:
    """An hour between heartbeats: three misses and a margin allow four hours of silence."""

    async def scenario() -> None:
        account = DeviceAccount(device_id=CAMERA, password=PASSWORD, heartbeat_interval=3_600.0)
        bench = make_platform(account)
        async with bench.running():
            bench.register(flow=CONNECTION, expires="86400")
            assert not bench.platform.in_use(Flow("TCP", CONNECTION.local, CONNECTION.remote, 6))
            await asyncio.sleep(4 * 3_600.0 - 1.0)
            assert bench.platform.in_use(CONNECTION)
            await asyncio.sleep(3.0)
            assert not bench.platform.in_use(CONNECTION)

    virtual(scenario())
