"""The media node's own API under ``/media/v1``: receivers, relays and counters behind one token.

A signalling node on another machine drives the media of this one by it; so do the benches.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from api.errors import INVALID_REQUEST, ApiError, ErrorView, Problem
from api.middleware import error_middleware
from api.route import Access, Call, Nothing, Route, aiohttp_handler, route
from api.routes.media import STREAM_NOT_OPEN, LiveRoutes
from media_relay import errors
from media_relay.node import MediaNode
from media_relay.outputs import Container, play_path
from media_relay.ports import PortPool
from media_relay.receiver import LeasedReceiver, MediaReceiver
from media_relay.relay import MediaRelay
from media_relay.tokens import PlayTokens

PREFIX: Final = "/media/v1"
MIN_TOKEN_LENGTH: Final = 16

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^/\s]+$")]
Port = Annotated[int, Meta(ge=0, le=65535)]
Ssrc = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Transport = Literal["udp", "tcp-passive", "tcp-active"]

WRONG_NODE_TOKEN = Problem(
    401,
    "wrong_node_token",
    "This needs the media node's token.",
    "需要媒体节点的令牌。",
    "Send it as Authorization: Bearer TOKEN.",
    "请以 Authorization: Bearer 令牌 的形式发送。",
)
STREAM_EXISTS = Problem(
    409,
    "stream_exists",
    "A stream of this name, or with this SSRC on the port, is open already.",
    "同名或同 SSRC 的码流已打开。",
    "Close it first, or choose another name.",
    "请先关闭它，或换用其他名称。",
)
PORT_IN_USE = Problem(
    409,
    "port_in_use",
    "The port is in use.",
    "端口已被占用。",
    "Choose another port, or leave it out to get one of the media range.",
    "请换用其他端口，或不指定端口由节点分配。",
)
NO_PORT_LEFT = Problem(
    503,
    "no_port_left",
    "Every port of the media range is in use.",
    "媒体端口范围内的端口已用尽。",
    "Close streams, or widen the range in [media].",
    "请关闭码流，或在 [media] 中扩大端口范围。",
)
LIMIT_REACHED = Problem(
    503,
    "limit_reached",
    "A bound of the media node is reached.",
    "已达到媒体节点的上限。",
    "Close streams or relays, or raise the bound in [media].",
    "请关闭码流或转发，或在 [media] 中调大上限。",
)
NODE_CLOSED = Problem(
    503,
    "node_closed",
    "The media node is shutting down.",
    "媒体节点正在关闭。",
    "Use another node.",
    "请使用其他节点。",
)
MEDIA_FAILED = Problem(
    502,
    "media_failed",
    "The operating system refused.",
    "操作系统拒绝了该操作。",
    "See detail: often an address that is not this machine's.",
    "请见 detail，常见原因是地址不属于本机。",
)

NODE_ERRORS: Final = {
    errors.UnknownStream: STREAM_NOT_OPEN,
    errors.StreamExists: STREAM_EXISTS,
    errors.PortInUse: PORT_IN_USE,
    errors.NoPortLeft: NO_PORT_LEFT,
    errors.LimitReached: LIMIT_REACHED,
    errors.NodeClosed: NODE_CLOSED,
    errors.MediaError: MEDIA_FAILED,
    ValueError: INVALID_REQUEST,
}


class OpenReceiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stream: Name
    transport: Transport = "udp"
    host: str = "0.0.0.0"  # noqa: S104 - cameras are on other machines
    """Numeric local address."""
    port: Port | None = None
    """``null``: one of the media range; 0: any free one."""
    ssrc: Ssrc | None = None
    single_port: bool = False
    """Share ``port`` with other streams, told apart by SSRC; for udp and tcp-passive."""
    source: str | None = None
    """Take media from this numeric address only."""
    ready: bool = True
    """Demux even while nobody looks; false for a stream that is only relayed."""


class ReceiverView(msgspec.Struct, frozen=True):
    stream: str
    port: int


class OutputsView(msgspec.Struct, frozen=True):
    """Where the stream can be watched, by HTTP and WebSocket; signed, so they expire."""

    flv: str
    mp4: str


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]


class ChangeReceiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    ssrc: Ssrc | None = None
    paused: bool | None = None
    ready: bool | None = None


class OpenRelay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    ssrc: Ssrc
    transport: Transport = "udp"
    local_host: str = "0.0.0.0"  # noqa: S104 - the address the route to the peer has
    local_port: Port = 0


class RelayStatsView(msgspec.Struct, frozen=True):
    number: int
    stream: str
    remote: str
    local_port: int
    transport: str
    ssrc: int
    connected: bool
    packets: int
    bytes: int
    dropped_packets: int
    dropped_frames: int
    waiting_bytes: int
    restarts: int


class ViewerStatsView(msgspec.Struct, frozen=True):
    number: int
    container: str
    websocket: bool
    bytes: int
    frames: int
    skipped: int
    waiting_bytes: int


class StreamStatsView(msgspec.Struct, frozen=True):
    """See ``media_relay._core.StreamStats``; times are seconds of the node's monotonic clock."""

    stream: str
    transport: str
    port: int
    source: str
    expected_ssrc: int | None
    ssrc: int | None
    payload_type: int | None
    receive_buffer: int
    demuxing: bool
    paused: bool
    silent: bool
    packets: int
    bytes: int
    lost: int
    duplicates: int
    reordered: int
    late: int
    wrong_source: int
    wrong_ssrc: int
    noise: int
    kernel_drops: int
    reads: int
    connections: int
    reports_sent: int
    rtcp_packets: int
    jitter: float
    bitrate: int
    fps: float
    video_codec: str | None
    audio_codec: str | None
    width: int
    height: int
    video_frames: int
    audio_frames: int
    key_frames: int
    corrupt_frames: int
    skipped_frames: int
    resyncs: int
    gop_frames: int
    cached_frames: int
    cached_bytes: int
    first_packet_at: float | None
    last_packet_at: float | None
    quirks: list[tuple[str, int]]
    viewers: list[ViewerStatsView]
    relays: list[RelayStatsView]


class NodeStatsView(msgspec.Struct, frozen=True):
    workers: int
    streams: int
    viewers: int
    relays: int
    senders: int
    dropped_events: int
    unknown_ssrc: int
    unbound_closed: int
    """TCP connections to shared ports that ended before they were any stream's."""
    turns: int


def _view(value: object, kind: Any) -> Any:
    return msgspec.convert(value, kind, from_attributes=True)


class MediaNodeRoutes:
    """Receivers and relays that were opened by this API; others are none of its business."""

    def __init__(self, node: MediaNode, ports: PortPool, tokens: PlayTokens | None = None) -> None:
        self._node = node
        self._ports = ports
        self._tokens = tokens
        self._leased: dict[str, LeasedReceiver] = {}
        self._receivers: dict[str, MediaReceiver] = {}
        self._relays: dict[str, dict[int, MediaRelay]] = {}

    # ------------------------------------------------------------- receivers
    async def open_receiver(self, call: Call[Nothing, OpenReceiver]) -> ReceiverView:
        body = call.body
        if body.port is None and not body.single_port:
            leased = LeasedReceiver(
                self._node,
                self._ports,
                body.stream,
                host=body.host,
                transport=body.transport,
                ssrc=body.ssrc,
                source=body.source,
                ready=body.ready,
            )
            self._leased[body.stream] = leased
            receiver: MediaReceiver = leased.core
        else:
            receiver = self._node.open_receiver(
                body.stream,
                host=body.host,
                port=body.port or 0,
                transport=body.transport,
                ssrc=body.ssrc,
                single_port=body.single_port,
                source=body.source,
                ready=body.ready,
            )
        self._receivers[body.stream] = receiver
        return ReceiverView(stream=body.stream, port=receiver.port)

    def _receiver(self, call: Call[Any, Any]) -> MediaReceiver:
        receiver = self._receivers.get(call.path["stream"])
        if receiver is None:
            raise ApiError(STREAM_NOT_OPEN)
        return receiver

    async def list_receivers(self, call: Call[Nothing, Nothing]) -> list[StreamStatsView]:
        return [_view(stats, StreamStatsView) for stats in self._node.stream_stats()]

    async def receiver_statistics(self, call: Call[Nothing, Nothing]) -> StreamStatsView:
        view: StreamStatsView = _view(self._receiver(call).stats(), StreamStatsView)
        return view

    async def receiver_outputs(self, call: Call[Nothing, Nothing]) -> OutputsView:
        stream = self._receiver(call).stream
        token = self._tokens.issue(stream) if self._tokens else None
        return OutputsView(
            flv=play_path(stream, Container.FLV, token),
            mp4=play_path(stream, Container.FMP4, token),
        )

    async def change_receiver(self, call: Call[Nothing, ChangeReceiver]) -> None:
        receiver = self._receiver(call)
        if call.body.ssrc is not None:
            receiver.expect(call.body.ssrc)
        if call.body.paused is not None:
            receiver.set_paused(call.body.paused)
        if call.body.ready is not None:
            receiver.set_ready(call.body.ready)

    async def connect_receiver(self, call: Call[Nothing, Address]) -> None:
        self._receiver(call).connect(_numeric(call.body.host), call.body.port)

    async def close_receiver(self, call: Call[Nothing, Nothing]) -> None:
        receiver = self._receiver(call)
        leased = self._leased.pop(receiver.stream, None)
        (leased or receiver).close()
        self._receivers.pop(receiver.stream, None)
        self._relays.pop(receiver.stream, None)

    # ---------------------------------------------------------------- relays
    async def open_relay(self, call: Call[Nothing, OpenRelay]) -> RelayStatsView:
        stream, body = self._receiver(call).stream, call.body
        relay = self._node.open_relay(
            stream,
            remote=(_numeric(body.host), body.port),
            transport=body.transport,
            ssrc=body.ssrc,
            local_host=body.local_host,
            local_port=body.local_port,
        )
        self._relays.setdefault(stream, {})[relay.number] = relay
        view: RelayStatsView = _view(relay.stats(), RelayStatsView)
        return view

    def _relay(self, call: Call[Any, Any]) -> MediaRelay:
        number = call.path["number"]
        relays = self._relays.get(call.path["stream"], {})
        relay = relays.get(int(number)) if number.isascii() and number.isdigit() else None
        if relay is None:
            raise ApiError(STREAM_NOT_OPEN, f"no relay {number}")
        return relay

    async def relay_statistics(self, call: Call[Nothing, Nothing]) -> RelayStatsView:
        view: RelayStatsView = _view(self._relay(call).stats(), RelayStatsView)
        return view

    async def close_relay(self, call: Call[Nothing, Nothing]) -> RelayStatsView | None:
        relay = self._relay(call)
        last = relay.close()
        self._relays[relay.stream].pop(relay.number, None)
        return None if last is None else _view(last, RelayStatsView)

    async def node_statistics(self, call: Call[Nothing, Nothing]) -> NodeStatsView:
        view: NodeStatsView = _view(self._node.stats(), NodeStatsView)
        return view

    def table(self, prefix: str) -> list[Route]:
        one = f"{prefix}/receivers/{{stream}}"
        relay = f"{one}/relays/{{number}}"
        return [
            _route("POST", f"{prefix}/receivers", self.open_receiver, OpenReceiver, ReceiverView),
            _route("GET", f"{prefix}/receivers", self.list_receivers, None, list[StreamStatsView]),
            _route("GET", one, self.receiver_statistics, None, StreamStatsView),
            _route("GET", f"{one}/outputs", self.receiver_outputs, None, OutputsView),
            _route("PATCH", one, self.change_receiver, ChangeReceiver, None),
            _route("DELETE", one, self.close_receiver, None, None),
            _route("POST", f"{one}/connect", self.connect_receiver, Address, None),
            _route("POST", f"{one}/relays", self.open_relay, OpenRelay, RelayStatsView),
            _route("GET", relay, self.relay_statistics, None, RelayStatsView),
            _route("DELETE", relay, self.close_relay, None, RelayStatsView | None),
            _route("GET", f"{prefix}/statistics", self.node_statistics, None, NodeStatsView),
        ]


_SUMMARIES: Final = {
    "open_receiver": ("Open a receiver", "打开接收端"),
    "list_receivers": ("Statistics of every stream", "全部码流统计"),
    "receiver_statistics": ("Statistics of one stream", "单路码流统计"),
    "receiver_outputs": ("Play paths of one stream", "单路码流的播放路径"),
    "change_receiver": ("Change SSRC, pause or readiness", "修改 SSRC、暂停或就绪状态"),
    "close_receiver": ("Close a receiver", "关闭接收端"),
    "connect_receiver": ("Connect a TCP-active receiver", "TCP 主动连接"),
    "open_relay": ("Relay a stream to an address", "转发码流到指定地址"),
    "relay_statistics": ("Statistics of a relay", "转发统计"),
    "close_relay": ("Close a relay", "关闭转发"),
    "node_statistics": ("Counts of the node", "节点统计"),
}


def _route(
    method: str, path: str, handler: Callable[..., Awaitable[Any]], body: Any, response: Any
) -> Route:
    summary, summary_zh = _SUMMARIES[handler.__name__]
    return route(
        method,
        path,
        handler,
        summary=summary,
        summary_zh=summary_zh,
        tag="media",
        body=body or Nothing,
        response=response,
        access=Access.PUBLIC,
        failure=ErrorView,
    )


def _numeric(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ApiError(
            INVALID_REQUEST, f"host must be a numeric address, not {host[:64]!r}"
        ) from None


def media_node_app(
    node: MediaNode,
    token: str,
    *,
    ports: PortPool,
    prefix: str = PREFIX,
    tokens: PlayTokens | None = None,
) -> web.Application:
    """The API and, with a ``prefix``, the live streams: a server of its own.

    :param prefix: empty when it is mounted below another application, which then serves the
        streams by itself
    :param tokens: of play URLs; ``None``: everybody who reaches the port may watch
    :raises ValueError: when the token is too short to be a secret
    """
    if len(token) < MIN_TOKEN_LENGTH:
        raise ValueError(f"the media node's token must have at least {MIN_TOKEN_LENGTH} characters")
    app = web.Application(middlewares=[error_middleware(NODE_ERRORS)])
    for row in MediaNodeRoutes(node, ports, tokens).table(prefix):
        app.router.add_route(row.method, row.path, _guarded(aiohttp_handler(row), token))
    if prefix:
        LiveRoutes(node, tokens=tokens).add_to(app)
    return app


def _guarded(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], token: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    expected = f"Bearer {token}".encode()

    async def guarded(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, expected):
            raise ApiError(WRONG_NODE_TOKEN, headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return guarded
