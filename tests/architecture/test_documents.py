"""Generated documents are fresh, and what the documents name exists."""

from pathlib import Path

from api.application import openapi_document
from app.configuration_page import configuration_page
from app.wiring import documented_routes

SUPPORTED = Path("docs/protocol/supported.md")
STATES = ("yes", "partly", "not yet")


def test_the_openapi_document_is_fresh(root: Path) -> None:
    fresh = openapi_document(documented_routes())
    stored = (root / "api" / "openapi.json").read_bytes()
    assert stored == fresh, "run: gb28181 export-openapi --output api/openapi.json"


def test_the_configuration_page_is_fresh(root: Path) -> None:
    stored = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    command = "gb28181 export-configuration --output docs/configuration.md"
    assert stored == configuration_page(), f"run: {command}"


def rows(root: Path) -> list[list[str]]:
    text = (root / SUPPORTED).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_clause_table_names_what_exists(root: Path) -> None:
    missing = [
        f"{row[0]} {row[1]}: {name}"
        for row in rows(root)
        for name in row[2:4]
        if name != "–" and not (root / name).exists()
    ]
    assert missing == []


def test_the_clause_table_is_honest(root: Path) -> None:
    """A supported clause has module and test; what is not, has neither."""
    wrong = []
    for clause, what, module, test, state in rows(root):
        named = module != "–" and test != "–"
        if not state.startswith(STATES) or named is state.startswith("not yet"):
            wrong.append(f"{clause} {what}: {state}")
        if state.startswith("partly") and ":" not in state:
            wrong.append(f"{clause} {what}: say what is missing")
    assert wrong == []


def test_every_operation_is_documented_in_both_languages() -> None:
    silent = [
        row.operation
        for row in documented_routes()
        if not row.summary or not any("一" <= letter <= "鿿" for letter in row.summary_zh)
    ]
    assert silent == []
