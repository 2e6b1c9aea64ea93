from dataclasses import dataclass
from typing import Any

from lxml import etree

from manscdp.edition import Edition
from manscdp.element import INFO, ITEM, MAX_TEXT, ElementTable, as_text, element
from manscdp.values import integer


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    name: str = element("Name", "")
    watts: int | None = element("Watts", None, integer, since=Edition.GB2016)
    colour: str | None = element("Colour", None, until=Edition.GB2016)
    room: str | None = element("Room", None, place=INFO)
    lit: bool = False  # not in the XML


TABLE = ElementTable(Lamp, {"Color": "Colour"})


def read(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    TABLE.read(etree.fromstring(text), values)
    return values


def test_any_order_case_namespace_and_alias() -> None:
    text = '<L xmlns="x"><color>red</color><WATTS> 5 </WATTS><Other/><Name>a</Name><lit>1</lit></L>'
    assert read(text) == {"colour": "red", "watts": 5, "name": "a"}


def test_the_first_value_that_can_be_meant_counts() -> None:
    assert read("<L><Watts/><Watts>x</Watts><Watts>7</Watts><Watts>8</Watts></L>") == {"watts": 7}


def written(lamp: Lamp, edition: Edition) -> list[tuple[str, str | None]]:
    root = etree.Element("Lamp")
    TABLE.write(lamp, root, edition, ITEM)
    return [(str(child.tag), child.text) for child in root]


def test_written_by_edition_and_place() -> None:
    lamp = Lamp(name="a", watts=5, colour="red", room="hall")
    assert written(lamp, Edition.GB2011) == [("Name", "a"), ("Colour", "red")]
    assert written(lamp, Edition.GB2022) == [("Name", "a"), ("Watts", "5")]
    assert TABLE.has_any(lamp, Edition.GB2022, INFO)
    assert not TABLE.has_any(Lamp(name="a"), Edition.GB2022, INFO)


def test_text_of_values() -> None:
    values = (118.376451, 800.0, 1e-5, 0.0, 7)
    assert [as_text(v) for v in values] == ["118.376451", "800", "0.00001", "0", "7"]


def test_a_value_of_unreasonable_length_is_cut() -> None:
    values: dict[str, Any] = {}
    TABLE.read(etree.fromstring(b"<Lamp><Name>" + b"n" * 100_000 + b"</Name></Lamp>"), values)
    assert values == {"name": "n" * MAX_TEXT}
