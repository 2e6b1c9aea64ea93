import asyncio
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.commands import app
from app.commands.demo import PASSWORD_VARIABLE, provision, run_cameras
from app.settings import Settings, from_mapping
from simulators.clips import EncoderMissing
from simulators.demo import demo_devices


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return from_mapping({"storage": {"path": str(tmp_path / "data" / "x.sqlite3")}})


async def test_the_cameras_may_register_and_keep_their_password(settings: Settings) -> None:
    first = await provision(settings)
    assert len(first) >= 12
    assert await provision(settings) == first


def test_the_demo_shows_every_transport_and_codec() -> None:
    devices = demo_devices(("127.0.0.1", 5060), "34020000002000000001", "x")
    assert {device.media_transport for device in devices} == {"udp", "tcp-passive", "tcp-active"}
    codecs = {channel.codec for device in devices for channel in device.profile.channels}
    assert codecs == {"h264", "h265"}


WAIT = f"import os, time; assert os.environ['{PASSWORD_VARIABLE}'] == 'pw'; time.sleep(60)"


async def test_the_cameras_stop_with_the_platform() -> None:
    stop = asyncio.Event()
    command = (sys.executable, "-c", WAIT)
    running = asyncio.create_task(run_cameras(command, "pw", stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(10):
        await running


async def test_cameras_that_end_early_are_told_and_stop_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with asyncio.timeout(10):
        await run_cameras((sys.executable, "-c", "raise SystemExit(3)"), "pw", asyncio.Event())
    assert "code 3" in capsys.readouterr().out


def test_cameras_without_an_encoder_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise EncoderMissing("Making clips needs PyAV.")

    monkeypatch.setattr("simulators.cli.run_devices", fail)
    options = ["--sip-port", "5060", "--server-id", "34020000002000000001", "--clips", "clips"]
    result = CliRunner().invoke(app, ["demo-cameras", *options])
    assert result.exit_code == 2
    assert "The cameras cannot start: Making clips needs PyAV." in " ".join(result.output.split())
