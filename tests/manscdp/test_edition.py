import pytest

from manscdp.edition import Edition, effective_edition, parse_edition


@pytest.mark.parametrize(
    ("value", "edition"),
    [
        ("1.0", Edition.GB2011), ("1.1", Edition.GB2011S), ("2.0", Edition.GB2016),
        (" 3.0 ", Edition.GB2022), ("4.2", Edition.GB2022), ("2.1", Edition.GB2016),
        ("0.9", Edition.GB2011), (None, Edition.GB2016), ("", Edition.GB2016),
        ("three", Edition.GB2016),
    ],
)  # fmt: skip
def test_header(value: str | None, edition: Edition) -> None:
    assert parse_edition(value) is edition


def test_the_lower_side_decides() -> None:
    assert effective_edition(Edition.GB2022, Edition.GB2016) is Edition.GB2016
