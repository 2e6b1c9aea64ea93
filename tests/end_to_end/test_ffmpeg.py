"""FFmpeg as the distribution has it opens the play URLs and decodes three seconds."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.driving import RunningPlatform, platform, simulator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.foreign("ffmpeg", "ffprobe"),
    pytest.mark.timeout(150),
]

CAMERAS = {"h264": "34020000001320000001", "h265": "34020000001320000002"}
RECORDER = "34020000001180000001"
CASES = [("h264", "flv"), ("h264", "fmp4"), ("h265", "fmp4")]
"""FFmpeg 5 does not know H.265 in FLV; FFmpeg 8 does and is tested in test_live_view."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform("ffmpeg", tmp_path_factory.mktemp("ffmpeg")) as started:
        for device in (*CAMERAS.values(), RECORDER):
            started.add_device(device, "tcp-passive")
        h264 = ("--device-id", CAMERAS["h264"])
        h265 = ("--device-id", CAMERAS["h265"], "--codec", "h265")
        nvr = ("--device-id", RECORDER, "--channels", 1)
        with (
            simulator("ffmpeg-h264", started, "device", *h264),
            simulator("ffmpeg-h265", started, "device", *h265),
            simulator("ffmpeg-nvr", started, "nvr", *nvr),
        ):
            started.wait_until_online(*CAMERAS.values(), RECORDER)
            yield started


def run(program: str, *arguments: str) -> str:
    """Its output.

    :raises AssertionError: when it complains of anything
    """
    command = [program, "-hide_banner", "-loglevel", "error", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def probe(url: str) -> dict[str, dict[str, Any]]:
    """What ffprobe says of each stream, by its kind."""
    found = json.loads(run("ffprobe", "-show_streams", "-of", "json", url))
    return {stream["codec_type"]: stream for stream in found["streams"]}


@pytest.mark.parametrize(("codec", "container"), CASES)
def test_ffmpeg_plays_for_three_seconds(
    server: RunningPlatform, codec: str, container: str
) -> None:
    url = server.play(CAMERAS[codec], CAMERAS[codec])["play"]["urls"][container]
    video = probe(url)["video"]
    assert video["codec_name"] == ("h264" if codec == "h264" else "hevc")
    assert (video["width"], video["height"]) == (640, 360)
    progress = run("ffmpeg", "-progress", "-", "-t", "3", "-i", url, "-f", "null", "-")
    last = dict(line.split("=", 1) for line in progress.splitlines() if "=" in line)
    assert last["progress"] == "end"
    assert int(last["frame"]) >= 70
    assert int(last["drop_frames"]) == 0


def test_ffmpeg_hears_the_recorder(server: RunningPlatform) -> None:
    channel = next(view for view in server.channels(RECORDER) if view["playable"])
    url = server.play(RECORDER, channel["channel_id"])["play"]["urls"]["flv"]
    streams = probe(url)
    assert streams["audio"]["codec_name"] == "pcm_alaw"
    assert streams["audio"]["sample_rate"] == "8000"
    run("ffmpeg", "-t", "3", "-i", url, "-f", "null", "-")
