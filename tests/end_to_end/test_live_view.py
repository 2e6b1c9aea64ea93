"""Live view from the camera to the eye: every picture, in order, and never a lease too many."""

import http.client
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from media_relay.tokens import PlayTokens
from simulators.clips import FULL_H264, ensure_clip
from tests.end_to_end.driving import (
    CLIPS,
    PASSWORD,
    Running,
    RunningPlatform,
    eventually,
    platform,
    refusal,
    simulator,
)
from tests.end_to_end.watching import GOP, LOOP, Viewer, gap, watch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

TRANSPORTS = ("udp", "tcp-passive", "tcp-active")
CAMERAS = {
    (codec, transport): f"3402000000132000{block}{number:03d}"
    for codec, block in (("h264", 1), ("h265", 2))
    for number, transport in enumerate(TRANSPORTS, 1)
}
RECORDER = "34020000001180000001"
FULL = "34020000001320003001"
NEVER_THERE = "34020000001320009001"
IDLE = 3.0
"""Seconds that a stream lives without a viewer in these tests."""
SETTINGS = {
    "live": {
        "idle_timeout": IDLE,
        "silence_timeout": 3.0,
        "reconnect_grace": 1.0,
        "bye_timeout": 1.0,
    },
    "media": {"silence_seconds": 1.0},
}


@dataclass(frozen=True, slots=True)
class Scene:
    platform: RunningPlatform
    h264: Running
    """The simulator of the three H.264 cameras."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One platform; cameras of both codecs for each media transport; a recorder with sound."""
    with platform("live-view", tmp_path_factory.mktemp("live-view"), SETTINGS) as server:
        for (_, transport), camera in CAMERAS.items():
            server.add_device(camera, transport)
        server.add_device(RECORDER, "tcp-active")
        server.add_device(NEVER_THERE)
        first = CAMERAS["h264", "udp"], CAMERAS["h265", "udp"]
        h264 = ("--device-id", first[0], "--count", 3, "--codec", "h264")
        h265 = ("--device-id", first[1], "--count", 3, "--codec", "h265", "--transport", "TCP")
        nvr = ("--device-id", RECORDER, "--channels", 4, "--transport", "TCP")
        with (
            simulator("live-h264", server, "device", *h264) as cameras,
            simulator("live-h265", server, "device", *h265),
            simulator("live-nvr", server, "nvr", *nvr),
        ):
            server.wait_until_online(*CAMERAS.values())
            server.wait_until_online(RECORDER, channels=4)
            yield Scene(server, cameras)


@pytest.fixture
def server(scene: Scene) -> Iterator[RunningPlatform]:
    """The platform; sessions that a test left behind are stopped."""
    yield scene.platform
    for session in scene.platform.sessions():
        scene.platform.stop_session(session["id"])


def play(server: RunningPlatform, camera: str, **how: object) -> tuple[dict[str, Any], Any]:
    """(session, URLs by name) of a camera's own channel."""
    answer = server.play(camera, camera, **how)
    return answer["session"], answer["play"]["urls"]


def archived(server: RunningPlatform, session: dict[str, Any]) -> dict[str, Any]:
    """The session as the list of plays that are over has it; it is written in batches."""

    def newest() -> dict[str, Any]:
        found = server.sessions("ended", device_id=session["device_id"])
        return found[0] if found else {"id": ""}

    eventually(lambda: newest()["id"] == session["id"], "the play is not in the archive")
    return newest()


def recorder_channels(server: RunningPlatform, codec: str) -> list[str]:
    """Those of the recorder in that codec: H.264 and H.265 take turns."""
    channels = sorted(view["channel_id"] for view in server.channels(RECORDER) if view["playable"])
    return channels[0 if codec == "h264" else 1 :: 2]


# ---------------------------------------------------------------- pictures
@pytest.mark.parametrize(("codec", "transport"), CAMERAS)
def test_every_picture_arrives_in_order(
    server: RunningPlatform, codec: str, transport: str
) -> None:
    """FLV and fragmented MP4 at once, decoded by FFmpeg's libraries."""
    session, urls = play(server, CAMERAS[codec, transport])
    assert (session["transport"], session["state"]) == (transport, "playing")
    flv, mp4 = watch(urls["flv"], urls["fmp4"])
    for viewer in (flv, mp4):
        assert viewer.codecs == {"h264" if codec == "h264" else "hevc"}
        assert viewer.size == (640, 360)
    steps = [later - earlier for earlier, later in zip(flv.times, flv.times[1:], strict=False)]
    assert all(0.02 <= step <= 0.06 for step in steps), "25 pictures a second are 40 ms apart"
    after = server.session(session["id"])
    assert (after["verdict"], after["quirks"]) == (None, [])


STAGES = ("queued", "invite_sent", "answered", "sdp_accepted", "first_packet", "ssrc_matched")
MEDIA_STAGES = ("first_packet", "ps_locked", "parameter_sets", "key_frame", "viewer_first_byte")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_stages_tell_how_a_play_went(server: RunningPlatform, transport: str) -> None:
    session, urls = play(server, CAMERAS["h264", transport])
    watch(urls["flv"], frames=10)
    running = server.session(session["id"])
    reached = {stage["stage"]: stage["seconds"] for stage in running["stages"]}
    for order in (STAGES, MEDIA_STAGES):
        times = [reached[stage] for stage in order]
        assert times == sorted(times), reached
    assert ("connected" in reached) == (transport != "udp")
    assert reached["queued"] == 0.0
    assert reached["key_frame"] < 5.0
    assert abs(time.time() - running["started_at"]) < 60
    ended = server.stop_session(session["id"])
    assert (ended["state"], ended["ended_by"], ended["verdict"]) == ("ended", "stopped", None)
    assert ended["stages"][-1]["stage"] == "ended"
    assert archived(server, session)["stages"] == ended["stages"], "kept with its stages"


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_recorder_is_heard_as_well(server: RunningPlatform, codec: str) -> None:
    channel = recorder_channels(server, codec)[0]
    answer = server.play(RECORDER, channel)
    assert answer["session"]["transport"] == "tcp-active"
    (viewer,) = watch(answer["play"]["urls"]["flv"])
    assert viewer.codecs == {"h264" if codec == "h264" else "hevc", "pcm_alaw"}
    assert viewer.sound == sorted(viewer.sound)
    heard, seen = viewer.sound[-1] - viewer.sound[0], viewer.times[-1] - viewer.times[0]
    assert heard == pytest.approx(seen, abs=0.5), "sound and picture last equally long"


def test_channels_of_a_recorder_play_side_by_side(server: RunningPlatform) -> None:
    channels = recorder_channels(server, "h264") + recorder_channels(server, "h265")
    plays = [server.play(RECORDER, channel) for channel in channels]
    assert len({answer["session"]["ssrc"] for answer in plays}) == len(channels)
    watch(*(answer["play"]["urls"]["flv"] for answer in plays), frames=50)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_main_and_sub_stream_in_full_size(server: RunningPlatform) -> None:
    ensure_clip(FULL_H264, CLIPS)
    server.add_device(FULL)
    camera = ("--device-id", FULL)
    with simulator("live-full", server, "device", *camera, small=False):
        server.wait_until_online(FULL)
        main, main_urls = play(server, FULL)
        sub, sub_urls = play(server, FULL, stream=1)
        assert (main["stream"], sub["stream"]) == (0, 1)
        assert main["id"] != sub["id"]
        big, small = watch(main_urls["flv"], sub_urls["fmp4"])
        assert (big.size, small.size) == ((1920, 1080), (640, 360))
        for session in (main, sub):
            server.stop_session(session["id"])


# ----------------------------------------------------------------- viewers
def test_many_viewers_share_one_session(server: RunningPlatform) -> None:
    camera = CAMERAS["h265", "tcp-passive"]
    plays = [play(server, camera) for _ in range(5)]
    assert len({session["id"] for session, _ in plays}) == 1
    containers = ("flv", "fmp4", "flv", "fmp4", "flv")
    viewers = [Viewer(urls[name]) for (_, urls), name in zip(plays, containers, strict=True)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.wait_for(1)
    shared = server.sessions(device_id=camera)
    assert [session["viewers"] for session in shared] == [len(viewers)]
    for viewer in viewers:
        viewer.finish()


@pytest.mark.parametrize("container", ["flv", "fmp4"])
def test_the_second_viewer_starts_from_the_cached_pictures(
    server: RunningPlatform, container: str
) -> None:
    _, urls = play(server, CAMERAS["h264", "udp"])
    first = Viewer(urls["flv"], frames=500)
    first.start()
    first.wait_for(GOP + 5)  # the cached pictures come at once, then those of now
    eventually(lambda: 15 <= first.numbers[-1] % GOP <= 25, "no middle of a GOP came", every=0.005)
    before = first.numbers[-1]
    second = Viewer(urls[container], frames=60)
    second.start()
    second.wait_for(1)
    after = first.numbers[-1]
    cached = {newest - newest % GOP for newest in (before, after)}  # a GOP may end meanwhile
    assert second.numbers[0] in cached, "the key frame before the newest picture"
    assert (after - second.numbers[0]) % LOOP < GOP, "not older than that"
    second.finish()
    first.leave()
    first.check()


async def record_websocket(url: str, seconds: float) -> tuple[bytes, list[str]]:
    """(binary messages joined, text messages)."""
    recorded, texts = io.BytesIO(), []
    async with aiohttp.ClientSession() as client, client.ws_connect(url, max_msg_size=0) as socket:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = await socket.receive(timeout=10)
            if message.type is aiohttp.WSMsgType.BINARY:
                recorded.write(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                texts.append(message.data)
            else:
                raise AssertionError(f"{message.type} {message.data!r}")
        assert await socket.close()
    return recorded.getvalue(), texts


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp-active"), ("h265", "udp")])
@pytest.mark.parametrize("container", ["ws_flv", "ws_fmp4"])
async def test_websocket_carries_the_same(
    server: RunningPlatform, codec: str, transport: str, container: str
) -> None:
    session, urls = play(server, CAMERAS[codec, transport])
    recorded, texts = await record_websocket(urls[container], 4.0)
    (viewer,) = watch(io.BytesIO(recorded))
    assert viewer.codecs == {"h264" if codec == "h264" else "hevc"}
    if container == "ws_fmp4":
        mime = json.loads(texts[0])["mime"]
        assert mime.startswith('video/mp4; codecs="'), mime
        assert ("avc1." if codec == "h264" else "hvc1.") in mime
    eventually(
        lambda: server.session(session["id"])["viewers"] == 0, "the platform kept the viewer"
    )


def test_the_last_viewer_takes_the_stream_along(server: RunningPlatform) -> None:
    session, urls = play(server, CAMERAS["h264", "tcp-passive"])
    viewers = [Viewer(urls["flv"], frames=10_000) for _ in range(2)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.wait_for(10)
    viewers[0].leave()
    time.sleep(IDLE + 1.0)
    assert server.session(session["id"])["state"] == "playing", "somebody still watches"
    viewers[1].leave()
    left = time.monotonic()
    eventually(lambda: server.session(session["id"])["state"] == "ended", "it was not stopped")
    assert time.monotonic() - left >= IDLE - 1.0
    ended = server.session(session["id"])
    assert (ended["ended_by"], ended["verdict"]) == ("idle", None)


def test_a_stop_reaches_the_camera_and_returns_every_lease(scene: Scene) -> None:
    server, camera = scene.platform, CAMERAS["h264", "udp"]
    for session in server.sessions():
        server.stop_session(session["id"])
    assert server.leases() == (0, 0)
    session, urls = play(server, camera)
    viewer = Viewer(urls["flv"], frames=10_000)
    viewer.start()
    viewer.wait_for(25)
    assert server.leases() == (1, 1)
    ended_before = scene.h264.text().count("live ended")
    server.stop_session(session["id"])
    viewer.join(5)
    assert not viewer.is_alive(), "the viewer is told"
    assert gap(viewer.numbers) == ""
    assert server.leases() == (0, 0)
    statistics = server.statistics()
    assert statistics["sessions"] == 0
    assert statistics["services"]["media"]["streams"] == 0
    eventually(
        lambda: scene.h264.text().count("live ended") > ended_before, "no BYE reached the camera"
    )
    again, urls = play(server, camera)
    assert again["id"] != session["id"]
    watch(urls["flv"], frames=30)


# ------------------------------------------------------------------ tokens
def fetch(url: str) -> tuple[int, dict[str, Any]]:
    """(status, JSON) of an address that refuses."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        response = connection.getresponse()
        assert response.status >= 400, f"{url} was served"
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_play_url_needs_its_token(server: RunningPlatform) -> None:
    _, urls = play(server, CAMERAS["h264", "udp"])
    other, _ = play(server, CAMERAS["h265", "udp"])
    parts = urlsplit(urls["flv"])
    bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
    secret = (server.folder / "play-secret").read_bytes()
    stream = parts.path.removeprefix("/live/").removesuffix(".flv")
    expired = PlayTokens(secret, lifetime=60, now=lambda: time.time() - 3600).issue(stream)
    stolen = urls["flv"].replace(stream, other["stream_name"])
    cases = {
        bare: (401, "play_token_missing"),
        f"{bare}?token=not-a-token": (403, "play_token_refused"),
        f"{bare}?token={expired}": (403, "play_token_expired"),
        stolen: (403, "play_token_refused"),
    }
    for url, expected in cases.items():
        status, body = fetch(url)
        assert (status, body["code"]) == expected
        assert body["message"].isascii()
        assert not body["message_zh"].isascii()
        assert body["next_step"]
        assert body["next_step_zh"]
    assert fetch(urls["flv"].replace(".flv", ".mp4").replace(stream, f"{stream}-x"))[0] == 403


# ---------------------------------------------------------------- failures
def test_a_play_that_cannot_be_says_why(server: RunningPlatform) -> None:
    camera = CAMERAS["h264", "udp"]
    offline = refusal(lambda: server.play(NEVER_THERE, NEVER_THERE))
    unknown = refusal(lambda: server.play(camera, "34020000001320008888"))
    stranger = refusal(lambda: server.play("34020000001320008888", "34020000001320008888"))
    assert unknown.status == 404
    assert unknown.body["code"] == "unknown_channel"
    assert stranger.status == 404
    assert (offline.status, offline.body["code"]) == (404, "unknown_channel")
    for refused in (offline, unknown, stranger):
        for field in ("message", "message_zh", "next_step", "next_step_zh"):
            assert refused.body[field], field
    assert server.leases() == (0, 0) or server.sessions()


DEATHS = [
    ("UDP", "udp", "media_lost"),
    ("UDP", "tcp-passive", "connection_closed"),
    ("TCP", "tcp-active", "device_went_offline"),
]


@pytest.mark.parametrize(("signalling", "media", "code"), DEATHS)
def test_a_camera_that_dies_leaves_a_verdict(
    server: RunningPlatform, signalling: str, media: str, code: str
) -> None:
    """Killed while it plays: no BYE, no answer to ours, nothing."""
    camera = f"3402000000132000400{DEATHS.index((signalling, media, code))}"
    server.add_device(camera, media)
    arguments = ("--device-id", camera, "--transport", signalling)
    with simulator(f"live-dies-{media}", server, "device", *arguments) as program:
        server.wait_until_online(camera)
        session, urls = play(server, camera)
        viewer = Viewer(urls["fmp4"], frames=10_000)
        viewer.start()
        viewer.wait_for(25)
        program.kill()
        eventually(lambda: server.session(session["id"])["state"] == "ended", "it plays on")
        ended = server.session(session["id"])
        viewer.join(5)
        assert not viewer.is_alive()
    verdict = ended["verdict"]
    assert verdict["code"] == code
    assert verdict["cause"].isascii()
    assert not verdict["cause_zh"].isascii()
    assert verdict["next_step"]
    assert verdict["next_step_zh"]
    assert archived(server, ended)["verdict"] == verdict
    if code == "device_went_offline":
        refused = refusal(lambda: play(server, camera))
        assert (refused.status, refused.body["code"]) == (409, "device_offline")
        assert refused.body["session"]["verdict"]["code"] == "device_offline"
    eventually(lambda: server.leases() == (0, 0), "a lease is left")


def test_a_wrong_password_is_no_device(server: RunningPlatform) -> None:
    camera = "34020000001320005001"
    server.add_device(camera, password=f"{PASSWORD}-other")
    with simulator("live-wrong", server, "device", "--device-id", camera) as program:
        eventually(lambda: "403" in program.text(), "the simulator was not refused")
    assert not server.device(camera)["online"]
