from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from catalog.diff import apply_changes, diff, to_changes
from manscdp.catalog import CatalogChange, CatalogItem


def item(number: int, status: str = "ON", name: str = "Gate") -> CatalogItem:
    return CatalogItem(device_id=f"3402000000131{number:07d}", name=name, status=status)


def listed(*items: CatalogItem) -> dict[str, CatalogItem]:
    return {i.device_id: i for i in items}


def test_every_kind_of_difference() -> None:
    old = listed(item(1), item(2), item(3), item(4, "OFF"), item(5))
    new = listed(item(1), item(2, name="New"), item(3, "OFF"), item(4), item(6))
    found = diff(old, new)
    assert found.added == (item(6),)
    assert found.removed == (item(5),)
    assert found.changed == ((item(2), item(2, name="New")),)
    assert found.switched_off == (item(3, "OFF"),)
    assert found.switched_on == (item(4),)
    assert found


def test_equal_catalogues_differ_in_nothing() -> None:
    assert not diff(listed(item(1)), listed(item(1)))


def test_a_fault_alone_is_no_change_of_the_item() -> None:
    lost = replace(item(1, "OFF"), fault="VLOST")
    assert not diff(listed(item(1, "OFF")), listed(lost))
    assert diff(listed(item(1)), listed(lost)).switched_off == (lost,)


def test_status_events() -> None:
    items, unknown = apply_changes(
        listed(item(1), item(2)),
        [
            CatalogChange("VLOST", CatalogItem(device_id=item(1).device_id)),
            CatalogChange("OFF", CatalogItem(device_id=item(9).device_id)),
            CatalogChange("DEL", CatalogItem(device_id=item(2).device_id)),
        ],
    )
    assert items == listed(replace(item(1, "OFF"), fault="VLOST"))
    assert unknown == (item(9).device_id,)
    items, _ = apply_changes(items, [CatalogChange("ON", CatalogItem(device_id=item(1).device_id))])
    assert items == listed(item(1))


CATALOGUES = st.dictionaries(
    st.integers(0, 12), st.tuples(st.sampled_from(["ON", "OFF"]), st.sampled_from("ab"))
).map(lambda d: listed(*(item(n, s, name) for n, (s, name) in d.items())))


@given(CATALOGUES, CATALOGUES)
def test_events_lead_from_one_catalogue_to_the_other(
    old: dict[str, CatalogItem], new: dict[str, CatalogItem]
) -> None:
    result, unknown = apply_changes(old, to_changes(diff(old, new)))
    assert result == new
    assert unknown == ()
