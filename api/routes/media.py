"""Live streams: ``GET /live/{stream}.flv`` and ``.mp4``, plain or as WebSocket on the same path.

Python checks the token and answers the handshake; then the socket belongs to the media core, which
writes the stream and hears the viewer leave. Nothing of the stream passes through Python.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Final, Protocol

from aiohttp import web

from api.errors import ApiError, Problem
from media_relay._core import Event
from media_relay.errors import LimitReached, TokenExpired, TokenRefused, UnknownStream
from media_relay.node import EventCallback, Unsubscribe
from media_relay.outputs import Container
from media_relay.tokens import PlayTokens

OnDemand = Callable[[str], Awaitable[None]]
"""Makes sure that a stream is open; raises what the client shall be told."""

MAX_STREAM_NAME: Final = 128
FLUSH_TIMEOUT: Final = 5.0
"""Seconds for the answer to an earlier request on the same connection to be sent."""
WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

TOKEN_MISSING = Problem(
    401,
    "play_token_missing",
    "A play URL needs its token.",
    "播放地址缺少 token。",
    "Ask for a play URL anew; it contains the token.",
    "请重新获取播放地址，其中包含 token。",
)
TOKEN_REFUSED = Problem(
    403,
    "play_token_refused",
    "The token is not valid for this stream.",
    "token 对该码流无效。",
    "Ask for a play URL of this stream.",
    "请获取该码流的播放地址。",
)
TOKEN_EXPIRED = Problem(
    403,
    "play_token_expired",
    "The play URL has expired.",
    "播放地址已过期。",
    "Ask for a play URL anew.",
    "请重新获取播放地址。",
)
STREAM_NOT_OPEN = Problem(
    404,
    "stream_not_open",
    "This stream is not open.",
    "该码流未打开。",
    "Play the channel first, then open its play URL.",
    "请先点播该通道，再打开播放地址。",
)
BAD_HANDSHAKE = Problem(
    400,
    "bad_websocket_handshake",
    "The WebSocket handshake is not valid.",
    "WebSocket 握手无效。",
    "Use WebSocket version 13 (RFC 6455).",
    "请使用 WebSocket 版本 13（RFC 6455）。",
)
TOO_MANY_VIEWERS = Problem(
    503,
    "too_many_viewers",
    "The stream has as many viewers as it may have.",
    "该码流的观看人数已达上限。",
    "Try again later, or raise [media] max_viewers.",
    "请稍后重试，或调大 [media] max_viewers。",
)
PLAIN_ONLY = Problem(
    501,
    "plain_connections_only",
    "Streams are served over plain connections.",
    "码流只能通过明文连接提供。",
    "Let a reverse proxy speak TLS and forward to this server.",
    "请由反向代理终结 TLS 后转发到本服务器。",
)


class ViewerNode(Protocol):
    """The part of a media node that serves viewers."""

    def add_viewer(
        self,
        stream: str,
        fd: int,
        *,
        container: str,
        websocket: bool = False,
        head: bytes = b"",
    ) -> int: ...
    def remove_viewer(self, stream: str, viewer: int) -> bool: ...
    def subscribe(self, stream: str | None, callback: EventCallback) -> Unsubscribe: ...


class HandedOver(web.StreamResponse):
    """The answer was written by somebody else; the connection is to be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class LiveRoutes:
    def __init__(
        self,
        node: ViewerNode,
        *,
        tokens: PlayTokens | None,
        on_demand: OnDemand | None = None,
    ) -> None:
        """
        :param tokens: ``None``: everybody may watch (a bench, or a node behind a gate of its own)
        :param on_demand: called before a viewer joins; may open the stream
        """
        self._node = node
        self._tokens = tokens
        self._on_demand = on_demand
        self._closing = asyncio.Event()

    def add_to(self, app: web.Application) -> None:
        """Serve the streams, and let go of the viewers when the application stops."""
        app.add_routes(self.routes())
        app.on_shutdown.append(self.close)

    async def close(self, app: web.Application | None = None) -> None:
        """Let go of every viewer; without it a server that stops waits for them to leave.

        A handler of ``on_shutdown``.
        """
        self._closing.set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(
                f"/live/{{stream}}.{container.suffix}", self._handler(container), allow_head=False
            )
            for container in Container
        ]

    def _handler(
        self, container: Container
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def live_stream(request: web.Request) -> web.StreamResponse:
            stream = request.match_info["stream"]
            if len(stream) > MAX_STREAM_NAME:
                raise ApiError(STREAM_NOT_OPEN)
            self._check_token(stream, request.query.get("token", ""))
            websocket = request.headers.get("Upgrade", "").lower() == "websocket"
            head = _upgrade_head(request) if websocket else _stream_head(container)
            if self._on_demand is not None:
                await self._on_demand(stream)
            await self._serve(request, stream, container, websocket, head)
            return HandedOver()

        return live_stream

    def _check_token(self, stream: str, token: str) -> None:
        if self._tokens is None:
            return
        if not token:
            raise ApiError(TOKEN_MISSING)
        try:
            self._tokens.check(stream, token)
        except TokenExpired as error:
            raise ApiError(TOKEN_EXPIRED) from error
        except TokenRefused as error:
            raise ApiError(TOKEN_REFUSED) from error

    async def _serve(
        self,
        request: web.Request,
        stream: str,
        container: Container,
        websocket: bool,
        head: bytes,
    ) -> None:
        """Give the socket away and wait until the viewer has left."""
        fd = await _take_socket(request)
        try:
            viewer = self._node.add_viewer(
                stream, fd, container=container.value, websocket=websocket, head=head
            )
        except UnknownStream as error:
            raise ApiError(STREAM_NOT_OPEN) from error
        except LimitReached as error:
            raise ApiError(TOO_MANY_VIEWERS) from error
        # No event can have been delivered in between: they come by this event loop.
        left = asyncio.Event()

        def hear(event: Event) -> None:
            if event.viewer == viewer and event.kind == "viewer_left":
                left.set()

        unsubscribe = self._node.subscribe(stream, hear)
        try:
            await _first_of(left, self._closing)
        finally:
            unsubscribe()
            if not left.is_set():
                self._node.remove_viewer(stream, viewer)


async def _first_of(*events: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _take_socket(request: web.Request) -> int:
    """The connection's descriptor, when nothing of ours waits to be written to it any more.

    Python stops to read as well: the core sees the viewer leave and answers its pings.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the viewer has left")
    if transport.get_extra_info("sslcontext") is not None:
        raise ApiError(PLAIN_ONLY)
    async with asyncio.timeout(FLUSH_TIMEOUT):
        while transport.get_write_buffer_size():
            await asyncio.sleep(0.002)
    if transport.is_reading():
        transport.pause_reading()
    descriptor: int = transport.get_extra_info("socket").fileno()
    return descriptor


def _stream_head(container: Container) -> bytes:
    """RFC 9112: without Content-Length and chunks the body ends with the connection."""
    lines = (
        "HTTP/1.1 200 OK",
        f"Content-Type: {container.media_type}",
        f"Date: {formatdate(usegmt=True)}",
        "Cache-Control: no-store",
        "Access-Control-Allow-Origin: *",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _upgrade_head(request: web.Request) -> bytes:
    """RFC 6455 section 4.2.2."""
    key = request.headers.get("Sec-WebSocket-Key", "")
    try:
        right = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        right = False
    if not right or request.headers.get("Sec-WebSocket-Version") != "13":
        raise ApiError(BAD_HANDSHAKE, headers={"Sec-WebSocket-Version": "13"})
    digest = hashlib.sha1(key.encode() + WEBSOCKET_GUID, usedforsecurity=False).digest()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
    )
    return "\r\n".join((*lines, "", "")).encode()
