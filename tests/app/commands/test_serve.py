import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


@contextmanager
def started(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_platform_announces_itself_and_stops_gracefully(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started(tmp_path, "serve", "--http-port", "0", "--sip-port", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[0].startswith("Console 控制台:  http://127.0.0.1:")
        assert "user admin, password " in lines[3]
        process.send_signal(number)
        output, errors = process.communicate(timeout=15)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "Stopped. 已停止。"
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("option", "named"), [("--http-port", "[http] port"), ("--sip-port", "[sip] port")]
)
def test_a_taken_port_is_one_sentence_and_code_2(tmp_path: Path, option: str, named: str) -> None:
    ports = {"--http-port": "0", "--sip-port": "0"}
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        ports[option] = str(other.getsockname()[1])
        arguments = [word for pair in ports.items() for word in pair]
        with started(tmp_path, "serve", *arguments) as process:
            _, errors = process.communicate(timeout=15)
    assert process.returncode == 2
    assert len(errors.strip().splitlines()) == 1
    assert "is taken by another program" in errors
    assert named in errors


def test_a_media_node_alone(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[media_node]\nport = 0\n[media]\nworkers = 1\n")
    with started(tmp_path, "media-node", "--config", "node.toml") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Media node: http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
    assert process.returncode == 0
