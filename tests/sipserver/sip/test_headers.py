"""Header values, one table per value."""

from __future__ import annotations

import time

import pytest

from sipserver.sip.errors import MalformedMessage
from sipserver.sip.headers import (
    MAX_LIST,
    CSeq,
    NameAddr,
    Via,
    is_token,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_parameters,
    parse_via,
    quick_tag,
    split_values,
    via_identity,
)
from sipserver.sip.uri import Uri

VIAS = [
    (b"SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa", "UDP", "192.0.2.1", 5060, b"z9hG4bKa"),
    (b"SIP/2.0/TCP cam;branch=z9hG4bKb;received=1.2.3.4", "TCP", "cam", None, b"z9hG4bKb"),
    (b"SIP / 2.0 / udp cam : 7100 ; branch = z9hG4bKc", "UDP", "cam", 7100, b"z9hG4bKc"),
    (b"SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKd", "UDP", "[2001:db8::1]", 5060, b"z9hG4bKd"),
    (b"SIP/2.0/UDP cam", "UDP", "cam", None, b""),
    (b'SIP/2.0/UDP cam;branch="z9hG4bKe"', "UDP", "cam", None, b"z9hG4bKe"),
    (b"SIP/2.0/UDP cam;BRANCH=z9hG4bKf", "UDP", "cam", None, b"z9hG4bKf"),
]


@pytest.mark.parametrize(("raw", "transport", "host", "port", "branch"), VIAS)
def test_via(raw: bytes, transport: str, host: str, port: int | None, branch: bytes) -> None:
    via = parse_via(raw)
    assert isinstance(via, Via)
    assert (via.transport, via.host, via.port, via.branch) == (transport, host, port, branch)
    assert via_identity(raw) == (branch, via.sent_by)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"SIP/2.0/UDP", b"SIP/3.0/UDP cam", b"SIP/2.0/UDP cam;;branch=1", b"HTTP/1.1 cam"),
        *(b"SIP/2.0/UDP cam:99999", b"SIP/2.0/UDP cam:123456", b'SIP/2.0/UDP cam;branch="x'),
    ],
)
def test_bad_via(raw: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_via(raw)
    with pytest.raises(MalformedMessage):
        via_identity(raw)


NAME_ADDRS = [
    (b"<sip:34020000001320000001@3402000000>;tag=a1", "", "34020000001320000001", "a1"),
    (b"sip:34020000001320000001@3402000000;tag=a2", "", "34020000001320000001", "a2"),
    (b'"Gate" <sip:1@h> ; tag = a3 ; x', "Gate", "1", "a3"),
    ('"东门, A" <sip:1@h>;tag=a4'.encode(), "东门, A", "1", "a4"),
    (b'"a \\"b\\\\" <sip:1@h>', 'a "b\\', "1", ""),
    (b"East gate<sip:1@h>", "East gate", "1", ""),
    (b"<sip:34020000001320000001@>", "", "34020000001320000001", ""),
    (b"<sip:1:secret@h>;tag=\xff", "", "1", "\ufffd"),
    (b'< sip:1@h >;x=";tag=no";tag=a5', "", "1", "a5"),
    (b"<sip:1@h>;tag=a=b", "", "1", "a=b"),
    (b"<sip:1@h>;x", "", "1", ""),
]


@pytest.mark.parametrize(("raw", "display", "user", "tag"), NAME_ADDRS)
def test_name_addr(raw: bytes, display: str, user: str, tag: str) -> None:
    value = parse_name_addr(raw)
    assert (value.display, value.uri.user, value.tag) == (display, user, tag)
    assert quick_tag(raw) in (None, tag)


def test_quick_tag_sees_what_it_can_judge() -> None:
    assert quick_tag(b"<sip:1@h>") == ""
    assert quick_tag(b"<sip:1@h>;tag=x") == "x"
    assert quick_tag(b'"a" <sip:1@h>;tag=x') is None
    assert quick_tag(b"<sip:1@h>;tag=x;y") is None
    with pytest.raises(MalformedMessage):
        quick_tag(b"<tel:1>;tag=x")


def test_wildcard_contact() -> None:
    value = parse_name_addr(b"*")
    assert value.uri.is_wildcard
    assert not parse_name_addr(b"<sip:1@h>").uri.is_wildcard


def test_parameters_of_a_contact() -> None:
    value = parse_name_addr(b'<sip:1@h;transport=TCP>;expires=60;Q="0.5"')
    assert value == NameAddr(
        "", Uri("sip", "1", "h", None, ";transport=TCP"), b';expires=60;Q="0.5"', value.uri_text
    )
    assert value.parameters == {"expires": "60", "q": "0.5"}
    assert value.uri_text == "sip:1@h;transport=TCP"


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"<>", b"<sip:1@h", b'"open <sip:1@h>', b"a, b <sip:1@h>", b"<sip:1@h>tag=x"),
        *(
            b"<tel:110>",
            b"sip:1@h?Route=x",
            b"<sip:1@h>;;tag=x",
            b"<sip:1@h>;tag=x;;",
            b"sip:1 2@h",
        ),
        *(b'<sip:1@h>;x="', b"<sip:>", b"sip:1@h;;"),
    ],
)
def test_bad_name_addr(raw: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        _ = parse_name_addr(raw).tag
    assert caught.value.status_hint == 400


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"20 MESSAGE", CSeq(20, "MESSAGE")),
        (b"0009   INVITE", CSeq(9, "INVITE")),
        (b"4294967295 NEW", CSeq(4294967295, "NEW")),  # devices count past 2**31
        (b"1\tBYE", CSeq(1, "BYE")),
    ],
)
def test_cseq(raw: bytes, expected: CSeq) -> None:
    assert parse_cseq(raw) == expected


@pytest.mark.parametrize(
    "raw", [b"", b"1", b"x MESSAGE", b"-1 MESSAGE", b"4294967296 MESSAGE", b"1 ME SSAGE"]
)
def test_bad_cseq(raw: bytes) -> None:
    with pytest.raises(MalformedMessage, match="bad CSeq"):
        parse_cseq(raw)


def test_split_values() -> None:
    assert split_values(b"a") == [b"a"]
    assert split_values(b"a , b") == [b"a", b"b"]
    assert split_values(b'"a,b" <sip:1,2@h>, c') == [b'"a,b" <sip:1,2@h>', b"c"]
    assert split_values(b'"a\\",b", c') == [b'"a\\",b"', b"c"]
    for bad in (b'"a, b', b"<a, b", b"," * MAX_LIST):
        with pytest.raises(MalformedMessage):
            split_values(bad)


def test_parse_parameters() -> None:
    assert parse_parameters(b"") == []
    assert parse_parameters(b';A=1; b ; c = "x;y"') == [(b"a", b"1"), (b"b", b""), (b"c", b"x;y")]
    with pytest.raises(MalformedMessage, match="must begin"):
        parse_parameters(b"a=1")


def test_parse_number() -> None:
    assert parse_number(b"0070", "Expires", 100) == 70
    for bad in (b"", b"-1", b"1.5", b"101", b"1" * 5000):
        with pytest.raises(MalformedMessage, match="bad Expires"):
            parse_number(bad, "Expires", 100)


def test_is_token() -> None:
    assert is_token(b"X-GB-Ver")
    assert not is_token(b"")
    assert not is_token("é".encode())


HOSTILE = [
    b" " * 8000,
    b'"' + b"\\" * 8000,
    b";" * 8000,
    b"<" * 8000,
    b"a" * 8000 + b"<",
    b"sip:" + b"a" * 8000,
    b"SIP/2.0/UDP h" + b" " * 8000 + b"x",
    b"SIP/2.0/UDP h" + b";a" * 4000 + b'"',
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_take_linear_time(raw: bytes) -> None:
    begin = time.process_time()
    for parse in (parse_via, parse_name_addr, split_values, parse_parameters, via_identity):
        try:
            parse(raw)
        except MalformedMessage:
            continue
    assert time.process_time() - begin < 0.5  # quadratic matching would take minutes
