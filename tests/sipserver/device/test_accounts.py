from __future__ import annotations

import pytest

from manscdp.edition import Edition
from sdp.gb import StreamSelector
from sipserver.device.accounts import AccountBook, CommonPassword, DeviceAccount, is_device_id
from sipserver.device.profiles import common_edition, profile_of, send_date, stream_selector


def account(device_id: str, *aliases: str, **values: bool) -> DeviceAccount:
    return DeviceAccount(device_id=device_id, password="12345678", aliases=aliases, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "tolerant", "strict"),
    [
        ("34020000001320000001", True, True),
        ("3402000000132000001", True, False),
        ("camera1", True, False),
        ("", False, False),
        ("a" * 33, False, False),
        ("3402000000132000000１", False, False),
        ("a b", False, False),
    ],
)
def test_device_ids(text: str, tolerant: bool, strict: bool) -> None:
    assert (is_device_id(text), is_device_id(text, strict=True)) == (tolerant, strict)


def test_aliases_follow_their_account() -> None:
    book = AccountBook()
    book.put(account("a", "x", "y"))
    assert (book.owner_of("x"), book.owner_of("a"), book.owner_of("z")) == ("a", None, None)
    book.put(account("b", "x"))
    assert book.owner_of("x") == "a"  # the first one keeps it
    book.put(account("a", "y"))
    assert book.owner_of("x") is None
    book.remove("a")
    assert book.owner_of("y") is None
    assert [one.device_id for one in book] == ["b"]
    assert book.remove("a") is None


def test_the_common_password_needs_a_password_and_a_prefix() -> None:
    assert not CommonPassword(password="x").covers("34")
    assert not CommonPassword(prefixes=("34",)).covers("34")
    assert CommonPassword(password="x", prefixes=("11", "34")).covers("3402")


def test_accounts_made_by_the_common_password_are_counted() -> None:
    book = AccountBook(CommonPassword(password="x", prefixes=("34",), limit=1))
    first = book.candidate("341")
    assert first is not None
    assert not first.provisioned
    assert len(book) == 0
    book.put(first)
    assert book.candidate("342") is None
    assert book.candidate("341") == first
    book.remove("341")
    assert book.candidate("342") is not None


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("TP-LINK IPC",), "tp-link"),
        (("", "Dahua"), "dahua"),
        (("Embedded Net DVR/HIK", ""), "hikvision"),
        (("", ""), "generic"),
        (("whatever",), "generic"),
    ],
)
def test_profiles_by_user_agent_or_manufacturer(texts: tuple[str, ...], name: str) -> None:
    assert profile_of(*texts).name == name


def test_the_operator_wins_over_the_profile() -> None:
    profile = profile_of("TP-LINK")
    assert not send_date(account("a"), profile)
    assert stream_selector(account("a"), profile) is StreamSelector.STREAM_MODE
    own = DeviceAccount(
        device_id="a", password="x", send_date=True, stream_selector="stream", edition="1.0"
    )
    assert send_date(own, profile)
    assert stream_selector(own, profile) is StreamSelector.STREAM
    assert common_edition(own, "3.0") is Edition.GB2011
    assert common_edition(account("a"), None) is Edition.GB2016
