from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manscdp.errors import LocalError
from manscdp.notify import Keepalive, MediaStatus
from manscdp.xml import parse

Wire = Callable[[str], bytes]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keepalive", Keepalive(sn=43, device_id="34020000001180000001")),
        (
            "keepalive_faulty",
            Keepalive(
                sn=44,
                device_id="34020000001180000001",
                status="ERROR",
                faulty=("34020000001310000003",),
            ),
        ),
    ],
)
def test_keepalive(wire: Wire, name: str, value: Keepalive) -> None:
    assert Keepalive.from_message(parse(wire(name))) == value
    assert value.to_bytes() == wire(name)


@given(
    st.integers(1, 2**31),
    st.text("0123456789", min_size=1, max_size=20),
    st.sampled_from(["OK", "ERROR"]),
    st.lists(st.text("0123456789", min_size=1, max_size=20), max_size=3),
)
def test_keepalives_come_back(sn: int, device_id: str, status: str, faulty: list[str]) -> None:
    value = Keepalive(sn=sn, device_id=device_id, status=status, faulty=tuple(faulty))
    assert Keepalive.from_message(parse(value.to_bytes())) == value


def test_media_status(wire: Wire) -> None:
    value = MediaStatus.from_message(parse(wire("media_status")))
    assert value == MediaStatus(sn=8, device_id="34020000001310000001", notify_type="121")
    assert value.ended
    assert value.to_bytes() == wire("media_status")
    plain = MediaStatus.from_message(parse(wire("media_status_plain")))
    assert plain.device_id == "34020000001320000007"
    assert not MediaStatus(sn=1, device_id="1", notify_type="122").ended


def test_another_message_is_our_bug(wire: Wire) -> None:
    with pytest.raises(LocalError, match="no Notify MediaStatus"):
        MediaStatus.from_message(parse(wire("keepalive")))
