"""The registrar side on a table: virtual clock, memory stores, requests as bytes."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import pytest

from manscdp.xml import ManscdpMessage, parse
from sipserver.device.accounts import AccountBook, CommonPassword, DeviceAccount
from sipserver.device.authentication import AuthenticationSettings, Authenticator
from sipserver.device.clock import Clock
from sipserver.device.device import Device
from sipserver.device.events import DeviceEvent
from sipserver.device.liveness import Liveness, LivenessSettings
from sipserver.device.memory import MemoryChannelStore, MemoryDeviceStore, MemoryPresenceLog
from sipserver.device.messenger import MessengerSettings
from sipserver.device.platform import DevicePlatform, PlatformSettings, Stores, Surroundings
from sipserver.device.presence import Presence, PresenceSettings
from sipserver.device.registrar import Registrar
from sipserver.device.registration import ExpiryPolicy
from sipserver.device.registry import Registry
from sipserver.device.router import RouterSettings
from sipserver.device.sync import SyncSettings
from sipserver.device.throttle import Throttle, ThrottleSettings
from sipserver.sip.auth import NonceBook, answer_challenge
from sipserver.sip.flow import Flow
from sipserver.sip.message import Request, Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest

CAMERA = "34020000001320000001"
SERVER = "34020000002000000001"
REALM = "3402000000"
PASSWORD = "12345678"
WALL = 1_714_953_600.125  # 2024-05-06T08:00:00.125 in Beijing


@dataclass
class Answer:
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class FakeIncoming:
    request: Request
    flow: Flow
    received_at: float
    answers: list[Answer] = field(default_factory=list)
    ignored: bool = False

    def respond(
        self,
        status: int,
        reason: str = "",
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        self.answers.append(Answer(status, reason, tuple(headers), body))

    def ignore(self) -> None:
        assert not self.answers
        self.ignored = True

    @property
    def answer(self) -> Answer:
        [answer] = self.answers
        return answer


def udp(host: str = "192.0.2.7", port: int = 5060) -> Flow:
    return Flow("UDP", ("192.0.2.1", 5060), (host, port))


def tcp(connection: int, host: str = "192.0.2.7", port: int = 40000) -> Flow:
    return Flow("TCP", ("192.0.2.1", 5060), (host, port), connection)


class Wire:
    """Requests of devices as bytes, whatever stands behind the registrar."""

    registrar: Registrar

    def __init__(self) -> None:
        self._numbers = count(1)

    def time(self) -> float:
        raise NotImplementedError

    def deliver(self, incoming: FakeIncoming) -> None:
        self.registrar.receive(incoming)

    def new_token(self) -> str:
        return f"token{next(self._numbers)}"

    def incoming(self, raw: str, flow: Flow, body: bytes = b"") -> FakeIncoming:
        head = "\r\n".join(line.strip() for line in raw.strip().splitlines())
        message = parse_message(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert isinstance(message, Request)
        return FakeIncoming(message, flow, self.time())

    def send_register(
        self,
        device_id: str = CAMERA,
        *extra: str,
        flow: Flow | None = None,
        expires: str | None = "3600",
        contact: str | None = "",
        authorization: str | None = None,
        call_id: str = "",
        cseq: int | None = None,
        from_host: str = REALM,
        server: str = SERVER,
    ) -> FakeIncoming:
        flow = flow or udp()
        host, port = flow.remote
        number = cseq if cseq is not None else next(self._numbers)
        lines = [
            f"REGISTER sip:{server}@{from_host} SIP/2.0",
            f"Via: SIP/2.0/{flow.transport} {host}:{port};rport;branch=z9hG4bK{number}",
            f"From: <sip:{device_id}@{from_host}>;tag=f{number}",
            f"To: <sip:{device_id}@{from_host}>",
            f"Call-ID: {call_id or device_id}",
            f"CSeq: {number} REGISTER",
        ]
        if contact is not None:
            lines.append(f"Contact: {contact or f'<sip:{device_id}@{host}:{port}>'}")
        if expires is not None:
            lines.append(f"Expires: {expires}")
        if authorization is not None:
            lines.append(f"Authorization: {authorization}")
        incoming = self.incoming("\n".join([*lines, *extra]), flow)
        self.deliver(incoming)
        return incoming

    def credentials(
        self, challenge: str, *, username: str = CAMERA, password: str = PASSWORD
    ) -> str:
        return answer_challenge(
            challenge.encode(),
            username=username,
            password=password,
            method="REGISTER",
            uri=f"sip:{SERVER}@{REALM}",
            new_token=self.new_token,
        )

    def register(
        self,
        device_id: str = CAMERA,
        *extra: str,
        password: str = PASSWORD,
        username: str | None = None,
        flow: Flow | None = None,
        expires: str | None = "3600",
        contact: str | None = "",
        call_id: str = "",
        from_host: str = REALM,
        server: str = SERVER,
    ) -> Answer:
        """The four messages of 9.1.2.1; the last answer."""
        authorization: str | None = None
        for _ in range(2):
            incoming = self.send_register(
                device_id,
                *extra,
                flow=flow,
                expires=expires,
                contact=contact,
                authorization=authorization,
                call_id=call_id,
                from_host=from_host,
                server=server,
            )
            challenge = incoming.answer.header("WWW-Authenticate")
            if challenge is None:
                break
            authorization = self.credentials(
                challenge, username=username or device_id, password=password
            )
        return incoming.answer


class Bench(Wire):
    """The registrar side without sockets."""

    def __init__(
        self,
        *accounts: DeviceAccount,
        common: CommonPassword | None = None,
        store: MemoryDeviceStore | None = None,
        presence: PresenceSettings | None = None,
        liveness: LivenessSettings | None = None,
        expiry: ExpiryPolicy | None = None,
        throttle: ThrottleSettings | None = None,
        authentication: AuthenticationSettings | None = None,
        wall: float = WALL,
    ) -> None:
        super().__init__()
        self.now = 1000.0
        self._wall_offset = wall - self.now
        self.events: list[DeviceEvent] = []
        self.store = store or MemoryDeviceStore()
        for account in accounts:
            self.store.save_account(account)
        clock = Clock(lambda: self.now, lambda: self.now + self._wall_offset)
        self.clock = clock
        self.registry = Registry(AccountBook(common), self.store)
        self.registry.load()
        self.liveness = Liveness(liveness or LivenessSettings())
        self.presence = Presence(self.registry, self.liveness, self.events.append, clock, presence)
        self.nonces = NonceBook(new_token=self.new_token)
        self.throttle = Throttle(throttle)
        self.authenticator = Authenticator(
            self.registry,
            self.nonces,
            self.throttle,
            authentication or AuthenticationSettings(realm=REALM),
        )
        self.registrar = Registrar(
            self.authenticator,
            self.registry,
            self.presence,
            self.events.append,
            clock,
            expiry=expiry,
        )

    def time(self) -> float:
        return self.now

    def device(self, device_id: str = CAMERA) -> Device:
        return self.registry.get(device_id)

    def advance(self, seconds: float) -> None:
        """Let time pass, timers firing when they are due."""
        until = self.now + seconds
        while (due := self.presence.get_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.presence.handle_timer(self.now)
        self.now = until

    def take_events(self, kind: type[DeviceEvent] = DeviceEvent) -> list[DeviceEvent]:
        found = [event for event in self.events if isinstance(event, kind)]
        self.events.clear()
        return found


@pytest.fixture
def bench() -> Bench:
    """A platform that knows one camera."""
    return Bench(DeviceAccount(device_id=CAMERA, password=PASSWORD))


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: when nothing is ready, the time asked for has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


T = TypeVar("T")


def run_virtual(scenario: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


@pytest.fixture
def virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end in virtual time."""
    return run_virtual


class Peers:
    """The devices' side of what the platform sends: a query runs ``script``."""

    def __init__(self) -> None:
        self.sent: list[OutgoingRequest] = []
        self.script: Callable[[ManscdpMessage, Flow], None] = lambda query, flow: None
        self.status = 200

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        self.sent.append(request)
        await asyncio.sleep(0.01)
        self.script(parse(request.body), flow)
        response = parse_message(f"SIP/2.0 {self.status} OK\r\n\r\n".encode())
        assert isinstance(response, Response)
        return response

    def queries(self) -> list[str]:
        return [parse(request.body).cmd_type for request in self.sent]


class PlatformBench(Wire):
    """All device services in virtual time; make it inside of :func:`run_virtual`."""

    def __init__(
        self,
        *accounts: DeviceAccount,
        stores: Stores | None = None,
        router: RouterSettings | None = None,
        sync: SyncSettings | None = None,
        throttle: ThrottleSettings | None = None,
    ) -> None:
        super().__init__()
        self.events: list[DeviceEvent] = []
        self.peers = Peers()
        self.stores = stores or Stores(
            MemoryDeviceStore(), MemoryChannelStore(), MemoryPresenceLog()
        )
        self.platform = DevicePlatform(
            PlatformSettings(
                authentication=AuthenticationSettings(realm=REALM),
                messenger=MessengerSettings(server_id=SERVER, domain=REALM),
                router=router or RouterSettings(),
                sync=sync or SyncSettings(),
                throttle=throttle or ThrottleSettings(),
            ),
            self.stores,
            Surroundings(Clock(self.time, self.time), self.new_token, first_sn=500),
        )
        self.platform.events.subscribe(self.events.append)
        self.platform.load()
        self.platform.attach(self.peers)
        for account in accounts:
            self.platform.put_account(account)
        self.registrar = self.platform.registrar

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def deliver(self, incoming: FakeIncoming) -> None:
        self.platform.handler.on_request(incoming)

    def request(
        self,
        method: str,
        body: str | bytes = "",
        *extra: str,
        sender: str = CAMERA,
        flow: Flow | None = None,
        content_type: str = "Application/MANSCDP+xml",
        host: str = REALM,
    ) -> FakeIncoming:
        flow = flow or udp()
        number = next(self._numbers)
        lines = [
            f"{method} sip:{SERVER}@{host} SIP/2.0",
            f"Via: SIP/2.0/{flow.transport} {flow.remote[0]};rport;branch=z9hG4bK{number}",
            f"From: <sip:{sender}@{host}>;tag=f{number}",
            f"To: <sip:{SERVER}@{host}>",
            f"Call-ID: call{number}",
            f"CSeq: {number} {method}",
            f"Content-Type: {content_type}",
            *extra,
        ]
        data = body.encode("gb18030") if isinstance(body, str) else body
        incoming = self.incoming("\n".join(lines), flow, data)
        self.deliver(incoming)
        return incoming

    def message(self, body: str | bytes, **where: Any) -> int | None:
        """The status of the answer; None when it was ignored, and forgotten by the SIP core."""
        incoming = self.request("MESSAGE", body, **where)
        assert bool(incoming.answers) != incoming.ignored
        return incoming.answers[0].status if incoming.answers else None

    def keepalive(self, device_id: str = CAMERA, *, sn: int = 1, **where: Any) -> int | None:
        body = (
            f"<Notify><CmdType>Keepalive</CmdType><SN>{sn}</SN>"
            f"<DeviceID>{device_id}</DeviceID><Status>OK</Status></Notify>"
        )
        return self.message(body, **{"sender": device_id} | where)

    def device(self, device_id: str = CAMERA) -> Device:
        return self.platform.registry.get(device_id)

    def take_events(self, kind: type[DeviceEvent] = DeviceEvent) -> list[Any]:
        found = [event for event in self.events if isinstance(event, kind)]
        self.events.clear()
        return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.platform.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def make_platform() -> type[PlatformBench]:
    return PlatformBench
