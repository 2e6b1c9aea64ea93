"""One device's catalogue made ready for the console: the tree with counts, and a search.

Built when the list of a catalogue changed, off the event loop; reading it is a slice of a list.
Channels that only go on and off are counted in place.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from catalog.code import DeviceCode, is_video_channel
from catalog.tree import Node, NodeKind, Tree, build_tree
from manscdp.catalog import CatalogItem
from sipserver.device.channels import DEFAULT_SETTINGS, Channel


class ChannelView(msgspec.Struct, frozen=True):
    """One node of a catalogue: a channel, or something that holds channels."""

    device_id: str
    """The registered device, or the platform, that it belongs to."""
    channel_id: str
    name: str
    """The operator's, else the peer's."""
    own_name: str
    """The peer's."""
    hidden: bool
    note: str
    """The operator's."""
    media_transport: str | None
    """Overrides the device's."""
    kind: str
    """``region``, ``system``, ``group``, ``organisation`` or ``device``."""
    type: str
    """What its code says that it is, such as ``IP camera``."""
    type_zh: str
    playable: bool
    """Whether it can be played: a camera by its code, and no directory."""
    online: bool
    """Its own state, and that of the device."""
    fault: str | None
    parent_ids: list[str]
    manufacturer: str | None
    model: str | None
    address: str | None
    ptz_type: str | None
    longitude: float | None
    latitude: float | None
    children: int
    """Nodes directly below."""
    channels: int
    """Playable channels anywhere below."""
    channels_online: int


@dataclass(slots=True)
class _Totals:
    channels: int = 0
    online: int = 0


Lookup = Callable[[str], Channel | None]
"""A channel as it is now; ``None`` for a node that the peer did not list."""


class ChannelIndex:
    """Structure and counts; names, settings and states are looked up with each page."""

    def __init__(
        self, device_id: str, items: Iterable[CatalogItem], own_ids: Collection[str] = ()
    ) -> None:
        self.device_id: Final = device_id
        self._online: set[str] = set()
        self.tree: Final[Tree] = build_tree(items, device_id, own_ids=own_ids)
        self._totals: dict[str, _Totals] = {}
        self._texts: list[tuple[str, str]] = []
        self.playable = 0
        for node in self.tree.nodes.values():
            if node.item is not None:
                self._texts.append((f"{node.device_id}\n{node.item.name.lower()}", node.device_id))
                if _playable(node):
                    self._count(node, node.item)

    def __contains__(self, channel_id: str) -> bool:
        return channel_id in self.tree.nodes

    def is_playable(self, channel_id: str) -> bool:
        return _playable(self.tree.nodes[channel_id])

    def switch(self, channel_ids: Iterable[str], *, online: bool) -> None:
        """These channels went on or off."""
        for channel_id in channel_ids:
            node = self.tree.nodes.get(channel_id)
            if node is None or not _playable(node) or (channel_id in self._online) is online:
                continue
            if online:
                self._online.add(channel_id)
            else:
                self._online.discard(channel_id)
            for parent_id in self._above(node):
                self._totals[parent_id].online += 1 if online else -1

    def children(self, parent_id: str) -> list[str]:
        """What is directly below ``parent_id``, in the peer's order."""
        return self._child_ids(self.tree.nodes[parent_id])

    def search(self, wanted: str) -> list[str]:
        """IDs of everything whose ID or name holds ``wanted``, in catalogue order."""
        text = wanted.lower()
        return [channel_id for haystack, channel_id in self._texts if text in haystack]

    def _child_ids(self, node: Node) -> list[str]:
        if node.device_id == self.device_id and node.item is not None and _playable(node):
            return [node.device_id, *node.children]  # a camera that is its own channel
        return node.children

    def _count(self, node: Node, item: CatalogItem) -> None:
        """Once for each place above it, however many ways lead there."""
        self.playable += 1
        if item.online:
            self._online.add(node.device_id)
        for parent_id in self._above(node):
            totals = self._totals.setdefault(parent_id, _Totals())
            totals.channels += 1
            totals.online += item.online

    def _above(self, node: Node) -> set[str]:
        above: set[str] = set()
        waiting = [*node.parents]
        while waiting:
            parent_id = waiting.pop()
            if parent_id not in above:
                above.add(parent_id)
                waiting += self.tree.nodes[parent_id].parents
        return above

    def view(self, channel_id: str, lookup: Lookup, *, device_online: bool) -> ChannelView:
        node = self.tree.nodes[channel_id]
        channel = lookup(channel_id)
        item = channel.item if channel is not None else CatalogItem(device_id=channel_id)
        settings = channel.settings if channel is not None else DEFAULT_SETTINGS
        code = DeviceCode.parse(node.device_id)
        names = code.type_names if code is not None else ("", "")
        totals = self._totals.get(node.device_id, _Totals())
        position = item.position or (None, None)
        longitude, latitude = settings.longitude, settings.latitude
        return ChannelView(
            device_id=self.device_id,
            channel_id=node.device_id,
            name=settings.name or item.name,
            own_name=item.name,
            hidden=settings.hidden,
            note=settings.note,
            media_transport=settings.media_transport,
            kind=node.kind.value,
            type=names[0],
            type_zh=names[1],
            playable=_playable(node),
            online=channel.online if channel is not None else device_online,
            fault=item.fault,
            parent_ids=list(node.parents),
            manufacturer=item.manufacturer,
            model=item.model,
            address=item.address,
            ptz_type=item.ptz_type,
            longitude=position[0] if longitude is None else longitude,
            latitude=position[1] if latitude is None else latitude,
            children=len(node.children),
            channels=totals.channels,
            channels_online=totals.online if device_online else 0,
        )


def _playable(node: Node) -> bool:
    return node.kind is NodeKind.DEVICE and is_video_channel(node.device_id)
