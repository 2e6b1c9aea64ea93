from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from manscdp.catalog import BadItem, CatalogChange, CatalogItem, CatalogNotify, CatalogPage
from manscdp.edition import Edition
from manscdp.xml import parse

Wire = Callable[[str], bytes]

GATE = CatalogItem(
    device_id="34020000001310000001", name="南门1号", manufacturer="ACME", model="IPC-200",
    civil_code="340200", block="340200000000", address="South gate", parental=0,
    parent_id="34020000001180000001", register_way=1, security_level_code="A", secrecy=0,
    ip_address="198.51.100.31", port=5060, status="ON", longitude=118.376451, latitude=31.326319,
    ptz_type="1", photoelectric_imaging_type="1", room_type=1, supply_light_type=2,
    direction_type=3, resolution="6/5", stream_number_list="0/1", download_speed="1/2/4",
    grassroots_code="000000", point_type=3, mac="02-00-5E-10-00-01", encode_type="5",
)  # fmt: skip


def page(wire: Wire, name: str) -> CatalogPage:
    return CatalogPage.from_message(parse(wire(name)))


def test_2022_item(wire: Wire) -> None:
    read = page(wire, "catalog_2022")
    assert (read.sn, read.device_id, read.sum_num) == (17430, "34020000001180000001", 9)
    assert read.items == (GATE,)
    assert read.items[0].position == (118.376451, 31.326319)


def test_2016_item(wire: Wire) -> None:
    (item,) = page(wire, "catalog_2016").items
    assert (item.owner, item.safety_way) == ("ACME", 0)
    assert item.grassroots_code is None


@pytest.mark.parametrize(
    ("name", "edition"),
    [("catalog_2022", Edition.GB2022), ("catalog_2016", Edition.GB2016),
     ("catalog_group_view", Edition.GB2022)],
)  # fmt: skip
def test_written_as_the_standard_writes_it(wire: Wire, name: str, edition: Edition) -> None:
    assert page(wire, name).to_bytes("gb18030", edition) == wire(name)


@pytest.mark.parametrize("name", ["catalog_platform", "catalog_empty"])
def test_rewritten_with_the_same_elements(wire: Wire, name: str) -> None:
    written = page(wire, name).to_bytes()
    squeezed = written.replace(b"\r\n", b"").replace(b'"?>', b'"?>\r\n')
    assert squeezed == wire(name).replace(b"\r\n", b"").replace(b'"?>', b'"?>\r\n')


def test_the_empty_answer(wire: Wire) -> None:
    read = page(wire, "catalog_empty")
    assert (read.sum_num, read.items) == (0, ())
    assert b"DeviceList" not in read.to_bytes()


def test_a_downgraded_item_has_the_fields_of_its_edition() -> None:
    item = replace(GATE, owner="ACME", safety_way=0, position_type=1)
    assert tags(item, Edition.GB2011)[-1] == "Latitude"
    old = tags(item, Edition.GB2016)
    assert old.index("Owner") == old.index("Model") + 1
    assert "PositionType" in old
    assert "SecurityLevelCode" not in old
    new = tags(item, Edition.GB2022)
    assert not {"Owner", "SafetyWay", "PositionType"} & set(new)
    assert new[-1] == "EncodeType"


def tags(item: CatalogItem, edition: Edition) -> list[str]:
    root = etree.Element("DeviceList")
    item.to_xml(root, edition)
    return [str(child.tag) for child in root[0].iter()]


def test_business_group_stands_where_the_edition_puts_it() -> None:
    camera = replace(GATE, business_group_id="34020000002150000001")
    old = tags(camera, Edition.GB2016)
    assert old.index("Resolution") < old.index("BusinessGroupID") < old.index("DownloadSpeed")
    assert old.index("Info") < old.index("BusinessGroupID")
    new = tags(camera, Edition.GB2022)
    assert new.index("BusinessGroupID") < new.index("Info")
    organisation = CatalogItem(
        device_id="34020000002160000001", name="Schools", business_group_id="34020000002150000001"
    )
    for edition in (Edition.GB2016, Edition.GB2022):
        assert tags(organisation, edition) == ["Item", "DeviceID", "Name", "BusinessGroupID"]


def test_odd_vendor_item(wire: Wire) -> None:
    (item,) = page(wire, "odd_hikvision_item").items
    assert (item.parental, item.status, item.fault) == (1, "ON", None)
    assert item.parent_ids == ("a", "34020000001180000001")
    assert (item.longitude, item.latitude, item.position) == (None, None, None)
    assert (item.ptz_type, item.ip_address) == ("1", "192.0.2.31")
    assert item.business_group_id == "34020000002150000001"
    assert item.civil_code == "3402000000"
    assert "12345" not in repr(item)


@pytest.mark.parametrize(
    ("text", "status", "fault"),
    [("ON", "ON", None), ("online", "ON", None), ("OK", "ON", None), ("OFF", "OFF", None),
     ("Offline", "OFF", None), ("VLOST", "OFF", "VLOST"), ("DEFECT", "OFF", "DEFECT"),
     ("ERROR", "OFF", "DEFECT"), ("whatever", "ON", None)],
)  # fmt: skip
def test_status(text: str, status: str, fault: str | None) -> None:
    item = CatalogItem.from_xml(etree.fromstring(f"<Item><Status> {text} </Status></Item>"))
    assert (item.status, item.fault, item.online) == (status, fault, status == "ON")


def test_an_item_without_status_is_on_line() -> None:
    item = CatalogItem.from_xml(etree.fromstring("<Item><DeviceID>3402</DeviceID></Item>"))
    assert item.status is None
    assert item.online


def test_zero_zero_is_no_position() -> None:
    assert replace(GATE, longitude=0.0, latitude=0.0).position is None
    assert replace(GATE, longitude=0.0).position == (0.0, 31.326319)


def test_bad_items_are_kept_aside(wire: Wire) -> None:
    read = page(wire, "odd_bad_items")
    assert [item.name for item in read.items] == ["Gate"]
    assert read.empty_items == 1
    assert read.bad_items == (
        BadItem("no DeviceID", "", "nameless"),
        BadItem("DeviceID is not 1-32 digits or letters", "not an id!", "bad"),
    )


def test_notify(wire: Wire) -> None:
    notify = CatalogNotify.from_message(parse(wire("catalog_notify")))
    assert [(c.event, c.item.device_id) for c in notify.changes] == [
        ("OFF", "34020000001310000003"),
        ("ADD", "34020000001310000009"),
    ]
    assert notify.changes[1].item.name == "Gate 9"
    assert notify.to_bytes() == wire("catalog_notify")


@pytest.mark.parametrize(("event", "read"), [("OFF ", "OFF"), ("on", "ON"), ("", "UPDATE")])
def test_notify_events_are_trimmed(wire: Wire, event: str, read: str) -> None:
    body = wire("catalog_notify").replace(b">OFF<", f">{event}<".encode())
    assert CatalogNotify.from_message(parse(body)).changes[0].event == read


def test_unknown_event_is_kept_aside(wire: Wire) -> None:
    body = wire("catalog_notify").replace(b">OFF<", b">EXPLODED<")
    notify = CatalogNotify.from_message(parse(body))
    assert len(notify.changes) == 1
    assert notify.bad_items[0].reason == "unknown Event 'EXPLODED'"


def test_a_broken_page_says_so() -> None:
    cut = b"<Response><CmdType>Catalog</CmdType><SumNum>1</SumNum><DeviceList><Item><Name>x</Nam"
    assert CatalogPage.from_message(parse(cut)).recovered
    with_bad_number = cut.replace(b">1<", b">many<")
    assert CatalogPage.from_message(parse(with_bad_number)).sum_num is None


def words(size: int = 20) -> st.SearchStrategy[str]:
    letters = st.characters(min_codepoint=0x21, max_codepoint=0xFFFD, exclude_categories=("C", "Z"))
    return st.text(letters, min_size=1, max_size=size)


def value_of(field_type: str) -> st.SearchStrategy[Any]:
    if field_type.startswith("int"):
        return st.none() | st.integers(0, 10**9)
    if field_type.startswith("float"):
        return st.none() | st.floats(-90, 90).map(lambda x: round(x, 7) + 0.0)
    return st.none() | words()


READ_BACK = {
    f.name: value_of(str(f.type))
    for f in fields(CatalogItem)
    if f.name not in ("device_id", "name", "parental", "status", "fault")
} | {
    "device_id": st.text("0123456789abcXYZ", min_size=1, max_size=32),
    "name": words(),
    "parental": st.sampled_from([None, 0, 1]),
    "status": st.sampled_from([None, "ON", "OFF"]),
}


@given(st.fixed_dictionaries(READ_BACK), st.sampled_from(list(Edition)), st.booleans())
def test_items_come_back(values: dict[str, Any], edition: Edition, utf8: bool) -> None:
    item = CatalogItem(**values)
    written = CatalogPage(sn=1, device_id="1", sum_num=1, items=(item,)).to_bytes(
        "utf-8" if utf8 else "gb18030", edition
    )
    (read,) = CatalogPage.from_message(parse(written, "utf-8" if utf8 else "gb18030")).items
    for f in fields(CatalogItem):
        there = "tag" in f.metadata and f.metadata["since"] <= edition <= f.metadata["until"]
        expected = getattr(item, f.name) if there else f.default
        assert getattr(read, f.name) == expected, f.name


@given(st.lists(st.sampled_from(["ON", "OFF", "DEL", "VLOST", "DEFECT"]), max_size=5))
def test_changes_come_back(events: list[str]) -> None:
    changes = tuple(CatalogChange(event, CatalogItem(device_id="3402")) for event in events)
    notify = CatalogNotify(sn=3, device_id="1", changes=changes)
    assert CatalogNotify.from_message(parse(notify.to_bytes())) == notify
