"""``gb28181 demo``: one command, and every camera of it plays."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.clips import FULL_H264, FULL_H265, SMALL_H264, SMALL_H265, ensure_clip
from simulators.demo import demo_devices
from tests.end_to_end.driving import (
    CLIPS,
    PLATFORM_ID,
    START_TIME,
    RunningPlatform,
    configuration,
    eventually,
    free_port,
    platform,
    running,
)
from tests.end_to_end.watching import watch

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

DEVICES = demo_devices(("127.0.0.1", 5060), PLATFORM_ID, "")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    for clip in (FULL_H264, FULL_H265, SMALL_H264, SMALL_H265):
        ensure_clip(clip, CLIPS)  # the demo would encode them itself, in its own time
    with platform("demo", tmp_path_factory.mktemp("demo"), demo=True) as started:
        yield started


def test_it_prints_where_to_look(demo: RunningPlatform) -> None:
    text = demo.program.text()
    assert f"http://127.0.0.1:{demo.http_port}/" in text
    assert (demo.folder / "initial-password.txt").read_text().split()[1] in text
    assert "Traceback" not in text


def test_every_camera_comes_online_with_its_channels(demo: RunningPlatform) -> None:
    for device in DEVICES:
        profile = device.profile
        demo.wait_until_online(profile.device_id, channels=len(profile.channels))
        view = demo.device(profile.device_id)
        assert view["media_transport"] == device.media_transport
        assert view["name"] == profile.name
        named = {view["channel_id"]: view["name"] for view in demo.channels(profile.device_id)}
        for channel in profile.channels:
            assert named[channel.channel_id] == channel.name
    assert demo.statistics()["devices_online"] == len(DEVICES)


def test_every_channel_plays(demo: RunningPlatform) -> None:
    for device in DEVICES:
        profile = device.profile
        demo.wait_until_online(profile.device_id, channels=len(profile.channels))
        for channel in profile.channels:
            answer = demo.play(profile.device_id, channel.channel_id)
            session = answer["session"]
            assert (session["state"], session["transport"]) == ("playing", device.media_transport)
            assert (session["verdict"], session["quirks"]) == (None, [])
            demo.stop_session(session["id"])
    camera = DEVICES[0].profile.device_id
    urls = demo.play(camera, camera)["play"]["urls"]
    (viewer,) = watch(urls["flv"], frames=60)
    assert viewer.size == (1920, 1080)


def test_control_c_ends_it_cleanly(demo: RunningPlatform) -> None:
    """The last test of this file: the demo is over then."""
    eventually(lambda: demo.statistics()["devices_online"] == len(DEVICES), "a camera is missing")
    code = demo.program.stop(signal.SIGINT)
    text = demo.program.text()
    assert code == 0, text
    assert "lost" not in text, "the cameras leave before the platform does"
    assert "Traceback" not in text
    assert "Stopped" in text
    with socket.socket() as again:  # nobody holds the port any more
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", demo.http_port))


TAKEN = [("serve", "http"), ("serve", "sip"), ("demo", "http"), ("demo", "sip")]


@pytest.mark.parametrize(("command", "taken"), TAKEN)
def test_a_taken_port_is_one_clear_sentence(tmp_path: Path, command: str, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ports = {"sip": free_port(), "http": free_port(), taken: port}
        config, _ = configuration(tmp_path, ports["sip"], ports["http"])
        arguments = [command, "--config", config]
        if command == "demo":
            arguments += ["--clips", CLIPS]
        with running(*arguments, log=tmp_path / "taken.log", cwd=tmp_path) as program:
            code = program.process.wait(START_TIME)
    lines = [line for line in program.text().splitlines() if line.strip()]
    assert code == 2, program.text()
    assert len(lines) == 1, program.text()
    assert str(port) in lines[0]
    assert "stop that program" in lines[0].lower(), "the remedy"


@pytest.mark.parametrize("taken", ["node", "simulator"])
def test_other_programs_say_it_as_clearly(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        media = {"media_node": {"host": "127.0.0.1", "port": port}}
        config, _ = configuration(tmp_path, free_port(), free_port(), media)
        command: list[object] = ["media-node", "--config", config]
        if taken == "simulator":
            command = ["simulate", "device", "--server", "127.0.0.1:none", "--clips", CLIPS]
        with running(*command, log=tmp_path / "taken.log", cwd=tmp_path) as program:
            code = program.process.wait(START_TIME)
    assert code == 2, program.text()
    assert "Traceback" not in program.text()
