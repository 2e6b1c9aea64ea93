from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from catalog.tree import NodeKind, Tree, TreeIssue, TreeProblem, build_tree
from manscdp.catalog import CatalogItem, CatalogPage
from manscdp.xml import parse

WIRE = Path(__file__).parents[1] / "wire" / "xml"
ROOT = "34020000001180000001"
SERVER = "34020000002000000001"
CAMERA = "34020000001310000001"
OTHER = "34020000001310000002"


def item(
    device_id: str,
    parent: str | None = None,
    *,
    civil_code: str | None = None,
    business_group_id: str | None = None,
) -> CatalogItem:
    return CatalogItem(
        device_id=device_id,
        parent_id=parent,
        civil_code=civil_code,
        business_group_id=business_group_id,
    )


def below(tree: Tree, device_id: str) -> list[str]:
    return [node.device_id for node in tree.children(device_id)]


def golden(name: str) -> CatalogPage:
    return CatalogPage.from_message(parse((WIRE / f"{name}.xml").read_bytes()))


def test_small_platform_of_annex_j() -> None:
    tree = build_tree(golden("catalog_platform").items, SERVER)
    group, organisation, camera = (
        "34020000002150000001", "34020000002160000001", "34020000001320000001",
    )  # fmt: skip
    assert below(tree, SERVER) == ["3402", group, camera]
    assert below(tree, "3402") == ["340202"]
    assert below(tree, group) == [organisation]
    assert below(tree, organisation) == [camera]
    assert tree.nodes[camera].parents == [SERVER, organisation]
    assert tree.by_region == {"3402": (SERVER, group), "340202": (camera,)}
    assert tree.problems == ()
    assert [tree.nodes[i].kind for i in (SERVER, "3402", group, organisation, camera)] == [
        NodeKind.SYSTEM, NodeKind.REGION, NodeKind.GROUP, NodeKind.ORGANISATION, NodeKind.DEVICE,
    ]  # fmt: skip


def test_group_view_of_annex_j() -> None:
    tree = build_tree(golden("catalog_group_view").items, SERVER)
    schools, primary = "34020000002160000001", "34020000002160000002"
    assert below(tree, "34020000002150000001") == [schools]
    assert below(tree, schools) == [primary]
    assert below(tree, primary) == [CAMERA]
    assert tree.problems == (TreeProblem(TreeIssue.UNKNOWN_PARENT, CAMERA, ROOT),)


def test_parents_that_devices_invent() -> None:
    items = [
        item("34020000001310000001", "null"),
        item("34020000001310000002", "340200000011800000010"),
        item("34020000001310000003", "34020000001310000003"),
        item("34020000001310000004", SERVER),
        item("34020000001310000005", ""),
        item("34020000001310000006", "34020000009990000001"),
        item("34020000001310000007", f"junk!/{ROOT}"),
    ]
    tree = build_tree(items, ROOT, own_ids=(SERVER,))
    assert below(tree, ROOT) == [i.device_id for i in items]
    assert [(p.issue, p.device_id[-1]) for p in tree.problems] == [
        (TreeIssue.BAD_PARENT, "2"),
        (TreeIssue.SELF_PARENT, "3"),
        (TreeIssue.FOREIGN_ROOT, "4"),
        (TreeIssue.UNKNOWN_PARENT, "6"),
        (TreeIssue.BAD_PARENT, "7"),
    ]


def test_several_parents_are_several_places() -> None:
    organisation = "34020000002160000001"
    tree = build_tree([item(organisation), item(CAMERA, f"{ROOT}/{organisation}")], ROOT)
    assert below(tree, ROOT) == [organisation, CAMERA]
    assert below(tree, organisation) == [CAMERA]


def test_cycles_are_cut_and_reported() -> None:
    items = [item(CAMERA, OTHER), item(OTHER, CAMERA), item("34020000001310000003", CAMERA)]
    tree = build_tree(items, ROOT)
    assert [p.issue for p in tree.problems] == [TreeIssue.CYCLE]
    assert len(below(tree, ROOT)) == 1
    assert reached(tree) == {ROOT, *(i.device_id for i in items)}


def test_root_in_its_own_catalogue_stays_root() -> None:
    tree = build_tree([item(ROOT, CAMERA), item(CAMERA, ROOT)], ROOT)
    assert tree.nodes[ROOT].parents == []
    assert tree.nodes[ROOT].item is not None
    assert below(tree, ROOT) == [CAMERA]


def test_regions() -> None:
    items = [
        item("34"), item("340202"),
        item(CAMERA, civil_code="3402020000"),
        item(OTHER, "340202"),
        item("34020000001310000003", "34029999", civil_code="district"),
    ]  # fmt: skip
    tree = build_tree(items, ROOT)
    assert below(tree, ROOT) == ["34"]
    assert below(tree, "34") == ["340202", "34020000001310000003"]
    assert below(tree, "340202") == [CAMERA, OTHER]
    assert tree.problems == ()
    assert tree.by_region == {"340202": (CAMERA,)}


def test_organisation_below_its_group_however_that_is_said() -> None:
    group = "34020000002150000001"
    first, second = "34020000002160000001", "34020000002160000002"
    items = [item(group, ROOT), item(first, group), item(second, business_group_id=group)]
    assert below(build_tree(items, ROOT), group) == [first, second]


def test_an_identifier_that_comes_twice_is_reported() -> None:
    tree = build_tree([item(CAMERA), item(CAMERA)], ROOT)
    assert tree.problems == (TreeProblem(TreeIssue.DUPLICATE, CAMERA),)


def reached(tree: Tree) -> set[str]:
    seen: set[str] = set()
    pending = [tree.root_id]
    while pending:
        device_id = pending.pop()
        if device_id not in seen:
            seen.add(device_id)
            pending += tree.nodes[device_id].children
    return seen


IDS = st.sampled_from(
    [f"3402000000{t}000000{n}" for t in (131, 118, 200, 215, 216) for n in range(3)]
    + ["34", "3402", "340202", "null", "x", ""]
)


@given(
    st.lists(
        st.tuples(IDS.filter(lambda i: len(i) > 1), st.lists(IDS, max_size=3), IDS), max_size=20
    )
)
def test_whatever_the_parents_nothing_is_lost_and_no_cycle_stays(
    rows: list[tuple[str, list[str], str]],
) -> None:
    items = [item(i, "/".join(parents), civil_code=code) for i, parents, code in rows]
    tree = build_tree(items, ROOT, own_ids=(SERVER,))
    assert reached(tree) == {ROOT, *(i.device_id for i in items)}
    assert acyclic(tree)


def acyclic(tree: Tree) -> bool:
    """Remove leaves until none is left: only a cycle would stay."""
    open_children = {i: len(node.children) for i, node in tree.nodes.items()}
    leaves = [i for i, count in open_children.items() if count == 0]
    removed = 0
    while leaves:
        removed += 1
        for parent in tree.nodes[leaves.pop()].parents:
            open_children[parent] -= 1
            if open_children[parent] == 0:
                leaves.append(parent)
    return removed == len(tree.nodes)


def many(parent: Callable[[int], int]) -> list[CatalogItem]:
    return [item(f"34020000{n:012d}", f"34020000{parent(n):012d}") for n in range(100_000)]


def test_hundred_thousand_items_in_a_chain_with_the_end_tied_to_the_start() -> None:
    tree = build_tree(many(lambda n: (n + 1) % 100_000), ROOT)
    assert [p.issue for p in tree.problems] == [TreeIssue.CYCLE]
    assert len(reached(tree)) == 100_001
