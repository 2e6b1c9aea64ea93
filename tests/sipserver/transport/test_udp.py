"""The UDP socket: batches, a full kernel buffer, errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sipserver.transport import udp
from sipserver.transport.udp import BATCH, UdpSocket


class FullSocket(socket.socket):
    """Refuses to send while it is told to; then it may fail once."""

    full = False
    fails = False

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:  # type: ignore[override]
        if self.full:
            raise BlockingIOError
        if self.fails:
            self.fails = False
            raise OSError("unreachable")
        return super().sendto(data, address)


class Listener:
    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.batches: list[int] = []

    def receive(self, data: bytes, remote: tuple[str, int], source: bytes, now: float) -> None:
        self.received.append(data)

    def batch_done(self, now: float) -> None:
        self.batches.append(len(self.received))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def bound(listener: Listener) -> AsyncIterator[tuple[UdpSocket, FullSocket]]:
    raw = FullSocket(socket.AF_INET, socket.SOCK_DGRAM)
    raw.setblocking(False)
    raw.bind(("127.0.0.1", 0))
    made = UdpSocket(
        raw,
        receive=listener.receive,
        batch_done=listener.batch_done,
        loop=asyncio.get_running_loop(),
    )
    yield made, raw
    made.close()


async def test_batches(bound: tuple[UdpSocket, FullSocket], listener: Listener) -> None:
    _, raw = bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for number in range(BATCH + 10):
            peer.sendto(b"%d" % number, raw.getsockname())
    while len(listener.received) < BATCH + 10:
        await asyncio.sleep(0)
    assert listener.received == [b"%d" % number for number in range(BATCH + 10)]
    assert listener.batches[:2] == [BATCH, BATCH + 10]


async def test_a_full_buffer_queues_in_order_and_is_bounded(
    bound: tuple[UdpSocket, FullSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_QUEUED", 3)
    made, raw = bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        raw.full = True
        for number in range(5):
            made.send(b"%d" % number, peer.getsockname())
        assert made.dropped == 2
        await asyncio.sleep(0.01)
        raw.full, raw.fails = False, True
        loop = asyncio.get_running_loop()
        found = [await loop.sock_recv(peer, 100) for _ in range(2)]
        assert found == [b"1", b"2"]  # "0" failed for good
        assert made.dropped == 3
        made.send(b"5", peer.getsockname())
        assert await loop.sock_recv(peer, 100) == b"5"


async def test_what_can_never_be_sent_raises(bound: tuple[UdpSocket, FullSocket]) -> None:
    made, raw = bound
    with pytest.raises(OSError, match="too long"):
        made.send(b"x" * 70_000, raw.getsockname())
