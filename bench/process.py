"""Starting, pinning and measuring processes. CPU time comes from the scheduler's own books."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVER_CORE = "0"
LOAD_CORE = "1"
ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"


def tree(pid: int) -> list[int]:
    """The process and everything it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [pid], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def cpu_seconds(pid: int) -> dict[tuple[int, int], float]:
    """Seconds on a core so far, by (process, thread): ``/proc/PID/task/TID/schedstat``."""
    spent = {}
    for process in tree(pid):
        for task in Path(f"/proc/{process}/task").glob("*"):
            try:
                spent[process, int(task.name)] = (
                    int((task / "schedstat").read_text().split()[0]) / 1e9
                )
            except OSError:
                continue
    return spent


class CpuWindow:
    """CPU seconds of a process tree between construction and :meth:`end`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = cpu_seconds(pid)
        self._started = time.monotonic()

    def end(self) -> tuple[float, float]:
        """(CPU seconds, wall seconds)."""
        after = cpu_seconds(self._pid)
        cpu = sum(value - self._before.get(key, 0.0) for key, value in after.items())
        return cpu, time.monotonic() - self._started


def rss_bytes(pid: int) -> int:
    """Resident memory of the process tree."""
    total = 0
    for process in tree(pid):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        match = re.search(r"VmRSS:\s+(\d+)", status)
        total += int(match.group(1)) * 1024 if match else 0
    return total


def udp_drops(ports: set[int]) -> int:
    """Datagrams the kernel dropped at sockets bound to these ports (``/proc/net/udp``)."""
    total = 0
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rsplit(":", 1)[1], 16) in ports:
            total += int(fields[-1])
    return total


def start(
    command: Sequence[str],
    core: str,
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[str]:
    """Start ``command`` pinned to a core."""
    output = log.open("a") if log else subprocess.PIPE
    return subprocess.Popen(
        ["taskset", "-c", core, *command],
        stdout=output,
        stderr=output if log else subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[str], how: int = signal.SIGINT) -> None:
    """End the whole process group; kill it after ten seconds."""
    if process.poll() is None:
        os.killpg(process.pid, how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def running(
    command: Sequence[str],
    core: str,
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
    how: int = signal.SIGINT,
) -> Iterator[subprocess.Popen[str]]:
    """A pinned process for the length of a ``with`` block."""
    process = start(command, core, env=env, log=log, cwd=cwd)
    try:
        yield process
    finally:
        stop(process, how)


def tool_result(process: subprocess.Popen[str], timeout: float) -> dict[str, object]:
    """The JSON line a load tool prints last."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    lines = out.strip().splitlines()
    if not lines:
        raise RuntimeError(f"{process.args!r} printed no result: {err[-400:]}")
    result: dict[str, object] = json.loads(lines[-1])
    return result
