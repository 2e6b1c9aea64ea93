"""Devices as the API works with them, and accounts that the command line changed meanwhile."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final, Protocol

import msgspec

from api.channel_indexes import ChannelIndexes
from api.device_models import InformationView, SyncView
from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Device
from sipserver.device.platform import DevicePlatform
from storage.errors import StorageError

POLL: Final = 2.0
"""Seconds between two looks at the revision of the accounts: one point read."""

log = logging.getLogger(__name__)


class AccountStore(Protocol):
    async def settled(self) -> None: ...


class Provisioned(Protocol):
    """The accounts as the database has them."""

    async def revision(self) -> int: ...
    async def accounts(self) -> list[DeviceAccount]: ...


class DeviceDesk:
    """A ``DeviceService`` of :mod:`api.routes.devices`."""

    def __init__(
        self, platform: DevicePlatform, store: AccountStore, indexes: ChannelIndexes
    ) -> None:
        self._platform = platform
        self._store = store
        self._indexes = indexes

    def __iter__(self) -> Iterator[Device]:
        return iter(self._platform.registry)

    def find(self, device_id: str) -> Device | None:
        return self._platform.registry.find(device_id)

    def get(self, device_id: str) -> Device:
        return self._platform.registry.get(device_id)

    def put(self, account: DeviceAccount) -> Device:
        return self._platform.put_account(account)

    def remove(self, device_id: str) -> None:
        self._platform.remove_account(device_id)

    async def settled(self) -> None:
        await self._store.settled()

    def channel_counts(self, device_id: str) -> tuple[int, int]:
        return self._indexes.count(device_id), self._indexes.online_count(device_id)

    async def synchronise(self, device_id: str) -> SyncView:
        report = await self._platform.sync.sync(device_id)
        return SyncView(
            complete=report.complete,
            announced=report.announced,
            channels=report.channels,
            refused=report.refused,
            seconds=report.seconds,
            detail=report.detail,
        )

    async def information(self, device_id: str) -> InformationView:
        return _view(await self._platform.queries.device_info(self.get(device_id)))

    async def status(self, device_id: str) -> InformationView:
        return _view(await self._platform.queries.device_status(self.get(device_id)))


def _view(answer: object) -> InformationView:
    values: dict[str, Any] = msgspec.to_builtins(answer)
    return InformationView(values={k: v for k, v in values.items() if v not in (None, [], "")})


class AccountWatch:
    """Takes over what the command line provisioned while the server runs."""

    def __init__(
        self, platform: DevicePlatform, store: AccountStore, provisioned: Provisioned
    ) -> None:
        self._platform = platform
        self._store = store
        self._provisioned = provisioned
        self._seen = 0

    async def begin(self) -> None:
        """Note the revision of what was just loaded."""
        self._seen = await self._provisioned.revision()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(POLL)
            try:
                await self.look()
            except StorageError as error:
                log.warning("accounts were not looked at: %s", error)

    async def look(self) -> bool:
        """Whether there was something new."""
        revision = await self._provisioned.revision()
        if revision == self._seen:
            return False
        known = {device.device_id: device.account for device in self._platform.registry}
        await self._store.settled()  # what is known now is in the database now
        stored = {account.device_id: account for account in await self._provisioned.accounts()}
        for device_id, account in stored.items():
            device = self._platform.registry.find(device_id)
            unchanged = device is None or device.account is known.get(device_id)
            if account != known.get(device_id) and unchanged:
                self._platform.put_account(account)
        for device_id in known.keys() - stored.keys():
            if self._platform.registry.find(device_id) is not None:
                self._platform.remove_account(device_id)
        self._seen = revision
        return True
