"""The rules of the house that no linter knows."""

import ast
from pathlib import Path

LONGEST = 600
"""Lines of a file; a longer one is split before it is merged."""

BANNED = {"utils", "util", "common", "helpers", "helper", "base", "manager", "impl", "misc"}
"""Names that say nothing, as a module or as the last word of a class."""

MAY_SLEEP = {
    "tests/sipserver/device": "the event loop of these tests has a virtual clock",
    "tests/sipserver/transport": "real sockets have a clock of their own",
    "tests/simulators": "simulated devices run on their own clock",
    "tests/api/routes/test_media": "the threads of the media core have a clock of their own",
    "tests/media_relay": "the threads of the media core have a clock of their own",
    "tests/end_to_end": "whole programs run on the wall clock",
}
"""Directory -> why ``asyncio.sleep`` is more than a turn of the loop there."""

RUST_AND_CONSOLE = ("media_core", "console", "fuzz", "bench")


def test_no_file_is_too_long(root: Path, modules: list[Path], test_modules: list[Path]) -> None:
    others = [
        path.relative_to(root)
        for directory in RUST_AND_CONSOLE
        for suffix in ("*.rs", "*.ts", "*.vue", "*.py")
        for path in (root / directory).rglob(suffix)
        if not {"target", "node_modules", "static"} & set(path.parts)
    ]
    lengths = {
        str(path): len((root / path).read_text(encoding="utf-8").splitlines())
        for path in (*modules, *test_modules, *others)
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_names_say_something(root: Path, modules: list[Path]) -> None:
    bad = [str(module) for module in modules if BANNED & set(module.with_suffix("").parts)]
    for module in modules:
        for node in ast.walk(ast.parse((root / module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and _last_word(node.name) in BANNED:
                bad.append(f"{module}: {node.name}")
    assert bad == []


def _last_word(name: str) -> str:
    start = max((i for i, letter in enumerate(name) if letter.isupper()), default=0)
    return name[start:].lower()


def _sleeps(path: Path) -> list[int]:
    """Lines with a sleep that is more than a turn of the event loop."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        turn = (
            bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        )
        if name == "sleep" and not turn:
            lines.append(node.lineno)
    return lines


def test_no_unit_test_sleeps(root: Path, test_modules: list[Path]) -> None:
    sleeping = {
        str(test): lines
        for test in test_modules
        if not any(str(test).startswith(directory) for directory in MAY_SLEEP)
        and (lines := _sleeps(root / test))
    }
    assert sleeping == {}


def test_no_placeholder_is_left(root: Path, modules: list[Path]) -> None:
    words = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
    marked = [
        f"{module}:{number}"
        for module in modules
        for number, line in enumerate(
            (root / module).read_text(encoding="utf-8").splitlines(), start=1
        )
        if any(word in line for word in words)
    ]
    assert marked == []
