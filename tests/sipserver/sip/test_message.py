"""Lazily parsed messages: what is read, what is refused, what is tolerated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sipserver.sip.errors import MalformedMessage, MessageTooLarge
from sipserver.sip.headers import CSeq
from sipserver.sip.message import (
    MAX_FIELDS,
    MAX_HEAD_SIZE,
    MAX_LINE_SIZE,
    Request,
    Response,
    parse_message,
)

Wire = Callable[[str], bytes]

ACCEPTED = [
    ("keepalive", CSeq(20, "MESSAGE"), "34020000001180000001", "1d2c3b4a", 170),
    ("lf_only", CSeq(21, "MESSAGE"), "34020000001180000001", "1d2c3b4a", 163),
    ("register", CSeq(1, "REGISTER"), "34020000001180000001", "f1a90c01", 0),
    ("invite_live", CSeq(1, "INVITE"), "34020000002000000001", "s-live1", 181),
    ("no_host", CSeq(7, "MESSAGE"), "34020000001320000002", "", 170),
]

REJECTED = [
    (b"", "no end of head"),
    (b"MESSAGE sip:a@b SIP/2.0\r\n", "no end of head"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nVia: x\rTo: y\r\n\r\n", "CR inside a line"),
    (b"MESSAGE sip:a@b\r\n\r\n", "bad request line"),
    (b"MESSAGE sip:a@b sip/3.0\r\n\r\n", "version not supported"),
    (b"MESSAGE sip:a@b HTTP/1.1\r\n\r\n", "bad SIP version"),
    (b"MES,SAGE sip:a@b SIP/2.0\r\n\r\n", "bad method"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nno colon\r\n\r\n", "without colon"),
    (b"MESSAGE sip:a@b SIP/2.0\r\n: value\r\n\r\n", "bad header name"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nA b: value\r\n\r\n", "bad header name"),
    (b"MESSAGE sip:a@b SIP/2.0\r\n folded: from the start line\r\n\r\n", "folded start line"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n", "bad Content-Length"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nabc", "shorter than"),
    (b"MESSAGE sip:a@b SIP/2.0\r\nl: " + b"9" * 5000 + b"\r\n\r\n", "bad Content-Length"),
    (b"SIP/2.0 99 Low\r\n\r\n", "bad status line"),
    (b"SIP/2.0 700 High\r\n\r\n", "bad status line"),
    (b"SIP/2.0 2000 Long\r\n\r\n", "bad status line"),
    (b"SIP/1.0 200 OK\r\n\r\n", "version not supported"),
]


@pytest.mark.parametrize(("name", "cseq", "user", "tag", "size"), ACCEPTED)
def test_accepted(name: str, cseq: CSeq, user: str, tag: str, size: int, wire: Wire) -> None:
    request = parse_message(wire(name))
    assert isinstance(request, Request)
    request.check()
    assert request.cseq == cseq
    assert (request.from_.uri.user, request.from_tag) == (user, tag)
    assert len(request.body) == size
    assert request.raw == wire(name)


@pytest.mark.parametrize(("raw", "reason"), REJECTED, ids=[reason for _, reason in REJECTED])
def test_rejected(raw: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason) as caught:
        parse_message(raw)
    assert caught.value.status_hint in (400, 505)


def test_a_first_header_that_begins_with_a_blank_and_no_colon_is_a_fold_too() -> None:
    with pytest.raises(MalformedMessage, match="folded start line"):
        parse_message(b"MESSAGE sip:a@b SIP/2.0\r\n more\r\n\r\n")


def test_limits() -> None:
    line = b"MESSAGE sip:a@b SIP/2.0\r\n"
    with pytest.raises(MessageTooLarge, match="line too long"):
        parse_message(line + b"X: " + b"x" * MAX_LINE_SIZE + b"\r\n\r\n")
    with pytest.raises(MessageTooLarge, match="head too large"):
        parse_message(line + b"X: xxxxxxxxxxxxxxxx\r\n" * 4000 + b"\r\n")
    with pytest.raises(MessageTooLarge, match="no end of head"):
        parse_message(b"x" * (MAX_HEAD_SIZE + 10))
    for end in (b"\r\n", b"\n"):
        with pytest.raises(MessageTooLarge, match="too many header fields"):
            parse_message(line.strip() + end + (b"X: x" + end) * (MAX_FIELDS + 1) + end)


def test_fields_keep_order_and_have_long_lower_case_names() -> None:
    message = parse_message(
        b"MESSAGE sip:a@b SIP/2.0\r\nv : one\r\nX-Odd:two\r\nVIA:three\r\n four\r\nl:0\r\n\r\n"
    )
    assert message.fields == [
        (b"via", b"one"),
        (b"x-odd", b"two"),
        (b"via", b"three four"),
        (b"content-length", b"0"),
    ]
    assert message.all(b"via") == [b"one", b"three four"]
    assert message.all(b"x-odd") == [b"two"]
    assert message.all(b"subject") == []
    assert message.get(b"subject") is None
    assert message.repeats(b"via")
    with pytest.raises(MalformedMessage, match="no subject header"):
        message.first(b"subject")


def test_values_are_parsed_once_and_only_on_use() -> None:
    message = parse_message(b"MESSAGE sip:a@b SIP/2.0\r\nCSeq: nonsense\r\nFrom: <sip:x@y>\r\n\r\n")
    assert message.from_ is message.from_
    with pytest.raises(MalformedMessage, match="bad CSeq"):
        _ = message.cseq


def test_every_property(wire: Wire) -> None:
    register = parse_message(wire("register"))
    assert register.expires == 86400
    assert register.gb_version == "3.0"
    assert register.user_agent == "sim-nvr/1.0"
    assert register.content_type == ""
    assert register.contact is not None
    assert register.contact.uri.address == "198.51.100.20:5060"
    assert register.call_id == "5b1e77c0-1@198.51.100.20"
    invite = parse_message(wire("invite_live"))
    assert invite.content_type == "application/sdp"
    assert invite.expires is None
    assert invite.gb_version is None
    assert invite.user_agent is None
    assert invite.first(b"subject").startswith(b"34020000001310000001:")
    assert isinstance(invite, Request)
    assert invite.uri.port == 5060
    assert invite.via_identity == (b"z9hG4bK-inv-0001", b"198.51.100.10:5060")


def test_via_identity_of_a_list_is_the_first() -> None:
    message = parse_message(
        b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h1;branch=z9hG4bK1, SIP/2.0/UDP h2\r\n\r\n"
    )
    assert isinstance(message, Request)
    assert message.via_identity == (b"z9hG4bK1", b"h1")
    assert [via.host for via in message.vias] == ["h1", "h2"]
    assert message.via.branch == b"z9hG4bK1"
    with pytest.raises(MalformedMessage, match="no via"):
        _ = parse_message(b"MESSAGE sip:a@b SIP/2.0\r\n\r\n").via_values


def test_repr_shows_no_header(wire: Wire) -> None:
    text = repr(parse_message(wire("register_auth")))
    assert "REGISTER sip:34020000002000000001" in text
    assert "Digest" not in text


@pytest.mark.parametrize("missing", [b"via", b"from", b"to", b"call-id", b"cseq"])
def test_a_request_needs_its_five_fields(missing: bytes, wire: Wire) -> None:
    lines = wire("register").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(missing + b":")]
    request = parse_message(b"\r\n".join(kept))
    assert isinstance(request, Request)
    with pytest.raises(MalformedMessage, match=f"no {missing.decode()} header"):
        request.check()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"CSeq: 1 REGISTER", b"CSeq: 1 MESSAGE", "names another method"),
        (b"Call-ID: 5b1", b"Call-ID: a\r\nCall-ID: 5b1", "several call-id headers"),
        (b"Call-ID: 5b1", b"Call-ID: " + b"x" * 600, "bad Call-ID"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256", "bad Max-Forwards"),
        (b"sip:34020000002000000001@", b"sip:34020000002000000001?a=b@", None),
    ],
)
def test_check(old: bytes, new: bytes, reason: str | None, wire: Wire) -> None:
    request = parse_message(wire("register").replace(old, new))
    assert isinstance(request, Request)
    if reason is None:
        request.check()
        return
    with pytest.raises(MalformedMessage, match=reason):
        request.check()


def test_a_field_repeated_with_one_value_is_read(wire: Wire) -> None:
    request = parse_message(wire("register").replace(b"Call-ID", b"CSeq: 1 REGISTER\r\nCall-ID"))
    assert isinstance(request, Request)
    request.check()


def test_headers_in_the_request_uri_are_refused() -> None:
    request = parse_message(b"INVITE sip:a@b?Route=x SIP/2.0\r\n\r\n")
    assert isinstance(request, Request)
    with pytest.raises(MalformedMessage, match="headers in the Request-URI"):
        _ = request.uri


def test_a_datagram_may_be_longer_than_content_length() -> None:
    message = parse_message(b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")
    assert message.body == b"abc"
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "OK")


def test_lower_case_version_and_missing_reason() -> None:
    response = parse_message(b"SIP/2.0 486\r\n\r\n")
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (486, "")
    assert isinstance(parse_message(b"MESSAGE sip:a@b sip/2.0\r\n\r\n"), Request)


def test_a_blank_line_of_crlf_behind_lf_lines() -> None:
    message = parse_message(b"MESSAGE sip:a@b SIP/2.0\nX-Odd: 1\n\nbody\r\n\r\nmore")
    assert message.body == b"body\r\n\r\nmore"
    assert message.get(b"x-odd") == b"1"


def test_class_attribute_of_a_lazy_value_is_its_descriptor() -> None:
    assert "expires" in (Request.expires.__doc__ or "").lower()
