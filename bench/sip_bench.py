"""CPU of one registration and one keepalive, SIPp as the load, Kamailio as the reference."""

import csv
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.figures import Figure, figure
from bench.process import BUILD, LOAD_CORE, SERVER_CORE, CpuWindow, running
from bench.product import PASSWORD, Platform, platform

HERE = Path(__file__).resolve().parent
KAMAILIO_PORT = 15061
DEVICES = 10_000
TICK_MS = 20
KEEPALIVE_LIMIT_US = 60.0
REGISTER_LIMIT_US = 200.0
QUIET = {"sync": {"automatic": False}}
"""SIPp answers no query, so the platform is told not to read catalogues."""


def users_file(count: int) -> Path:
    """SIPp's injection file: one device and its credentials a line."""
    path = BUILD / f"users-{count}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["SEQUENTIAL"]
    for number in range(1, count + 1):
        device = f"34020000001320{number:06d}"
        lines.append(f"{device};[authentication username={device} password={PASSWORD}]")
    path.write_text("\n".join(lines) + "\n")
    return path


def run_sipp(port: int, scenario: str, rate: int, calls: int) -> tuple[int, int]:
    """(successful calls, failed calls) of a bounded run."""
    with tempfile.TemporaryDirectory() as folder:
        statistics = Path(folder) / "statistics.csv"
        per_tick = max(1, round(rate * TICK_MS / 1000))
        command = ["taskset", "-c", LOAD_CORE, "sipp", f"127.0.0.1:{port}"]
        command += ["-sf", str(HERE / "sip" / f"{scenario}.xml"), "-inf", str(users_file(DEVICES))]
        command += ["-r", str(per_tick), "-rp", str(TICK_MS), "-m", str(calls)]
        command += ["-l", str(max(200, rate * 2)), "-t", "u1", "-i", "127.0.0.1", "-nostdin"]
        command += ["-trace_stat", "-stf", str(statistics), "-fd", "1", "-buff_size", "4194304"]
        command += ["-recv_timeout", "4000", "-timeout", str(calls // rate * 4 + 20)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not statistics.exists():
            raise RuntimeError(f"SIPp did not run: {(done.stdout + done.stderr)[-400:]}")
        with statistics.open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


@contextmanager
def kamailio() -> Iterator[int]:
    """The reference, in memory, on the server's core; yields its process."""
    command = ["kamailio", "-f", str(HERE / "sip" / "kamailio.cfg"), "-DD", "-E"]
    command += ["-m", "512", "-M", "16"]
    log = BUILD / "kamailio.log"
    with running(command, SERVER_CORE, log=log, how=signal.SIGTERM) as process:
        time.sleep(2)
        yield process.pid


def cpu_us(pid: int, run: Callable[[], tuple[int, int]]) -> float:
    """CPU microseconds of the server for each successful call.

    :raises RuntimeError: when calls failed, since a fast refusal is no figure
    """
    window = CpuWindow(pid)
    good, failed = run()
    cpu, _ = window.end()
    if failed or not good:
        raise RuntimeError(f"{failed} of {good + failed} calls failed")
    return cpu * 1e6 / good


def bench_transactions(repetitions: int, seconds: int = 5) -> list[Figure]:
    """``sip_register_cpu_us`` and ``sip_keepalive_cpu_us`` beside Kamailio's."""
    plan = [
        ("sip_register_cpu_us", "register_auth", 2000, REGISTER_LIMIT_US),
        ("sip_keepalive_cpu_us", "keepalive", 4000, KEEPALIVE_LIMIT_US),
    ]
    figures = []
    with platform(more=QUIET) as ours, kamailio() as other:
        run_sipp(ours.sip_port, "register_auth", 800, DEVICES)
        run_sipp(KAMAILIO_PORT, "register_auth", 800, DEVICES)
        for name, scenario, rate, limit in plan:
            mine: list[float] = []
            theirs: list[float] = []
            for _ in range(repetitions):
                for values, pid, port in (
                    (mine, ours.pid, ours.sip_port),
                    (theirs, other, KAMAILIO_PORT),
                ):
                    values.append(
                        cpu_us(pid, partial(run_sipp, port, scenario, rate, rate * seconds))
                    )
            figures.append(figure(name, mine, "us", "Kamailio", theirs, limit=limit))
    return figures


def bench_storm(repetitions: int) -> list[Figure]:
    """``registration_storm_10k_s``: seconds until 10,000 devices are registered, none twice."""
    seconds: list[float] = []
    reference: list[float] = []
    for _ in range(repetitions):
        with platform(more=QUIET) as ours:
            seconds.append(_storm(ours.sip_port))
            _check_storm(ours)
        with kamailio():
            reference.append(_storm(KAMAILIO_PORT))
    return [figure("registration_storm_10k_s", seconds, "s", "Kamailio", reference)]


def _storm(port: int) -> float:
    started = time.monotonic()
    good, failed = run_sipp(port, "register_auth", 2500, DEVICES)
    if (good, failed) != (DEVICES, 0):
        raise RuntimeError(f"{good} registered, {failed} failed, {DEVICES} wanted")
    return time.monotonic() - started


def _check_storm(ours: Platform) -> None:
    online, registrations = ours.registered()
    if (online, registrations) != (DEVICES, DEVICES):
        raise RuntimeError(f"{online} online after {registrations} registrations, not {DEVICES}")
