"""The channel indexes of all devices: built when first asked for, dropped when a list changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from api.channel_index import ChannelIndex, ChannelView
from manscdp.catalog import BadItem
from sipserver.device.channels import Channel, ChannelDirectory, ChannelSettings
from sipserver.device.errors import UnknownChannel
from sipserver.device.events import ChannelsChanged, DeviceEvent
from sipserver.device.registry import Registry

SMALL = 2_000
"""Items that are indexed at once: about 20 ms; more goes to a thread."""


class ChannelIndexes:
    """What the channel routes read; a subscriber of the device events."""

    def __init__(
        self,
        directory: ChannelDirectory,
        registry: Registry,
        own_ids: Sequence[str],
        *,
        limit: int = 1_000,
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._own_ids = tuple(own_ids)
        self._limit = limit
        self._indexes: OrderedDict[str, ChannelIndex] = OrderedDict()
        self._versions: dict[str, int] = {}
        self._online: dict[str, int] = {}
        self._building: dict[str, asyncio.Lock] = {}

    def on_event(self, event: DeviceEvent) -> None:
        """Keep the counts right, or drop the index when the list changed."""
        if not isinstance(event, ChannelsChanged):
            return
        self._online.pop(event.device_id, None)
        index = self._indexes.get(event.device_id)
        if event.added or event.removed or event.changed or index is None:
            self._versions[event.device_id] = self._versions.get(event.device_id, 0) + 1
            self._indexes.pop(event.device_id, None)
        else:
            index.switch(event.switched_on, online=True)
            index.switch(event.switched_off, online=False)

    def device_ids(self) -> Iterator[str]:
        return (device.device_id for device in self._registry)

    def is_online(self, device_id: str) -> bool:
        return self._registry.get(device_id).online

    def count(self, device_id: str) -> int:
        return len(self._directory.items(device_id))

    def online_count(self, device_id: str) -> int:
        """Channels that say they are on, while their device is online; else 0."""
        if not self.is_online(device_id):
            return 0
        count = self._online.get(device_id)
        if count is None:
            count = sum(item.online for item in self._directory.items(device_id).values())
            self._online[device_id] = count
        return count

    def totals(self) -> tuple[int, int]:
        """Channels of all devices, and how many of them are online."""
        ids = list(self.device_ids())
        return sum(map(self.count, ids)), sum(map(self.online_count, ids))

    async def index(self, device_id: str) -> ChannelIndex:
        """:raises UnknownDevice:"""
        device_id = self._registry.get(device_id).device_id
        lock = self._building.setdefault(device_id, asyncio.Lock())
        try:
            async with lock:
                return await self._index(device_id)
        finally:
            if not lock.locked():
                self._building.pop(device_id, None)

    def view(self, index: ChannelIndex, channel_id: str) -> ChannelView:
        device_id = index.device_id

        def lookup(channel_id: str) -> Channel | None:
            try:
                return self._directory.get(device_id, channel_id)
            except UnknownChannel:
                return None

        return index.view(channel_id, lookup, device_online=self.is_online(device_id))

    def refused(self, device_id: str) -> tuple[BadItem, ...]:
        """Items of the last answers that cannot be used."""
        return self._directory.bad_items(device_id)

    def settings(self, device_id: str, channel_id: str) -> ChannelSettings:
        """:raises UnknownChannel:"""
        return self._directory.get(device_id, channel_id).settings

    def set_settings(self, device_id: str, channel_id: str, settings: ChannelSettings) -> None:
        """:raises UnknownChannel:"""
        self._directory.set_settings(device_id, channel_id, settings)

    async def _index(self, device_id: str) -> ChannelIndex:
        known = self._indexes.get(device_id)
        if known is not None:
            self._indexes.move_to_end(device_id)
            return known
        while True:
            version = self._versions.get(device_id, 0)
            items = tuple(self._directory.items(device_id).values())
            if len(items) <= SMALL:
                index = ChannelIndex(device_id, items, self._own_ids)
            else:
                index = await asyncio.to_thread(ChannelIndex, device_id, items, self._own_ids)
            if version == self._versions.get(device_id, 0):
                break
        self._indexes[device_id] = index
        while len(self._indexes) > self._limit:
            self._indexes.popitem(last=False)
        return index
