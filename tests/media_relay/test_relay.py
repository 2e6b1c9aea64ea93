"""Relays: RTP passes through under numbers of our own."""

import asyncio
import socket
import struct

import pytest

from media_relay import _core
from media_relay.errors import UnknownStream
from media_relay.node import LocalMediaNode
from tests.media_relay.conftest import LOOPBACK, Ears, Watcher, follow_each_other, frame_numbers

SSRC, OURS = 100_000_001, 200_000_002


def camera(
    cameras: _core.Node, clip: _core.Clip, port: int, *, ssrc: int = SSRC, seed: int = 0
) -> _core.Sender:
    return cameras.open_sender(clip, remote=(LOOPBACK, port), transport="udp", ssrc=ssrc, seed=seed)


def open_source(node: LocalMediaNode, stream: str = "source") -> _core.Receiver:
    return node.open_receiver(
        stream, host=LOOPBACK, port=0, transport="udp", ssrc=SSRC, ready=False
    )


@pytest.mark.parametrize("transport", ["udp", "tcp-active", "tcp-passive"])
async def test_the_next_node_sees_every_picture(
    transport: str, node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    source = open_source(node)
    there = {"udp": "udp", "tcp-active": "tcp-passive", "tcp-passive": "tcp-active"}[transport]
    target = node.open_receiver("target", host=LOOPBACK, port=0, transport=there, ssrc=OURS)
    relay = node.open_relay(
        "source", remote=(LOOPBACK, target.port), transport=transport, ssrc=OURS
    )
    if transport == "tcp-passive":
        target.connect(LOOPBACK, relay.local_port)
    if transport != "udp":
        await ears.wait("source", "relay_connected")
    watcher = Watcher(node, "target")
    camera(cameras, h264, source.port)
    await ears.wait("target", "viewer_first_byte")
    await asyncio.sleep(1.0)
    stats, seen = relay.stats(), target.stats()
    assert not source.stats().demuxing
    assert (seen.ssrc, seen.lost, seen.quirks) == (OURS, 0, [])
    assert 0 < seen.packets <= stats.packets
    assert (stats.dropped_packets, stats.restarts, stats.connected) == (0, 0, True)
    target.close()
    numbers = frame_numbers(await watcher.ended())
    assert len(numbers) >= 20
    assert follow_each_other(numbers, h264.frames)


def numbers_of(packet: bytes) -> tuple[int, int, int]:
    _, _, sequence, timestamp, ssrc = struct.unpack(">BBHII", packet[:12])
    return ssrc, sequence, timestamp


async def test_numbers_go_on_when_the_source_changes(
    node: LocalMediaNode, cameras: _core.Node, h264: _core.Clip
) -> None:
    source = open_source(node)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((LOOPBACK, 0))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        relay = node.open_relay(
            "source", remote=(LOOPBACK, sink.getsockname()[1]), transport="udp", ssrc=OURS
        )
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for ssrc, begin in ((SSRC, 65_530), (7, 100), (SSRC, 40_000)):
            for n in range(20):
                header = struct.pack(">BBHII", 0x80, 96, (begin + n) % 65_536, n * 3600, ssrc)
                one.sendto(header + bytes(50), (LOOPBACK, source.port))
            await asyncio.sleep(0.05)
        one.close()
        sink.settimeout(2)
        packets = [numbers_of(sink.recv(2048)) for _ in range(60)]
        assert relay.stats().restarts == 2
    assert {ssrc for ssrc, _, _ in packets} == {OURS}
    first = packets[0]
    expected = [((first[1] + n) % 65_536, (first[2] + n * 3600) % (1 << 32)) for n in range(60)]
    assert [packet[1:] for packet in packets] == expected


async def test_several_relays_have_their_own_numbers(node: LocalMediaNode) -> None:
    source = open_source(node)
    sinks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for n, sink in enumerate(sinks):
        sink.bind((LOOPBACK, 0))
        sink.settimeout(2)
        node.open_relay(
            "source", remote=(LOOPBACK, sink.getsockname()[1]), transport="udp", ssrc=OURS + n
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.sendto(
            struct.pack(">BBHII", 0x80, 96, 1, 2, SSRC) + b"body", (LOOPBACK, source.port)
        )
    got = [sink.recv(2048) for sink in sinks]
    assert [numbers_of(packet)[0] for packet in got] == [OURS, OURS + 1]
    assert [packet[12:] for packet in got] == [b"body", b"body"]
    for sink in sinks:
        sink.close()


async def test_a_slow_receiver_loses_whole_frames(
    node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    source = open_source(node)
    with socket.create_server((LOOPBACK, 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        relay = node.open_relay(
            "source", remote=server.getsockname(), transport="tcp-active", ssrc=OURS
        )
        connection, _ = await asyncio.to_thread(server.accept)
        await ears.wait("source", "relay_connected")
        # A frame of 1,000 packets every few milliseconds: more than the queue and the kernel hold.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            for n in range(12_000):
                header = struct.pack(">BBHII", 0x80, 96, n % 65_536, n // 1000 * 3600, SSRC)
                device.sendto(header + bytes(1400), (LOOPBACK, source.port))
                if n % 500 == 0:
                    await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        stats = relay.stats()
        assert stats.dropped_frames > 0
        assert stats.waiting_bytes < 3 << 20
        connection.close()
        await ears.wait("source", "relay_failed")
        assert not relay.stats().connected


async def test_nobody_listens(node: LocalMediaNode, ears: Ears) -> None:
    open_source(node)
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        relay = node.open_relay(
            "source", remote=nobody.getsockname(), transport="tcp-active", ssrc=OURS
        )
        event = await ears.wait("source", "relay_failed", timeout=6)
    assert "4 tries" in event.detail
    assert event.viewer == relay.number


async def test_close(node: LocalMediaNode) -> None:
    source = open_source(node)
    relay = node.open_relay("source", remote=(LOOPBACK, 9), transport="udp", ssrc=OURS)
    assert node.stats().relays == 1
    last = relay.close()
    assert last is not None
    assert last.ssrc == OURS
    assert relay.close() is None
    assert node.stats().relays == 0
    with pytest.raises(UnknownStream):
        relay.stats()
    source.close()
    with pytest.raises(UnknownStream):
        node.open_relay("source", remote=(LOOPBACK, 9), transport="udp", ssrc=OURS)
