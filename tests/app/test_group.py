from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import pytest

from app.group import keys_of, read_value, summary_of


@dataclass(frozen=True, kw_only=True)
class Group:
    """What it is for.

    More of it.
    """

    count: int = 3
    """How many, 1..1,000. See :exc:`Busy` and ``other``."""

    seconds: float = 1.5  # how long, in seconds
    port: int = 1
    limit: Annotated[int, msgspec.Meta(le=9)] = 5
    note: str | None = None
    words: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    made: list[int] = field(default_factory=list)


@dataclass
class Bare:
    x: int = 1


def test_texts_come_from_docstrings_and_comments() -> None:
    keys = keys_of(Group)
    assert keys["count"].text == "How many, 1..1,000. See `Busy` and `other`."
    assert keys["seconds"].text == "how long, in seconds"
    assert keys["port"].text == ""
    assert summary_of(Group) == "What it is for."
    assert summary_of(Bare) == ""


def test_defaults_and_secrets() -> None:
    keys = keys_of(Group)
    assert (keys["count"].default, keys["made"].default) == (3, [])
    assert [name for name, key in keys.items() if key.secret] == ["secret"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 0), ("count", 1_001), ("seconds", -0.5), ("port", 65_536), ("limit", 10)],
)
def test_ranges_are_those_of_type_text_or_name(name: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_value(value, keys_of(Group)[name].kind, textual=False)


def test_values_in_range_are_taken() -> None:
    keys = keys_of(Group)
    assert read_value(1_000, keys["count"].kind, textual=False) == 1_000
    assert read_value("9", keys["limit"].kind, textual=True) == 9
    assert read_value("", keys["note"].kind, textual=True) is None
    assert read_value("a, b,", keys["words"].kind, textual=True) == ("a", "b")
