import logging
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from sipserver.device.accounts import AccountBook, DeviceAccount
from sipserver.device.device import Binding, DeviceDetails
from sipserver.device.registry import Registry
from storage.errors import WriteRefused
from storage.sql.database import Database
from storage.sql.devices import AccountProvisioning, SqlDeviceStore
from storage.sql.schema import accounts

NVR = "34020000001180000001"
ACCOUNT = DeviceAccount(
    device_id=NVR, password="密码", name="东门", aliases=("1", "2"), edition="2.0", send_date=False
)
BINDING = Binding(
    device_id=NVR,
    transport="TCP",
    local=("192.0.2.1", 5060),
    remote=("192.0.2.7", 40000),
    contact=f"sip:{NVR}@192.0.2.7:5060",
    registered_at=1.5,
    expires_at=3601.5,
    gb_version="3.0",
    user_agent="sim/1",
    call_id="a@b",
)
DETAILS = DeviceDetails(name="NVR", manufacturer="ACME", channels=8, charset="gb18030")


def restarted(database: Database) -> Registry:
    registry = Registry(AccountBook(), SqlDeviceStore(database))
    registry.load()
    return registry


async def test_everything_comes_back_after_a_restart(database: Database) -> None:
    store = SqlDeviceStore(database)
    store.save_account(ACCOUNT)
    store.save_binding(BINDING)
    store.save_details(NVR, DETAILS)
    await store.settled()
    device = restarted(database).get(NVR)
    assert (device.account, device.binding, device.details) == (ACCOUNT, BINDING, DETAILS)
    assert not device.online


async def test_the_newest_value_of_a_device_stands(database: Database) -> None:
    store = SqlDeviceStore(database)
    store.save_account(DeviceAccount(device_id=NVR, password="old"))
    store.save_account(ACCOUNT)
    store.save_binding(BINDING)
    store.remove_binding(NVR)
    await store.settled()
    device = restarted(database).get(NVR)
    assert (device.account.password, device.binding) == ("密码", None)


async def test_a_removed_account_takes_everything_along(database: Database) -> None:
    store = SqlDeviceStore(database)
    store.save_account(ACCOUNT)
    store.save_binding(BINDING)
    store.save_details(NVR, DETAILS)
    store.remove_account(NVR)
    await store.settled()
    assert len(restarted(database)) == 0
    assert list(store.load_bindings()) == []
    assert list(store.load_details()) == []


async def test_one_unreadable_row_does_not_stop_the_start(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqlDeviceStore(database)
    store.save_account(ACCOUNT)
    broken = {"device_id": "bad", "settings": b'{"device_id":"bad","password":""}', "updated_at": 0}
    await database.writer.run(lambda c: c.execute(insert(accounts), [broken]).rowcount)
    await store.settled()
    with caplog.at_level(logging.ERROR):
        assert len(restarted(database)) == 1
    assert "device bad" in caplog.text


def _execute(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(accounts), rows)


async def test_a_failing_database_is_told_to_who_waits(database: Database) -> None:
    bad = [{"device_id": None, "settings": b"", "updated_at": 0}]
    database.writer.submit(lambda connection: _execute(connection, bad), 1)
    await SqlDeviceStore(database).settled()  # a bad row is not a failing database
    await database.writer.close()
    with pytest.raises(WriteRefused):
        await SqlDeviceStore(database).settled()


async def test_provisioning_raises_the_revision(database: Database) -> None:
    provisioning = AccountProvisioning(database)
    assert await provisioning.revision() == 0
    await provisioning.put(ACCOUNT)
    assert await provisioning.accounts() == [ACCOUNT]
    assert await provisioning.remove(NVR)
    assert not await provisioning.remove(NVR)
    assert await provisioning.accounts() == []
    assert await provisioning.revision() == 3
