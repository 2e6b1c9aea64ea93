import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp.subject import Subject

GOLDEN = "34020000001320000007:0200000123,34020000002000000001:0"


def test_golden() -> None:
    subject = Subject.parse(GOLDEN)
    assert subject == Subject("34020000001320000007", "0200000123", "34020000002000000001", "0")
    assert str(subject) == GOLDEN
    assert not subject.history
    assert Subject("1", "1200000001").history


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("3402:0", Subject("3402", "0", "", "")),
        ("3402:0; 3403 : 1", Subject("3402", "0", "3403", "1")),
        ("3402,3403", Subject("3402", "", "3403", "")),
        ("", Subject("", "", "", "")),
        ("a:b:c,d:e,f", Subject("a", "b:c", "d", "e,f")),
    ],
)
def test_lenient(text: str, subject: Subject) -> None:
    assert Subject.parse(text) == subject


@given(st.text(max_size=300))
def test_any_text_is_bounded(text: str) -> None:
    assert len(str(Subject.parse(text))) <= 4 * 64 + 3
