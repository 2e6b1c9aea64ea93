"""Two catalogues -> what changed, and changes applied (GB/T 28181-2022 9.11, annex N)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from manscdp.catalog import CatalogChange, CatalogItem

_description = attrgetter(
    *(field.name for field in fields(CatalogItem) if field.name not in ("status", "fault"))
)
"""Every field of an item but its state."""


@dataclass(frozen=True, slots=True)
class CatalogDiff:
    added: tuple[CatalogItem, ...] = ()
    removed: tuple[CatalogItem, ...] = ()
    changed: tuple[tuple[CatalogItem, CatalogItem], ...] = ()  # old, new; not counting the status
    switched_on: tuple[CatalogItem, ...] = ()
    switched_off: tuple[CatalogItem, ...] = ()

    def __bool__(self) -> bool:
        return bool(
            self.added or self.removed or self.changed or self.switched_on or self.switched_off
        )


def diff(old: Mapping[str, CatalogItem], new: Mapping[str, CatalogItem]) -> CatalogDiff:
    """Compare by identifier, in the order of ``new`` (removed items in the order of ``old``)."""
    added: list[CatalogItem] = []
    changed: list[tuple[CatalogItem, CatalogItem]] = []
    switched: dict[bool, list[CatalogItem]] = {True: [], False: []}
    for device_id, item in new.items():
        before = old.get(device_id)
        if before is None:
            added.append(item)
        elif before != item:
            if before.online != item.online:
                switched[item.online].append(item)
            if _description(before) != _description(item):
                changed.append((before, item))
    return CatalogDiff(
        added=tuple(added),
        removed=tuple(item for device_id, item in old.items() if device_id not in new),
        changed=tuple(changed),
        switched_on=tuple(switched[True]),
        switched_off=tuple(switched[False]),
    )


def to_changes(found: CatalogDiff) -> tuple[CatalogChange, ...]:
    """The events of annex N, deletions first."""
    whole = [
        *(CatalogChange("DEL", item) for item in found.removed),
        *(CatalogChange("ADD", item) for item in found.added),
        *(CatalogChange("UPDATE", new) for _, new in found.changed),
    ]
    updated = {new.device_id for _, new in found.changed}  # UPDATE carries the status as well
    on = (CatalogChange("ON", i) for i in found.switched_on if i.device_id not in updated)
    off = (CatalogChange("OFF", i) for i in found.switched_off if i.device_id not in updated)
    return (*whole, *on, *off)


def apply_changes(
    items: Mapping[str, CatalogItem], changes: Iterable[CatalogChange]
) -> tuple[dict[str, CatalogItem], tuple[str, ...]]:
    """The catalogue after a NOTIFY, and the identifiers it named that we do not know.

    A status event of an unknown item adds nothing: without its fields it is no channel.
    """
    result = dict(items)
    unknown: list[str] = []
    for change in changes:
        device_id = change.item.device_id
        if change.event in ("ADD", "UPDATE"):
            result[device_id] = change.item
        elif device_id not in result:
            unknown.append(device_id)
        elif change.event == "DEL":
            del result[device_id]
        else:
            result[device_id] = _with_event(result[device_id], change.event)
    return result, tuple(unknown)


def _with_event(item: CatalogItem, event: str) -> CatalogItem:
    fault = event if event in ("VLOST", "DEFECT") else None
    return replace(item, status="ON" if event == "ON" else "OFF", fault=fault)
