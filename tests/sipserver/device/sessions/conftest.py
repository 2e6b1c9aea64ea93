"""Live view on a table: virtual time, a scripted device, a media node that reports what we say."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar, cast

import pytest

from media_relay.errors import PortInUse, StreamExists
from media_relay.ports import PortPool
from media_relay.receiver import MediaReceiver
from media_relay.ssrc import SsrcPool
from sdp.offer import make_live_answer, parse_offer
from sipserver.device.clock import Clock
from sipserver.device.errors import DeviceNotOnline, UnknownChannel
from sipserver.device.sessions.events import LiveEvent
from sipserver.device.sessions.invite import Platform
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.surroundings import Surroundings
from sipserver.device.sessions.target import PlayTarget
from sipserver.device.sessions.watch import MediaEvent
from sipserver.sip.flow import Flow
from sipserver.sip.message import Request, Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.call import Call
from sipserver.transport.errors import InviteRejected
from sipserver.transport.incoming import IncomingRequest

T = TypeVar("T")
DEVICE = "34020000001320000001"
CHANNEL = "34020000001310000001"
PLATFORM = "34020000002000000001"
WALL = 1_714_953_600.0
PICTURE = ("first_packet", "ssrc_matched", "ps_locked", "parameter_sets", "key_frame")


class _NoWait(selectors.DefaultSelector):
    """Nothing ever arrives from outside: waiting is only letting the clock go on."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits and no timer is set")
        self._loop.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_NoWait(self))

    def time(self) -> float:
        return self.now


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run ``scenario`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario)


@dataclass
class Report:
    kind: str
    at: float
    detail: str = ""
    viewer: int = 0


@dataclass
class FakeIncoming:
    """A request inside the dialog."""

    request: Request
    statuses: list[int] = field(default_factory=list)
    body: bytes = b""

    def respond(self, status: int, reason: str = "", **_: Any) -> None:
        self.statuses.append(status)

    def accept(self, *, body: bytes, **_: Any) -> None:
        self.statuses.append(200)
        self.body = body


class FakeCall:
    """One dialog as the transport offers it; the second half is the device's side of it."""

    def __init__(self, request: OutgoingRequest, flow: Flow, call_id: str) -> None:
        self.request = request
        self.flow = flow
        self.call_id = call_id
        self.on_provisional: Callable[[Response], None] | None = None
        self.on_request: Callable[[IncomingRequest], None] | None = None
        self.on_ended: Callable[[str], None] | None = None
        self.acks = 0
        self.byes = 0
        self.cancels = 0
        self.bye_takes = 0.05
        self.cancel_takes = 0.0  # from our CANCEL to the device's 487
        self.bye_error: Exception | None = None
        self._final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def answered(self) -> Response:
        return await asyncio.shield(self._final)

    def ack(self, body: bytes = b"", content_type: str = "") -> None:
        self.acks += 1

    def cancel(self) -> None:
        self.cancels += 1
        self._final.cancel()

    async def bye(self) -> None:
        if self.cancels:  # it waits for the end of the INVITE then
            await asyncio.sleep(self.cancel_takes)
            return
        self.byes += 1
        await asyncio.sleep(self.bye_takes)
        if self.bye_error is not None:
            raise self.bye_error

    # ------------------------------------------------------------ the device
    @property
    def media_port(self) -> int:
        """Where we want the media."""
        return int(self.request.body.partition(b"m=video ")[2].split()[0])

    def provisional(self, status: int) -> None:
        if self.on_provisional is not None:
            self.on_provisional(response(status))

    def answer(self, body: bytes | None = None, **changes: Any) -> None:
        """The 200, unless the call is over."""
        if not self._final.done():
            self._final.set_result(
                response(200, self.answer_body(**changes) if body is None else body)
            )

    def answer_body(self, *, port: int = 15060, encoding: str = "PS", **changes: Any) -> bytes:
        offer = parse_offer(self.request.body)
        if "transport" in changes:
            offer = replace(offer, transport=changes.pop("transport"))
        answer = make_live_answer(
            offer, sender_id=CHANNEL, media_ip="192.0.2.7", media_port=port, **changes
        )
        return answer.replace(b"PS/", encoding.encode() + b"/")

    def reject(self, status: int, reason: str = "") -> None:
        self.fail(InviteRejected(status, reason, response(status)))

    def fail(self, error: Exception) -> None:
        if not self._final.done():
            self._final.set_exception(error)
            self._final.exception()  # a caller that was cancelled never looks at it

    def ask(self, method: str, body: bytes = b"") -> FakeIncoming:
        incoming = FakeIncoming(request(method, body))
        assert self.on_request is not None
        self.on_request(cast(IncomingRequest, incoming))
        return incoming

    def hang_up(self) -> None:
        self.ask("BYE")
        self.end("BYE")

    def end(self, reason: str) -> None:
        assert self.on_ended is not None
        self.on_ended(reason)


class FakeCaller:
    def __init__(self) -> None:
        self.calls: list[FakeCall] = []
        self.device: Callable[[FakeCall], Coroutine[Any, Any, None]] | None = None
        self.error: Exception | None = None
        self.keep_calls = True
        self.broken: list[BaseException] = []  # a script of ours that failed
        self._numbers = count(1)
        self._devices: set[asyncio.Task[None]] = set()

    def invite(self, request: OutgoingRequest, flow: Flow) -> Call:
        if self.error is not None:
            raise self.error
        call = FakeCall(request, flow, f"call-{next(self._numbers)}")
        self.calls = [*self.calls, call] if self.keep_calls else [call]
        if self.device is not None:
            task = asyncio.get_running_loop().create_task(self.device(call))
            self._devices.add(task)
            task.add_done_callback(self._device_done)
        return cast(Call, call)

    def _device_done(self, task: asyncio.Task[None]) -> None:
        self._devices.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broken.append(error)

    @property
    def call(self) -> FakeCall:
        return self.calls[-1]


class FakeReceiver:
    def __init__(self, node: FakeNode, stream: str, port: int, transport: str, ssrc: int | None):
        self.node, self.stream, self.port = node, stream, port
        self.transport, self.ssrc = transport, ssrc
        self.expected: list[int | None] = []
        self.connections: list[tuple[str, int]] = []
        self.closed = False
        self.wrong_ssrc = self.wrong_source = 0

    def stats(self) -> FakeReceiver:
        return self

    def expect(self, ssrc: int | None) -> None:
        self.expected.append(ssrc)

    def connect(self, host: str, port: int) -> None:
        self.connections.append((host, port))

    def close(self) -> None:
        """Safe to call twice, as the real one."""
        if self.closed:
            return
        self.closed = True
        del self.node.opened[self.port]
        if self.node.keep_receivers:
            self.node.log.append(f"close {self.transport}")
        if self.node.close_error is not None:
            raise self.node.close_error


class FakeNode:
    def __init__(self) -> None:
        self.opened: dict[int, FakeReceiver] = {}  # by port
        self.receivers: list[FakeReceiver] = []
        self.taken_ports: set[int] = set()
        self.errors: list[Exception] = []
        self.log: list[str] = []
        self.keep_receivers = True
        self.close_error: Exception | None = None
        self._listeners: dict[str | None, list[Callable[[MediaEvent], None]]] = {}

    def open_receiver(
        self,
        stream: str,
        *,
        host: str,
        port: int,
        transport: str,
        ssrc: int | None,
        single_port: bool = False,
        source: str | None = None,
        ready: bool = True,
    ) -> MediaReceiver:
        if port in self.taken_ports:
            raise PortInUse(str(port))
        if self.errors:
            raise self.errors.pop()
        if any(receiver.stream == stream for receiver in self.opened.values()):
            raise StreamExists(stream)
        receiver = FakeReceiver(self, stream, port, transport, ssrc)
        assert port not in self.opened
        self.opened[port] = receiver
        if self.keep_receivers:
            self.receivers.append(receiver)
            self.log.append(f"open {transport}")
        return cast(MediaReceiver, receiver)

    def subscribe(
        self, stream: str | None, callback: Callable[[MediaEvent], None]
    ) -> Callable[[], None]:
        listeners = self._listeners.setdefault(stream, [])
        listeners.append(callback)

        def unsubscribe() -> None:
            listeners.remove(callback)
            if not listeners:
                del self._listeners[stream]

        return unsubscribe

    @property
    def receiver(self) -> FakeReceiver:
        return self.receivers[-1]

    def stream_at(self, port: int) -> str:
        return self.opened[port].stream if port in self.opened else "nobody's"

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def report(self, *kinds: str, stream: str = "", detail: str = "", viewer: int = 0) -> None:
        stream = stream or self.receiver.stream
        at = asyncio.get_running_loop().time()
        for kind in kinds:
            for listener in list(self._listeners.get(stream, ())):
                listener(Report(kind, at, detail, viewer))


class FakeTargets:
    def __init__(self) -> None:
        self.target_of_all = PlayTarget(
            device_id=DEVICE,
            channel_id=CHANNEL,
            flow=Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5061)),
        )
        self.online = True

    def change(self, **changes: Any) -> None:
        self.target_of_all = replace(self.target_of_all, **changes)

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        if not self.online:
            raise DeviceNotOnline(device_id)
        if channel_id == "unknown":
            raise UnknownChannel(device_id, channel_id)
        return replace(self.target_of_all, device_id=device_id, channel_id=channel_id)


class World:
    """The live view and everything around it, faked."""

    def __init__(self, **settings: Any) -> None:
        self.caller = FakeCaller()
        self.node = FakeNode()
        self.ports = PortPool(30000, 31999, now=self._now)
        self.ssrcs = SsrcPool("34020000", first=1, now=self._now)
        self.targets = FakeTargets()
        self.events: list[LiveEvent] = []
        self.key_frames: list[PlayTarget] = []
        self.settings = LiveSettings(**settings)
        ids = count(1)
        self.around = Surroundings(
            platform=Platform(platform_id=PLATFORM, domain="3402000000", media_ip="192.0.2.1"),
            caller=self.caller,
            node=self.node,
            ports=self.ports,
            ssrcs=self.ssrcs,
            targets=self.targets,
            settings=self.settings,
            request_key_frame=self._request_key_frame,
            clock=Clock(self._now, lambda: WALL + self._now()),
            new_id=lambda: f"s{next(ids)}",
        )
        self.sessions = LiveSessions(self.around, publish=self.events.append)
        self.caller.device = self.good_device
        self.DEVICE, self.CHANNEL, self.PICTURE = DEVICE, CHANNEL, PICTURE

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        return run(scenario)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _request_key_frame(self, target: PlayTarget) -> None:
        self.key_frames.append(target)

    async def good_device(self, call: FakeCall) -> None:
        """100 and 200 after a moment each, then everything up to the first key frame."""
        await asyncio.sleep(0.01)
        call.provisional(100)
        await asyncio.sleep(0.04)
        call.answer()
        await asyncio.sleep(0.05)
        self.node.report(*PICTURE, stream=self.node.stream_at(call.media_port))

    def leases(self) -> dict[str, int]:
        """Everything that somebody holds; all zero when nothing leaked."""
        return {
            "ssrcs": self.ssrcs.leased,
            "ports": self.ports.leased,
            "receivers": len(self.node.opened),
            "listeners": self.node.listeners,
            "sessions": self.sessions.stats().active,
            "release failures": self.sessions.stats().release_failures,
        }

    def assert_nothing_is_held(self) -> None:
        assert not self.caller.broken
        assert set(self.leases().values()) == {0}, self.leases()

    def stage_names(self) -> list[str]:
        return [stage.stage.value for stage in self.sessions.history()[0].stages]


def response(status: int, body: bytes = b"") -> Response:
    head = f"SIP/2.0 {status} Scripted\r\nCSeq: 1 INVITE\r\nContent-Length: {len(body)}\r\n\r\n"
    message = parse_message(head.encode() + body)
    assert isinstance(message, Response)
    return message


def request(method: str, body: bytes = b"") -> Request:
    head = (
        f"{method} sip:{PLATFORM}@192.0.2.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 2 {method}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    message = parse_message(head.encode() + body)
    assert isinstance(message, Request)
    return message


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> type[World]:
    """For a test that wants other settings."""
    return World
