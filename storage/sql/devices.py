"""Accounts, registrations and what devices said of themselves: the store of the registry.

A device account is kept with its password as the operator gave it: SIP digest (RFC 2617, RFC 7616)
needs it, or a hash that is as good as the password for one realm and algorithm. The file is
readable by its owner only.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select

from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Binding, DeviceDetails
from storage.errors import WriteRefused
from storage.sql.database import Database
from storage.sql.schema import accounts, bindings, details, facts
from storage.sql.statements import remove_sql, save_sql
from storage.sql.writer import KeyedTable

T = TypeVar("T")
log = logging.getLogger(__name__)
REVISION: Final = "accounts revision"


def _keyed(table: Table, column: str) -> KeyedTable:
    """Key: the device; value: time and what is kept as JSON."""

    def row(device_id: str, value: tuple[float, Any]) -> tuple[str, bytes, float]:
        return device_id, msgspec.json.encode(value[1]), value[0]

    return KeyedTable(
        save_sql=save_sql(table, ["device_id"], [column, "updated_at"]),
        remove_sql=remove_sql(table, ["device_id"]),
        row=row,
        key=lambda device_id: (device_id,),
    )


_ACCOUNTS: Final = _keyed(accounts, "settings")
_BINDINGS: Final = _keyed(bindings, "state")
_DETAILS: Final = _keyed(details, "state")


class SqlDeviceStore:
    """A ``DeviceStore`` of :mod:`sipserver.device.registry`: loads block, saves are queued."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def load_accounts(self) -> Iterable[DeviceAccount]:
        return self._load(accounts, accounts.c.settings, DeviceAccount)

    def load_bindings(self) -> Iterable[Binding]:
        return self._load(bindings, bindings.c.state, Binding)

    def load_details(self) -> Iterable[tuple[str, DeviceDetails]]:
        query = select(details.c.device_id, details.c.state)
        rows = self._database.read_blocking(lambda connection: connection.execute(query).all())
        for device_id, state in rows:
            yield from ((device_id, value) for value in _decoded(state, DeviceDetails, device_id))

    def save_account(self, account: DeviceAccount) -> None:
        self._save(_ACCOUNTS, account.device_id, account)

    def remove_account(self, device_id: str) -> None:
        for table in (_ACCOUNTS, _BINDINGS, _DETAILS):
            self._check(self._database.writer.remove(table, device_id))

    def save_binding(self, binding: Binding) -> None:
        self._save(_BINDINGS, binding.device_id, binding)

    def remove_binding(self, device_id: str) -> None:
        self._check(self._database.writer.remove(_BINDINGS, device_id))

    def save_details(self, device_id: str, details: DeviceDetails) -> None:
        self._save(_DETAILS, device_id, details)

    async def settled(self) -> None:
        """Return when everything saved so far has reached the database.

        :raises WriteRefused: when the queue is full or the database is failing
        """
        await self._database.writer.run(lambda connection: None)
        stats = self._database.stats()
        if stats.failing:
            raise WriteRefused(stats.last_error)

    def _save(self, table: KeyedTable, device_id: str, value: Any) -> None:
        self._check(self._database.writer.save(table, device_id, (self._clock(), value)))

    def _check(self, taken: bool) -> None:
        if not taken:
            log.warning("the write queue is full: a change of a device was not stored")

    def _load(self, table: Any, column: Any, kind: type[T]) -> Iterator[T]:
        query = select(table.c.device_id, column)
        rows = self._database.read_blocking(lambda connection: connection.execute(query).all())
        for device_id, data in rows:
            yield from _decoded(data, kind, device_id)


def _decoded(data: bytes, kind: type[T], device_id: str) -> Iterator[T]:
    """One value, or none when this version cannot read it: one bad row must not stop the start."""
    try:
        yield msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        log.error("stored %s of device %s is not readable: %s", kind.__name__, device_id, error)


class AccountProvisioning:
    """Accounts changed from outside of a running server: by the command line.

    Each change raises a revision; a running server reloads when it sees a new one.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def put(self, account: DeviceAccount) -> None:
        row = _ACCOUNTS.row(account.device_id, (self._clock(), account))

        def write(connection: Connection) -> None:
            connection.exec_driver_sql(_ACCOUNTS.save_sql, row)
            _raise_revision(connection)

        await self._database.writer.run(write)

    async def remove(self, device_id: str) -> bool:
        """``False`` when there was no such account."""

        def write(connection: Connection) -> bool:
            found = 0
            for table in (_BINDINGS, _DETAILS, _ACCOUNTS):
                found = connection.exec_driver_sql(table.remove_sql, (device_id,)).rowcount
            _raise_revision(connection)
            return bool(found)

        return await self._database.writer.run(write)

    async def accounts(self) -> list[DeviceAccount]:
        query = select(accounts.c.device_id, accounts.c.settings).order_by(accounts.c.device_id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [
            account
            for device_id, data in rows
            for account in _decoded(data, DeviceAccount, device_id)
        ]

    async def revision(self) -> int:
        query = select(facts.c.value).where(facts.c.name == REVISION)
        value = await self._database.read(lambda connection: connection.execute(query).scalar())
        return int(value or 0)


def _raise_revision(connection: Connection) -> None:
    current = connection.execute(select(facts.c.value).where(facts.c.name == REVISION)).scalar()
    connection.execute(delete(facts).where(facts.c.name == REVISION))
    connection.execute(insert(facts), [{"name": REVISION, "value": str(int(current or 0) + 1)}])
