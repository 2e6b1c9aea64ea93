"""The signalling side of one session: one INVITE dialog, from the INVITE to the BYE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

from manscdp.errors import ManscdpError
from manscdp.notify import END_OF_FILE, MediaStatus
from manscdp.registry import from_message
from manscdp.xml import parse
from sdp.errors import RemoteError
from sdp.session import Sdp
from sipserver.device.sessions.facts import Ending
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.call import Call
from sipserver.transport.errors import TransportError
from sipserver.transport.incoming import IncomingRequest

log = logging.getLogger(__name__)


def media_line(body: bytes) -> tuple[str, int, str, tuple[int, ...]] | None:
    """What must not change in a re-INVITE: kind, port, protocol and payloads."""
    media = Sdp.parse(body).media
    if not media:
        return None
    return media[0].kind, media[0].port, media[0].protocol, tuple(media[0].payload_types)


def just_answer(incoming: IncomingRequest) -> None:
    """For a platform that has no use for what is not the call's own business."""
    incoming.respond(200)


class Caller(Protocol):
    """What the live view needs of ``sipserver.transport.service.SipService``."""

    def invite(self, request: OutgoingRequest, flow: Flow) -> Call: ...


class CallLeg:
    """``on_over`` is called at most once per cause the peer gives: BYE, 121, a lost dialog."""

    def __init__(
        self,
        caller: Caller,
        *,
        on_provisional: Callable[[int], None],
        on_over: Callable[[Ending, str], None],
        pass_on: Callable[[IncomingRequest], None] = just_answer,
    ) -> None:
        self.call_id = ""
        self.bye_timeout = 5.0
        self.description = b""  # our side of what runs, for a re-INVITE
        self._caller = caller
        self._on_provisional = on_provisional
        self._on_over = on_over
        self._pass_on = pass_on
        self._call: Call | None = None
        self._heard = False  # a provisional answer: the device works on the INVITE
        self._acknowledged = False
        self._gone = False  # the dialog is over, or we are about to end it
        self._answer = b""

    async def invite(
        self, request: OutgoingRequest, flow: Flow, leases: AsyncExitStack, timeout: float
    ) -> Response:
        """The 2xx. CANCEL or BYE is on ``leases`` before anything is waited for.

        :raises TimeoutError: no final answer within ``timeout``
        :raises InviteRejected, TransportFailed, RequestTimedOut: from the transport
        """
        call = self._caller.invite(request, flow)
        self._call = call
        self.call_id = call.call_id
        leases.push_async_callback(self._hang_up)
        call.on_provisional = self._provisional
        call.on_request = self._receive_request
        call.on_ended = self._ended
        async with asyncio.timeout(timeout):
            response = await call.answered()
        self._answer = response.body
        return response

    def acknowledge(self) -> None:
        if self._call is not None and not self._gone:
            self._acknowledged = True
            self._call.ack()

    async def _hang_up(self) -> None:
        """CANCEL before the 2xx, BYE after it; 481 and silence are as good as 200 (annex A.11).

        The end is waited for, so that the next INVITE for this channel does not meet this one. A
        device that has not even said 100 is not: CANCEL has to wait for that (RFC 3261 9.1).
        """
        call = self._call
        if call is None or self._gone:
            return
        self._gone = True
        if not self._acknowledged:
            call.cancel()
            if not self._heard:
                return
        try:
            async with asyncio.timeout(self.bye_timeout):
                await call.bye()
        except (TimeoutError, TransportError) as error:
            log.debug("BYE of %s came to nothing: %s", self.call_id, error)

    # ------------------------------------------------------- from the device
    def _provisional(self, response: Response) -> None:
        self._heard = True
        self._on_provisional(response.status)

    def _ended(self, reason: str) -> None:
        if not self._gone:
            self._gone = True
            self._on_over(Ending.DIALOG_LOST, reason)

    def _receive_request(self, incoming: IncomingRequest) -> None:
        match incoming.request.method:
            case "BYE":  # the core has answered it
                self._gone = True
                self._on_over(Ending.DEVICE_BYE, "")
            case "INVITE":
                self._reinvited(incoming)
            case "MESSAGE":
                self._receive_message(incoming)
            case "NOTIFY":
                self._pass_on(incoming)
            case "INFO" | "OPTIONS":
                incoming.respond(200)
            case _:
                incoming.respond(405)

    def _reinvited(self, incoming: IncomingRequest) -> None:
        """The same media line is a fresh offer of what runs; any change is 488 (A.11)."""
        body = incoming.request.body
        try:
            unchanged = not body or media_line(body) == media_line(self._answer)
        except RemoteError as error:
            incoming.respond(error.status_hint)
            return
        if unchanged:
            incoming.accept(body=self.description)
        else:
            incoming.respond(488)

    def _receive_message(self, incoming: IncomingRequest) -> None:
        """MediaStatus belongs here; devices also send alarms and keepalives inside a dialog."""
        try:
            value = from_message(parse(incoming.request.body))
        except ManscdpError:
            value = None
        if not isinstance(value, MediaStatus):
            self._pass_on(incoming)
            return
        incoming.respond(200)
        if value.notify_type in ("", END_OF_FILE):
            self._on_over(Ending.MEDIA_STATUS, value.notify_type)
