"""The strict reader accepts the standard's own examples and names the rule each bad one breaks."""

import pytest

from conformance.wire import NotConformant, read_manscdp, read_message, read_sdp

KEEPALIVE = (
    b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.20:5060;rport;branch=z9hG4bK-ka-0043\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:34020000001180000001@3402000000>;tag=1d2c3b4a\r\n"
    b"To: <sip:34020000002000000001@3402000000>\r\n"
    b"Call-ID: 9f0c7d3e-43@198.51.100.20\r\n"
    b"CSeq: 20 MESSAGE\r\n"
    b"Content-Type: Application/MANSCDP+xml\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"<a/>"
)
OFFER = (
    b"v=0\r\no=34020000002000000001 0 0 IN IP4 192.0.2.1\r\ns=Play\r\nc=IN IP4 192.0.2.1\r\n"
    b"t=0 0\r\nm=video 30000 RTP/AVP 96 98 100\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\n"
    b"y=0200000123\r\nf=v/////a///\r\n"
)


def test_a_message_of_the_standard_is_read() -> None:
    message = read_message(KEEPALIVE)
    assert (message.method, message.is_request, message.body) == ("MESSAGE", True, b"<a/>")
    assert message.parameter("from", "tag") == "1d2c3b4a"


BROKEN = [
    (b"\r\n\r\n<a/>", b"<a/>", "no blank line"),
    (b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\n", "CRLF"),
    (b"Via: SIP/2.0/UDP 198.51.100.20:5060;rport;branch=z9hG4bK-ka-0043\r\n", b"", "no via"),
    (b"branch=z9hG4bK", b"branch=z3hG9bK", "z9hG4bK"),
    (b";tag=1d2c3b4a", b"", "From has no tag"),
    (b"CSeq: 20 MESSAGE", b"CSeq: 20 NOTIFY", "CSeq method"),
    (b"CSeq: 20 ", b"CSeq: 4294967296 ", "CSeq number"),
    (b"Content-Length: 4", b"Content-Length: 5", "Content-Length"),
    (b"Content-Type: Application/MANSCDP+xml\r\n", b"", "without Content-Type"),
    (b"Max-Forwards: 70", b"Max-Forwards 70", "not a header"),
    (b" SIP/2.0\r\n", b" SIP/3.0\r\n", "request line"),
]


@pytest.mark.parametrize(("part", "instead", "rule"), BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_message_names_its_rule(part: bytes, instead: bytes, rule: str) -> None:
    assert part in KEEPALIVE
    with pytest.raises(NotConformant, match=rule):
        read_message(KEEPALIVE.replace(part, instead, 1))


def test_a_final_response_needs_a_to_tag() -> None:
    response = KEEPALIVE.replace(
        b"MESSAGE sip:34020000002000000001@3402000000 SIP/2.0", b"SIP/2.0 200 OK", 1
    )
    with pytest.raises(NotConformant, match="To tag"):
        read_message(response)


def test_an_offer_of_the_standard_is_read() -> None:
    sdp = read_sdp(OFFER)
    assert (sdp.one("y"), sdp.attributes["rtpmap"]) == ("0200000123", "96 PS/90000")


BROKEN_SDP = [
    (b"y=0200000123\r\n", b"", b"y=0200000123\r\n", "out of order"),
    (b"y=0200000123", b"y=200000123", b"", "nine digits"),
    (b"t=0 0\r\n", b"", b"", "t= stands 0"),
]


@pytest.mark.parametrize(("part", "instead", "ahead", "rule"), BROKEN_SDP)
def test_a_broken_offer_names_its_rule(
    part: bytes, instead: bytes, ahead: bytes, rule: str
) -> None:
    broken = OFFER.replace(part, instead, 1).replace(b"a=recvonly", ahead + b"a=recvonly", 1)
    with pytest.raises(NotConformant, match=rule):
        read_sdp(broken)


def test_a_body_is_decoded_as_it_declares() -> None:
    body = (
        '<?xml version="1.0" encoding="GB18030"?>\r\n<Notify><CmdType>Keepalive</CmdType>'
        "<SN>1</SN><DeviceID>34020000001180000001</DeviceID><Name>东门</Name></Notify>"
    )
    assert read_manscdp(body.encode("gb18030")).findtext("Name") == "东门"
    with pytest.raises(NotConformant, match="no SN"):
        read_manscdp(body.replace("<SN>1</SN>", "").encode("gb18030"))
    with pytest.raises(NotConformant, match="not well formed"):
        read_manscdp(body.replace("</Name>", "").encode("gb18030"))
