"""What a person sees who starts simulated devices wrongly."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from simulators import cli
from simulators.clips import EncoderMissing
from simulators.registration import Presence
from sipserver.transport.errors import PortInUse


@pytest.mark.parametrize(
    "error",
    [
        EncoderMissing("Making clips needs PyAV: install the extra [media]."),
        PortInUse("UDP port 5060 is taken."),
        OSError("No space left on device"),
    ],
)
def test_what_keeps_them_from_running_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "run_devices", fail)
    result = CliRunner().invoke(cli.app, ["device"])
    assert result.exit_code == 2
    assert str(error) in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--device-id", "123"], "20 digits"),
        (["--server", "host:0"], "no port"),
        (["--codec", "h266"], "h264 or h265"),
        (["--transport", "SCTP"], "UDP or TCP"),
        (["--edition", "2022"], "choose one of"),
        (["--device-id", "34020000001320999999", "--count", "2"], "no code is left"),
    ],
)
def test_a_wrong_option_says_what_is_right(arguments: list[str], named: str) -> None:
    result = CliRunner().invoke(cli.app, ["device", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert named in result.output


def test_a_name_may_look_like_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    device = SimpleNamespace(
        profile=SimpleNamespace(device_id="34020000001320000001", name="Gate [/north]"),
        registration=SimpleNamespace(failure="403 [red]"),
    )
    cli._print_presence(device, Presence.OFFLINE)  # type: ignore[arg-type]
    assert "Gate [/north] 403 [red]" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["device", "nvr"])
def test_every_option_is_explained_in_both_languages(command: str) -> None:
    result = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
    options = [line for line in result.output.splitlines() if re.search("--[a-z-]+ ", line)]
    explained = [line for line in options if "--help" not in line and "Example" not in line]
    assert len(explained) > 10
    assert [line for line in explained if not re.search("[\u4e00-\u9fff]", line)] == []
