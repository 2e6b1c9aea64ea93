"""Two endpoints joined back to back, in virtual time, over a network that loses and repeats."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from sipserver.sip.endpoint import Endpoint, EndpointSettings
from sipserver.sip.events import Event, RequestFailed, RequestReceived, ResponseReceived
from sipserver.sip.flow import UDP, Flow
from sipserver.sip.invite_usage import CallAnswered, CallEnded, CallFailed
from sipserver.sip.outgoing import OutgoingRequest

PLATFORM = ("198.51.100.10", 5060)
DEVICE = ("198.51.100.20", 5060)
DELAY = 0.02  # seconds one way
STEP = 0.01


class Network:
    """Datagrams between two endpoints; what happens to each is drawn from a seed."""

    def __init__(self, seed: int, loss: float, duplicates: float) -> None:
        self._random = Random(seed)
        self._loss, self._duplicates = loss, duplicates
        tokens = count()
        settings = EndpointSettings()
        self.platform = Endpoint(settings, new_token=lambda: f"p{next(tokens)}")
        self.device = Endpoint(settings, new_token=lambda: f"d{next(tokens)}")
        self.now = 0.0
        self._serial = count()
        self._flying: list[tuple[float, int, bytes, Endpoint, Flow]] = []
        self.to_device = Flow(UDP, PLATFORM, DEVICE)
        self.to_platform = Flow(UDP, DEVICE, PLATFORM)

    def run(
        self,
        until: float,
        on_platform: Callable[[Event], None],
        on_device: Callable[[Event], None],
    ) -> None:
        while self.now < until:
            self._drain(self.platform, self.device, self.to_platform, on_platform)
            self._drain(self.device, self.platform, self.to_device, on_device)
            self.now = round(self.now + STEP, 6)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, data, endpoint, flow = heapq.heappop(self._flying)
                endpoint.receive_datagram(data, flow, self.now)
            self.platform.handle_timer(self.now)
            self.device.handle_timer(self.now)

    def _drain(
        self, source: Endpoint, target: Endpoint, flow: Flow, report: Callable[[Event], None]
    ) -> None:
        while (event := source.next_event()) is not None:
            report(event)
        for data, _, _ in source.data_to_send():
            copies = 2 if self._random.random() < self._duplicates else 1
            for _ in range(copies):
                if self._random.random() >= self._loss:
                    arrival = self.now + DELAY * (1 + self._random.random())
                    heapq.heappush(self._flying, (arrival, next(self._serial), data, target, flow))


def _message(number: int) -> OutgoingRequest:
    return OutgoingRequest(
        method="MESSAGE",
        uri="sip:34020000001320000001@198.51.100.20",
        from_uri="sip:34020000002000000001@3402000000",
        to_uri="sip:34020000001320000001@3402000000",
        body=f"<Query><SN>{number}</SN></Query>".encode(),
        content_type="Application/MANSCDP+xml",
    )


INVITE = OutgoingRequest(
    method="INVITE",
    uri="sip:34020000001320000001@198.51.100.20",
    from_uri="sip:34020000002000000001@3402000000",
    to_uri="sip:34020000001320000001@3402000000",
    body=b"v=0\r\n",
    content_type="application/sdp",
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
def test_every_message_is_handled_exactly_once(loss: float, seed: int) -> None:
    network = Network(seed, loss, duplicates=0.2)
    handled: Counter[bytes] = Counter()
    answered: list[int] = []
    failed: list[Event] = []

    def on_device(event: Event) -> None:
        assert isinstance(event, RequestReceived)
        handled[event.request.body] += 1
        network.device.respond(event, 200, network.now)

    def on_platform(event: Event) -> None:
        if isinstance(event, ResponseReceived):
            answered.append(event.response.status)
        else:
            failed.append(event)

    for number in range(50):
        network.platform.send_request(_message(number), network.to_device, 0.0)
    network.run(40.0, on_platform, on_device)
    assert set(handled.values()) == {1}
    assert len(handled) >= 50 - len(failed)
    assert len(answered) + len(failed) == 50
    assert len(failed) <= (0 if loss < 0.4 else 5)
    network.run(80.0, on_platform, on_device)
    for endpoint in (network.platform, network.device):
        stats = endpoint.stats()
        assert (stats.client_transactions, stats.server_transactions, stats.absorbing) == (0, 0, 0)
        assert stats.malformed == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_calls_begin_and_end_on_both_sides(loss: float, seed: int) -> None:
    network = Network(seed, loss, duplicates=0.1)
    answered = 0
    ended: Counter[str] = Counter()

    def on_device(event: Event) -> None:
        if isinstance(event, RequestReceived) and event.request.method == "INVITE":
            network.device.respond(event, 180, network.now)
            network.device.accept(event, network.now, body=b"v=0\r\n")
        elif isinstance(event, CallEnded):
            ended["device"] += 1

    def on_platform(event: Event) -> None:
        nonlocal answered
        if isinstance(event, CallAnswered):
            answered += 1
            event.usage.acknowledge()
            if answered % 2:
                event.usage.bye(network.now)
        elif isinstance(event, CallEnded | CallFailed):
            ended["platform"] += 1

    calls = [network.platform.invite(INVITE, network.to_device, 0.0) for _ in range(12)]
    network.run(40.0, on_platform, on_device)
    for call in calls:
        call.bye(network.now)
    network.run(200.0, on_platform, on_device)
    assert ended["platform"] == 12
    stats = [network.platform.stats(), network.device.stats()]
    assert {(s.client_transactions, s.server_transactions) for s in stats} == {(0, 0)}
    assert network.platform.stats().calls == 0
    if loss < 0.3:
        assert answered == 12
        assert network.device.stats().calls == 0
        assert ended["device"] == 12


@pytest.mark.parametrize("seed", range(8))
def test_cancel_at_any_moment_leaves_nothing_behind(seed: int) -> None:
    network = Network(seed, loss=0.15, duplicates=0.1)
    random = Random(seed)
    pending: list[tuple[float, RequestReceived]] = []

    def on_device(event: Event) -> None:
        if isinstance(event, RequestReceived) and event.request.method == "INVITE":
            pending.append((network.now + random.random(), event))

    def on_platform(event: Event) -> None:
        assert not isinstance(event, RequestFailed)

    calls = [network.platform.invite(INVITE, network.to_device, 0.0) for _ in range(10)]
    moments = [random.random() for _ in calls]
    while network.now < 2.0:
        network.run(network.now + 0.1, on_platform, on_device)
        for call, moment in zip(calls, moments, strict=True):
            if network.now >= moment:
                call.cancel(network.now)
        for due, event in pending:
            if due <= network.now and not event.transaction.answered:
                network.device.accept(event, network.now, body=b"v=0\r\n")
    network.run(150.0, on_platform, on_device)
    assert network.platform.stats().calls == 0
    assert network.device.stats().calls == 0
