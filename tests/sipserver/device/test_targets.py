from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from manscdp.catalog import CatalogItem
from sdp.gb import StreamSelector, Transport
from sipserver.device.accounts import DeviceAccount
from sipserver.device.channels import ChannelSettings
from sipserver.device.errors import DeviceNotOnline, UnknownChannel, UnknownDevice
from sipserver.device.sessions.target import SsrcHabit
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import PlatformBench

Virtual = Callable[[Coroutine[Any, Any, Any]], Any]
CAMERA = "34020000001320000001"
CHANNEL = "34020000001310000001"
ACCOUNT = DeviceAccount(
    device_id=CAMERA,
    password="12345678",
    media_transport="tcp-passive",
    media_address="198.51.100.1",
    session_limit=4,
)


def test_a_target_is_the_channel_behind_the_flow_of_its_device(
    virtual: Virtual, make_platform: type[PlatformBench]
) -> None:
    async def scenario() -> None:
        bench = make_platform(ACCOUNT)
        targets, directory = bench.platform.targets, bench.platform.directory
        with pytest.raises(UnknownDevice):
            targets.target("x", CHANNEL)
        with pytest.raises(UnknownChannel):
            targets.target(CAMERA, CHANNEL)
        directory.swap(CAMERA, [CatalogItem(device_id=CHANNEL, name="gate")])
        with pytest.raises(DeviceNotOnline):
            targets.target(CAMERA, CHANNEL)
        flow = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 41000))
        bench.register(CAMERA, "User-Agent: Dahua", "X-GB-Ver: 3.0", flow=flow)
        target = targets.target(CAMERA, CHANNEL)
        assert (target.flow, target.edition.value) == (flow, "3.0")
        assert target.transport is Transport.TCP_PASSIVE
        assert target.media_ip == "198.51.100.1"
        assert target.selector is StreamSelector.STREAM_PROFILE
        assert (target.session_limit, target.ssrc_habit) == (4, SsrcHabit.UNKNOWN)
        targets.learned(CAMERA, SsrcHabit.OWN)
        assert targets.target(CAMERA, CHANNEL).ssrc_habit is SsrcHabit.OWN
        assert dict(bench.stores.devices.load_details())[CAMERA].ssrc_habit == "own"
        directory.set_settings(CAMERA, CHANNEL, ChannelSettings(media_transport="udp"))
        assert targets.target(CAMERA, CHANNEL).transport is Transport.UDP

    virtual(scenario())
