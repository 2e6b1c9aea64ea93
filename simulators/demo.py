"""The cameras of `make demo`: both codecs, all three media transports, a GB 18030 name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from manscdp.edition import Edition
from simulators.profile import DeviceProfile, Habits, camera, recorder


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """A simulated device and what the platform is told about it."""

    profile: DeviceProfile
    media_transport: str
    """The platform's role: ``udp``, ``tcp-passive`` or ``tcp-active``."""


def demo_devices(server: tuple[str, int], server_id: str, password: str) -> tuple[DemoDevice, ...]:
    """:param server: address of the platform's SIP port"""
    place: Habits = {
        "server": server,
        "server_id": server_id,
        "retry_interval": 5.0,
        "retry_spread": 1.0,
    }
    east = camera(1, "East gate (H.264, UDP)", password, **place)
    west = camera(2, "West gate (H.265, TCP)", password, codec="h265", **place)
    park = recorder(1, "Car park recorder", password, 8, **place)
    south = camera(3, "南门广场（镕囍）", password, audio=True, **place)
    return (
        DemoDevice(east, "udp"),
        DemoDevice(replace(west, transport="TCP"), "tcp-passive"),
        DemoDevice(replace(park, transport="TCP"), "tcp-active"),
        DemoDevice(replace(south, edition=Edition.GB2016), "udp"),
    )
