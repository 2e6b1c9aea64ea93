"""Stores that forget at exit: for tests, benches and trials without a data directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Binding, DeviceDetails
from sipserver.device.history import PresenceEdge


class MemoryDeviceStore:
    """A :class:`~sipserver.device.registry.DeviceStore`."""

    def __init__(self, accounts: Iterable[DeviceAccount] = ()) -> None:
        self.accounts = {account.device_id: account for account in accounts}
        self.bindings: dict[str, Binding] = {}
        self.details: dict[str, DeviceDetails] = {}

    def load_accounts(self) -> Iterable[DeviceAccount]:
        return list(self.accounts.values())

    def load_bindings(self) -> Iterable[Binding]:
        return list(self.bindings.values())

    def load_details(self) -> Iterable[tuple[str, DeviceDetails]]:
        return list(self.details.items())

    def save_account(self, account: DeviceAccount) -> None:
        self.accounts[account.device_id] = account

    def remove_account(self, device_id: str) -> None:
        self.accounts.pop(device_id, None)
        self.bindings.pop(device_id, None)
        self.details.pop(device_id, None)

    def save_binding(self, binding: Binding) -> None:
        self.bindings[binding.device_id] = binding

    def remove_binding(self, device_id: str) -> None:
        self.bindings.pop(device_id, None)

    def save_details(self, device_id: str, details: DeviceDetails) -> None:
        self.details[device_id] = details


class MemoryPresenceLog:
    """A :class:`~sipserver.device.history.PresenceLog`."""

    def __init__(self) -> None:
        self.edges: list[PresenceEdge] = []

    async def append(self, edges: Sequence[PresenceEdge]) -> None:
        self.edges.extend(edges)
