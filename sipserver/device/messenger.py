"""MESSAGE to a device: few in flight, a bounded queue, one series of serial numbers.

A device digests one to four requests at a time (signalling.md 9, "parallel load").
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from sipserver.device.device import Device
from sipserver.device.errors import DeviceBusy, DeviceNotOnline, DeviceRefused, DeviceUnreachable
from sipserver.sip.errors import TooManyTransactions
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import RequestTimedOut, TransportFailed

LAST_SN: Final = 2**31 - 2
"""SN wraps before 2**31 - 1, signalling.md 4.0."""

CONTENT_TYPE: Final = "Application/MANSCDP+xml"


class RequestSender(Protocol):
    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        """The final response, whatever its status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessengerSettings:
    server_id: str
    """Our 20-digit ID, the user part of From."""

    domain: str
    """Host part of From and To: the first 10 digits of ``server_id``."""

    in_flight: int = 4
    """Requests to one device without an answer yet, 1..16. The reference advises 1 to 4."""

    queue: int = 64
    """Requests that wait for one device before :exc:`DeviceBusy`."""


class SerialNumbers:
    """SN of all we send: unique over all peers, so unique towards each."""

    def __init__(self, first: int) -> None:
        """:param first: random, so that a restart does not repeat the numbers before it"""
        self._first = 1 + (first - 1) % LAST_SN
        self._next = self._first

    def take(self) -> int:
        number = self._next
        self._next = 1 if number >= LAST_SN else number + 1
        return number

    def was_taken(self, number: int) -> bool:
        """Whether it is one of ours since the start: then its query is over."""
        if self._first <= self._next:
            return self._first <= number < self._next
        return 0 < number < self._next or self._first <= number <= LAST_SN


@dataclass(slots=True)
class _Lane:
    in_flight: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Messenger:
    def __init__(self, sender: RequestSender, settings: MessengerSettings) -> None:
        self._sender = sender
        self._settings = settings
        self._lanes: dict[str, _Lane] = {}

    async def send(self, device: Device, body: bytes, *, what: str, target: str = "") -> None:
        """Return when the device has accepted it with a 2xx.

        :param what: names the request in an error
        :param target: a channel's ID for Request-URI and To instead of the device's own
        :raises DeviceNotOnline: also when it went offline while this waited
        :raises DeviceBusy: ``queue`` requests wait already
        :raises DeviceUnreachable: no answer, or the connection broke
        :raises DeviceRefused: an answer of 3xx to 6xx
        """
        lane = self._lanes.setdefault(device.device_id, _Lane())
        await self._enter(lane, device.device_id)
        try:
            if device.flow is None:
                raise DeviceNotOnline(device.device_id)
            request = self._request(device.flow, target or device.device_id, body)
            response = await self._sender.request(request, device.flow)
        except (RequestTimedOut, TransportFailed, TooManyTransactions) as error:
            raise DeviceUnreachable(device.device_id, what, str(error)) from error
        finally:
            self._leave(lane, device.device_id)
        if response.status >= 300:
            raise DeviceRefused(device.device_id, what, response.status, response.reason)

    def _request(self, flow: Flow, target: str, body: bytes) -> OutgoingRequest:
        """To the packet source of the registration: Contact and Via of devices are often wrong."""
        host, port = flow.remote
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return OutgoingRequest(
            method="MESSAGE",
            uri=f"sip:{target}@{address}",
            from_uri=f"sip:{self._settings.server_id}@{self._settings.domain}",
            to_uri=f"sip:{target}@{self._settings.domain}",
            body=body,
            content_type=CONTENT_TYPE,
        )

    async def _enter(self, lane: _Lane, device_id: str) -> None:
        if lane.in_flight < self._settings.in_flight:
            lane.in_flight += 1
            return
        if len(lane.waiting) >= self._settings.queue:
            raise DeviceBusy(device_id, len(lane.waiting))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        try:
            await turn  # whoever leaves hands its place on
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(lane, device_id)
            else:
                with suppress(ValueError):  # passed over already by whoever left
                    lane.waiting.remove(turn)
            raise

    def _leave(self, lane: _Lane, device_id: str) -> None:
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        lane.in_flight -= 1
        if not lane.in_flight:
            self._lanes.pop(device_id, None)
