from app.configuration_page import configuration_page
from app.settings import sections


def test_every_key_has_its_row() -> None:
    page = configuration_page()
    for section in sections().values():
        assert f"## [{section.name}]" in page
        for key in section.keys:
            assert f"\n| `{key}` | " in page


def test_types_ranges_and_defaults_are_readable() -> None:
    page = configuration_page()
    assert "| `port` | integer 0..65535 | `8080` |" in page
    assert "| `keepalive_interval` | number 1..86400 | `60.0` |" in page
    assert "| `secure_cookie` | true \\| false | `false` |" in page
    assert "| `level` | `debug` \\| `info` \\| `warning` \\| `error` | `info` |" in page
    assert "| `prefixes` | list of text | `[]` |" in page


def test_every_row_has_four_cells() -> None:
    rows = [line for line in configuration_page().splitlines() if line.startswith("| ")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
