"""Viewers: joined at the cached group of pictures, dropped when they are too slow."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from media_relay import _core
from media_relay.errors import LimitReached, MediaError, UnknownStream
from media_relay.node import LocalMediaNode
from tests.media_relay.conftest import LOOPBACK, Ears, Watcher, follow_each_other, frame_numbers

SSRC = 200_000_001


@pytest.fixture
def live(node: LocalMediaNode, cameras: _core.Node, h264: _core.Clip) -> Iterator[_core.Receiver]:
    """A stream that has begun."""
    handle = node.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=SSRC)
    sender = cameras.open_sender(h264, remote=(LOOPBACK, handle.port), transport="udp", ssrc=SSRC)
    yield handle
    sender.close()
    handle.close()


@pytest.mark.parametrize("container", ["flv", "fmp4"])
async def test_a_late_viewer_begins_with_the_cached_key_frame(
    container: str, live: _core.Receiver, node: LocalMediaNode, ears: Ears
) -> None:
    await ears.wait("s", "key_frame")
    await asyncio.sleep(1.2)
    cached = live.stats().cached_frames
    assert cached > 25
    watcher = Watcher(node, "s", container)
    await ears.wait("s", "viewer_first_byte")
    await asyncio.sleep(0.3)
    live.close()
    numbers = frame_numbers(await watcher.ended())
    assert numbers[0] == 0
    assert len(numbers) >= 30
    assert follow_each_other(numbers, 250)


async def test_several_viewers_and_one_leaves(
    live: _core.Receiver, node: LocalMediaNode, ears: Ears
) -> None:
    first, second = Watcher(node, "s"), Watcher(node, "s")
    await ears.wait("s", "key_frame")
    assert node.stats().viewers == 2
    await first.leave()
    event = await ears.wait("s", "viewer_left")
    assert event.viewer == first.number
    assert event.detail.startswith("closed by the viewer; ")
    await asyncio.sleep(0.3)
    [stats] = live.stats().viewers
    assert (stats.number, stats.container, stats.skipped) == (second.number, "flv", 0)
    assert stats.frames > 0
    live.close()
    assert follow_each_other(frame_numbers(await second.ended()), 250)


async def test_the_head_goes_first(live: _core.Receiver, node: LocalMediaNode, ears: Ears) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(5)
        node.add_viewer("s", far.fileno(), container="flv", head=b"HTTP/1.1 200 OK\r\n\r\n")
        assert await asyncio.to_thread(near.recv, 19) == b"HTTP/1.1 200 OK\r\n\r\n"
        assert await asyncio.to_thread(near.recv, 3, socket.MSG_WAITALL) == b"FLV"


async def test_a_viewer_that_does_not_read_is_skipped_and_bounded(
    live: _core.Receiver, node: LocalMediaNode, ears: Ears
) -> None:
    near, far = socket.socketpair()
    with near, far:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        number = node.add_viewer("s", far.fileno(), container="flv")
        await ears.wait("s", "key_frame")
        async with asyncio.timeout(10):
            while not live.stats().viewers[0].skipped:
                await asyncio.sleep(0.1)
        assert live.stats().viewers[0].waiting_bytes < 4 << 20
        assert node.remove_viewer("s", number)
        assert not node.remove_viewer("s", number)
    event = await ears.wait("s", "viewer_left")
    assert event.detail.startswith("removed; ")


async def test_demuxing_on_demand(
    node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    handle = node.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=SSRC, ready=False)
    cameras.open_sender(h264, remote=(LOOPBACK, handle.port), transport="udp", ssrc=SSRC)
    await ears.wait("s", "first_packet")
    await asyncio.sleep(0.3)
    assert (handle.stats().demuxing, handle.stats().video_frames) == (False, 0)
    assert handle.stats().packets > 0
    watcher = Watcher(node, "s")
    assert handle.stats().demuxing
    await ears.wait("s", "viewer_first_byte")
    await watcher.leave()
    await ears.wait("s", "viewer_left")
    assert not handle.stats().demuxing
    handle.set_ready(True)
    assert handle.stats().demuxing


async def test_who_cannot_watch(node: LocalMediaNode) -> None:
    near, far = socket.socketpair()
    with near, far:
        with pytest.raises(UnknownStream):
            node.add_viewer("s", far.fileno(), container="flv")
        node.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=1)
        with pytest.raises(ValueError, match="flv or fmp4"):
            node.add_viewer("s", far.fileno(), container="mkv")
        with pytest.raises(MediaError):
            node.add_viewer("s", -1, container="flv")
    assert not node.remove_viewer("s", 1)


async def test_the_number_of_viewers_is_bounded() -> None:
    async with LocalMediaNode(_core.NodeSettings(max_viewers=1)) as node:
        node.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=1)
        watcher = Watcher(node, "s")
        with pytest.raises(LimitReached):
            Watcher(node, "s")
        await watcher.leave()


def test_a_full_event_queue_still_tells_that_a_viewer_has_left(
    cameras: _core.Node, h264: _core.Clip
) -> None:
    deaf = _core.Node(_core.NodeSettings(workers=1, event_queue=1))
    handle = deaf.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=SSRC)
    near, far = socket.socketpair()
    with far:
        viewer = deaf.add_viewer("s", far.fileno(), container="flv", websocket=False, head=b"")
    near.close()
    until(lambda: deaf.stats().viewers == 0)
    cameras.open_sender(h264, remote=(LOOPBACK, handle.port), transport="udp", ssrc=SSRC)
    until(lambda: deaf.stats().dropped_events >= 3)
    assert ("viewer_left", viewer) in [(event.kind, event.viewer) for event in deaf.take_events()]
    deaf.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
