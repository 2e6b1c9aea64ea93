"""The media node's API relays a stream to a further address: the same packets, under our name."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.end_to_end.driving import Http, RunningPlatform, eventually, platform, refusal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PACKETS = 600
OWN_SSRC = 200_004_321
CAMERA_SSRC = 100_001_234


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform("relay", tmp_path_factory.mktemp("relay")) as started:
        yield started


@pytest.fixture
def node(server: RunningPlatform) -> Http:
    """The media node's API with its own token."""
    return Http(server.port, (server.folder / "media-node-token.txt").read_text().strip())


@dataclass(frozen=True, slots=True)
class Packet:
    """RFC 3550 section 5.1, as far as it is used here."""

    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes

    def to_bytes(self) -> bytes:
        second = 96 | self.marker << 7
        head = struct.pack("!BBHII", 0x80, second, self.sequence, self.timestamp, self.ssrc)
        return head + self.payload

    @classmethod
    def read(cls, data: bytes) -> "Packet":
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        assert first == 0x80, f"version, padding, extension or CSRC: {first:#04x}"
        assert second & 0x7F == 96
        return cls(sequence, timestamp, ssrc, bool(second & 0x80), data[12:])


def camera(count: int, seed: int) -> list[Packet]:
    """Six packets a picture, numbered from anywhere: the numbers wrap on the way."""
    noise = random.Random(seed)
    first, start = 0x10000 - count // 2, noise.randrange(1 << 32)
    return [
        Packet(
            sequence=(first + number) % 0x10000,
            timestamp=(start + number // 6 * 3600) % (1 << 32),
            ssrc=CAMERA_SSRC,
            marker=number % 6 == 5,
            payload=noise.randbytes(noise.randrange(200, 1400)),
        )
        for number in range(count)
    ]


def test_a_relay_passes_every_packet_on(node: Http) -> None:
    receiver = {"stream": "east", "host": "127.0.0.1", "ssrc": CAMERA_SSRC, "ready": False}
    port = node.call("POST", "/media/v1/receivers", receiver)["port"]
    sent = camera(PACKETS, seed=7)
    with (
        socket.socket(type=socket.SOCK_DGRAM) as far,
        socket.socket(type=socket.SOCK_DGRAM) as near,
    ):
        far.bind(("127.0.0.1", 0))
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        far.settimeout(5)
        relay = {"host": "127.0.0.1", "port": far.getsockname()[1], "ssrc": OWN_SSRC}
        opened = node.call("POST", "/media/v1/receivers/east/relays", relay)
        assert (opened["ssrc"], opened["transport"]) == (OWN_SSRC, "udp")
        for number, packet in enumerate(sent):
            near.sendto(packet.to_bytes(), ("127.0.0.1", port))
            if number % 12 == 11:
                time.sleep(0.005)
        got = [Packet.read(far.recv(2048)) for _ in sent]
    assert [packet.payload for packet in got] == [packet.payload for packet in sent]
    assert [packet.marker for packet in got] == [packet.marker for packet in sent]
    assert {packet.ssrc for packet in got} == {OWN_SSRC}
    for earlier, later in pairwise(got):
        assert later.sequence == (earlier.sequence + 1) % 0x10000
    steps = [(now.timestamp - got[0].timestamp) % (1 << 32) for now in got]
    assert steps == [(now.timestamp - sent[0].timestamp) % (1 << 32) for now in sent]
    path = f"/media/v1/receivers/east/relays/{opened['number']}"
    statistics = node.call("GET", path)
    assert (statistics["packets"], statistics["dropped_packets"]) == (PACKETS, 0)
    assert node.call("DELETE", path)["packets"] == PACKETS
    assert refusal(lambda: node.call("GET", path)).status == 404
    assert node.call("GET", "/media/v1/receivers/east")["packets"] == PACKETS
    node.call("DELETE", "/media/v1/receivers/east")
    assert node.call("GET", "/media/v1/receivers") == []


def test_a_relay_goes_on_when_the_source_starts_anew(node: Http) -> None:
    """The camera reboots: other numbers, another time. Whoever receives from us sees one stream."""
    receiver = {"stream": "west", "host": "127.0.0.1", "ssrc": CAMERA_SSRC, "ready": False}
    port = node.call("POST", "/media/v1/receivers", receiver)["port"]
    first, second = camera(60, seed=1), camera(60, seed=2)
    second = [Packet(p.sequence ^ 0x4000, p.timestamp, p.ssrc, p.marker, p.payload) for p in second]
    with (
        socket.socket(type=socket.SOCK_DGRAM) as far,
        socket.socket(type=socket.SOCK_DGRAM) as near,
    ):
        far.bind(("127.0.0.1", 0))
        far.settimeout(5)
        relay = {"host": "127.0.0.1", "port": far.getsockname()[1], "ssrc": OWN_SSRC}
        node.call("POST", "/media/v1/receivers/west/relays", relay)
        got = []
        for packet in (*first, *second):
            near.sendto(packet.to_bytes(), ("127.0.0.1", port))
            time.sleep(0.002)
        far.settimeout(1)
        while True:
            try:
                got.append(Packet.read(far.recv(2048)))
            except TimeoutError:
                break
    assert {packet.ssrc for packet in got} == {OWN_SSRC}
    for earlier, later in pairwise(got):
        assert later.sequence == (earlier.sequence + 1) % 0x10000
        assert (later.timestamp - earlier.timestamp) % (1 << 32) < 90_000 * 10
    assert len(got) >= len(first) + len(second) - 8, "until the new numbering is believed"
    node.call("DELETE", "/media/v1/receivers/west")


def test_a_relay_over_tcp_frames_its_packets(node: Http) -> None:
    """RFC 4571: two bytes of length before each packet."""
    receiver = {"stream": "tcp", "host": "127.0.0.1", "ssrc": CAMERA_SSRC, "ready": False}
    port = node.call("POST", "/media/v1/receivers", receiver)["port"]
    sent = camera(120, seed=3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        remote = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
        relay = {**remote, "ssrc": OWN_SSRC, "transport": "tcp-active"}
        opened = node.call("POST", "/media/v1/receivers/tcp/relays", relay)
        far, _ = listener.accept()
        path = f"/media/v1/receivers/tcp/relays/{opened['number']}"
        with far, far.makefile("rb") as stream, socket.socket(type=socket.SOCK_DGRAM) as near:
            far.settimeout(5)
            eventually(lambda: node.call("GET", path)["connected"], "it did not connect")
            for packet in sent:
                near.sendto(packet.to_bytes(), ("127.0.0.1", port))
                time.sleep(0.001)
            got = []
            for _ in sent:
                (length,) = struct.unpack("!H", stream.read(2))
                got.append(Packet.read(stream.read(length)))
    assert [packet.payload for packet in got] == [packet.payload for packet in sent]
    assert {packet.ssrc for packet in got} == {OWN_SSRC}
    node.call("DELETE", "/media/v1/receivers/tcp")


def test_the_media_node_keeps_to_its_token(server: RunningPlatform, node: Http) -> None:
    for token in ("", "wrong", server.token):
        refused = refusal(lambda t=token: Http(server.port, t).call("GET", "/media/v1/statistics"))  # type: ignore[misc]
        assert (refused.status, refused.body["code"]) == (401, "wrong_node_token")
        assert not refused.body["message_zh"].isascii()
    assert node.call("GET", "/media/v1/statistics")["workers"] >= 1
