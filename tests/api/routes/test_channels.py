from collections.abc import Iterable, Sequence

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api import channel_indexes
from api.channel_indexes import ChannelIndexes
from api.routes.channels import ChannelRoutes
from manscdp.catalog import BadItem, CatalogChange, CatalogItem
from sipserver.device.accounts import AccountBook, DeviceAccount
from sipserver.device.channels import ChannelDirectory, ChannelSettings
from sipserver.device.clock import Clock
from sipserver.device.events import DeviceEvent
from sipserver.device.memory import MemoryDeviceStore
from sipserver.device.registry import Registry

Client = TestClient[Request, Application]
NVR = "34020000001180000001"
CAMERAS = [f"3402000000132{number:07}" for number in range(1, 6)]


class NoStore:
    """A ``ChannelStore`` that keeps nothing."""

    def load_channels(self) -> Iterable[tuple[str, CatalogItem]]:
        return ()

    def load_channel_settings(self) -> Iterable[tuple[str, str, ChannelSettings]]:
        return ()

    def save_channels(
        self, device_id: str, changed: Sequence[CatalogItem], removed: Sequence[str]
    ) -> None: ...

    def save_channel_settings(
        self, device_id: str, channel_id: str, settings: ChannelSettings
    ) -> None: ...

    def remove_channels(self, device_id: str) -> None: ...


class Platform:
    """A registry of one online NVR, its directory and the indexes over both."""

    def __init__(self) -> None:
        book = AccountBook()
        self.registry = Registry(book, MemoryDeviceStore())
        self.registry.put_account(DeviceAccount(device_id=NVR, password="x")).online = True
        clock = Clock(monotonic=lambda: 0.0, wall=lambda: 0.0)
        self.directory = ChannelDirectory(
            NoStore(), self.publish, clock, lambda device_id: self.registry.get(device_id).online
        )
        self.indexes = ChannelIndexes(self.directory, self.registry, ["own"])

    def publish(self, event: DeviceEvent) -> None:
        self.indexes.on_event(event)


@pytest.fixture
def platform() -> Platform:
    made = Platform()
    made.directory.swap(
        NVR, [CatalogItem(device_id=c, name=f"门{n}", status="ON") for n, c in enumerate(CAMERAS)]
    )
    return made


@pytest.fixture
async def client(make_client, platform: Platform) -> Client:  # type: ignore[no-untyped-def]
    made: Client = await make_client(ChannelRoutes(platform.indexes).table())
    return made


async def test_a_level_is_read_page_by_page(client: Client) -> None:
    page = await (await client.get(f"/api/v1/devices/{NVR}/channels?limit=2&offset=1")).json()
    assert [item["channel_id"] for item in page["items"]] == CAMERAS[1:3]
    assert (page["total"], page["offset"]) == (5, 1)
    assert page["items"][0]["online"] is True


async def test_unknown_devices_and_nodes(client: Client) -> None:
    assert (await client.get("/api/v1/devices/none/channels")).status == 404
    answer = await client.get(f"/api/v1/devices/{NVR}/channels?parent=none")
    assert (await answer.json())["code"] == "unknown_channel"
    assert (await client.get(f"/api/v1/devices/{NVR}/channels/none")).status == 404


async def test_a_search_over_all_devices(client: Client) -> None:
    page = await (await client.get("/api/v1/channels", params={"search": "门3"})).json()
    assert [item["channel_id"] for item in page["items"]] == [CAMERAS[3]]
    page = await (await client.get("/api/v1/channels?playable=false")).json()
    assert page["total"] == 0
    page = await (await client.get(f"/api/v1/channels?device_id={NVR}&limit=1")).json()
    assert (len(page["items"]), page["total"]) == (1, 5)


async def test_the_index_follows_the_list_and_its_states(
    client: Client, platform: Platform
) -> None:
    path = f"/api/v1/devices/{NVR}/channels"
    assert (await (await client.get(path)).json())["total"] == 5
    off = CatalogChange("OFF", CatalogItem(device_id=CAMERAS[0]))
    platform.directory.apply(NVR, [off])
    channel = await (await client.get(f"{path}/{CAMERAS[0]}")).json()
    assert channel["online"] is False
    platform.directory.apply(NVR, [CatalogChange("DEL", CatalogItem(device_id=CAMERAS[1]))])
    assert (await (await client.get(path)).json())["total"] == 4
    platform.registry.get(NVR).online = False
    page = await (await client.get(path)).json()
    assert {item["online"] for item in page["items"]} == {False}


async def test_what_the_operator_sets_is_shown(client: Client) -> None:
    path = f"/api/v1/devices/{NVR}/channels/{CAMERAS[0]}"
    answer = await client.patch(path, json={"name": "Mine", "longitude": 1.5, "latitude": 2})
    assert answer.status == 200
    view = await (await client.get(path)).json()
    assert (view["name"], view["own_name"], view["longitude"]) == ("Mine", "门0", 1.5)
    assert (await client.patch(path, json={"longitude": 200})).status == 400
    assert (await client.patch(path + "x", json={"name": "x"})).status == 404


async def test_what_is_wrong_in_a_catalogue_is_listed(client: Client, platform: Platform) -> None:
    items = [CatalogItem(device_id=CAMERAS[0], parent_id="none")]
    platform.directory.swap(NVR, items, (BadItem("no Name", CAMERAS[1]),))
    answer = await client.get(f"/api/v1/devices/{NVR}/catalogue-problems")
    assert await answer.json() == [
        {"channel_id": CAMERAS[1], "kind": "refused item", "detail": "no Name"},
        {"channel_id": CAMERAS[0], "kind": "unknown parent", "detail": "none"},
    ]


async def test_a_large_list_is_indexed_off_the_loop(
    client: Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_indexes, "SMALL", 1)
    page = await (await client.get(f"/api/v1/devices/{NVR}/channels")).json()
    assert page["total"] == 5
