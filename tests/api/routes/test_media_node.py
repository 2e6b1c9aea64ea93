"""The media node's own API, driven as a signalling node on another machine does."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.routes.media_node import media_node_app
from media_relay import _core
from media_relay.node import LocalMediaNode
from media_relay.ports import PortPool
from media_relay.tokens import PlayTokens

LOOPBACK = "127.0.0.1"
TOKEN = "a token of 24 characters"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
def ports() -> PortPool:
    return PortPool(42000, 42101)


@pytest.fixture
async def node() -> AsyncIterator[LocalMediaNode]:
    async with LocalMediaNode(_core.NodeSettings(workers=1)) as node:
        yield node


@pytest.fixture
async def client(node: LocalMediaNode, ports: PortPool) -> AsyncIterator[Client]:
    app = media_node_app(node, TOKEN, ports=ports)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(app), headers=headers) as client:
        yield client


async def ask(
    client: Client, method: str, path: str, body: dict[str, Any] | None = None, *, status: int = 200
) -> Any:
    response = await client.request(method, f"/media/v1{path}", json=body)
    assert response.status == status, await response.text()
    return None if status == 204 else await response.json()


async def open_receiver(client: Client, **more: Any) -> Any:
    body = {"stream": "s", "host": LOOPBACK, "ssrc": 1, **more}
    return await ask(client, "POST", "/receivers", body)


def send(port: int, count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        for n in range(count):
            device.sendto(struct.pack(">BBHII", 0x80, 96, n, 0, 1) + bytes(50), (LOOPBACK, port))


async def test_a_receiver_from_open_to_close(
    client: Client, ports: PortPool, node: LocalMediaNode
) -> None:
    opened = await open_receiver(client)
    assert 42000 <= opened["port"] <= 42100
    send(opened["port"], 5)
    async with asyncio.timeout(5):
        while (stats := await ask(client, "GET", "/receivers/s"))["packets"] < 5:
            await asyncio.sleep(0.01)
    assert (stats["ssrc"], stats["transport"], stats["viewers"]) == (1, "udp", [])
    assert [stats["stream"] for stats in await ask(client, "GET", "/receivers")] == ["s"]
    change = {"ssrc": 9, "paused": True, "ready": False}
    await ask(client, "PATCH", "/receivers/s", change, status=204)
    stats = await ask(client, "GET", "/receivers/s")
    assert (stats["expected_ssrc"], stats["paused"], stats["demuxing"]) == (9, True, False)
    assert (await ask(client, "GET", "/statistics"))["streams"] == 1
    await ask(client, "DELETE", "/receivers/s", status=204)
    assert ports.leased == 0
    assert node.stats().streams == 0
    assert (await ask(client, "GET", "/receivers/s", status=404))["code"] == "stream_not_open"


async def test_a_relay_from_open_to_close(client: Client) -> None:
    opened = await open_receiver(client, ready=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((LOOPBACK, 0))
        sink.settimeout(5)
        body = {"host": LOOPBACK, "port": sink.getsockname()[1], "ssrc": 77}
        relay = await ask(client, "POST", "/receivers/s/relays", body)
        assert (relay["ssrc"], relay["connected"]) == (77, True)
        send(opened["port"], 3)
        got = [await asyncio.to_thread(sink.recv, 2048) for _ in range(3)]
    assert {struct.unpack(">I", packet[8:12]) for packet in got} == {(77,)}
    path = f"/receivers/s/relays/{relay['number']}"
    assert (await ask(client, "GET", path))["packets"] == 3
    assert (await ask(client, "DELETE", path))["packets"] == 3
    await ask(client, "GET", path, status=404)
    await ask(client, "GET", "/receivers/s/relays/x", status=404)


async def test_tcp_active_connects_where_it_is_told(client: Client) -> None:
    opened = await open_receiver(client, transport="tcp-active")
    with socket.create_server((LOOPBACK, 0)) as device:
        device.settimeout(5)
        body = {"host": LOOPBACK, "port": device.getsockname()[1]}
        await ask(client, "POST", "/receivers/s/connect", body, status=204)
        connection, peer = await asyncio.to_thread(device.accept)
        connection.close()
    assert peer[1] == opened["port"]


async def test_many_streams_on_one_port(client: Client) -> None:
    shared = {"single_port": True, "port": (await open_receiver(client, single_port=True))["port"]}
    others = [
        await open_receiver(client, stream="t", ssrc=2, **shared),
        await open_receiver(client, stream="u", transport="tcp-passive", **shared),
        await open_receiver(client, stream="v", ssrc=2, transport="tcp-passive", **shared),
    ]
    assert {other["port"] for other in others} == {shared["port"]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"stream": "s", "host": LOOPBACK}, 409, "stream_exists"),
        ({"stream": "t", "host": LOOPBACK, "port": 42000}, 409, "port_in_use"),
        ({"stream": "t", "host": "192.0.2.1"}, 502, "media_failed"),
        ({"stream": "t", "host": "example"}, 400, "invalid_request"),
        ({"stream": "t", "host": LOOPBACK, "port": 5001}, 400, "invalid_request"),
        ({"stream": "t", "transport": "sctp"}, 400, "invalid_request"),
        ({"stream": "a/b"}, 400, "invalid_request"),
        ({"stream": "t", "colour": "red"}, 400, "invalid_request"),
        ({"stream": "t", "single_port": True, "transport": "tcp-passive"}, 400, "invalid_request"),
        ({"stream": "t", "single_port": True, "transport": "tcp-active"}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_opened(
    body: dict[str, Any], status: int, code: str, client: Client, ports: PortPool
) -> None:
    await open_receiver(client)
    answer = await ask(client, "POST", "/receivers", body, status=status)
    assert answer["code"] == code
    assert answer["message_zh"]
    assert ports.leased == 1


async def test_no_port_left(client: Client, ports: PortPool) -> None:
    while ports.available:
        ports.lease()
    answer = await ask(client, "POST", "/receivers", {"stream": "s", "host": LOOPBACK}, status=503)
    assert answer["code"] == "no_port_left"


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic abc", "Bearer \udcff"])
async def test_nothing_without_the_token(header: str, client: Client) -> None:
    response = await client.get("/media/v1/statistics", headers={"Authorization": header})
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await response.json())["code"] == "wrong_node_token"


def test_a_short_token_is_a_mistake(ports: PortPool) -> None:
    with pytest.raises(ValueError, match="16 characters"):
        media_node_app(LocalMediaNode.__new__(LocalMediaNode), "short", ports=ports)


async def test_mounted_below_another_application(node: LocalMediaNode, ports: PortPool) -> None:
    app = web.Application()
    app.add_subapp("/media/v1", media_node_app(node, TOKEN, ports=ports, prefix=""))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(app), headers=headers) as client:
        assert (await ask(client, "GET", "/statistics"))["streams"] == 0
        assert (await client.get("/media/v1/live/s.flv")).status == 404


async def test_play_paths_are_signed(node: LocalMediaNode, ports: PortPool) -> None:
    tokens = PlayTokens(b"k" * 32)
    app = media_node_app(node, TOKEN, ports=ports, tokens=tokens)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with TestClient(TestServer(app), headers=headers) as client:
        await open_receiver(client, stream="gate")
        outputs = await ask(client, "GET", "/receivers/gate/outputs")
        assert outputs["flv"].startswith("/live/gate.flv?token=")
        async with client.get("/live/gate.flv") as response:
            assert response.status == 401
        tokens.check("gate", outputs["flv"].partition("token=")[2])
