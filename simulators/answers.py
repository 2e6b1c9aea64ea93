"""What a simulated device says about itself: Catalog, DeviceInfo, DeviceStatus (A.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from manscdp.catalog import CatalogItem, CatalogPage
from manscdp.information import DeviceInfo, DeviceStatus
from simulators.profile import ChannelProfile, DeviceProfile


def catalog_pages(profile: DeviceProfile, sn: int) -> Iterator[CatalogPage]:
    """All pages of the answer to one Catalog query; ``SumNum`` is the same in each (annex M)."""
    items = [_channel_item(profile, channel) for channel in profile.channels]
    size = profile.catalog_page
    for start in range(0, len(items), size):
        yield CatalogPage(
            sn=sn,
            device_id=profile.device_id,
            sum_num=len(items),
            items=tuple(items[start : start + size]),
        )


def _channel_item(profile: DeviceProfile, channel: ChannelProfile) -> CatalogItem:
    return CatalogItem(
        device_id=channel.channel_id,
        name=channel.name,
        manufacturer=profile.manufacturer,
        model=profile.model,
        owner="Owner",
        civil_code=channel.channel_id[:6],
        address=channel.name,
        parental=0,
        parent_id=profile.device_id if profile.is_recorder else profile.server_id,
        safety_way=0,
        register_way=1,
        secrecy=0,
        status="ON",
        longitude=114.05 + int(channel.channel_id[-3:]) / 1000,
        latitude=22.54,
        ptz_type="3",
        stream_number_list="0/1",
    )


def device_info(profile: DeviceProfile, sn: int) -> DeviceInfo:
    return DeviceInfo(
        sn=sn,
        device_id=profile.device_id,
        device_name=profile.name,
        result="OK",
        manufacturer=profile.manufacturer,
        model=profile.model,
        firmware=profile.firmware,
        channel=len(profile.channels),
    )


def device_status(profile: DeviceProfile, sn: int, beijing: datetime) -> DeviceStatus:
    """:param beijing: the device's clock, Beijing time without a zone (9.10)"""
    return DeviceStatus(
        sn=sn,
        device_id=profile.device_id,
        result="OK",
        online="ONLINE",
        status="OK",
        encode="ON",
        record="OFF",
        device_time=beijing.strftime("%Y-%m-%dT%H:%M:%S"),
    )
