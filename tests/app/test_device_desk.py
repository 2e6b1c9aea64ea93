from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from api.channel_indexes import ChannelIndexes
from app.device_desk import AccountWatch, DeviceDesk
from app.services import device_platform, open_storage
from app.settings import from_mapping
from manscdp.catalog import CatalogItem
from sipserver.device.accounts import DeviceAccount
from sipserver.device.errors import DeviceNotOnline, UnknownDevice
from sipserver.device.platform import DevicePlatform
from storage.sql.devices import AccountProvisioning, SqlDeviceStore

NVR = "34020000001180000001"
OTHER = "34020000001180000002"


class Fixture:
    def __init__(
        self, platform: DevicePlatform, store: SqlDeviceStore, provisioning: AccountProvisioning
    ) -> None:
        self.platform = platform
        self.store = store
        self.provisioning = provisioning
        indexes = ChannelIndexes(platform.directory, platform.registry, ())
        self.desk = DeviceDesk(platform, store, indexes)
        self.watch = AccountWatch(platform, store, provisioning)

    def account(self, device_id: str = NVR, name: str = "") -> DeviceAccount:
        return DeviceAccount(device_id=device_id, password="12345678", name=name)


@pytest.fixture
async def joined(tmp_path: Path) -> AsyncIterator[Fixture]:
    settings = from_mapping({"storage": {"path": str(tmp_path / "x.sqlite3")}})
    async with AsyncExitStack() as undo:
        storage = await open_storage(settings, undo)
        platform = device_platform(settings, storage)
        yield Fixture(platform, storage.devices, storage.provisioning)


async def test_devices_and_their_counts(joined: Fixture) -> None:
    joined.desk.put(joined.account())
    await joined.desk.settled()
    joined.platform.directory.swap(NVR, [CatalogItem(device_id="c1"), CatalogItem(device_id="c2")])
    assert [device.device_id for device in joined.desk] == [NVR]
    assert joined.desk.channel_counts(NVR) == (2, 0)
    assert joined.desk.find("none") is None
    joined.desk.remove(NVR)
    with pytest.raises(UnknownDevice):
        joined.desk.get(NVR)


async def test_a_device_that_is_not_there_is_not_asked(joined: Fixture) -> None:
    joined.desk.put(joined.account())
    for ask in (joined.desk.synchronise, joined.desk.information, joined.desk.status):
        with pytest.raises(DeviceNotOnline):
            await ask(NVR)


async def test_what_the_command_line_changed_is_taken_over(joined: Fixture) -> None:
    joined.desk.put(joined.account(name="ours"))
    await joined.watch.begin()
    assert not await joined.watch.look()
    await joined.provisioning.put(joined.account(name="theirs"))
    await joined.provisioning.put(joined.account(OTHER))
    assert await joined.watch.look()
    assert joined.desk.get(NVR).account.name == "theirs"
    assert joined.desk.get(OTHER).account.enabled
    await joined.provisioning.remove(NVR)
    assert await joined.watch.look()
    assert joined.desk.find(NVR) is None
    assert not await joined.watch.look()


async def test_what_the_api_added_meanwhile_is_not_removed(joined: Fixture) -> None:
    await joined.watch.begin()
    await joined.provisioning.put(joined.account(OTHER))
    joined.desk.put(joined.account())  # queued, not yet in the database
    assert await joined.watch.look()
    assert {device.device_id for device in joined.desk} == {NVR, OTHER}
