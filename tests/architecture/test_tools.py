"""`make` names a missing or outdated tool with its remedy before anything fails on it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "check-tools.sh"
GOOD = {"cargo": "cargo 1.85.0", "node": "v22.12.0", "npm": "10.0.0", "cc": "cc 12"}


def check(directory: Path, tools: dict[str, str]) -> tuple[int, str]:
    """Run the script where only ``tools`` are found, each saying its version."""
    for name in ("bash", "dirname", "grep", "head", "sort", "python3"):
        (directory / name).symlink_to(shutil.which(name) or name)
    for name, version in tools.items():
        tool = directory / name
        tool.write_text(f"#!/bin/sh\necho '{version}'\n")
        tool.chmod(0o755)
    result = subprocess.run(
        [directory / "bash", SCRIPT],
        env={**os.environ, "PATH": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr


def test_everything_is_there(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == (0, "")


@pytest.mark.parametrize("tool", GOOD)
def test_a_missing_tool_is_one_sentence_with_its_remedy(tmp_path: Path, tool: str) -> None:
    code, said = check(tmp_path, {name: text for name, text in GOOD.items() if name != tool})
    assert code == 1
    assert said.startswith(f"{tool} is missing. Install ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(("tool", "version"), [("cargo", "cargo 1.63.0"), ("node", "v18.13.0")])
def test_what_debian_12_itself_has_is_called_too_old(
    tmp_path: Path, tool: str, version: str
) -> None:
    code, said = check(tmp_path, {**GOOD, tool: version})
    assert code == 1
    assert said.startswith(f"{tool} {version.split()[-1].lstrip('v')} is too old")
