from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from manscdp.edition import Edition
from manscdp.errors import BodyTooLarge, LocalError, MalformedXml, RemoteError
from manscdp.registry import from_message
from manscdp.repair import RECOVERED
from manscdp.xml import (
    MAX_DEPTH,
    MAX_REPAIR_CHARACTERS,
    ManscdpMessage,
    append,
    encode,
    envelope,
    parse,
    parse_document,
    serialize,
)

KEEPALIVE = (
    b'<?xml version="1.0" encoding="GB2312"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n'
    b"<SN>32</SN>\r\n<DeviceID>34020000001110000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>"
)

REPAIRED = [
    ("odd_ampersand", "ampersand escaped", "Bar & Grill"),
    ("odd_address_markup", "markup in free text escaped", "Gate"),
    ("odd_text_around", "text around the root element cut", "Gate"),
    ("odd_two_roots", "text around the root element cut", "Gate"),
    ("odd_undeclared_prefix", "namespace prefix dropped", "Gate"),
    ("odd_controls", "control characters removed", "Gate"),
]
CHARSETS = [
    ("odd_gbk_as_gb2312", "浙江朱镕基大道", "gb18030"),
    ("odd_utf8_as_gb2312", "浙江省杭州市", "utf-8"),
    ("odd_gbk_as_utf8", "南门东侧通道", "gb18030"),
    ("odd_short_hanzi", "陆路", "gb18030"),
    ("odd_bom", "南门", "utf-8"),
    ("odd_namespace", "Gate", "gb18030"),
]


def name_of(message: ManscdpMessage) -> str | None:
    return next(
        (e.text for e in message.element.iter() if str(e.tag).endswith("Name")),
        None,
    )


def test_envelope(wire: Callable[[str], bytes]) -> None:
    message = parse(wire("catalog_2022"))
    assert (message.kind, message.cmd_type, message.sn) == ("Response", "Catalog", 17430)
    assert message.device_id == "34020000001180000001"
    assert message.charset_certain
    assert message.repaired == ()
    assert message.text("sumnum") == "9"
    assert message.text("Result") is None


@pytest.mark.parametrize(("fixture", "flag", "name"), REPAIRED)
def test_second_tries_are_flagged(
    wire: Callable[[str], bytes], fixture: str, flag: str, name: str
) -> None:
    message = parse(wire(fixture))
    assert flag in message.repaired
    assert RECOVERED not in message.repaired
    assert name_of(message) == name


@pytest.mark.parametrize(("fixture", "name", "charset"), CHARSETS)
def test_charsets(wire: Callable[[str], bytes], fixture: str, name: str, charset: str) -> None:
    message = parse(wire(fixture))
    assert (name_of(message), message.charset, message.repaired) == (name, charset, ())


def test_address_with_markup_is_kept_whole(wire: Callable[[str], bytes]) -> None:
    element = parse(wire("odd_address_markup")).element
    assert element.findtext(".//Address") == "block 3<5, <east> side"


def test_recovery_is_the_last_resort_and_flagged() -> None:
    cut = b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>1</DeviceID><Info><A>x</B>"
    message = parse(cut)
    assert message.repaired[-1] == RECOVERED
    assert (message.cmd_type, message.device_id) == ("Alarm", "1")


def body(inner: str, root: str = "Notify") -> bytes:
    return f"<{root}><CmdType>X</CmdType>{inner}</{root}>".encode()


REFUSED = [
    (b"", "no XML"),
    (b"hello", "no XML"),
    (b"<html><CmdType>X</CmdType></html>", "root is not"),
    (b"<Notify><SN>1</SN></Notify>", "no CmdType"),
    (body("<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH), "levels"),
    (body("<a>" * 100_000), "levels|no XML"),
    (b"<!DOCTYPE a><Notify><CmdType>X</CmdType></Notify>", "DOCTYPE"),
    (b"<Notify><CmdType>X</CmdType></Notify><!entity a 'b'>", "DOCTYPE"),
    (b"&" * (MAX_REPAIR_CHARACTERS + 1), "too large to repair"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=lambda v: str(v)[:20])
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedXml, match=reason) as caught:
        parse(data)
    assert caught.value.status_hint == 400


def test_doctype_fixture_is_refused(wire: Callable[[str], bytes]) -> None:
    with pytest.raises(MalformedXml, match="DOCTYPE"):
        parse(wire("odd_doctype"))


def test_too_large() -> None:
    with pytest.raises(BodyTooLarge):
        parse(b" " * (16 * 1024 * 1024 + 1))


def test_depth_limit_is_exact() -> None:
    inside = MAX_DEPTH - 1
    assert parse(body("<a>" * inside + "</a>" * inside)).cmd_type == "X"


@pytest.mark.parametrize(
    ("text", "sn"),
    [("1", 1), (" 2147483647 ", 2147483647), ("-1", 0), ("x", 0), ("", 0), ("9" * 11, 0)],
)
def test_serial_numbers(text: str, sn: int) -> None:
    assert parse(body(f"<SN>{text}</SN>")).sn == sn


def test_spelling_of_commands() -> None:
    assert parse(b"<query><CMDTYPE>PersetQuery</CMDTYPE></query>").cmd_type == "PresetQuery"
    assert parse(b"<Notify><CmdType>keepAlive</CmdType></Notify>").cmd_type == "Keepalive"
    assert parse(b"<Notify><CmdType>SensorCatalog</CmdType></Notify>").cmd_type == "SensorCatalog"


def facts(message: ManscdpMessage) -> tuple[object, ...]:
    envelope_ = (message.kind, message.cmd_type, message.sn, message.device_id)
    element = etree.tostring(message.element)
    return (*envelope_, message.charset, message.charset_certain, message.repaired,
            from_message(message), element)  # fmt: skip


FRAGMENTS = st.sampled_from([
    b"", b" ", b"\r\n", b"<Notify>", b"</Notify>", b"<CmdType>Keepalive</CmdType>", b"<SN>7</SN>",
    b"<SN>0007</SN>", b"<DeviceID>34020000001110000001</DeviceID>", b"<Status>OK</Status>",
    b"<Status>ERROR</Status>", b"<Status>ok</Status>", b"<Info/>", b"<Info></Info>", b"\x00",
    b"<Info><DeviceID>3</DeviceID></Info>", b'<?xml version="1.0"?>', b"\xef\xbb\xbf", b"&", b"x",
    b'<?xml version="1.0" encoding="GB18030"?>', b'<?xml version="1.0" encoding="utf-8"?>',
    b"<SN>12345678901</SN>", b"<!-- c -->",
])  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 12), FRAGMENTS), max_size=4),
    st.sampled_from([None, "gb18030", "GB2312", "utf-8"]),
    st.sampled_from([None, "gb18030", "utf-8"]),
)
@example([], None, None)
def test_fast_keepalive_equals_the_parser(
    changes: list[tuple[int, bytes]], charset: str | None, remembered: str | None
) -> None:
    parts = KEEPALIVE.replace(b"\r\n", b"\n\r\n").split(b"\n")
    for place, fragment in changes:
        parts.insert(min(place, len(parts)), fragment)
    data = b"\n".join(parts)
    try:
        expected = facts(parse_document(data, charset, remembered=remembered))
    except RemoteError as error:
        with pytest.raises(type(error)):
            parse(data, charset, remembered=remembered)
        return
    assert facts(parse(data, charset, remembered=remembered)) == expected


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"<Info/>"])
def test_fast_path_is_taken(tail: bytes) -> None:
    data = KEEPALIVE.replace(b"</Notify>", tail + b"</Notify>")
    message = parse(data)
    assert message.plain_keepalive == "OK"
    assert message.element.findtext("SN") == "32"


@given(st.binary(max_size=300))
@example(b"<Notify><CmdType>\xff</CmdType>")
@example(b"<Notify " + b"a='" * 50)
def test_garbage_is_refused_with_a_documented_error(data: bytes) -> None:
    for candidate in (data, b"<Notify><CmdType>Catalog</CmdType>" + data):
        with suppress(RemoteError):
            from_message(parse(candidate))


@given(st.text(max_size=40), st.sampled_from(["gb18030", "gb2312", "utf-8"]))
def test_written_text_is_always_readable(text: str, charset: str) -> None:
    root = envelope("Notify", "Alarm", 1, "34020000001110000001")
    append(root, "Name", text)
    message = parse_document(encode(root, charset))
    kept = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
    read = message.element.findtext("Name") or ""
    if message.charset_certain or text.isascii():
        assert read.split() == kept.split()


def test_declarations() -> None:
    root = envelope("Notify", "Alarm", 1, "1")
    assert serialize(root, "gb18030", Edition.GB2022).startswith(
        b'<?xml version="1.0" encoding="GB18030"?>\r\n<N'
    )
    assert b'"GB2312"' in serialize(root, "gb18030", Edition.GB2016)
    assert b'"UTF-8"' in serialize(root, "utf-8", Edition.GB2016)
    with pytest.raises(LocalError):
        encode(root, "latin-1")
