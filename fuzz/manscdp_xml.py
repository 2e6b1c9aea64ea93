"""Fuzz the way of a MANSCDP body: decode, parse, typed value, catalogue, and written again."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # this folder has names that are packages of ours

from catalog.assembly import Assembly  # noqa: E402
from catalog.diff import apply_changes, diff, to_changes  # noqa: E402
from catalog.tree import build_tree  # noqa: E402
from fuzz.engine.loop import main  # noqa: E402
from manscdp.catalog import CatalogItem, CatalogNotify, CatalogPage  # noqa: E402
from manscdp.edition import Edition  # noqa: E402
from manscdp.errors import RemoteError  # noqa: E402
from manscdp.registry import UnknownCommand, from_message  # noqa: E402
from manscdp.xml import parse, parse_document  # noqa: E402

TOKENS = (
    b"&", b"<", b"</", b"/>", b"]]>", b"<![CDATA[", b"<!--", b"<?xml", b"&#0;", b"&#x110000;",
    b"&lt;", b"<!DOCTYPE", b"<!ENTITY a SYSTEM 'file:///etc/passwd'>", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\x00", b"\x81\x30\x81\x30", b"<Item>", b"</Item>", b"<Address>", b"<Name>", b"tg:",
    b"<Response>", b"</Response>", b"<a>" * 300, b" " * 1000, b'encoding="UTF-8"', b"<Info>",
    b"xmlns='x'", b"<ParentID>34020000001180000001</ParentID>", b"<Longitude>1e999</Longitude>",
    b"<SumNum>-1</SumNum>", b"<Event>DEL</Event>",
)  # fmt: skip


def target(data: bytes) -> None:
    charset = (None, "utf-8", "gb18030")[len(data) % 3]
    message = parse(data, charset)
    value = from_message(message)
    if message.plain_keepalive and from_message(parse_document(data, charset)) != value:
        raise AssertionError("the fast path reads another keepalive")
    if isinstance(value, UnknownCommand):
        return
    for edition in (Edition.GB2011, Edition.GB2016, Edition.GB2022):
        again = from_message(parse(value.to_bytes("utf-8", edition), "utf-8"))
        if type(again) is not type(value):
            raise AssertionError(f"{type(value).__name__} came back as {type(again).__name__}")
    if isinstance(value, CatalogPage):
        collect(value)
    elif isinstance(value, CatalogNotify):
        apply_changes({}, value.changes)


def collect(page: CatalogPage) -> None:
    assembly = Assembly(page.sn, 0.0)
    assembly.receive(page, 1.0)
    while (at := assembly.deadline()) is not None:
        assembly.handle_timer(at)
    result = assembly.result
    if result is None:
        raise AssertionError("an assembly without an end")
    items: dict[str, CatalogItem] = {item.device_id: item for item in result.items}
    after, _ = apply_changes({}, to_changes(diff({}, items)))
    if after != items:
        raise AssertionError("the events lead to another catalogue")
    build_tree(result.items, page.device_id)


if __name__ == "__main__":
    corpus = [path.read_bytes() for path in sorted((ROOT / "tests/wire/xml").glob("*.xml"))]
    main("manscdp_xml", target, (RemoteError,), corpus, TOKENS)
