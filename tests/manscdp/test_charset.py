import pytest
from hypothesis import given
from hypothesis import strategies as st

from manscdp.charset import BYTES_REPLACED, CONTROLS_REMOVED, MAX_BODY_BYTES, decode
from manscdp.errors import BodyTooLarge, LocalError

GB2312 = b'<?xml version="1.0" encoding="GB2312"?>'
UTF8 = b'<?xml version="1.0" encoding="UTF-8"?>'

CASES = [
    # body, text, charset, certain
    (b"<a/>", "<a/>", "gb18030", False),
    (UTF8 + b"<a/>", "<a/>", "utf-8", False),
    (GB2312 + "浙江".encode("gb18030"), "浙江", "gb18030", True),
    (GB2312 + "朱镕基".encode("gb18030"), "朱镕基", "gb18030", True),
    (GB2312 + "\U00020000山".encode("gb18030"), "\U00020000山", "gb18030", True),
    (GB2312 + "浙江".encode(), "浙江", "utf-8", True),
    (UTF8 + "南门东侧".encode("gb18030"), "南门东侧", "gb18030", True),
    (GB2312 + "陆路".encode("gb18030"), "陆路", "gb18030", False),
    ("Tür".encode(), "Tür", "utf-8", False),
    (b"\xef\xbb\xbf" + UTF8 + "门".encode(), "门", "utf-8", True),
    (b"\xff\xfe" + "<?xml version='1.0'?>门".encode("utf-16-le"), "门", "utf-8", True),
]


@pytest.mark.parametrize(("body", "text", "charset", "certain"), CASES)
def test_decoded(body: bytes, text: str, charset: str, certain: bool) -> None:
    decoded = decode(body)
    assert (decoded.text, decoded.charset, decoded.certain) == (text, charset, certain)
    assert decoded.repaired == ()


def test_remembered_charset_settles_doubt_only() -> None:
    ambiguous = "陆路".encode("gb18030")
    assert decode(ambiguous).charset == "utf-8"
    assert decode(ambiguous, remembered="gb18030").text == "陆路"
    assert decode(GB2312 + "é".encode(), remembered="utf-8").text == "é"
    assert decode("浙江".encode(), remembered="gb18030").text == "浙江"


def test_forced_charset_wins_where_it_can_be() -> None:
    assert decode("陆路".encode("gb18030"), "GB2312").text == "陆路"
    assert decode(GB2312 + "é".encode(), "utf-8").text == "é"
    assert decode("南门".encode("gb18030"), "utf-8").charset == "gb18030"
    with pytest.raises(LocalError, match="latin-1"):
        decode(b"", "latin-1")


def test_a_name_cut_inside_a_character_costs_that_character_only() -> None:
    utf8 = (
        "<Name>南门东侧通道</Name>".encode() + "<Address>浙江省杭州市".encode()[:-1] + b"</Address>"
    )
    decoded = decode(utf8)
    assert "南门东侧通道" in decoded.text
    assert (decoded.charset, decoded.repaired) == ("utf-8", (BYTES_REPLACED,))
    gb = "<Name>南门东侧".encode("gb18030")[:-1] + b"</Name>"
    decoded = decode(gb)
    assert decoded.text == "<Name>南门东\ufffd</Name>"
    assert (decoded.charset, decoded.repaired) == ("gb18030", (BYTES_REPLACED,))


def test_control_characters_are_stripped() -> None:
    assert decode(b"<a>\x00b\x0b\tc</a>").text == "<a>b\tc</a>"
    assert decode("<a>门\x1f</a>".encode()).repaired == (CONTROLS_REMOVED,)


def test_size_limit() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        decode(b" " * (MAX_BODY_BYTES + 1))
    assert caught.value.status_hint == 413


@given(st.binary(max_size=200), st.sampled_from([None, "utf-8", "gb18030"]))
def test_any_bytes_decode(data: bytes, charset: str | None) -> None:
    decoded = decode(data, charset)
    assert decoded.charset in ("utf-8", "gb18030")
    decoded.text.encode("utf-8")


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=4))
def test_chinese_comes_back_from_either_charset(text: str) -> None:
    assert decode(text.encode()).text == text
    assert decode(GB2312 + text.encode("gb18030"), "gb18030").text == text


def test_a_utf_8_mark_in_front_of_gb_18030_is_not_believed() -> None:
    assert decode(b"\xef\xbb\xbf" + "<a>南门东侧</a>".encode("gb18030")).text == "<a>南门东侧</a>"
