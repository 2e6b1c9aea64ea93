"""Live streams over HTTP and WebSocket: tokens, hand-over of the socket, foreign players."""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.errors import UNKNOWN_CHANNEL, ApiError
from api.middleware import error_middleware
from api.routes.media import LiveRoutes, OnDemand
from media_relay import _core
from media_relay.node import LocalMediaNode
from media_relay.outputs import Container, play_path
from media_relay.tokens import PlayTokens
from simulators.clips import SMALL_H264, ensure_clip, read_frame_number

LOOPBACK = "127.0.0.1"
SECRET = b"a secret of 32 bytes, more or less"
Client = TestClient[web.Request, web.Application]


class Live:
    """An HTTP server with one stream, ``s``, and the tokens to watch it."""

    def __init__(self, node: LocalMediaNode, clip: _core.Clip) -> None:
        self.node = node
        self.tokens = PlayTokens(SECRET)
        self.on_demand: OnDemand | None = None
        self.cameras = _core.Node(_core.NodeSettings(workers=1))
        self._clip = clip

    def open_stream(self) -> _core.Receiver:
        receiver = self.node.open_receiver("s", host=LOOPBACK, port=0, transport="udp", ssrc=1)
        self.cameras.open_sender(
            self._clip, remote=(LOOPBACK, receiver.port), transport="udp", ssrc=1
        )
        return receiver

    async def _demand(self, stream: str) -> None:
        if self.on_demand is not None:
            await self.on_demand(stream)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[error_middleware({})])
        LiveRoutes(self.node, tokens=self.tokens, on_demand=self._demand).add_to(app)
        return app

    def path(self, container: Container = Container.FLV, stream: str = "s") -> str:
        return play_path(stream, container, self.tokens.issue(stream))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_clip(SMALL_H264, tmp_path_factory.mktemp("clips"))


@pytest.fixture
async def live(clip: Path) -> AsyncIterator[Live]:
    async with LocalMediaNode(_core.NodeSettings(workers=1)) as node:
        live = Live(node, _core.Clip(clip))
        yield live
        live.cameras.close()


@pytest.fixture
async def client(live: Live) -> AsyncIterator[Client]:
    async with TestClient(TestServer(live.application())) as client:
        yield client


def pictures(content: bytes) -> list[int]:
    with av.open(io.BytesIO(content), "r") as container:
        return [read_frame_number(frame) for frame in container.decode(video=0)]


async def nobody_watches(node: LocalMediaNode) -> None:
    async with asyncio.timeout(5):
        while node.stats().viewers:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("container", Container)
async def test_http(container: Container, live: Live, client: Client) -> None:
    receiver = live.open_stream()
    response = await client.get(live.path(container))
    assert response.status == 200
    assert response.headers["Content-Type"] == container.media_type
    assert response.headers["Connection"] == "close"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Transfer-Encoding" not in response.headers
    content = await response.content.readexactly(40_000)
    receiver.close()
    content += await response.content.read()
    numbers = pictures(content)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 5
    await nobody_watches(live.node)


@pytest.mark.parametrize("container", Container)
async def test_websocket(container: Container, live: Live, client: Client) -> None:
    receiver = live.open_stream()
    content = b""
    async with client.ws_connect(live.path(container)) as websocket:
        if container is Container.FMP4:
            told = json.loads(await websocket.receive_str(timeout=5))
            assert told["mime"].startswith('video/mp4; codecs="avc1.')
        for _ in range(30):
            content += await websocket.receive_bytes(timeout=5)
        await websocket.ping(b"still there?")
        for _ in range(5):
            content += await websocket.receive_bytes(timeout=5)
        receiver.close()
        async for message in websocket:
            content += message.data
        assert websocket.close_code == 1001
    numbers = pictures(content)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 5


async def test_a_viewer_who_leaves_is_let_go(live: Live, client: Client) -> None:
    live.open_stream()
    async with client.ws_connect(live.path()) as websocket:
        await websocket.receive_bytes(timeout=5)
        assert live.node.stats().viewers == 1
    await nobody_watches(live.node)
    response = await client.get(live.path())
    await response.content.readexactly(100)
    response.close()
    await nobody_watches(live.node)


async def test_the_server_stops_while_somebody_watches(live: Live) -> None:
    live.open_stream()
    server = TestServer(live.application())
    async with TestClient(server) as client:
        response = await client.get(live.path())
        await response.content.readexactly(100)
        async with asyncio.timeout(5):
            await server.close()
    await nobody_watches(live.node)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/live/s.flv", 401, "play_token_missing"),
        ("/live/s.flv?token=rubbish", 403, "play_token_refused"),
        (play_path("s", Container.FLV, PlayTokens(SECRET).issue("t")), 403, "play_token_refused"),
        (
            play_path("s", Container.FLV, PlayTokens(SECRET, now=lambda: 0.0).issue("s")),
            403,
            "play_token_expired",
        ),
        (play_path("t", Container.FMP4, PlayTokens(SECRET).issue("t")), 404, "stream_not_open"),
        (play_path("x" * 200, Container.FLV, "t"), 404, "stream_not_open"),
    ],
    ids=["missing", "rubbish", "of-another-stream", "expired", "not-open", "no-stream-name"],
)
async def test_refusals_are_words_in_both_languages(
    path: str, status: int, code: str, live: Live, client: Client
) -> None:
    live.open_stream()
    response = await client.get(path)
    assert response.status == status
    body = await response.json()
    assert body["code"] == code
    assert body["message"].isascii()
    assert not body["message_zh"].isascii()
    assert live.node.stats().viewers == 0


async def test_a_bad_handshake(live: Live, client: Client) -> None:
    live.open_stream()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "short"}
    response = await client.get(live.path(), headers=headers)
    assert response.status == 400
    assert response.headers["Sec-WebSocket-Version"] == "13"


async def test_head_is_no_viewer(live: Live, client: Client) -> None:
    live.open_stream()
    assert (await client.head(live.path())).status == 405


async def test_a_play_url_may_open_its_stream(live: Live, client: Client) -> None:
    asked: list[str] = []

    async def on_demand(stream: str) -> None:
        asked.append(stream)
        live.open_stream()

    live.on_demand = on_demand
    response = await client.get(live.path())
    assert response.status == 200
    assert (await response.content.readexactly(3), asked) == (b"FLV", ["s"])
    response.close()


async def test_a_stream_that_cannot_be_opened_says_why(live: Live, client: Client) -> None:
    async def on_demand(stream: str) -> None:
        raise ApiError(UNKNOWN_CHANNEL)

    live.on_demand = on_demand
    response = await client.get(live.path())
    assert (response.status, (await response.json())["code"]) == (404, "unknown_channel")


def test_under_uvloop(clip: Path) -> None:
    async def watch() -> None:
        async with LocalMediaNode(_core.NodeSettings(workers=1)) as node:
            live = Live(node, _core.Clip(clip))
            live.open_stream()
            async with TestClient(TestServer(live.application())) as client:
                response = await client.get(live.path())
                assert await response.content.readexactly(3) == b"FLV"
                response.close()
                async with client.ws_connect(live.path()) as websocket:
                    assert (await websocket.receive_bytes(timeout=5))[:3] == b"FLV"
                await nobody_watches(node)
            live.cameras.close()

    uvloop.run(watch())


async def probe(url: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "ffprobe", "-v", "error", *arguments, url, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    return output.decode()


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("container", Container)
async def test_ffprobe_understands_the_stream(
    container: Container, live: Live, client: Client
) -> None:
    live.open_stream()
    url = f"http://{LOOPBACK}:{client.port}{live.path(container)}"
    fields = "stream=codec_name,width,height,r_frame_rate"
    found = await probe(url, "-select_streams", "v", "-show_entries", fields, "-of", "csv=p=0")
    assert found.startswith(f"h264,{live._clip.width},{live._clip.height},25/1")
    await nobody_watches(live.node)


async def test_a_client_that_sends_rubbish_is_let_go(live: Live, client: Client) -> None:
    live.open_stream()
    handshake = (
        f"GET {live.path()} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(LOOPBACK, client.port)
    writer.write(handshake.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # the example of RFC 6455 section 1.3
    writer.write(b"\xff" * 100)
    async with asyncio.timeout(5):
        await reader.read()
    await nobody_watches(live.node)
    writer.close()


async def test_pipelined_answers_come_first(live: Live, client: Client) -> None:
    live.open_stream()
    reader, writer = await asyncio.open_connection(LOOPBACK, client.port)
    first = "GET /live/s.flv HTTP/1.1\r\nHost: x\r\n\r\n"
    second = f"GET {live.path()} HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write((first + second).encode())
    async with asyncio.timeout(5):
        refusal = await reader.readuntil(b"\r\n\r\n")
        assert refusal.startswith(b"HTTP/1.1 401 ")
        stream = await reader.readuntil(b"FLV")
    assert b"HTTP/1.1 200 OK\r\n" in stream
    writer.close()
    await nobody_watches(live.node)
