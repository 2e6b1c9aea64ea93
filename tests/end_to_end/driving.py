"""The platform and the simulated devices as processes of their own, seen from outside only."""

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final

from bench.product import PASSWORD, PLATFORM_ID, PROGRAM, Http, Platform, Refused, free_port

ROOT: Final = Path(__file__).resolve().parent.parent.parent
ARTIFACTS: Final = ROOT / "build" / "artifacts"
"""Logs and pictures that are worth keeping after a run."""
CLIPS: Final = ROOT / "build" / "clips"
PATIENCE: Final = 20.0
"""Seconds that anything may take on a loaded machine before it counts as broken."""
START_TIME: Final = 60.0
"""The same for programs that start, several at once perhaps."""
MEDIA_PORTS: Final = 200
Settings = Mapping[str, Mapping[str, object]]

__all__ = [
    "ARTIFACTS",
    "CLIPS",
    "PASSWORD",
    "PATIENCE",
    "PLATFORM_ID",
    "ROOT",
    "Http",
    "Running",
    "RunningPlatform",
    "Settings",
    "configuration",
    "eventually",
    "free_port",
    "platform",
    "refusal",
    "running",
    "simulator",
]


class Running:
    """A process with its log."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """Dead at once: nothing is said to anybody any more."""
        self.process.kill()
        self.process.wait()

    def stop(self, how: int = signal.SIGTERM, within: float = PATIENCE) -> int:
        """Ask it to end; returns its exit code.

        :raises TimeoutError: when it did not end; it is killed then
        """
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"it did not end within {within:g} s:\n{self.tail()}") from None

    def tail(self) -> str:
        return self.text()[-3000:]


@contextmanager
def running(*arguments: object, log: Path, cwd: Path | None = None) -> Iterator[Running]:
    """``gb28181`` with these arguments for the length of a ``with`` block."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )
    started = Running(process, log)
    try:
        yield started
    finally:
        if process.poll() is None:
            started.stop()


class RunningPlatform(Platform):
    """A platform with its process."""

    def __init__(
        self, program: Running, sip_port: int, http_port: int, folder: Path, media_ports: range
    ) -> None:
        super().__init__(program.process.pid, sip_port, http_port, folder)
        self.program = program
        self.http_port = http_port
        self.media_ports = media_ports
        self.sip = ("127.0.0.1", sip_port)

    def session(self, session_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/v1/sessions/{session_id}")
        return found

    def sessions(self, state: str = "running", **query: str) -> list[dict[str, Any]]:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        found: list[dict[str, Any]]
        found = self.call("GET", f"/api/v1/sessions?state={state}{more}")["items"]
        return found

    def stop_session(self, session_id: str) -> dict[str, Any]:
        ended: dict[str, Any] = self.call("POST", f"/api/v1/sessions/{session_id}/stop")
        return ended

    def device(self, device_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/v1/devices/{device_id}")["device"]
        return found

    def channels(self, device_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]]
        found = self.call("GET", f"/api/v1/channels?device_id={device_id}&limit=1000")["items"]
        return found

    def presence(self, device_id: str) -> list[dict[str, Any]]:
        """Its edges, the newest first."""
        found: list[dict[str, Any]]
        found = self.call("GET", f"/api/v1/presence?device_id={device_id}")["items"]
        return found

    def leases(self) -> tuple[int, int]:
        """(media ports, SSRCs) that somebody holds."""
        leases = self.statistics()["services"]["leases"]
        return leases["ports_leased"], leases["ssrcs_leased"]

    def wait_until_online(
        self, *device_ids: str, channels: int = 1, within: float = START_TIME
    ) -> None:
        """Registered, and as many channels known of each."""

        def ready() -> bool:
            views = [self.device(device_id) for device_id in device_ids]
            return all(view["online"] and view["channels"] >= channels for view in views)

        complaint = f"{', '.join(device_ids)} did not come online with their channels"
        eventually(ready, complaint, within)


def refusal(call: Callable[[], object]) -> Refused:
    """What the API said no with."""
    try:
        answer = call()
    except Refused as refused:
        return refused
    raise AssertionError(f"it was not refused: {answer}")


def eventually(
    condition: Callable[[], object], complaint: str, within: float = PATIENCE, every: float = 0.05
) -> None:
    """Ask again and again.

    :raises AssertionError: with the complaint, when the time is over
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{complaint} (within {within:g} s)")
        time.sleep(every)


@contextmanager
def platform(
    name: str, folder: Path, more: Settings | None = None, *, demo: bool = False
) -> Iterator[RunningPlatform]:
    """A fresh platform on free ports of the loopback.

    :param name: of its log
    :param demo: with the simulated cameras of ``gb28181 demo``; else it knows no device
    """
    folder.mkdir(parents=True, exist_ok=True)
    sip_port, http_port = free_port(), free_port()
    config, media_ports = configuration(folder, sip_port, http_port, more)
    command = ["demo", "--clips", CLIPS] if demo else ["serve"]
    log = ARTIFACTS / "logs" / f"{name}-platform.log"
    with running(*command, "--config", config, log=log, cwd=folder) as program:
        started = RunningPlatform(program, sip_port, http_port, folder, media_ports)
        _wait_for_http(started)
        started.log_in()
        yield started


def free_range() -> range:
    """Ports that are all free, below those that the system gives away."""
    while True:
        first = random.randrange(10_000, 30_000, 2)
        ports = range(first, first + MEDIA_PORTS)
        with ExitStack() as probes:
            try:
                for kind, port in product((socket.SOCK_DGRAM, socket.SOCK_STREAM), ports):
                    probe = probes.enter_context(socket.socket(type=kind))
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return ports


def configuration(
    folder: Path, sip_port: int, http_port: int, more: Settings | None = None
) -> tuple[Path, range]:
    """(its file, the media ports in it)."""
    media_ports = free_range()
    first = media_ports.start
    values: dict[str, dict[str, object]] = {
        "sip": {"host": "127.0.0.1", "port": sip_port},
        "http": {"host": "127.0.0.1", "port": http_port},
        "media": {"host": "127.0.0.1", "first_port": first, "last_port": media_ports[-1]},
        "storage": {"path": str(folder / "gb28181.sqlite3")},
    }
    for section, entries in (more or {}).items():
        values.setdefault(section, {}).update(entries)
    path = folder / "gb28181.toml"
    path.write_text(_toml(values))
    return path, media_ports


def _toml(values: Settings) -> str:
    lines = []
    for section, entries in values.items():
        lines += [f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in entries.items())]
    return "\n".join([*lines, ""])


def _wait_for_http(started: RunningPlatform) -> None:
    def answers() -> bool:
        code = started.program.process.poll()
        assert code is None, f"it ended with {code}:\n{started.program.tail()}"
        try:
            started.call("GET", "/api/v1/health/live")
        except (OSError, Refused):
            return False
        return True

    eventually(answers, "the platform did not answer", START_TIME)


@contextmanager
def simulator(
    name: str, server: RunningPlatform, kind: str, *arguments: object, small: bool = True
) -> Iterator[Running]:
    """``gb28181 simulate device`` or ``nvr`` that registers at the platform."""
    address = ["--server", f"127.0.0.1:{server.sip_port}", "--password", PASSWORD]
    size = ["--small"] if small else []
    log = ARTIFACTS / "logs" / f"{name}.log"
    with running(
        "simulate", kind, *address, "--clips", CLIPS, *size, *arguments, log=log
    ) as program:
        yield program
