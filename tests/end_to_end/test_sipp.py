"""SIPp, which shares no line with us, registers with digest and keeps its devices alive."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.product import free_port
from tests.end_to_end.driving import (
    PASSWORD,
    PLATFORM_ID,
    ROOT,
    RunningPlatform,
    Settings,
    eventually,
    platform,
)

pytestmark = [pytest.mark.e2e, pytest.mark.foreign("sipp"), pytest.mark.timeout(150)]

DEVICES = 200
SETTINGS: Settings = {
    "common_password": {"password": PASSWORD, "prefixes": [PLATFORM_ID[:10]]},
    "sync": {"automatic": False},  # SIPp's scenarios answer no queries
}
SCENARIOS = ROOT / "bench" / "sip"


def device_code(number: int) -> str:
    return f"34020000001320{number:06d}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform("sipp", tmp_path_factory.mktemp("sipp"), SETTINGS) as started:
        yield started


def run_sipp(
    server: RunningPlatform, scenario: str, users: Path, port: int, transport: str = "u1"
) -> None:
    """One call for every device.

    :raises AssertionError: when one of them failed
    """
    command = [
        *("sipp", f"127.0.0.1:{server.sip_port}", "-sf", str(SCENARIOS / f"{scenario}.xml")),
        *("-inf", str(users), "-m", str(DEVICES), "-r", "200", "-t", transport),
        *("-i", "127.0.0.1", "-p", str(port), "-nostdin", "-timeout", "60", "-timeout_error"),
        *("-trace_err", "-error_file", str(users.with_name(f"{scenario}-errors.log"))),
    ]
    done = subprocess.run(
        command, cwd=users.parent, capture_output=True, text=True, timeout=90, check=False
    )
    errors = users.with_name(f"{scenario}-errors.log")
    reasons = errors.read_text()[-2000:] if errors.exists() else done.stderr[-2000:]
    assert done.returncode == 0, f"SIPp ended with {done.returncode}: {reasons}"


def test_two_hundred_devices_of_sipp(server: RunningPlatform, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    lines = [
        f"{code};[authentication username={code} password={PASSWORD}]"
        for code in map(device_code, range(DEVICES))
    ]
    users.write_text("\n".join(["SEQUENTIAL", *lines, ""]))
    port = free_port()
    run_sipp(server, "register_auth", users, port)
    assert server.statistics()["devices_online"] == DEVICES
    run_sipp(server, "keepalive", users, port)
    statistics = server.statistics()
    assert statistics["devices_online"] == DEVICES
    assert statistics["services"]["registrar"]["accepted"] == DEVICES, "each one, and none twice"
    listed = server.call("GET", "/api/v1/devices?online=true&limit=1000")
    assert {view["device_id"] for view in listed["items"]} == set(map(device_code, range(DEVICES)))
    assert {view["address"] for view in listed["items"]} == {f"UDP 127.0.0.1:{port}"}
    run_sipp(server, "register_auth", users, port)
    assert server.statistics()["services"]["registrar"]["accepted"] == 2 * DEVICES
    eventually(
        lambda: len(server.call("GET", "/api/v1/presence?limit=1000")["items"]) == DEVICES,
        "a registration that goes on is no new edge",
    )
