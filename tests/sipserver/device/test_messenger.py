from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Device
from sipserver.device.errors import (
    DeviceBusy,
    DeviceNotOnline,
    DeviceRefused,
    DeviceUnreachable,
)
from sipserver.device.messenger import LAST_SN, Messenger, MessengerSettings, SerialNumbers
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import RequestTimedOut, TransportFailed

Virtual = Callable[[Coroutine[Any, Any, Any]], Any]
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
SETTINGS = MessengerSettings(server_id="34020000002000000001", domain="3402000000", queue=3)


def response(status: int, reason: str = "") -> Response:
    message = parse_message(f"SIP/2.0 {status} {reason}\r\nCall-ID: 1\r\n\r\n".encode())
    assert isinstance(message, Response)
    return message


def camera(device_id: str = "34020000001320000001") -> Device:
    account = DeviceAccount(device_id=device_id, password="12345678")
    return Device(account, online=True, flow=FLOW)


class Sender:
    """Answers after a second, and remembers how much it had to do at once."""

    def __init__(self, outcome: Response | Exception | None = None) -> None:
        self.requests: list[OutgoingRequest] = []
        self.at_once = 0
        self.most = 0
        self.outcome = outcome or response(200, "OK")

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        self.requests.append(request)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(1.0)
        finally:
            self.at_once -= 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_rows_14_16_and_27_a_message_goes_to_the_packet_source(virtual: Virtual) -> None:
    sender = Sender()
    virtual(Messenger(sender, SETTINGS).send(camera(), b"<Query/>", what="Catalog"))
    [request] = sender.requests
    assert request.uri == "sip:34020000001320000001@192.0.2.7:5060"
    assert request.from_uri == "sip:34020000002000000001@3402000000"
    assert request.to_uri == "sip:34020000001320000001@3402000000"
    assert (request.method, request.content_type) == ("MESSAGE", "Application/MANSCDP+xml")


def test_a_request_may_be_addressed_to_a_channel(virtual: Virtual) -> None:
    sender = Sender()
    channel = "34020000001310000001"
    virtual(Messenger(sender, SETTINGS).send(camera(), b"", what="x", target=channel))
    assert sender.requests[0].uri == f"sip:{channel}@192.0.2.7:5060"
    assert sender.requests[0].to_uri == f"sip:{channel}@3402000000"


def test_four_in_flight_and_a_bounded_queue_in_order(virtual: Virtual) -> None:
    sender = Sender()
    messenger = Messenger(sender, SETTINGS)
    device = camera()

    async def scenario() -> None:
        bodies = [str(number).encode() for number in range(7)]
        tasks = [asyncio.create_task(messenger.send(device, b, what="x")) for b in bodies]
        await asyncio.sleep(0.1)
        with pytest.raises(DeviceBusy, match="3 requests wait"):
            await messenger.send(device, b"8", what="x")
        await messenger.send(camera("34020000001320000002"), b"9", what="x")  # its own lane
        await asyncio.gather(*tasks)

    virtual(scenario())
    assert [r.body for r in sender.requests if r.body != b"9"] == [b"%d" % n for n in range(7)]
    assert sender.most == 5
    assert messenger._lanes == {}


def test_places_are_handed_on_when_callers_give_up(virtual: Virtual) -> None:
    sender = Sender()
    messenger = Messenger(sender, SETTINGS)
    device = camera()

    async def scenario() -> None:
        tasks = [asyncio.create_task(messenger.send(device, b"", what="x")) for _ in range(7)]
        await asyncio.sleep(0.1)
        for task in (tasks[0], tasks[4], tasks[5]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual(scenario())
    assert len(sender.requests) == 5
    assert messenger._lanes == {}


def test_a_place_is_handed_on_by_who_gives_up_when_it_gets_it(virtual: Virtual) -> None:
    sender = Sender()
    messenger = Messenger(sender, SETTINGS)
    device = camera()

    async def scenario() -> None:
        tasks = [asyncio.create_task(messenger.send(device, b"", what="x")) for _ in range(7)]
        await asyncio.sleep(0.1)
        tasks[0].cancel()
        await asyncio.sleep(0)  # the first in flight leaves, the first in the queue is next
        tasks[4].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual(scenario())
    assert len(sender.requests) == 6
    assert messenger._lanes == {}


@pytest.mark.parametrize(
    ("outcome", "error", "text"),
    [
        (response(404, "Not Found"), DeviceRefused, "refused Catalog: 404 Not Found"),
        (RequestTimedOut("MESSAGE: no answer"), DeviceUnreachable, "did not answer Catalog"),
        (TransportFailed("connection lost"), DeviceUnreachable, "connection lost"),
    ],
)
def test_failures_have_names(
    virtual: Virtual, outcome: Response | Exception, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        virtual(Messenger(Sender(outcome), SETTINGS).send(camera(), b"", what="Catalog"))


def test_a_device_without_a_flow_is_not_asked(virtual: Virtual) -> None:
    device = camera()
    device.flow = None
    with pytest.raises(DeviceNotOnline):
        virtual(Messenger(Sender(), SETTINGS).send(device, b"", what="Catalog"))


def test_serial_numbers_are_unique_and_wrap_before_2_31() -> None:
    numbers = SerialNumbers(LAST_SN - 1)
    assert [numbers.take() for _ in range(4)] == [LAST_SN - 1, LAST_SN, 1, 2]
    assert LAST_SN < 2**31 - 1


def test_serial_numbers_know_their_own() -> None:
    numbers = SerialNumbers(LAST_SN - 1)
    assert not numbers.was_taken(LAST_SN - 1)
    for _ in range(3):
        numbers.take()
    assert [numbers.was_taken(n) for n in (LAST_SN - 2, LAST_SN - 1, LAST_SN, 1, 2, 0)] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("first", [0, 1, LAST_SN, LAST_SN + 1, 2**40])
def test_any_first_number_is_made_legal(first: int) -> None:
    assert 1 <= SerialNumbers(first).take() <= LAST_SN
