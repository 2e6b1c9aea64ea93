"""Which devices there are, and which of them is behind a source address or a connection."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from manscdp.charset import GB18030, UTF8
from sipserver.device.accounts import AccountBook, DeviceAccount
from sipserver.device.device import Binding, Device, DeviceDetails
from sipserver.device.errors import UnknownDevice
from sipserver.sip.flow import Flow


class DeviceStore(Protocol):
    """What outlives a restart. Every ``save``/``remove`` returns at once and keeps its order."""

    def load_accounts(self) -> Iterable[DeviceAccount]: ...
    def load_bindings(self) -> Iterable[Binding]: ...
    def load_details(self) -> Iterable[tuple[str, DeviceDetails]]: ...
    def save_account(self, account: DeviceAccount) -> None: ...
    def remove_account(self, device_id: str) -> None:
        """With its binding and details."""

    def save_binding(self, binding: Binding) -> None: ...
    def remove_binding(self, device_id: str) -> None: ...
    def save_details(self, device_id: str, details: DeviceDetails) -> None: ...


class Registry:
    """Devices by ID, alias and source. One device per account, online or not."""

    def __init__(self, book: AccountBook, store: DeviceStore) -> None:
        self._book = book
        self._store = store
        self._devices: dict[str, Device] = {}
        self._by_source: dict[Hashable, dict[str, Device]] = {}

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def load(self) -> None:
        """Take over what the store has. All devices are offline until they are heard."""
        for account in self._store.load_accounts():
            self._book.put(account)
        self._devices = {account.device_id: Device(account) for account in self._book}
        for device_id, details in self._store.load_details():
            if device_id in self._devices:
                self._devices[device_id].details = _readable(details)
        for binding in self._store.load_bindings():
            if binding.device_id in self._devices:
                self._devices[binding.device_id].binding = binding

    def find(self, device_id: str) -> Device | None:
        """By ID or alias."""
        device = self._devices.get(device_id)
        if device is None:
            owner = self._book.owner_of(device_id)
            device = self._devices.get(owner) if owner is not None else None
        return device

    def get(self, device_id: str) -> Device:
        """:raises UnknownDevice: neither an ID nor an alias"""
        device = self.find(device_id)
        if device is None:
            raise UnknownDevice(device_id)
        return device

    def only_one_at(self, flow: Flow) -> Device | None:
        """The online device at that UDP address or TCP connection, when it is exactly one."""
        devices = self._by_source.get(_source(flow))
        return next(iter(devices.values())) if devices and len(devices) == 1 else None

    def all_at(self, flow: Flow) -> list[Device]:
        return list(self._by_source.get(_source(flow), {}).values())

    def candidate(self, device_id: str) -> DeviceAccount | None:
        """The account a REGISTER is checked against, see :meth:`AccountBook.candidate`."""
        return self._book.candidate(device_id)

    def put_account(self, account: DeviceAccount) -> Device:
        """Provision, or change what the operator set."""
        self._book.put(account)
        self._store.save_account(account)
        device = self._devices.get(account.device_id)
        if device is None:
            device = self._devices[account.device_id] = Device(account)
        device.account = account
        return device

    def remove_account(self, device_id: str) -> None:
        self._book.remove(device_id)
        device = self._devices.pop(device_id, None)
        if device is not None:
            self.unplace(device)
            self._store.remove_account(device_id)

    def bind(self, device: Device, binding: Binding | None) -> None:
        if device.binding is not binding:
            device.binding = binding
            device.forget_profile()
        if binding is None:
            self._store.remove_binding(device.device_id)
        else:
            self._store.save_binding(binding)

    def describe(self, device: Device, details: DeviceDetails) -> bool:
        """Keep what the device said about itself; False when it said nothing new."""
        if details == device.details:
            return False
        device.details = details
        device.forget_profile()
        self._store.save_details(device.device_id, details)
        return True

    def place(self, device: Device, flow: Flow) -> None:
        """From now on it is reached there."""
        if device.flow is flow:
            return
        self.unplace(device)
        device.flow = flow
        self._by_source.setdefault(_source(flow), {})[device.device_id] = device

    def unplace(self, device: Device) -> None:
        if device.flow is None:
            return
        key = _source(device.flow)
        devices = self._by_source.get(key, {})
        devices.pop(device.device_id, None)
        if not devices:
            self._by_source.pop(key, None)
        device.flow = None


def _readable(details: DeviceDetails) -> DeviceDetails:
    """Without a charset nobody knows, which would fail every message: it is learned again."""
    known = details.charset in (None, GB18030, UTF8)
    return details if known else replace(details, charset=None)


def _source(flow: Flow) -> Hashable:
    return flow.connection if flow.connection else flow.remote
