"""The media core under load: ingest, relay, live edge and join, each beside a reference."""

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure
from bench.process import (
    BUILD,
    LOAD_CORE,
    ROOT,
    SERVER_CORE,
    CpuWindow,
    rss_bytes,
    running,
    start,
    tool_result,
    udp_drops,
)
from bench.product import MediaNode, media_node
from bench.ps_mux import build_clip

STREAMS = 200
SINK_PORT = 20_000
REFERENCE_PORT = 24_000
WARM_SECONDS = 3.5
MEASURE_SECONDS = 8.0
BASE_SSRC = 100_000_000
GOP_SECONDS = 2.0


def clip() -> Path:
    """The loaders' clip, made once."""
    made = BUILD / "h264.gbps"
    if not made.exists():
        folder = BUILD / "source"
        subprocess.run(["bash", str(ROOT / "bench" / "media_clip.sh"), str(folder)], check=True)
        build_clip(folder / "video.h264", folder / "tone.alaw", made.with_suffix(".part"), "h264")
        made.with_suffix(".part").rename(made)
    return made


def tool(name: str, *arguments: object) -> subprocess.Popen[str]:
    return start([str(BUILD / name), *map(str, arguments)], LOAD_CORE)


def push(ports: Sequence[int], seconds: float) -> subprocess.Popen[str]:
    """Real-time devices, one for each port."""
    listed = BUILD / "ports.txt"
    listed.write_text("".join(f"{port} {BASE_SSRC + i}\n" for i, port in enumerate(ports)))
    return tool(
        "rtp_ps_push", "--file", clip(), "--ports-file", listed, "--n", len(ports),
        "--mode", "udp", "--seconds", seconds,
    )  # fmt: skip


def _check_no_loss(ports: Sequence[int], before: int, pushed: dict[str, Any]) -> None:
    drops = udp_drops(set(ports)) - before
    if drops or pushed["send_err"] or pushed["dropped"]:
        raise RuntimeError(f"{drops} datagrams dropped, loader: {json.dumps(pushed)}")


def ingest_once(streams: int) -> tuple[float, float]:
    """(CPU ms for each stream-second, resident MB for each stream)."""
    with media_node() as node:
        idle = rss_bytes(node.pid)
        ports = [node.open_receiver(f"s{i}", BASE_SSRC + i) for i in range(streams)]
        pusher = push(ports, WARM_SECONDS + MEASURE_SECONDS + 1)
        time.sleep(WARM_SECONDS)
        before = udp_drops(set(ports))
        window = CpuWindow(node.pid)
        time.sleep(MEASURE_SECONDS)
        cpu, wall = window.end()
        grown = rss_bytes(node.pid) - idle
        _check_no_loss(ports, before, tool_result(pusher, 30))
        return cpu / wall / streams * 1000, grown / streams / 1e6


def relay_reference(streams: int) -> tuple[float, dict[str, Any]]:
    """(CPU ms for each stream-second, the sink's result) of ``udp_relay --mode gro``."""
    total = WARM_SECONDS + MEASURE_SECONDS + 4
    command = [str(BUILD / "udp_relay"), "--mode", "gro", "--n", str(streams)]
    command += [
        "--port",
        str(REFERENCE_PORT),
        "--dst-port",
        str(SINK_PORT),
        "--seconds",
        str(total),
    ]
    with running(command, SERVER_CORE, log=BUILD / "udp_relay.log") as relay:
        sink = tool(
            "rtp_sink", "--port", SINK_PORT, "--n", streams, "--seconds", total, "--idle-exit", 3
        )
        time.sleep(0.5)
        pusher = push([REFERENCE_PORT + 2 * i for i in range(streams)], total - 2)
        time.sleep(WARM_SECONDS)
        window = CpuWindow(relay.pid)
        time.sleep(MEASURE_SECONDS)
        cpu, wall = window.end()
        tool_result(pusher, 30)
        return cpu / wall / streams * 1000, dict(tool_result(sink, 30))


def relay_once(streams: int) -> tuple[float, dict[str, Any]]:
    """(CPU ms for each stream-second, the sink's result) of our relay."""
    with media_node() as node:
        total = WARM_SECONDS + MEASURE_SECONDS + 8
        sink = tool(
            "rtp_sink", "--port", SINK_PORT, "--n", streams, "--seconds", total, "--idle-exit", 3
        )
        ports = [node.open_receiver(f"s{i}", BASE_SSRC + i, ready=False) for i in range(streams)]
        for i in range(streams):
            node.open_relay(f"s{i}", 2 * BASE_SSRC + i, SINK_PORT + 2 * i)
        pusher = push(ports, WARM_SECONDS + MEASURE_SECONDS + 2)
        time.sleep(WARM_SECONDS)
        before = udp_drops(set(ports))
        window = CpuWindow(node.pid)
        time.sleep(MEASURE_SECONDS)
        cpu, wall = window.end()
        _check_no_loss(ports, before, tool_result(pusher, 30))
        return cpu / wall / streams * 1000, dict(tool_result(sink, 30))


def viewers_once(viewers: int, ramp_ms: float, *, stop_at_key: bool) -> dict[str, Any]:
    """What FLV viewers of one stream saw."""
    with media_node() as node:
        seconds = viewers * ramp_ms / 1000 + 6
        port = node.open_receiver("s0", BASE_SSRC)
        pusher = push([port], seconds + 8)
        time.sleep(WARM_SECONDS + GOP_SECONDS)
        arguments: list[object] = [
            "--host",
            "127.0.0.1",
            "--port",
            node.http_port,
            "--path",
            node.flv_path("s0"),
        ]
        arguments += ["--n", viewers, "--ramp-ms", ramp_ms, "--seconds", seconds]
        if stop_at_key:
            arguments.append("--stop-at-key")
        else:
            arguments += ["--poll-us", 500]
        result = dict(tool_result(tool("flv_sink", *arguments), 120))
        pusher.terminate()
        pusher.wait(10)
        if result["fails"] or result["playing"] != viewers:
            raise RuntimeError(f"not every viewer played: {json.dumps(result)}")
        return result


def bench_ingest(repetitions: int) -> list[Figure]:
    cpu, memory, limit = [], [], []
    for _ in range(repetitions):
        ours, grown = ingest_once(STREAMS)
        cpu.append(ours)
        memory.append(grown)
        limit.append(relay_reference(STREAMS)[0])
    gop_mb = clip().stat().st_size / 40 * GOP_SECONDS / 1e6
    name = "udp_relay --mode gro"
    return [
        figure("media_ingest_udp_cpu_ms", cpu, "ms/stream-s", name, limit, limit=1.2),
        figure(
            "media_rss_per_stream_mb",
            memory,
            "MB",
            "one cached GOP",
            [gop_mb],
            limit=round(gop_mb * 1.5, 2),
        ),
    ]


def bench_relay(repetitions: int) -> list[Figure]:
    ours, theirs, median, tail, reference = [], [], [], [], []
    for _ in range(repetitions):
        cpu, sink = relay_once(STREAMS)
        ours.append(cpu)
        if sink["loss_pct"] > 0.1:
            raise RuntimeError(f"the relay lost packets: {json.dumps(sink)}")
        median.append(sink["latency_ms"]["p50"])
        tail.append(sink["latency_ms"]["p95"])
        cpu, sink = relay_reference(STREAMS)
        theirs.append(cpu)
        reference.append(sink["latency_ms"]["p50"])
    name = "udp_relay --mode gro"
    return [
        figure("media_relay_udp_ratio", ours, "ms/stream-s", name, theirs, limit=2.0),
        figure("media_relay_added_latency_ms", median, "ms, p50", name, reference, limit=2.0),
        figure("media_relay_added_latency_p95_ms", tail, "ms, p95", name, reference, limit=5.0),
    ]


def bench_viewers(repetitions: int) -> list[Figure]:
    edge, join = [], []
    for _ in range(repetitions):
        edge.append(viewers_once(10, 100, stop_at_key=False)["latency_ms"]["p95"])
        join.append(viewers_once(40, 311, stop_at_key=True)["key_ms"]["p95"])
    frame_ms = [statistics.mean([40.0])]
    return [
        figure("media_live_edge_latency_ms", edge, "ms, p95", "one frame", frame_ms, limit=20.0),
        figure("flv_join_keyframe_ms", join, "ms, p95", "one frame", frame_ms, limit=10.0),
    ]


def build_tools() -> None:
    """Compile the load tools into ``build/bench``."""
    subprocess.run(
        ["make", "--silent", "-C", str(ROOT / "bench" / "native"), f"OUT={BUILD}"], check=True
    )


__all__ = ["MediaNode", "bench_ingest", "bench_relay", "bench_viewers", "build_tools"]
