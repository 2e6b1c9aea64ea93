from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.device_models import InformationView, SyncView
from api.routes.devices import DeviceRoutes
from sipserver.device.accounts import AccountBook, DeviceAccount
from sipserver.device.device import Device, DeviceDetails
from sipserver.device.errors import DeviceNotOnline, DeviceSilent
from sipserver.device.memory import MemoryDeviceStore
from sipserver.device.registry import Registry
from sipserver.sip.flow import Flow

Client = TestClient[Request, Application]
NVR = "34020000001180000001"
CAMERA = "34020000001320000001"


class MemoryDevices:
    """A ``DeviceService`` over a registry that forgets."""

    def __init__(self) -> None:
        self.store = MemoryDeviceStore()
        self.registry = Registry(AccountBook(), self.store)
        self.settled_calls = 0

    def __iter__(self) -> Iterator[Device]:
        return iter(self.registry)

    def find(self, device_id: str) -> Device | None:
        return self.registry.find(device_id)

    def get(self, device_id: str) -> Device:
        return self.registry.get(device_id)

    def put(self, account: DeviceAccount) -> Device:
        return self.registry.put_account(account)

    def remove(self, device_id: str) -> None:
        self.registry.remove_account(device_id)

    async def settled(self) -> None:
        self.settled_calls += 1

    def channel_counts(self, device_id: str) -> tuple[int, int]:
        return 8, 5

    async def synchronise(self, device_id: str) -> SyncView:
        self.registry.get(device_id)
        raise DeviceSilent(device_id, "the catalogue query", 5.0)

    async def information(self, device_id: str) -> InformationView:
        return InformationView(values={"DeviceName": "东门"})

    async def status(self, device_id: str) -> InformationView:
        raise DeviceNotOnline(device_id)


@pytest.fixture
def devices() -> MemoryDevices:
    return MemoryDevices()


@pytest.fixture
async def client(make_client, devices: MemoryDevices) -> Client:  # type: ignore[no-untyped-def]
    made: Client = await make_client(DeviceRoutes(devices).table())
    return made


async def created(client: Client, **values: Any) -> dict[str, Any]:
    body = {"device_id": NVR, "password": "12345678"} | values
    answer = await client.post("/api/v1/devices", json=body)
    assert answer.status == 200, await answer.text()
    result: dict[str, Any] = await answer.json()
    return result


async def test_a_new_device_is_stored_and_its_password_never_shown(
    client: Client, devices: MemoryDevices
) -> None:
    detail = await created(client, name="东门", media_transport="tcp-passive")
    assert detail["device"]["name"] == "东门"
    assert detail["device"]["online"] is False
    assert detail["account"]["media_transport"] == "tcp-passive"
    assert "12345678" not in str(detail)
    assert devices.store.accounts[NVR].password == "12345678"
    assert devices.settled_calls == 1


async def test_the_same_id_is_refused(client: Client) -> None:
    await created(client)
    again = await client.post("/api/v1/devices", json={"device_id": NVR, "password": "x"})
    assert again.status == 409
    assert (await again.json())["code"] == "already_exists"


@pytest.mark.parametrize(
    "change",
    [
        {"device_id": "../etc"},
        {"device_id": "3" * 33},
        {"password": ""},
        {"media_transport": "quic"},
        {"edition": "9"},
        {"heartbeat_interval": 0},
        {"colour": "red"},
    ],
)
async def test_bad_accounts_are_refused(client: Client, change: dict[str, Any]) -> None:
    body = {"device_id": NVR, "password": "12345678"} | change
    answer = await client.post("/api/v1/devices", json=body)
    assert answer.status == 400


async def test_a_change_leaves_the_rest_as_it_is(client: Client, devices: MemoryDevices) -> None:
    await created(client, name="old", edition="2.0", send_date=False)
    answer = await client.patch(
        f"/api/v1/devices/{NVR}", json={"name": "new", "edition": None, "aliases": [CAMERA]}
    )
    assert answer.status == 200
    account = devices.store.accounts[NVR]
    assert (account.name, account.edition, account.send_date) == ("new", None, False)
    assert (account.password, account.aliases) == ("12345678", (CAMERA,))


async def test_a_deleted_device_is_gone(client: Client, devices: MemoryDevices) -> None:
    await created(client)
    assert (await client.delete(f"/api/v1/devices/{NVR}")).status == 204
    answer = await client.get(f"/api/v1/devices/{NVR}")
    assert answer.status == 404
    assert (await answer.json())["code"] == "unknown_device"
    assert devices.store.accounts == {}


async def test_the_list_is_paged_filtered_and_in_order(
    client: Client, devices: MemoryDevices
) -> None:
    for number in (3, 1, 2):
        await created(client, device_id=f"3402000000118000000{number}", name=f"Gate {number}")
    online = devices.registry.get("34020000001180000002")
    online.online = True
    devices.registry.place(online, Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5061)))
    devices.registry.describe(online, DeviceDetails(manufacturer="ACME", name="inside"))

    page = await (await client.get("/api/v1/devices?limit=2&offset=1")).json()
    assert [item["device_id"][-1] for item in page["items"]] == ["2", "3"]
    assert page["total"] == 3
    assert page["items"][0]["address"] == "UDP 192.0.2.7:5061"
    assert page["items"][0]["manufacturer"] == "ACME"

    page = await (await client.get("/api/v1/devices?online=true")).json()
    assert [item["name"] for item in page["items"]] == ["Gate 2"]
    page = await (await client.get("/api/v1/devices?search=gATE 3")).json()
    assert page["total"] == 1


async def test_what_the_device_answers_and_what_it_does_not(client: Client) -> None:
    await created(client)
    answer = await client.get(f"/api/v1/devices/{NVR}/information")
    assert (await answer.json())["values"] == {"DeviceName": "东门"}
    silent = await client.post(f"/api/v1/devices/{NVR}/sync")
    assert silent.status == 504
    body = await silent.json()
    assert body["code"] == "device_silent"
    assert "5 s" in body["detail"]
    assert (await client.get(f"/api/v1/devices/{NVR}/status")).status == 409
    assert (await client.post(f"/api/v1/devices/{CAMERA}/sync")).status == 404
