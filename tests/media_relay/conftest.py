"""A media node on loopback, simulated cameras that send to it, and ears for its events."""

import asyncio
import io
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import pytest

from media_relay import _core
from media_relay._core import Event
from media_relay.node import LocalMediaNode
from simulators.clips import SMALL_H264, SMALL_H265, ensure_clip, read_frame_number

LOOPBACK = "127.0.0.1"


class Ears:
    """Every event of a node, and a way to wait for one."""

    def __init__(self, node: LocalMediaNode) -> None:
        self.events: list[Event] = []
        self._arrived = asyncio.Event()
        node.subscribe(None, self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._arrived.set()

    def kinds(self, stream: str) -> list[str]:
        return [event.kind for event in self.events if event.stream == stream]

    async def wait(self, stream: str, kind: str, *, timeout: float = 8.0) -> Event:
        async with asyncio.timeout(timeout):
            while True:
                for event in self.events:
                    if event.stream == stream and event.kind == kind:
                        return event
                self._arrived.clear()
                await self._arrived.wait()


class Watcher:
    """A viewer at the other end of a socket pair, which keeps what it is sent."""

    def __init__(self, node: LocalMediaNode, stream: str, container: str = "flv") -> None:
        self._near, far = socket.socketpair()
        with ExitStack() as undo:
            undo.callback(self._near.close)
            with far:
                self.number = node.add_viewer(stream, far.fileno(), container=container)
            undo.pop_all()
        self._near.setblocking(False)
        self.bytes = bytearray()
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while part := await loop.sock_recv(self._near, 1 << 16):
            self.bytes += part

    async def ended(self) -> bytes:
        """Everything, once the node has closed the connection."""
        async with asyncio.timeout(8):
            await self._task
        self._near.close()
        return bytes(self.bytes)

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._near.close()


def frame_numbers(content: bytes) -> list[int]:
    """Decode a recorded stream and read the number in each picture."""
    with av.open(io.BytesIO(content), "r") as container:
        return [read_frame_number(frame) for frame in container.decode(video=0)]


def follow_each_other(numbers: list[int], length: int) -> bool:
    """No gap and no disorder, over the end of the loop too."""
    return all(b == (a + 1) % length for a, b in itertools.pairwise(numbers))


@pytest.fixture(scope="session")
def clip_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def h264(clip_directory: Path) -> _core.Clip:
    return _core.Clip(ensure_clip(SMALL_H264, clip_directory))


@pytest.fixture(scope="session")
def h265(clip_directory: Path) -> _core.Clip:
    return _core.Clip(ensure_clip(SMALL_H265, clip_directory))


@pytest.fixture
async def node() -> AsyncIterator[LocalMediaNode]:
    async with LocalMediaNode(_core.NodeSettings(workers=1, silence=0.6)) as node:
        yield node


@pytest.fixture
def ears(node: LocalMediaNode) -> Ears:
    return Ears(node)


@pytest.fixture
def cameras() -> Iterator[_core.Node]:
    """Another node, whose senders are the devices."""
    node = _core.Node(_core.NodeSettings(workers=1))
    yield node
    node.close()
