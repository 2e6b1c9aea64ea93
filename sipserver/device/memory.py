"""Stores that forget at exit: for tests, benches and trials without a data directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from manscdp.catalog import CatalogItem
from sipserver.device.accounts import DeviceAccount
from sipserver.device.channels import ChannelSettings
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


class MemoryChannelStore:
    """A :class:`~sipserver.device.channels.ChannelStore`."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, CatalogItem]] = {}
        self.settings: dict[tuple[str, str], ChannelSettings] = {}

    def load_channels(self) -> Iterable[tuple[str, CatalogItem]]:
        return [(key, item) for key, items in self.items.items() for item in items.values()]

    def load_channel_settings(self) -> Iterable[tuple[str, str, ChannelSettings]]:
        return [(*key, settings) for key, settings in self.settings.items()]

    def save_channels(
        self, device_id: str, changed: Sequence[CatalogItem], removed: Sequence[str]
    ) -> None:
        items = self.items.setdefault(device_id, {})
        items.update((item.device_id, item) for item in changed)
        for channel_id in removed:
            items.pop(channel_id, None)

    def save_channel_settings(
        self, device_id: str, channel_id: str, settings: ChannelSettings
    ) -> None:
        self.settings[device_id, channel_id] = settings

    def remove_channels(self, device_id: str) -> None:
        self.items.pop(device_id, None)
        for key in [key for key in self.settings if key[0] == device_id]:
            del self.settings[key]
