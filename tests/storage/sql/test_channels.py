import logging

import pytest
from sqlalchemy import insert

from manscdp.catalog import CatalogItem
from sipserver.device.channels import ChannelSettings
from storage.sql.channels import SqlChannelStore
from storage.sql.database import Database
from storage.sql.schema import channels

NVR = "34020000001180000001"


def camera(number: int, name: str = "") -> CatalogItem:
    return CatalogItem(
        device_id=f"3402000000132{number:07}", name=name or f"门{number}", longitude=117.25, port=1
    )


async def settled(database: Database) -> None:
    await database.writer.run(lambda connection: None)


async def test_a_list_comes_back_in_the_peers_order(database: Database) -> None:
    store = SqlChannelStore(database)
    items = [camera(number) for number in (3, 1, 2)]
    store.save_channels(NVR, items, ())
    store.save_channels("other", [camera(9)], ())
    store.save_channels(NVR, [camera(1, "new")], [camera(3).device_id])
    await settled(database)
    loaded = [item for device_id, item in store.load_channels() if device_id == NVR]
    assert loaded == [camera(1, "new"), camera(2)]


async def test_settings_outlive_the_channel(database: Database) -> None:
    store = SqlChannelStore(database)
    settings = ChannelSettings(name="我的门", hidden=True, latitude=31.5)
    store.save_channel_settings(NVR, "c1", ChannelSettings())
    store.save_channel_settings(NVR, "c1", settings)
    store.save_channels(NVR, (), ["c1"])
    await settled(database)
    assert list(store.load_channel_settings()) == [(NVR, "c1", settings)]


async def test_a_removed_device_takes_its_channels_along(database: Database) -> None:
    store = SqlChannelStore(database)
    store.save_channels(NVR, [camera(1)], ())
    store.save_channel_settings(NVR, "c1", ChannelSettings())
    store.remove_channels(NVR)
    await settled(database)
    assert list(store.load_channels()) == []
    assert list(store.load_channel_settings()) == []


async def test_an_unreadable_channel_is_left_out_and_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqlChannelStore(database)
    rows = [{"device_id": NVR, "channel_id": "x", "item": b'{"name": 7}'}]
    await database.writer.run(
        lambda connection: connection.execute(insert(channels), rows).rowcount
    )
    store.save_channels(NVR, [camera(1)], ())
    await settled(database)
    with caplog.at_level(logging.ERROR):
        assert [item for _, item in store.load_channels()] == [camera(1)]
    assert NVR in caplog.text
