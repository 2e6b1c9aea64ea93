"""What a user waits for: a picture after the click, a large catalogue over a bad network."""

import asyncio
import contextlib
import time
import urllib.request

from bench.figures import Figure, figure
from bench.lossy import LossyPath
from bench.process import LOAD_CORE
from bench.product import PASSWORD, PLATFORM_ID, Platform, platform, simulator
from simulators.live import OutgoingStream
from simulators.profile import ChannelProfile, DeviceProfile
from simulators.site import SiteRunner

PLAYS = 40
FIRST_FRAME_LIMIT_MS = 150.0
CHANNELS = 20_000
LOSS = 0.01
T1_SECONDS = 0.5
RECORDER = "34020000001180000001"


def bench_first_frame() -> list[Figure]:
    """``invite_to_first_frame_ms``: p95 over plays of different channels, each on its own."""
    with platform() as ours:
        ours.add_device(RECORDER, "udp")
        arguments = [
            "nvr",
            "--server",
            f"127.0.0.1:{ours.sip_port}",
            "--channels",
            PLAYS,
            "--small",
        ]
        with simulator(*arguments, "--transport", "UDP", core=LOAD_CORE):
            ours.wait_for("channels_online", PLAYS, within=60)
            times = sorted(_first_frame_ms(ours, number) for number in range(1, PLAYS + 1))
    p95 = times[int(len(times) * 0.95)]
    # The simulated device starts with a key frame: its own wait is nought.
    return [
        figure(
            "invite_to_first_frame_ms",
            [p95],
            "ms, p95",
            "fastest of the run",
            [times[0]],
            limit=FIRST_FRAME_LIMIT_MS,
        )
    ]


def _first_frame_ms(ours: Platform, number: int) -> float:
    channel = f"34020000001310001{number:03d}"
    started = time.perf_counter()
    answer = ours.play(RECORDER, channel)
    with urllib.request.urlopen(answer["play"]["urls"]["flv"], timeout=10) as stream:
        _read_to_key_frame(stream)
        elapsed = (time.perf_counter() - started) * 1000
    ours.call("POST", f"/api/v1/sessions/{answer['session']['id']}/stop")
    return elapsed


def _read_to_key_frame(stream: object) -> None:
    """Read FLV tags up to the first coded key frame (not the sequence header)."""
    read = stream.read  # type: ignore[attr-defined]
    read(9 + 4)
    while True:
        head = read(11)
        if len(head) < 11:
            raise RuntimeError("the stream ended before a key frame")
        size = int.from_bytes(head[1:4], "big")
        body = read(size + 4)
        if head[0] != 9:
            continue
        enhanced = bool(body[0] & 0x80)
        kind = body[0] & 0x0F if enhanced else body[1]
        if body[0] >> 4 & 0x07 == 1 and kind in ((1, 3) if enhanced else (1,)):
            return


class _NoStreams:
    """The catalogue bench plays nothing."""

    def open(self, channel: ChannelProfile, **_: object) -> OutgoingStream:
        raise OSError(f"{channel.channel_id} has no media in this bench")


def bench_catalogue() -> list[Figure]:
    """``catalog_20k_lossy_s``: until the list of 20,000 channels is exact."""
    with platform() as ours:
        ours.add_device(RECORDER)
        seconds, lost = asyncio.run(_catalogue(ours))
        total = ours.call("GET", "/api/v1/channels?search=&limit=1")["total"]
        if total != CHANNELS:
            raise RuntimeError(f"{total} channels after the sync, {CHANNELS} wanted")
    floor = lost * T1_SECONDS
    return [
        figure("catalog_20k_lossy_s", [seconds], "s", "T1 x datagrams lost, sent serially", [floor])
    ]


async def _catalogue(ours: Platform) -> tuple[float, int]:
    path = LossyPath(("127.0.0.1", ours.sip_port), loss=LOSS, repeat=LOSS, seed=28181)
    server = await path.open()
    channels = tuple(
        ChannelProfile(channel_id=f"34020000001310{number:06d}", name=f"通道 {number}")
        for number in range(1, CHANNELS + 1)
    )
    profile = DeviceProfile(
        device_id=RECORDER,
        name="Lower platform",
        password=PASSWORD,
        channels=channels,
        server_id=PLATFORM_ID,
        server=server,
        retry_interval=1.0,
        retry_spread=0.0,
        catalog_page=4,
    )
    task = asyncio.create_task(SiteRunner([profile], _NoStreams()).run())
    started = time.monotonic()
    try:
        async with asyncio.timeout(900):
            while await asyncio.to_thread(lambda: ours.statistics()["channels"]) < CHANNELS:
                await asyncio.sleep(0.5)
        return time.monotonic() - started, path.lost
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        path.close()
