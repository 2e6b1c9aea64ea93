"""SIP URIs as devices write them."""

from __future__ import annotations

import pytest

from sipserver.sip.errors import MalformedMessage
from sipserver.sip.uri import MAX_REMEMBERED_SIZE, Uri, parse_uri

GOOD = [
    (b"sip:34020000002000000001@3402000000", "34020000002000000001", "3402000000", None),
    (b"sip:34020000002000000001@192.0.2.7:5060", "34020000002000000001", "192.0.2.7", 5060),
    (b"sip:34020000002000000001@", "34020000002000000001", "", None),
    (b"sip:192.0.2.7:5060", "", "192.0.2.7", 5060),
    (b"SIPS:1@h", "1", "h", None),
    (b"sip:1@[2001:db8::1]:5060", "1", "[2001:db8::1]", 5060),
    (b"sip:1:secret@h", "1", "h", None),
    (b"sip:a;b=c%40d@h", "a;b=c%40d", "h", None),
    (b"sip:1@3402000000.spvmn.cn", "1", "3402000000.spvmn.cn", None),
    (b"sip:" + b"9" * MAX_REMEMBERED_SIZE + b"@h", "9" * MAX_REMEMBERED_SIZE, "h", None),
]


@pytest.mark.parametrize(("raw", "user", "host", "port"), GOOD)
def test_good(raw: bytes, user: str, host: str, port: int | None) -> None:
    uri = parse_uri(raw)
    assert (uri.user, uri.host, uri.port) == (user, host, port)
    assert parse_uri(str(uri).encode()) == uri


def test_parameters_and_headers() -> None:
    uri = parse_uri(b"sip:1@h:5060;transport=TCP;lr?Subject=x")
    assert uri.parameter("transport") == "TCP"
    assert uri.parameter("lr") == ""
    assert uri.parameter("maddr") is None
    assert uri.headers == "?Subject=x"
    assert uri.address == "h:5060"
    assert Uri("sip", "1", "h", None).address == "h"
    assert str(uri) == "sip:1@h:5060;transport=TCP;lr?Subject=x"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"sip:", 400),
        (b"sip:a b@h", 400),
        (b"sip:1@h:123456", 400),
        (b"sip:1@h:65536", 400),
        (b"<sip:1@h>", 400),
        (b"34020000002000000001@h", 400),
        (b"tel:110", 416),
        (b"http://h/", 416),
    ],
)
def test_bad(raw: bytes, status: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_uri(raw)
    assert caught.value.status_hint == status
