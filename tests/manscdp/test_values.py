from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manscdp import values
from manscdp.element import as_text
from manscdp.values import BEIJING, date_time, date_time_text


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-1", -1), ("65535", 65535), ("1.0", 1), ("1.5", None), ("", None), ("x", None),
     ("9" * 19, None), ("٣", None)],
)  # fmt: skip
def test_integer(text: str, value: int | None) -> None:
    assert values.integer(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("118.376451", 118.376451), ("-180", -180.0), ("180.1", None), ("", None), ("nan", None),
     ("inf", None), ("1e1", 10.0), ("东经118", None), (".5", 0.5), ("118,3", None)],
)  # fmt: skip
def test_longitude(text: str, value: float | None) -> None:
    assert values.longitude(text) == value


def test_latitude_has_its_own_range() -> None:
    assert values.latitude("90") == 90.0
    assert values.latitude("90.5") is None


def test_parental() -> None:
    texts = ("0", "1", "65535", "x")
    assert [values.parental(text) for text in texts] == [0, 1, 1, None]


NOON = datetime(2024, 5, 6, 12, 0, 0, tzinfo=BEIJING)


@pytest.mark.parametrize(
    "text",
    ["2024-05-06T12:00:00", "2024-5-6 12:0:0", "2024-05-06T12:00:00.000", "2024/05/06 12:00",
     "2024-05-06T04:00:00Z", "2024-05-06T12:00:00+08:00", "2024-05-06T02:00:00-0200"],
)  # fmt: skip
def test_date_time(text: str) -> None:
    assert date_time(text) == NOON


@pytest.mark.parametrize("text", ["", "now", "2024-13-01T00:00:00", "2024-05-06T25:00:00",
                                  "2024-05-06T12:00:00+99:00", "20240506"])  # fmt: skip
def test_bad_date_time(text: str) -> None:
    assert date_time(text) is None


def test_date_time_is_written_in_beijing_time() -> None:
    assert date_time_text(NOON.astimezone(UTC)) == "2024-05-06T12:00:00"


@given(st.floats(-180, 180))
def test_degrees_come_back(value: float) -> None:
    text = as_text(value)
    assert "e" not in text
    assert values.longitude(text) == pytest.approx(value, abs=1e-9)


@given(st.text(max_size=40))
def test_readers_never_fail(text: str) -> None:
    for reader in (values.integer, values.decimal, values.longitude, values.parental):
        reader(text)
    date_time(text)
