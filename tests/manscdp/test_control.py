from collections.abc import Callable

import pytest

from manscdp.control import KeyFrameRequest
from manscdp.edition import Edition
from manscdp.registry import from_message
from manscdp.xml import parse

Wire = Callable[[str], bytes]


@pytest.mark.parametrize(
    ("edition", "name"),
    [
        (Edition.GB2022, "key_frame_2022"),
        (Edition.GB2016, "key_frame_2016"),
        (Edition.GB2011, "key_frame_2016"),
    ],
)
def test_key_frame_request(wire: Wire, edition: Edition, name: str) -> None:
    value = from_message(parse(wire(name)))
    assert isinstance(value, KeyFrameRequest)
    written = value.to_bytes("gb18030", edition).replace(b"GB2312", b"GB18030")
    assert written.replace(b"\r\n", b"") == wire(name).replace(b"\r\n", b"")


def test_another_control_is_no_key_frame_request(wire: Wire) -> None:
    assert not KeyFrameRequest.is_in(parse(wire("tele_boot")))
