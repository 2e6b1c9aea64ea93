"""The product as a black box: started as an operator starts it, driven over HTTP."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.process import BUILD, SERVER_CORE, running

PASSWORD = "12345678"
PLATFORM_ID = "34020000002000000001"
PROGRAM = Path(sys.executable).with_name("gb28181")
START_TIMEOUT = 20.0


def free_port() -> int:
    """A port that is free for UDP and TCP right now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Refused(Exception):
    """The API answered with an error status; ``body`` is its JSON."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Http:
    """A JSON client with a bearer token."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port = port
        self.token = token

    def call(self, method: str, path: str, body: object = None) -> Any:
        """:raises Refused: for a status of 400 and above"""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.loads(error.read() or b"{}")) from None
        return json.loads(text) if text else None

    def wait(self, path: str) -> None:
        """Until the path answers 200.

        :raises TimeoutError: after twenty seconds
        """
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            try:
                self.call("GET", path)
            except (OSError, Refused):
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"{path} did not answer within {START_TIMEOUT:g} s")


class Platform(Http):
    """A running ``gb28181 serve``."""

    def __init__(self, pid: int, sip_port: int, http_port: int, folder: Path) -> None:
        super().__init__(http_port)
        self.pid = pid
        self.sip_port = sip_port
        self.folder = folder

    def log_in(self) -> None:
        name, password = (self.folder / "initial-password.txt").read_text().split()
        answer = self.call("POST", "/api/v1/login", {"name": name, "password": password})
        self.token = answer["token"]

    def add_device(self, device_id: str, media_transport: str = "udp", **fields: object) -> None:
        account = {
            "device_id": device_id,
            "password": PASSWORD,
            "media_transport": media_transport,
            **fields,
        }
        self.call("POST", "/api/v1/devices", account)

    def statistics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "/api/v1/statistics")
        return found

    def wait_for(self, field: str, value: int, within: float = 20.0) -> None:
        """Until a number of ``/statistics`` is reached.

        :raises TimeoutError: with the last number
        """
        deadline = time.monotonic() + within
        while (found := self.statistics()[field]) != value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{field} is {found}, not {value}, after {within:g} s")
            time.sleep(0.05)

    def play(self, device_id: str, channel_id: str, **body: object) -> dict[str, Any]:
        path = f"/api/v1/devices/{device_id}/channels/{channel_id}/play"
        answer: dict[str, Any] = self.call("POST", path, body)
        return answer

    def registered(self) -> tuple[int, int]:
        """(devices online, registrations accepted since the start)."""
        statistics = self.statistics()
        services = statistics["services"]
        return statistics["devices_online"], services["registrar"]["accepted"]


def configuration(folder: Path, values: Mapping[str, Mapping[str, object]]) -> Path:
    """Write a configuration file."""
    lines = []
    for section, entries in values.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entries.items()]
    path = folder / "gb28181.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def platform(
    *, core: str = SERVER_CORE, more: Mapping[str, Mapping[str, object]] | None = None
) -> Iterator[Platform]:
    """A fresh platform on free ports of the loopback, every simulated device allowed."""
    with tempfile.TemporaryDirectory(prefix="gb28181-") as name:
        folder = Path(name)
        sip_port, http_port = free_port(), free_port()
        values: dict[str, dict[str, object]] = {
            "sip": {"host": "127.0.0.1", "port": sip_port},
            "http": {"host": "127.0.0.1", "port": http_port},
            "media": {"host": "127.0.0.1"},
            "storage": {"path": str(folder / "gb28181.sqlite3")},
            "common_password": {"password": PASSWORD, "prefixes": [PLATFORM_ID[:10]]},
        }
        for section, entries in (more or {}).items():
            values.setdefault(section, {}).update(entries)
        command = [str(PROGRAM), "serve", "--config", str(configuration(folder, values))]
        BUILD.mkdir(parents=True, exist_ok=True)
        log = BUILD / "platform.log"
        with running(command, core, log=log, cwd=folder, how=signal.SIGTERM) as process:
            started = Platform(process.pid, sip_port, http_port, folder)
            started.wait("/api/v1/health/live")
            started.log_in()
            yield started


class MediaNode(Http):
    """A running ``gb28181 media-node``: the media core without SIP."""

    def __init__(self, pid: int, http_port: int, token: str) -> None:
        super().__init__(http_port, token)
        self.pid = pid
        self.http_port = http_port

    def flv_path(self, stream: str) -> str:
        """Path and query of the stream's HTTP-FLV."""
        answer = self.call("GET", f"/media/v1/receivers/{stream}/outputs")
        return str(answer["flv"])

    def open_receiver(
        self, stream: str, ssrc: int, transport: str = "udp", *, ready: bool = True
    ) -> int:
        """Returns the local port.

        :param ready: keep a group of pictures for viewers; a stream that is only relayed need not
        """
        body = {
            "stream": stream,
            "transport": transport,
            "ssrc": ssrc,
            "host": "127.0.0.1",
            "ready": ready,
        }
        return int(self.call("POST", "/media/v1/receivers", body)["port"])

    def open_relay(self, stream: str, ssrc: int, port: int, transport: str = "udp") -> None:
        body = {"host": "127.0.0.1", "port": port, "transport": transport, "ssrc": ssrc}
        self.call("POST", f"/media/v1/receivers/{stream}/relays", body)


@contextmanager
def media_node(*, core: str = SERVER_CORE) -> Iterator[MediaNode]:
    """A fresh media node on a free port of the loopback."""
    token = "bench-token-of-the-media-node"
    with tempfile.TemporaryDirectory(prefix="gb28181-") as name:
        folder = Path(name)
        port = free_port()
        values = {
            "media_node": {"host": "127.0.0.1", "port": port, "token": token},
            "media": {"host": "127.0.0.1"},
            "storage": {"path": str(folder / "gb28181.sqlite3")},
        }
        command = [str(PROGRAM), "media-node", "--config", str(configuration(folder, values))]
        BUILD.mkdir(parents=True, exist_ok=True)
        log = BUILD / "media-node.log"
        with running(command, core, log=log, cwd=folder, how=signal.SIGTERM) as process:
            node = MediaNode(process.pid, port, token)
            node.wait("/media/v1/statistics")
            yield node


@contextmanager
def simulator(*arguments: object, core: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """A running ``gb28181 simulate``."""
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [str(PROGRAM), "simulate", *map(str, arguments)]
    with running(command, core or "0,1", log=BUILD / "simulator.log") as process:
        yield process
