"""Single-port mode: many streams on one port number, told apart by SSRC, over UDP and TCP."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from media_relay import _core
from media_relay.errors import PortInUse, StreamExists
from media_relay.node import LocalMediaNode
from tests.media_relay.conftest import LOOPBACK, Ears, Watcher, follow_each_other, frame_numbers

OTHER_HOST = "127.0.0.2"
MAX_UNBOUND = 256


def shared(
    node: LocalMediaNode,
    stream: str,
    ssrc: int,
    *,
    port: int = 0,
    transport: str = "tcp-passive",
    source: str | None = None,
) -> _core.Receiver:
    return node.open_receiver(
        stream,
        host=LOOPBACK,
        port=port,
        transport=transport,
        ssrc=ssrc,
        single_port=True,
        source=source,
    )


def framed(sequence: int, ssrc: int) -> bytes:
    packet = struct.pack(">BBHII", 0x80, 96, sequence, sequence * 3600, ssrc) + bytes(100)
    return struct.pack(">H", len(packet)) + packet


class Cameras:
    """TCP connections of devices, closed together."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing

    def connect(self, port: int, *packets: bytes, host: str = LOOPBACK) -> socket.socket:
        connection = socket.create_connection((LOOPBACK, port), 8, source_address=(host, 0))
        self._closing.enter_context(connection)
        connection.sendall(b"".join(packets))
        return connection


@pytest.fixture
def devices() -> Iterator[Cameras]:
    with ExitStack() as closing:
        yield Cameras(closing)


async def took(handle: _core.Receiver, packets: int) -> _core.StreamStats:
    async with asyncio.timeout(5):
        while (stats := handle.stats()).packets < packets:
            await asyncio.sleep(0.005)
    return stats


async def ended(connection: socket.socket) -> bool:
    """The node closes it, with a reset when something was left unread."""
    try:
        return not await asyncio.to_thread(connection.recv, 1)
    except ConnectionResetError:
        return True


async def closed_unbound(node: LocalMediaNode, count: int) -> None:
    async with asyncio.timeout(5):
        while node.stats().unbound_closed < count:
            await asyncio.sleep(0.005)


async def test_two_cameras_on_one_tcp_port_and_one_on_the_same_number_over_udp(
    node: LocalMediaNode,
    ears: Ears,
    cameras: _core.Node,
    h264: _core.Clip,
    h265: _core.Clip,
) -> None:
    over_udp = shared(node, "u", 3, transport="udp")
    handles = {
        "a": shared(node, "a", 1, port=over_udp.port),
        "b": shared(node, "b", 2, port=over_udp.port),
        "u": over_udp,
    }
    watchers = {stream: Watcher(node, stream) for stream in handles}
    clips = {"a": h264, "b": h265, "u": h264}
    for ssrc, (stream, clip) in enumerate(clips.items(), 1):
        cameras.open_sender(
            clip,
            remote=(LOOPBACK, over_udp.port),
            transport="udp" if stream == "u" else "tcp-active",
            ssrc=ssrc,
            local_host=LOOPBACK,
        )
    for stream in handles:
        await ears.wait(stream, "viewer_first_byte")
    await asyncio.sleep(1.5)
    for ssrc, (stream, handle) in enumerate(handles.items(), 1):
        stats = handle.stats()
        handle.close()
        numbers = frame_numbers(await watchers[stream].ended())
        assert len(numbers) >= 30
        assert numbers[0] == 0
        assert follow_each_other(numbers, clips[stream].frames)
        assert (stats.port, stats.ssrc, stats.lost) == (over_udp.port, ssrc, 0)
        assert (stats.wrong_ssrc, stats.wrong_source, stats.quirks) == (0, 0, [])
    assert ears.kinds("b")[:3] == ["connected", "first_packet", "ssrc_matched"]
    assert (node.stats().unknown_ssrc, node.stats().unbound_closed) == (0, 0)


async def test_a_shared_tcp_port_is_opened_once_and_freed_with_its_last_stream(
    node: LocalMediaNode,
) -> None:
    first = shared(node, "a", 1)
    second = shared(node, "b", 2, port=first.port)
    with pytest.raises(StreamExists):
        shared(node, "c", 2, port=first.port)
    with pytest.raises(StreamExists):
        second.expect(1)
    with pytest.raises(PortInUse):
        node.open_receiver("c", host=LOOPBACK, port=first.port, transport="tcp-passive", ssrc=3)
    with pytest.raises(ValueError, match="passive"):
        first.connect(LOOPBACK, 9)
    with pytest.raises(ValueError, match="tcp-passive"):
        shared(node, "c", 3, port=first.port, transport="tcp-active")
    first.close()
    assert second.stats().port == first.port
    second.close()
    node.open_receiver("c", host=LOOPBACK, port=first.port, transport="tcp-passive", ssrc=3)


async def test_an_unknown_ssrc_is_told_and_waits_for_the_answer_that_names_it(
    node: LocalMediaNode, ears: Ears, devices: Cameras
) -> None:
    handle = shared(node, "a", 1)
    early = devices.connect(handle.port, framed(1, 9), framed(2, 9))
    event = await ears.wait("", "unknown_ssrc")
    assert event.detail.startswith("0000000009 from 127.0.0.1:")
    early.sendall(framed(3, 9))
    assert node.stats().unknown_ssrc == 2
    assert (handle.stats().packets, handle.stats().connections) == (0, 0)
    handle.expect(9)
    stats = await took(handle, 3)
    assert (stats.ssrc, stats.connections, stats.wrong_ssrc) == (9, 1, 0)
    assert node.stats().unbound_closed == 0


async def test_a_device_that_connects_before_its_stream_is_opened_is_not_lost(
    node: LocalMediaNode, ears: Ears, devices: Cameras
) -> None:
    port = shared(node, "a", 1).port
    devices.connect(port, framed(1, 2))
    await ears.wait("", "unknown_ssrc")
    await took(shared(node, "b", 2, port=port), 1)


async def test_a_host_that_one_stream_waits_for_may_send_another_ssrc(
    node: LocalMediaNode, ears: Ears, devices: Cameras
) -> None:
    handle = shared(node, "a", 1, source=LOOPBACK)
    devices.connect(handle.port, framed(1, 9))
    event = await ears.wait("a", "ssrc_adopted")
    assert event.detail == "0000000009 (expected 0000000001)"
    await took(handle, 1)


async def test_slow_and_silent_connections_keep_nobody_out(
    node: LocalMediaNode, devices: Cameras
) -> None:
    first = shared(node, "a", 1)
    second = shared(node, "b", 2, port=first.port)
    packet = framed(1, 2)
    slow = devices.connect(first.port, packet[:5])
    devices.connect(first.port, framed(1, 1))
    await took(first, 1)
    for byte in packet[5:]:
        slow.sendall(bytes([byte]))
    await took(second, 1)
    silent = [devices.connect(first.port) for _ in range(MAX_UNBOUND + 3)]
    await closed_unbound(node, 3)
    assert await ended(silent[0])
    slow.sendall(framed(2, 2))
    await took(second, 2)
    devices.connect(first.port, framed(2, 1))
    assert (await took(first, 2)).connections == 2
    assert node.stats().unbound_closed == 4


@pytest.mark.slow
async def test_nobodys_connections_are_closed_after_ten_seconds(
    node: LocalMediaNode, ears: Ears, devices: Cameras
) -> None:
    handle = shared(node, "a", 1)
    began = time.monotonic()
    slow = devices.connect(handle.port, framed(1, 1)[:20])
    stranger = devices.connect(handle.port, framed(1, 9))
    slow.settimeout(15)
    stranger.settimeout(15)
    assert await ended(slow)
    assert await ended(stranger)
    assert 9.5 < time.monotonic() - began < 13
    assert node.stats().unbound_closed == 2
    assert "unknown_ssrc" in ears.kinds("")


async def test_garbage_is_closed(node: LocalMediaNode, devices: Cameras) -> None:
    scanner = devices.connect(shared(node, "a", 1).port)
    try:
        await asyncio.to_thread(scanner.sendall, b"GET / HTTP/1.1\r\n" * 10_000)
    except ConnectionError:
        pass
    assert await ended(scanner)
    assert node.stats().unbound_closed == 1


async def test_a_second_connection_wins_with_the_same_ssrc_only(
    node: LocalMediaNode, ears: Ears, devices: Cameras
) -> None:
    handle = shared(node, "a", 1)
    old = devices.connect(handle.port, framed(1, 1))
    await took(handle, 1)
    devices.connect(handle.port, framed(1, 9))
    await ears.wait("", "unknown_ssrc")
    old.sendall(framed(2, 1))
    stats = await took(handle, 2)
    assert stats.source == "{}:{}".format(*old.getsockname())
    new = devices.connect(handle.port, framed(3, 1))
    stats = await took(handle, 3)
    assert stats.source == "{}:{}".format(*new.getsockname())
    assert (stats.connections, stats.wrong_ssrc, stats.wrong_source) == (2, 0, 0)
    assert await ended(old)


async def test_a_second_connection_from_another_host_than_given_is_closed(
    node: LocalMediaNode, devices: Cameras
) -> None:
    handle = shared(node, "a", 1, source=LOOPBACK)
    camera = devices.connect(handle.port, framed(1, 1))
    await took(handle, 1)
    assert await ended(devices.connect(handle.port, framed(2, 1), host=OTHER_HOST))
    camera.sendall(framed(2, 1))
    stats = await took(handle, 2)
    assert (stats.connections, stats.wrong_source) == (1, 1)
    assert node.stats().unbound_closed == 1


async def test_two_devices_with_one_ssrc_on_a_udp_port_are_not_mixed(
    node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    handle = shared(node, "a", 1, transport="udp")
    watcher = Watcher(node, "a")
    for host in (LOOPBACK, OTHER_HOST):
        sender = cameras.open_sender(
            h264,
            remote=(LOOPBACK, handle.port),
            transport="udp",
            ssrc=1,
            local_host=host,
            start_frame=0 if host == LOOPBACK else h264.frames // 2,
        )
        if host == LOOPBACK:
            await ears.wait("a", "viewer_first_byte")
            camera = sender
    await asyncio.sleep(1.5)
    stats = handle.stats()
    handle.close()
    numbers = frame_numbers(await watcher.ended())
    assert len(numbers) >= 30
    assert numbers[0] == 0
    assert follow_each_other(numbers, h264.frames)
    assert stats.source == f"{LOOPBACK}:{camera.local_port}"
    assert (stats.lost, stats.duplicates, stats.corrupt_frames) == (0, 0, 0)
    assert stats.wrong_source > 100
