from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sipserver.device.sessions.view import SessionKey

TEXT = st.text(max_size=30)
KEYS = st.builds(SessionKey, TEXT, TEXT, st.integers(0, 9))


def test_the_usual_name() -> None:
    key = SessionKey("34020000001320000001", "34020000001310000001", 1)
    assert key.stream_name == "34020000001320000001_34020000001310000001_1"


@given(KEYS)
def test_a_name_is_url_safe_and_stable(key: SessionKey) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", key.stream_name)
    assert key.stream_name == SessionKey(*key_parts(key)).stream_name


@given(KEYS, KEYS)
def test_two_keys_do_not_share_a_name(one: SessionKey, two: SessionKey) -> None:
    assert (one == two) == (one.stream_name == two.stream_name)


def test_odd_ids_do_not_meet_in_one_name() -> None:
    names = {
        SessionKey(*parts).stream_name
        for parts in (("a_b", "c", 0), ("a", "b_c", 0), ("a/b", "c", 0), ("a-b", "c", 0))
    }
    assert len(names) == 4


def key_parts(key: SessionKey) -> tuple[str, str, int]:
    return key.device_id, key.channel_id, key.stream
