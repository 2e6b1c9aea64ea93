"""The node on real sockets: media comes in over every transport and goes out decodable."""

import asyncio
import socket
import struct
import time

import pytest

from media_relay import _core
from media_relay.errors import (
    LimitReached,
    MediaError,
    NodeClosed,
    PortInUse,
    StreamExists,
    UnknownStream,
)
from media_relay.node import LocalMediaNode
from tests.media_relay.conftest import LOOPBACK, Ears, Watcher, follow_each_other, frame_numbers

SSRC = 200_000_001


def receiver(
    node: LocalMediaNode,
    stream: str = "s",
    *,
    transport: str = "udp",
    ready: bool = True,
    source: str | None = None,
) -> _core.Receiver:
    return node.open_receiver(
        stream,
        host=LOOPBACK,
        port=0,
        transport=transport,
        ssrc=SSRC,
        ready=ready,
        source=source,
    )


def rtp(sequence: int, *, ssrc: int = SSRC, payload: bytes = b"\0" * 100) -> bytes:
    return struct.pack(">BBHII", 0x80, 96, sequence, sequence * 3600, ssrc) + payload


def send(port: int, *packets: bytes, source: socket.socket | None = None) -> None:
    with source or socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, (LOOPBACK, port))


async def settled(handle: _core.Receiver, packets: int) -> _core.StreamStats:
    """Statistics as soon as so many packets were judged."""
    async with asyncio.timeout(5):
        while True:
            stats = handle.stats()
            judged = stats.packets + stats.wrong_source + stats.wrong_ssrc + stats.noise
            if judged >= packets:
                return stats
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("transport", ["udp", "tcp-passive", "tcp-active"])
async def test_every_picture_comes_out(
    transport: str,
    codec: str,
    node: LocalMediaNode,
    ears: Ears,
    cameras: _core.Node,
    request: pytest.FixtureRequest,
) -> None:
    clip: _core.Clip = request.getfixturevalue(codec)
    handle = receiver(node, transport=transport)
    watcher = Watcher(node, "s")
    there = {"udp": "udp", "tcp-passive": "tcp-active", "tcp-active": "tcp-passive"}[transport]
    sender = cameras.open_sender(
        clip, remote=(LOOPBACK, handle.port), transport=there, ssrc=SSRC, local_host=LOOPBACK
    )
    if transport == "tcp-active":
        handle.connect(LOOPBACK, sender.local_port)
    await ears.wait("s", "viewer_first_byte")
    await asyncio.sleep(1.5)
    stats = handle.stats()
    handle.close()
    numbers = frame_numbers(await watcher.ended())
    assert numbers[0] == 0
    assert len(numbers) >= 30
    assert follow_each_other(numbers, clip.frames)
    assert (stats.video_codec, stats.audio_codec) == (codec, "g711a")
    assert (stats.lost, stats.ssrc, stats.quirks) == (0, SSRC, [])
    assert stats.source == f"{LOOPBACK}:{sender.local_port}"
    connected = ["connected"] if transport != "udp" else []
    first = [*connected, "first_packet", "ssrc_matched", "ps_locked"]
    assert ears.kinds("s")[: len(first)] == first
    assert {"parameter_sets", "video", "key_frame", "audio"} <= set(ears.kinds("s"))


async def test_tcp_active_comes_from_the_offered_port(node: LocalMediaNode) -> None:
    handle = receiver(node, transport="tcp-active")
    with socket.create_server((LOOPBACK, 0)) as device:
        device.settimeout(5)
        handle.connect(LOOPBACK, device.getsockname()[1])
        connection, peer = await asyncio.to_thread(device.accept)
        connection.close()
    assert peer == (LOOPBACK, handle.port)


async def test_tcp_active_waits_for_a_device_that_listens_late(
    node: LocalMediaNode, ears: Ears
) -> None:
    with socket.socket() as device:
        device.bind((LOOPBACK, 0))
        handle = receiver(node, transport="tcp-active")
        handle.connect(LOOPBACK, device.getsockname()[1])
        await asyncio.sleep(0.3)
        device.listen()
        await ears.wait("s", "connected", timeout=3)


async def test_the_newest_connection_wins(
    node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    handle = receiver(node, transport="tcp-passive")
    with socket.create_connection((LOOPBACK, handle.port)):
        await ears.wait("s", "connected")
        cameras.open_sender(h264, remote=(LOOPBACK, handle.port), transport="tcp-active", ssrc=SSRC)
        await ears.wait("s", "key_frame")
    assert handle.stats().connections == 2


async def test_a_foreign_ssrc_is_adopted_on_an_own_port(node: LocalMediaNode, ears: Ears) -> None:
    handle = receiver(node)
    send(handle.port, rtp(1, ssrc=5))
    event = await ears.wait("s", "ssrc_adopted")
    assert event.detail == f"0000000005 (expected {SSRC:010})"
    handle.expect(5)
    await ears.wait("s", "ssrc_matched")
    assert handle.stats().expected_ssrc == 5


async def test_strangers_are_counted(node: LocalMediaNode) -> None:
    handle = receiver(node)
    device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    device.bind((LOOPBACK, 0))
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.2", 0))
    send(handle.port, rtp(1), b"noise", source=device)
    await settled(handle, 2)
    send(handle.port, rtp(2), source=stranger)
    stats = await settled(handle, 3)
    assert (stats.packets, stats.noise, stats.wrong_source) == (1, 1, 1)


async def test_only_the_given_source_may_send(node: LocalMediaNode) -> None:
    handle = receiver(node, source="127.0.0.2")
    send(handle.port, rtp(1))
    stats = await settled(handle, 1)
    assert (stats.packets, stats.wrong_source) == (0, 1)


async def test_streams_on_one_port_are_told_apart(node: LocalMediaNode, ears: Ears) -> None:
    first = node.open_receiver(
        "a", host=LOOPBACK, port=0, transport="udp", ssrc=1, single_port=True
    )
    second = node.open_receiver(
        "b", host=LOOPBACK, port=first.port, transport="udp", ssrc=2, single_port=True
    )
    with pytest.raises(StreamExists):
        node.open_receiver(
            "c", host=LOOPBACK, port=first.port, transport="udp", ssrc=2, single_port=True
        )
    send(first.port, *(rtp(n, ssrc=1 + n % 3) for n in range(30)))
    await settled(first, 10)
    await settled(second, 10)
    event = await ears.wait("", "unknown_ssrc")
    assert event.detail.startswith("0000000003 from 127.0.0.1:")
    assert node.stats().unknown_ssrc == 10
    first.close()
    send(second.port, rtp(30, ssrc=2))
    await settled(second, 11)


async def test_receiver_reports_go_to_the_device(node: LocalMediaNode) -> None:
    handle = receiver(node, ready=False)
    pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for _ in range(100):
        pair[0].bind((LOOPBACK, 0))
        try:
            pair[1].bind((LOOPBACK, pair[0].getsockname()[1] + 1))
            break
        except OSError:
            pair[0].close()
            pair[0] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pair[0], pair[1]:
        pair[1].setblocking(False)
        report = b""
        async with asyncio.timeout(8):
            waiting = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(pair[1], 1500))
            for sequence in range(200):
                pair[0].sendto(rtp(sequence), (LOOPBACK, handle.port))
                done, _ = await asyncio.wait([waiting], timeout=0.05)
                if done:
                    report = waiting.result()
                    break
    assert report[:2] == bytes([0x81, 201])
    assert struct.unpack(">I", report[8:12]) == (SSRC,)
    assert handle.stats().reports_sent == 1


async def test_silence_is_told_but_not_while_paused(node: LocalMediaNode, ears: Ears) -> None:
    handle = receiver(node)
    send(handle.port, rtp(1))
    await ears.wait("s", "first_packet")
    handle.set_paused(True)
    await asyncio.sleep(0.8)
    assert "silent" not in ears.kinds("s")
    handle.set_paused(False)
    event = await ears.wait("s", "silent", timeout=2)
    assert event.detail == "no RTP for 0.6 s"
    assert handle.stats().silent
    send(handle.port, rtp(2))
    await ears.wait("s", "resumed")


async def test_events_carry_the_monotonic_clock(node: LocalMediaNode, ears: Ears) -> None:
    before = time.monotonic()
    send(receiver(node).port, rtp(1))
    event = await ears.wait("s", "first_packet")
    assert before <= event.at <= time.monotonic()


async def test_lost_packets_are_counted(
    node: LocalMediaNode, ears: Ears, cameras: _core.Node, h264: _core.Clip
) -> None:
    handle = receiver(node)
    sender = cameras.open_sender(
        h264,
        remote=(LOOPBACK, handle.port),
        transport="udp",
        ssrc=SSRC,
        drop_fraction=0.05,
        drop_seed=7,
    )
    await ears.wait("s", "first_packet")
    async with asyncio.timeout(8):
        while not (stats := handle.stats()).corrupt_frames + stats.skipped_frames:
            await asyncio.sleep(0.1)
    assert 0 < stats.lost <= sender.stats().dropped


async def test_what_cannot_be_opened(node: LocalMediaNode) -> None:
    handle = receiver(node)
    with pytest.raises(StreamExists):
        receiver(node)
    with pytest.raises(PortInUse):
        node.open_receiver("t", host=LOOPBACK, port=handle.port, transport="udp", ssrc=1)
    with pytest.raises(ValueError, match="not even"):
        node.open_receiver("t", host=LOOPBACK, port=5001, transport="udp", ssrc=1)
    with pytest.raises(ValueError, match="transport"):
        node.open_receiver("t", host=LOOPBACK, port=0, transport="sctp", ssrc=1)
    with pytest.raises(ValueError, match="numeric"):
        node.open_receiver("t", host="camera.example", port=0, transport="udp", ssrc=1)
    with pytest.raises(MediaError, match=r"192\.0\.2\.1"):
        node.open_receiver("t", host="192.0.2.1", port=0, transport="udp", ssrc=1)
    with pytest.raises(ValueError, match="TCP-active"):
        handle.connect(LOOPBACK, 9)
    assert node.stats().streams == 1


async def test_ports_come_back(node: LocalMediaNode) -> None:
    for transport in ("udp", "tcp-passive", "tcp-active"):
        handle = receiver(node, transport=transport)
        port = handle.port
        handle.close()
        handle.close()
        again = node.open_receiver("s", host=LOOPBACK, port=port, transport=transport, ssrc=1)
        assert again.port == port
        again.close()
    with pytest.raises(UnknownStream):
        handle.stats()


async def test_bounds() -> None:
    async with LocalMediaNode(_core.NodeSettings(workers=2, max_streams=2)) as node:
        receiver(node, "a")
        receiver(node, "b")
        with pytest.raises(LimitReached):
            receiver(node, "c")
        assert (node.stats().workers, node.stats().streams) == (2, 2)
        assert {stats.stream for stats in node.stream_stats()} == {"a", "b"}


async def test_a_busy_node_closes(cameras: _core.Node, h264: _core.Clip) -> None:
    node = LocalMediaNode()
    node.start()
    ears = Ears(node)
    handles = [receiver(node, f"s{n}") for n in range(8)]
    for handle in handles:
        cameras.open_sender(h264, remote=(LOOPBACK, handle.port), transport="udp", ssrc=SSRC)
    watchers = [Watcher(node, f"s{n}") for n in range(8)]
    await ears.wait("s7", "viewer_first_byte")
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < 1.0
    for watcher in watchers:
        await watcher.ended()
    assert all("viewer_left" in ears.kinds(f"s{n}") for n in range(8))
    for handle in handles:
        handle.close()
    with pytest.raises(NodeClosed):
        receiver(node)
    node.close()


async def test_a_listener_that_fails_silences_no_other(
    node: LocalMediaNode, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def fail(event: _core.Event) -> None:
        raise RuntimeError("a fault")

    node.subscribe("s", fail)
    stop = node.subscribe("s", lambda event: heard.append(event.kind))
    ears = Ears(node)
    handle = receiver(node)
    send(handle.port, rtp(1))
    await ears.wait("s", "ssrc_matched")
    assert heard[:2] == ["first_packet", "ssrc_matched"]
    assert "a listener failed" in caplog.text
    stop()
    stop()
    handle.set_paused(False)
    await ears.wait("s", "silent")
    assert "silent" not in heard
