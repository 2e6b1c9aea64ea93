"""The SIP service: sockets, clock and tasks under one sans-IO endpoint.

After each call into the endpoint the service drains it: events to the handler and the calls,
bytes to the sockets, and at the end of a batch the one timer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from sipserver.sip.client_transaction import ClientTransaction
from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.errors import RemoteError
from sipserver.sip.events import (
    CallCancelled,
    ConnectionCondemned,
    Event,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sipserver.sip.flow import UDP, Address, Flow
from sipserver.sip.invite_usage import (
    CallAcknowledged,
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgressed,
    CallRefused,
    InviteUsage,
)
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.sip.stats import SipStats
from sipserver.sip.writer import Headers
from sipserver.transport.call import Call, IncomingRequest, failure_error
from sipserver.transport.errors import PortInUse, TransportError, TransportFailed
from sipserver.transport.local_address import LocalAddresses, check_address, is_every_address
from sipserver.transport.malformed import MalformedLog
from sipserver.transport.settings import TransportSettings
from sipserver.transport.tcp import TcpConnections
from sipserver.transport.udp import UdpSocket, source_address

__all__ = [
    "Call",
    "IncomingRequest",
    "RequestHandler",
    "SipService",
    "TransportSettings",
    "TransportStats",
]

MAX_FLOWS = 65_536
"""UDP peers whose flow is kept; then the memory starts anew (a flow can always be made again)."""
MAX_LOGGED_FAULTS = 256
"""Places in our handlers whose exception is logged once; then logging stops, counting does not."""
PORT_ATTEMPTS = 50
"""Free ports tried until one is free for UDP and TCP."""

_log = logging.getLogger(__name__)


class RequestHandler(Protocol):
    """The services above. Both methods run in the event loop and must not block."""

    def on_request(self, incoming: IncomingRequest) -> None:
        """A request outside calls, or in one without ``on_request``; answer now or later.

        A :exc:`RemoteError` raised here is answered with its status; anything else with 500.
        """

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        """A TCP connection is gone: abnormal offline (GB/T 28181-2022 9.1.1 f)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportStats:
    """What the sockets count."""

    connections: int
    connections_refused: int
    """Above ``max_connections``."""
    connections_refused_by_host: int
    """Above ``max_connections_per_host``."""
    datagrams_dropped: int
    """Ours, because the kernel took no more."""
    handler_faults: int
    """Exceptions of our own services, answered 500."""


class SipService:
    """UDP and TCP on one port, and everything the endpoint knows, for asyncio."""

    def __init__(
        self,
        settings: TransportSettings,
        handler: RequestHandler,
        *,
        new_token: Callable[[], str] = lambda: secrets.token_hex(8),
        in_use: Callable[[Flow], bool] = lambda flow: False,
    ) -> None:
        """``in_use``: whether a silent TCP connection must stay, since a service above watches
        over it."""
        self.port = 0
        """The port in use, once started."""
        self._settings = settings
        self._handler = handler
        self._in_use = in_use
        self._endpoint = Endpoint(
            EndpointSettings(
                user_agent=settings.user_agent,
                max_server_transactions=settings.max_server_transactions,
                max_client_transactions=settings.max_client_transactions,
                max_calls=settings.max_calls,
            ),
            new_token=new_token,
            on_malformed=self._note_malformed,
        )
        self._malformed = MalformedLog()
        self._local = LocalAddresses(settings.host, settings.advertised_host)
        self._flows: dict[tuple[Address, bytes], Flow] = {}
        self._waiting: dict[ClientTransaction, asyncio.Future[Response]] = {}
        self._calls: dict[InviteUsage, Call] = {}
        self._udp: UdpSocket | None = None
        self._tcp = TcpConnections(settings, self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._draining = False
        self._condemned: list[ConnectionCondemned] = []
        self._handler_faults = 0
        self._logged_faults: set[tuple[str, str, int]] = set()

    # ------------------------------------------------------------------ life
    async def start(self) -> None:
        """
        :raises PortInUse: when UDP or TCP of the port is taken
        """
        self._loop = asyncio.get_running_loop()
        datagrams, listener = _bind_both(self._settings)
        self.port = datagrams.getsockname()[1]
        self._udp = UdpSocket(
            datagrams,
            receive=self._receive_datagram,
            batch_done=self._arm_timer,
            loop=self._loop,
            every_address=is_every_address(self._settings.host),
        )
        await self._tcp.listen(listener)

    async def close(self) -> None:
        """Stop listening, drop the connections, fail what is waiting. Safe to call twice."""
        if self._udp is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        await self._tcp.close()
        self._udp.close()
        self._udp = None
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(TransportFailed("the service is closing"))
        self._waiting.clear()
        for call in list(self._calls.values()):
            call.settle_ended("the service is closing")
        self._calls.clear()

    def stats(self) -> SipStats:
        return self._endpoint.stats()

    def transport_stats(self) -> TransportStats:
        return TransportStats(
            connections=len(self._tcp),
            connections_refused=self._tcp.refused,
            connections_refused_by_host=self._tcp.refused_by_host,
            datagrams_dropped=0 if self._udp is None else self._udp.dropped,
            handler_faults=self._handler_faults,
        )

    # ------------------------------------------------------------------ flows
    def udp_flow(self, remote: Address) -> Flow:
        """
        :raises TransportFailed: when the host is no IPv4 address or has no route
        """
        flow = self._flows.get((remote, b""))
        if flow is None:
            check_address(remote[0])
            flow = Flow(UDP, (self._local.towards(remote[0]), self.port), remote)
            self._remember(flow)
        return flow

    def _remember(self, flow: Flow) -> None:
        if len(self._flows) >= MAX_FLOWS:
            self._flows.clear()
        self._flows[flow.remote, flow.source] = flow

    async def connect_tcp(self, remote: Address) -> Flow:
        """A new connection to a peer.

        :raises TransportFailed: refused, no route, too slow, or the host is no IPv4 address
        """
        check_address(remote[0])
        return await self._tcp.connect(remote)

    def disconnect(self, flow: Flow) -> None:
        """Close a TCP connection after what is queued; UDP has none."""
        self._tcp.disconnect(flow, "we closed it")

    # ------------------------------------------------------------------ requests of ours
    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        """The final response, whatever its status. Cancelling the task forgets the answer.

        :raises RequestTimedOut: none in 32 s
        :raises TransportFailed: it could not be sent, or the connection is lost
        :raises TooManyTransactions: when too many are unanswered
        """
        if self._loop is None:
            raise TransportFailed("the service is not started")
        transaction = self._endpoint.send_request(request, flow, monotonic())
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiting[transaction] = waiter
        try:
            self._drain()
            return await waiter
        finally:
            self._waiting.pop(transaction, None)

    def invite(self, request: OutgoingRequest, flow: Flow) -> Call:
        """Call somebody; the INVITE is sent at once.

        :raises TooManyTransactions: when too many calls are open
        """
        usage = self._endpoint.invite(request, flow, monotonic())
        call = self._calls[usage] = Call(usage, self)
        self._drain()
        return call

    # ------------------------------------------------------------------ for requests and calls
    def respond(
        self,
        received: RequestReceived,
        status: int,
        reason: str,
        headers: Headers,
        body: bytes,
        content_type: str,
    ) -> None:
        # Answered at once, the clock of the wake-up is as good as a new one.
        now = received.received_at if self._draining else monotonic()
        self._endpoint.respond(
            received,
            status,
            now,
            reason=reason,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        if not self._draining:
            self._drain()

    def ignore(self, received: RequestReceived) -> None:
        self._endpoint.ignore(received)

    def accept(
        self, received: RequestReceived, body: bytes, content_type: str, headers: Headers
    ) -> Call:
        usage = self._endpoint.accept(
            received, monotonic(), body=body, content_type=content_type, headers=headers
        )
        call = self._calls.get(usage)
        if call is None:
            call = self._calls[usage] = Call(usage, self)
            call.settle_accepted()
        if not self._draining:
            self._drain()
        return call

    def acknowledge(self, usage: InviteUsage, body: bytes, content_type: str) -> None:
        usage.acknowledge(body, content_type)
        self._drain()

    def hang_up(self, usage: InviteUsage) -> None:
        usage.cancel(monotonic())
        self._drain()

    # ------------------------------------------------------------------ sockets
    def stream_local(self, remote: Address, bound: Address) -> Address:
        return self._settings.advertised_host or bound[0], self.port

    def stream_received(self, data: bytes, flow: Flow) -> bool:
        try:
            completed = self._endpoint.receive_stream(data, flow, monotonic())
            self._drain()
        except Exception as error:  # a bug of ours: this stream is lost, the others are not
            self._record_fault(error)
            self._tcp.disconnect(flow, "a fault of ours")
            return False
        return completed > 0

    def stream_pending(self, flow: Flow) -> int:
        return self._endpoint.pending_size(flow)

    def stream_in_use(self, flow: Flow) -> bool:
        return self._in_use(flow)

    def stream_lost(self, flow: Flow, reason: str) -> None:
        try:  # first: a device that is gone explains why its calls end
            self._handler.on_connection_lost(flow, reason)
        except Exception as error:
            self._record_fault(error)
        self._endpoint.connection_lost(flow, monotonic())
        self._drain()

    def _receive_datagram(self, data: bytes, remote: Address, source: bytes, now: float) -> None:
        flow = self._flows.get((remote, source))
        if flow is None:
            flow = self._flow_back(remote, source)
        try:
            self._endpoint.receive_datagram(data, flow, now)
            self._drain_batch()
        except Exception as error:  # a bug of ours must not cost the next datagram
            self._record_fault(error)

    def _flow_back(self, remote: Address, source: bytes) -> Flow:
        if source:
            host = self._settings.advertised_host or source_address(source)
            flow = Flow(UDP, (host, self.port), remote, source=source)
            self._remember(flow)
            return flow
        try:
            return self.udp_flow(remote)
        except TransportFailed:  # a source that has no route back: answer as well as we can
            return Flow(UDP, (self._settings.host, self.port), remote)

    # ------------------------------------------------------------------ draining
    def _drain(self) -> None:
        self._drain_batch()
        if not self._draining:
            self._arm_timer(monotonic())

    def _drain_batch(self) -> None:
        """Report and send until nothing is left. Calls from handlers only add to what is left."""
        if self._draining:
            return
        endpoint = self._endpoint
        self._draining = True
        try:
            while True:
                while (event := endpoint.next_event()) is not None:
                    if type(event) is RequestReceived:
                        self._on_request(event)
                    else:
                        self._on_event(event)
                outbox = endpoint.data_to_send()
                for data, flow, transaction in outbox:
                    self._send(data, flow, transaction)
                while self._condemned:  # only now: they are owed their last answers
                    last = self._condemned.pop()
                    self._tcp.disconnect(last.flow, last.reason)
                if not outbox:
                    return
        finally:
            self._draining = False

    def _send(self, data: bytes, flow: Flow, transaction: ClientTransaction | None) -> None:
        if flow.connection:
            sent = self._tcp.send(data, flow)
        elif self._udp is None:
            sent = False
        else:
            try:
                self._udp.send(data, flow.remote, flow.source)
            except OSError:
                sent = False
            else:
                return
        if not sent:
            self._endpoint.send_failed(transaction, monotonic())

    def _arm_timer(self, now: float) -> None:
        due = self._endpoint.get_timer()
        if due is None or self._loop is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(due - now, 0.001), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._endpoint.handle_timer(monotonic())
        self._drain()

    # ------------------------------------------------------------------ events
    def _on_request(self, event: RequestReceived) -> None:
        call = None if event.usage is None else self._calls.get(event.usage)
        incoming = IncomingRequest(event, self, call)
        handle: Callable[[IncomingRequest], None] = self._handler.on_request
        if call is not None and call.on_request is not None:
            handle = call.on_request
        if event.request.method == "INVITE":
            event.owner = incoming  # for the CANCEL
        try:
            handle(incoming)
        except RemoteError as error:
            self._note_malformed(event.request.raw, event.flow, error)
            self._refuse(incoming, error.status_hint, error.reason)
        except Exception as error:
            self._record_fault(error)
            self._refuse(incoming, 500, "")

    def _note_malformed(self, data: bytes, flow: Flow, error: RemoteError) -> None:
        self._malformed.note(data, flow, error, monotonic())

    def _refuse(self, incoming: IncomingRequest, status: int, reason: str) -> None:
        if not incoming.answered:
            incoming.respond(status, reason)

    def _on_event(self, event: Event) -> None:
        try:
            self._tell(event)
        except Exception as error:
            self._record_fault(error)

    def _tell(self, event: Event) -> None:
        match event:
            case ResponseReceived(transaction, response):
                waiter = self._waiting.get(transaction)
                if waiter is not None and response.status >= 200 and not waiter.done():
                    waiter.set_result(response)
            case RequestFailed(transaction, failure):
                waiter = self._waiting.get(transaction)
                if waiter is not None and not waiter.done():
                    waiter.set_exception(failure_error(failure, transaction.request.method))
            case CallCancelled(received):
                incoming = received.owner
                if isinstance(incoming, IncomingRequest) and incoming.on_cancel is not None:
                    incoming.on_cancel()
            case ConnectionCondemned():
                self._condemned.append(event)
            case _:
                self._tell_call(event)

    def _tell_call(self, event: Event) -> None:
        match event:
            case CallProgressed(usage, response):
                call = self._calls.get(usage)
                if call is not None and call.on_provisional is not None:
                    call.on_provisional(response)
            case CallAnswered(usage, response) if usage in self._calls:
                self._calls[usage].settle_answered(response)
            case CallRefused(usage, _) if usage in self._calls:
                self._calls.pop(usage).settle_refused(event)
            case CallFailed(usage, _) if usage in self._calls:
                self._calls.pop(usage).settle_failed(event)
            case CallAcknowledged(usage, _) if usage in self._calls:
                self._calls[usage].acknowledged.set()
            case CallEnded(usage, reason) if usage in self._calls:
                self._calls.pop(usage).settle_ended(reason)

    def _record_fault(self, error: Exception) -> None:
        """Count every exception of our own; log each place once, with its traceback."""
        self._handler_faults += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        fault = (type(error).__name__, *where)
        if fault not in self._logged_faults and len(self._logged_faults) < MAX_LOGGED_FAULTS:
            self._logged_faults.add(fault)
            _log.error("SIP code failed; only this request suffers, logged once", exc_info=error)


def _bind_both(settings: TransportSettings) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket with one port number.

    :raises PortInUse: when it is taken
    """
    attempts = 1 if settings.port else PORT_ATTEMPTS
    for attempt in range(attempts):
        datagrams = _bind(socket.SOCK_DGRAM, settings.host, settings.port)
        try:
            listener = _bind(socket.SOCK_STREAM, settings.host, datagrams.getsockname()[1])
        except TransportError:
            datagrams.close()
            if attempt + 1 == attempts:
                raise
            continue
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer)
        return datagrams, listener
    raise PortInUse("no port is free for both UDP and TCP")


def _bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    try:
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((host, port))
    except OSError as error:
        made.close()
        name = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"{name} port {port} on {host} is taken by another program; "
                "stop that program or choose another SIP port"
            ) from error
        raise TransportFailed(f"cannot listen on {name} {host}:{port}: {error.strerror}") from error
    return made
