"""The channels of every device: what the peer says of them, and what the operator set.

A device's list is only replaced by the whole answer to a query (:meth:`ChannelDirectory.swap`);
everything else -- notifications, answers nobody asked for, parts of an answer -- is merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final, Protocol

from catalog.diff import CatalogDiff, apply_changes, diff
from manscdp.catalog import BadItem, CatalogChange, CatalogItem
from sipserver.device.clock import Clock
from sipserver.device.errors import UnknownChannel
from sipserver.device.events import ChannelsChanged, Publish

STATE_EVENTS: Final = frozenset({"ON", "OFF", "VLOST", "DEFECT"})
MOST_BAD: Final = 1000
MOST_CHANNELS: Final = 200_000
"""Of one device: what nobody asked for is bounded like the answer to a query."""
JOURNAL: Final = 20_000  # changes remembered while a query runs; more than a device can notify


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """What the operator set for one channel. It outlives the channel's absence from the list."""

    name: str = ""
    """Shown instead of the peer's."""
    hidden: bool = False
    media_transport: str | None = None
    """``udp``, ``tcp-passive`` or ``tcp-active``: overrides the device's."""
    longitude: float | None = None
    """Degrees, WGS-84."""
    latitude: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel as it is now."""

    device_id: str
    item: CatalogItem
    """In the peer's own words."""
    settings: ChannelSettings
    online: bool
    """Its own state and the device's."""

    @property
    def channel_id(self) -> str:
        return self.item.device_id

    @property
    def name(self) -> str:
        return self.settings.name or self.item.name


class ChannelStore(Protocol):
    """Every ``save``/``remove`` returns at once and keeps its order."""

    def load_channels(self) -> Iterable[tuple[str, CatalogItem]]:
        """``(device_id, item)``, the items of a device in their order."""

    def load_channel_settings(self) -> Iterable[tuple[str, str, ChannelSettings]]:
        """``(device_id, channel_id, settings)``"""

    def save_channels(
        self, device_id: str, changed: Sequence[CatalogItem], removed: Sequence[str]
    ) -> None:
        """``changed`` is added or replaced by identifier, ``removed`` deleted."""

    def save_channel_settings(
        self, device_id: str, channel_id: str, settings: ChannelSettings
    ) -> None: ...

    def remove_channels(self, device_id: str) -> None:
        """With their settings."""


@dataclass(slots=True)
class _List:
    items: dict[str, CatalogItem] = field(default_factory=dict)
    settings: dict[str, ChannelSettings] = field(default_factory=dict)
    bad: tuple[BadItem, ...] = ()
    all_off: bool = False
    """The device said OFF of its own ID, which means all channels."""
    journal: list[CatalogChange] | None = None
    """Changes while a query collects: applied again on its answer."""


DEFAULT_SETTINGS: Final = ChannelSettings()


class ChannelDirectory:
    def __init__(
        self,
        store: ChannelStore,
        publish: Publish,
        clock: Clock,
        is_device_online: Callable[[str], bool],
        *,
        most: int = MOST_CHANNELS,
    ) -> None:
        """:param most: channels of one device; what notifications add beyond is kept aside"""
        self._store = store
        self._publish = publish
        self._clock = clock
        self._is_device_online = is_device_online
        self._most = most
        self._lists: dict[str, _List] = {}

    def load(self) -> None:
        self._lists = {}
        for device_id, item in self._store.load_channels():
            self._list(device_id).items[item.device_id] = item
        for device_id, channel_id, settings in self._store.load_channel_settings():
            self._list(device_id).settings[channel_id] = settings

    def items(self, device_id: str) -> Mapping[str, CatalogItem]:
        """By identifier, in the peer's order. Read only."""
        known = self._lists.get(device_id)
        return known.items if known else {}

    def bad_items(self, device_id: str) -> tuple[BadItem, ...]:
        """What the last answers held that cannot be used, each with its reason."""
        known = self._lists.get(device_id)
        return known.bad if known else ()

    def channels(self, device_id: str) -> list[Channel]:
        known = self._lists.get(device_id)
        if known is None:
            return []
        up = self._is_device_online(device_id) and not known.all_off
        settings = known.settings
        return [
            Channel(device_id, item, settings.get(key, DEFAULT_SETTINGS), up and item.online)
            for key, item in known.items.items()
        ]

    def get(self, device_id: str, channel_id: str) -> Channel:
        """:raises UnknownChannel: not in the device's list"""
        known = self._lists.get(device_id)
        item = known.items.get(channel_id) if known else None
        if known is None or item is None:
            raise UnknownChannel(device_id, channel_id)
        up = self._is_device_online(device_id) and not known.all_off and item.online
        return Channel(device_id, item, known.settings.get(channel_id, DEFAULT_SETTINGS), up)

    def set_settings(self, device_id: str, channel_id: str, settings: ChannelSettings) -> None:
        """:raises UnknownChannel: not in the device's list"""
        self.get(device_id, channel_id)
        self._list(device_id).settings[channel_id] = settings
        self._store.save_channel_settings(device_id, channel_id, settings)

    def forget(self, device_id: str) -> None:
        if self._lists.pop(device_id, None) is not None:
            self._store.remove_channels(device_id)

    def begin(self, device_id: str) -> None:
        """A query for the whole list starts: keep what is notified until :meth:`swap`."""
        self._list(device_id).journal = []

    def end(self, device_id: str) -> None:
        """The query came to nothing, or its answer was merged."""
        known = self._lists.get(device_id)
        if known is not None:
            known.journal = None

    def swap(
        self, device_id: str, items: Sequence[CatalogItem], bad: tuple[BadItem, ...] = ()
    ) -> CatalogDiff:
        """Replace the list. A known channel whose item came broken keeps its old one."""
        known = self._list(device_id)
        new = {item.device_id: item for item in items}
        for item in bad:
            if item.device_id in known.items:
                new.setdefault(item.device_id, known.items[item.device_id])
        if known.journal:
            new, _ = apply_changes(new, known.journal)
        known.journal = None
        known.all_off = False
        known.bad = bad[:MOST_BAD]
        found = diff(known.items, new)
        known.items = new
        self._changed(device_id, found, "sync")
        return found

    def merge(
        self,
        device_id: str,
        items: Sequence[CatalogItem],
        bad: tuple[BadItem, ...] = (),
        *,
        cause: str = "unsolicited",
    ) -> CatalogDiff:
        """Add and update; nothing is removed."""
        changes = tuple(CatalogChange("UPDATE", item) for item in items)
        return self.apply(device_id, changes, bad, cause=cause)

    def apply(
        self,
        device_id: str,
        changes: Sequence[CatalogChange],
        bad: tuple[BadItem, ...] = (),
        *,
        cause: str = "notify",
        trust_states: bool = True,
    ) -> CatalogDiff:
        """What annex N notifies. ``trust_states`` False: ON, OFF ... are not believed."""
        known = self._list(device_id)
        changes = [
            _completed(change, known.items)
            for change in changes
            if trust_states or change.event not in STATE_EVENTS
        ]
        if len(known.items) + len(changes) > self._most:
            changes, refused = self._within_limit(changes, known.items)
            bad = (*bad, *refused)
        if bad:
            known.bad = (*known.bad, *bad)[-MOST_BAD:]
        if known.journal is not None and len(known.journal) < JOURNAL:
            known.journal.extend(changes)
        touched = {change.item.device_id for change in changes}
        before = {key: known.items[key] for key in touched if key in known.items}
        after, _ = apply_changes(before, changes)
        found = diff(before, after)
        known.items.update(after)
        for item in found.removed:
            del known.items[item.device_id]
        self._changed(device_id, found, cause)
        self._switch_all(device_id, known, changes)
        return found

    def _within_limit(
        self, changes: Sequence[CatalogChange], known: Mapping[str, CatalogItem]
    ) -> tuple[list[CatalogChange], list[BadItem]]:
        """What changes known channels passes, and as many new ones as there is room for."""
        room = self._most - len(known)
        kept: list[CatalogChange] = []
        refused: list[BadItem] = []
        added: set[str] = set()
        for change in changes:
            item = change.item
            if change.event in ("ADD", "UPDATE") and item.device_id not in known:
                if item.device_id not in added and len(added) >= room:
                    refused.append(
                        BadItem("more channels than the limit", item.device_id, item.name[:64])
                    )
                    continue
                added.add(item.device_id)
            kept.append(change)
        return kept, refused

    def _switch_all(self, device_id: str, known: _List, changes: Sequence[CatalogChange]) -> None:
        """The state of the device's own ID is the state of all its channels."""
        for change in changes:
            all_off = _says_all_off(change) if change.item.device_id == device_id else None
            if all_off is None or all_off == known.all_off:
                continue
            known.all_off = all_off
            others = (i for i, item in known.items.items() if i != device_id and item.online)
            switched = tuple(others)
            self._publish(
                ChannelsChanged(
                    device_id=device_id,
                    at=self._clock.wall(),
                    cause="notify",
                    switched_on=() if all_off else switched,
                    switched_off=switched if all_off else (),
                )
            )

    def _changed(self, device_id: str, found: CatalogDiff, cause: str) -> None:
        if not found:
            return
        changed = {new.device_id: new for _, new in found.changed}
        written = {item.device_id: item for item in (*found.added, *found.switched_on)}
        written |= {item.device_id: item for item in found.switched_off} | changed
        removed = tuple(item.device_id for item in found.removed)
        self._store.save_channels(device_id, tuple(written.values()), removed)
        self._publish(
            ChannelsChanged(
                device_id=device_id,
                at=self._clock.wall(),
                cause=cause,
                added=_ids(found.added),
                removed=removed,
                changed=tuple(changed),
                switched_on=_ids(found.switched_on),
                switched_off=_ids(found.switched_off),
            )
        )

    def _list(self, device_id: str) -> _List:
        return self._lists.setdefault(device_id, _List())


def _completed(change: CatalogChange, known: Mapping[str, CatalogItem]) -> CatalogChange:
    """An update without the mandatory Name is not the whole item: it must not erase the rest."""
    item = change.item
    old = known.get(item.device_id)
    if change.event not in ("ADD", "UPDATE") or item.name or old is None:
        return change
    said = {f.name: getattr(item, f.name) for f in fields(item)}
    if item.status is not None:
        old = replace(old, fault=None)
    told = {name: value for name, value in said.items() if value not in (None, "")}
    return CatalogChange(change.event, replace(old, **told))


def _says_all_off(change: CatalogChange) -> bool | None:
    """Of the device's own item; None: it says nothing. A whole item may say ON as well."""
    if change.event in ("ON", "OFF"):
        return change.event == "OFF"
    whole = change.event in ("ADD", "UPDATE")
    return False if whole and change.item.status == "ON" else None


def _ids(items: Iterable[CatalogItem]) -> tuple[str, ...]:
    return tuple(item.device_id for item in items)
