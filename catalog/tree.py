"""Catalogue items -> the tree a person sees (GB/T 28181-2022 annex J).

Regions, systems, business groups (215), virtual organisations (216), devices and channels. What a
peer says about parents is often wrong, so every item ends up below the root at least once, each
repair is reported, and a cycle is cut. One item may stand at several places: ``ParentID`` may name
several parents, joined with ``/``.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from manscdp.catalog import CatalogItem

from .code import BUSINESS_GROUP, VIRTUAL_ORGANISATION, DeviceCode, is_region_code


class NodeKind(StrEnum):
    REGION = "region"
    SYSTEM = "system"
    GROUP = "group"  # business group, type 215
    ORGANISATION = "organisation"  # virtual organisation, type 216
    DEVICE = "device"


class TreeIssue(StrEnum):
    UNKNOWN_PARENT = "unknown parent"
    BAD_PARENT = "parent is no identifier"
    SELF_PARENT = "item is its own parent"
    FOREIGN_ROOT = "parent is the receiving server"
    CYCLE = "cycle cut"
    DUPLICATE = "identifier twice"


@dataclass(frozen=True, slots=True)
class TreeProblem:
    issue: TreeIssue
    device_id: str
    parent_id: str = ""


@dataclass(slots=True)
class Node:
    device_id: str
    kind: NodeKind
    item: CatalogItem | None  # None: the root, when the peer did not list itself
    parents: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    root_id: str
    nodes: dict[str, Node]
    problems: tuple[TreeProblem, ...]
    by_region: dict[str, tuple[str, ...]]
    """Region code -> items whose CivilCode belongs to it: the view by administrative division."""

    def children(self, device_id: str) -> tuple[Node, ...]:
        return tuple(self.nodes[child] for child in self.nodes[device_id].children)


def build_tree(
    items: Iterable[CatalogItem], root_id: str, *, own_ids: Collection[str] = ()
) -> Tree:
    """Place every item. ``root_id`` is the peer, ``own_ids`` are codes of the receiving server.

    Devices that register at a server name the server as parent of their channels: such a parent is
    taken as the peer itself. Deterministic; the children keep the order of ``items``.
    """
    builder = _Builder(root_id, frozenset(own_ids) - {root_id})
    for item in items:
        builder.add(item)
    return builder.build()


class _Builder:
    def __init__(self, root_id: str, own_ids: frozenset[str]) -> None:
        self._root_id: Final = root_id
        self._own_ids: Final = own_ids
        self._nodes: dict[str, Node] = {root_id: Node(root_id, _kind(root_id), None)}
        self._problems: list[TreeProblem] = []

    def add(self, item: CatalogItem) -> None:
        device_id = item.device_id
        known = self._nodes.get(device_id)
        if known is None:
            self._nodes[device_id] = Node(device_id, _kind(device_id), item)
        elif known.item is None:
            known.item = item
        else:
            self._problems.append(TreeProblem(TreeIssue.DUPLICATE, device_id))

    def build(self) -> Tree:
        for node in self._nodes.values():
            if node.device_id != self._root_id and node.item is not None:
                node.parents = self._parents_of(node, node.item)
        self._cut_cycles()
        for node in self._nodes.values():
            for parent in node.parents:
                self._nodes[parent].children.append(node.device_id)
        return Tree(self._root_id, self._nodes, tuple(self._problems), self._regions())

    def _parents_of(self, node: Node, item: CatalogItem) -> list[str]:
        found: dict[str, None] = {}
        for part in item.parent_ids:
            parent = self._resolved(node, part)
            if parent is not None:
                found[parent] = None
        if not found:
            found[self._home(node, item)] = None
        return list(found)

    def _resolved(self, node: Node, parent_id: str) -> str | None:
        """The parent as a node of ours; ``None``, and a report, when it is none."""
        if parent_id == node.device_id:
            issue = TreeIssue.SELF_PARENT
        elif parent_id in self._nodes:
            return parent_id
        elif parent_id in self._own_ids:
            self._report(TreeIssue.FOREIGN_ROOT, node, parent_id)
            return self._root_id
        elif not (parent_id.isascii() and parent_id.isalnum()) or len(parent_id) % 2:
            issue = TreeIssue.BAD_PARENT
        elif is_region_code(parent_id) and (region := self._region(parent_id)) is not None:
            return region if region != node.device_id else None
        else:
            issue = TreeIssue.UNKNOWN_PARENT
        self._report(issue, node, parent_id)
        return None

    def _report(self, issue: TreeIssue, node: Node, parent_id: str) -> None:
        self._problems.append(TreeProblem(issue, node.device_id, parent_id[:64]))

    def _home(self, node: Node, item: CatalogItem) -> str:
        """The place of an item that names no usable parent (annex J, forms of the items)."""
        home: str | None = None
        if node.kind is NodeKind.REGION:
            home = self._region(node.device_id[:-2])
        elif node.kind is NodeKind.ORGANISATION:
            group = item.business_group_id
            home = group if group in self._nodes and group != node.device_id else None
        elif node.kind is NodeKind.DEVICE:
            home = self._region(item.civil_code or "")
        return home or self._root_id

    def _region(self, code: str) -> str | None:
        """The listed region with the longest prefix; vendors send 10 and 20 digits, or text."""
        if not (code.isascii() and code.isdigit()):
            return None
        for length in (8, 6, 4, 2):
            if len(code) >= length and code[:length] in self._nodes:
                return code[:length]
        return None

    def _cut_cycles(self) -> None:
        """Walk up from each node; an edge back into the own path is dropped."""
        done: set[str] = {self._root_id}
        self._nodes[self._root_id].parents = []
        for start in self._nodes:
            if start not in done:
                self._walk_up(start, done)

    def _walk_up(self, start: str, done: set[str]) -> None:
        path = [start]
        on_path = {start}
        pending = [list(self._nodes[start].parents)]
        while path:
            if not pending[-1]:
                pending.pop()
                finished = path.pop()
                on_path.discard(finished)
                done.add(finished)
                continue
            parent = pending[-1].pop()
            if parent in on_path:
                self._cut(self._nodes[path[-1]], parent)
            elif parent not in done:
                path.append(parent)
                on_path.add(parent)
                pending.append(list(self._nodes[parent].parents))

    def _cut(self, node: Node, parent_id: str) -> None:
        self._report(TreeIssue.CYCLE, node, parent_id)
        node.parents.remove(parent_id)
        if not node.parents:
            node.parents.append(self._root_id)

    def _regions(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for node in self._nodes.values():
            if node.item is None or node.kind is NodeKind.REGION:
                continue
            region = self._region(node.item.civil_code or "")
            if region is not None:
                found.setdefault(region, []).append(node.device_id)
        return {region: tuple(ids) for region, ids in found.items()}


def _kind(device_id: str) -> NodeKind:
    if is_region_code(device_id):
        return NodeKind.REGION
    code = DeviceCode.parse(device_id)
    if code is None:
        return NodeKind.DEVICE
    if code.type == BUSINESS_GROUP:
        return NodeKind.GROUP
    if code.type == VIRTUAL_ORGANISATION:
        return NodeKind.ORGANISATION
    return NodeKind.SYSTEM if code.is_system else NodeKind.DEVICE
