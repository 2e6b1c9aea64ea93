from dataclasses import dataclass

import msgspec

from app.statistics import Source, all_values, texts_of


@dataclass
class Counters:
    a: int = 1  # first


class Struct(msgspec.Struct):
    b: int = 2


def test_values_of_each_kind_of_snapshot() -> None:
    sources = (
        Source("one", Counters),
        Source("two", Struct),
        Source("three", lambda: {"c": 3}),
    )
    assert all_values(sources) == {"one": {"a": 1}, "two": {"b": 2}, "three": {"c": 3}}


def test_fields_explain_themselves() -> None:
    assert texts_of(Counters()) == {"a": "first"}
    assert texts_of({"c": 3}) == {}
