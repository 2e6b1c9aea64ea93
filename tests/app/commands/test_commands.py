import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner, Result

from app.commands import app

NVR = "34020000001180000001"
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run


def commands(group: Any, path: str = "") -> list[tuple[str, str]]:
    """Path and help of each command, groups included."""
    found: list[tuple[str, str]] = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found += commands(command, f"{path}{name} ")
        found.append((f"{path}{name}", command.help or ""))
    return found


ALL = commands(typer.main.get_group(app))


@pytest.mark.parametrize(("name", "help_text"), ALL, ids=[name for name, _ in ALL])
def test_every_command_explains_itself(name: str, help_text: str) -> None:
    assert "Example: gb28181" in help_text or name == "simulate"
    assert any("一" <= character <= "鿿" for character in help_text)


def test_the_help_lists_the_commands(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name in ("serve", "demo", "simulate", "check-config", "version", "media-node", "device"):
        assert name in result.output
    assert "demo-cameras" not in result.output


def test_version(invoke: Invoke) -> None:
    assert invoke("version").output.startswith("gb28181-server ")


def test_check_config_prints_what_is_in_effect(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "gb28181.toml").write_text(
        '[http]\nport = 9000\n[common_password]\npassword = "hunter2"\n'
    )
    result = invoke("check-config")
    assert result.exit_code == 0
    assert "port = 9000" in result.output
    assert "hunter2" not in result.output
    assert "valid" in result.output


def test_mistakes_are_sentences_and_code_2(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[http]\nprot = 1\n[sip]\nport = 99999\n")
    result = invoke("check-config", "--config", "bad.toml")
    assert result.exit_code == 2
    assert "the nearest is 'port'" in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert "Traceback" not in result.output


def test_a_missing_file_is_one_sentence(invoke: Invoke) -> None:
    result = invoke("serve", "--config", "none.toml")
    assert result.exit_code == 2
    assert result.stderr.strip() == "There is no file none.toml; give the right path with --config."


def test_devices_are_added_listed_and_removed(invoke: Invoke) -> None:
    added = invoke("device", "add", NVR, "--name", "东门", "--media-transport", "tcp-passive")
    assert added.exit_code == 0, added.output
    assert "Password 密码: " in added.output
    listed = invoke("device", "list").output
    assert NVR in listed
    assert "东门" in listed
    assert "tcp-passive" in listed
    assert invoke("device", "remove", NVR).exit_code == 0
    missing = invoke("device", "remove", NVR)
    assert missing.exit_code == 2
    assert "device list" in missing.stderr


@pytest.mark.parametrize(
    "arguments", [("x y",), (NVR, "--media-transport", "quic")], ids=["id", "transport"]
)
def test_a_bad_device_is_one_sentence(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    result = invoke("device", "add", *arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_password_is_reset_and_kept_in_its_file(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("password", "reset", "--data", "elsewhere")
    assert result.exit_code == 0
    password = (tmp_path / "elsewhere" / "initial-password.txt").read_text().split()[1]
    assert f"User admin, password {password}" in result.output
    assert invoke("password", "reset", "nobody").exit_code == 2


def test_a_data_directory_that_cannot_be_made_is_one_sentence(
    invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = invoke("device", "list", "--data", "file/x")
    assert result.exit_code == 2
    assert "cannot be opened" in result.stderr


def test_the_generated_documents_are_written(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("export-openapi", "--output", "openapi.json").exit_code == 0
    assert json.loads((tmp_path / "openapi.json").read_text())["openapi"] == "3.1.0"
    assert invoke("export-configuration").output.startswith("# Configuration")
    failed = invoke("export-openapi", "--output", "none/openapi.json")
    assert failed.exit_code == 2
    assert "--output" in failed.stderr
