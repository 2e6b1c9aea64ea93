from __future__ import annotations

import pytest

from sipserver.device.registration import ExpiryPolicy, gb_date


def test_date_is_beijing_time_with_milliseconds_and_no_zone() -> None:
    assert gb_date(1_714_953_600.125) == "2024-05-06T08:00:00.125"
    assert gb_date(1_714_953_600.0) == "2024-05-06T08:00:00.000"


@pytest.mark.parametrize(
    ("wanted", "strict", "granted"),
    [
        (None, None, 86_400),
        (0, None, 0),
        (0, True, 0),
        (59, None, None),
        (60, None, 60),
        (3_599, True, None),
        (3_600, True, 3_600),
        (86_400, None, 86_400),
        (4_294_967_295, None, 604_800),
    ],
)
def test_granted_seconds(wanted: int | None, strict: bool | None, granted: int | None) -> None:
    assert ExpiryPolicy().grant(wanted, strict=strict) == granted


def test_an_account_may_be_tolerant_on_a_strict_platform() -> None:
    policy = ExpiryPolicy(strict=True)
    assert policy.grant(100) is None
    assert policy.grant(100, strict=False) == 100
