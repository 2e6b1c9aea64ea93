import json
from collections.abc import Callable
from pathlib import Path

import pytest

from manscdp.catalog import CatalogNotify, CatalogPage
from manscdp.control import KeyFrameRequest
from manscdp.information import DeviceInfo, DeviceStatus
from manscdp.notify import Keepalive, MediaStatus
from manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from manscdp.registry import UnknownCommand, from_message
from manscdp.xml import parse

Wire = Callable[[str], bytes]
# Real messages, not part of the project: the test below is skipped where they are not at hand.
CAPTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "captures"

TYPES = {
    "keepalive": Keepalive,
    "media_status": MediaStatus,
    "catalog_2022": CatalogPage,
    "catalog_notify": CatalogNotify,
    "catalog_query": CatalogQuery,
    "device_info": DeviceInfo,
    "device_info_query": DeviceInfoQuery,
    "device_status": DeviceStatus,
    "device_status_query": DeviceStatusQuery,
    "key_frame_2016": KeyFrameRequest,
    "key_frame_2022": KeyFrameRequest,
    "tele_boot": UnknownCommand,
}


@pytest.mark.parametrize(("name", "expected"), TYPES.items())
def test_types(wire: Wire, name: str, expected: type) -> None:
    assert type(from_message(parse(wire(name)))) is expected


def test_unknown_command_is_a_value() -> None:
    message = parse(b"<Notify><CmdType>SensorCatalog</CmdType><SN>5</SN></Notify>")
    assert from_message(message) == UnknownCommand("Notify", "SensorCatalog", 5, "")


def test_acknowledgement_of_2016_is_no_catalogue() -> None:
    body = b"<Response><CmdType>Catalog</CmdType><SN>5</SN><Result>OK</Result></Response>"
    assert isinstance(from_message(parse(body)), UnknownCommand)


def captured() -> list[Path]:
    if not CAPTURES.is_dir():
        return []
    return [p for p in sorted(CAPTURES.glob("*.txt")) if b'"xml": {' in p.read_bytes()]


@pytest.mark.parametrize("path", captured(), ids=lambda path: path.stem)
def test_captured_messages(path: Path) -> None:
    """Bodies seen on the wire, against what their heads say is in them."""
    head, _, raw = path.read_bytes().partition(b"#--RAW--\n")
    line = next(x for x in head.split(b"\n") if x.startswith(b"# expected: "))
    expected = json.loads(line[len(b"# expected: ") :])
    body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    message = parse(body)
    xml = expected["xml"]
    assert (message.kind, message.cmd_type) == (xml["root"], xml["CmdType"])
    assert (str(message.sn), message.device_id) == (xml["SN"], xml["DeviceID"])
    value = from_message(message)
    if isinstance(value, CatalogPage | CatalogNotify) and "first" in xml["DeviceList"]:
        items = value.items if isinstance(value, CatalogPage) else [c.item for c in value.changes]
        first = xml["DeviceList"]["first"]
        assert len(items) == xml["DeviceList"]["items"]
        assert (items[0].device_id, items[0].name) == (first["DeviceID"], first["Name"])
        assert items[0].status == first["Status"]
