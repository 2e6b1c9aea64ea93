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
from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Binding, DeviceDetails
from storage.errors import WriteRefused
from storage.sql.database import Database
from storage.sql.schema import accounts, bindings, details, facts

T = TypeVar("T")
log = logging.getLogger(__name__)
REVISION: Final = "accounts revision"


def _save(table: Any, column: str) -> Any:
    statement = upsert(table)
    changed = {column: statement.excluded[column], "updated_at": statement.excluded.updated_at}
    return statement.on_conflict_do_update(index_elements=["device_id"], set_=changed)


_SAVE_ACCOUNT: Final = _save(accounts, "settings")
_SAVE_BINDING: Final = _save(bindings, "state")
_SAVE_DETAILS: Final = _save(details, "state")
_REMOVE: Final = {
    table: delete(table).where(table.c.device_id == bindparam("key"))
    for table in (accounts, bindings, details)
}


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
        self._submit(
            _SAVE_ACCOUNT,
            {
                "device_id": account.device_id,
                "settings": msgspec.json.encode(account),
                "updated_at": self._clock(),
            },
        )

    def remove_account(self, device_id: str) -> None:
        for statement in _REMOVE.values():
            self._submit(statement, {"key": device_id})

    def save_binding(self, binding: Binding) -> None:
        self._submit(
            _SAVE_BINDING,
            {
                "device_id": binding.device_id,
                "state": msgspec.json.encode(binding),
                "updated_at": self._clock(),
            },
        )

    def remove_binding(self, device_id: str) -> None:
        self._submit(_REMOVE[bindings], {"key": device_id})

    def save_details(self, device_id: str, details: DeviceDetails) -> None:
        self._submit(
            _SAVE_DETAILS,
            {
                "device_id": device_id,
                "state": msgspec.json.encode(details),
                "updated_at": self._clock(),
            },
        )

    async def settled(self) -> None:
        """Return when everything saved so far has reached the database.

        :raises WriteRefused: when the queue is full or the database is failing
        """
        await self._database.writer.run(lambda connection: None)
        stats = self._database.stats()
        if stats.failing:
            raise WriteRefused(stats.last_error)

    def _submit(self, statement: Any, row: dict[str, Any]) -> None:
        if not self._database.writer.submit(statement, [row]):
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
        row = {
            "device_id": account.device_id,
            "settings": msgspec.json.encode(account),
            "updated_at": self._clock(),
        }

        def write(connection: Connection) -> None:
            connection.execute(_SAVE_ACCOUNT, [row])
            _raise_revision(connection)

        await self._database.writer.run(write)

    async def remove(self, device_id: str) -> bool:
        """``False`` when there was no such account."""

        def write(connection: Connection) -> bool:
            found = connection.execute(_REMOVE[accounts], {"key": device_id}).rowcount
            for table in (bindings, details):
                connection.execute(_REMOVE[table], {"key": device_id})
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
