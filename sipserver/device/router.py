"""The door for requests that devices send: who is it, and who handles it.

A request is first attributed to a device (by the user part of From; host parts are never
compared), then its source is checked (signalling.md 3.11), then it is answered, then handled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from manscdp.errors import RemoteError as BadBody
from manscdp.xml import ManscdpMessage, parse
from sipserver.device.commands import CommandTable, DeviceCommands
from sipserver.device.device import Device
from sipserver.device.hints import Hints
from sipserver.device.incoming import Incoming
from sipserver.device.presence import Presence
from sipserver.device.registrar import Registrar
from sipserver.device.registry import Registry
from sipserver.device.throttle import Throttle
from sipserver.sip.flow import Flow

ACCEPT: Final = (("Accept", "Application/MANSCDP+xml"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    unknown_status: int = 403
    """Answer to an ID without an account: 403, or 404 (signalling.md 3.11)."""

    learn_aliases: bool = True
    """Take messages under another ID as the device's when they come from its very UDP address or
    TCP connection (a Hikvision platform sends some from its other ID)."""


@dataclass(slots=True)
class RouterCounters:
    """Since start."""

    messages: int = 0
    """MESSAGE and NOTIFY handed to a handler."""
    malformed: int = 0
    """Bodies that are no MANSCDP."""
    refused: int = 0
    """Requests of unknown IDs, or of known ones from elsewhere."""
    ignored: int = 0
    """The same, without an answer: the source had too many."""


class Admission:
    """Attributes a request to a device, or refuses it."""

    def __init__(
        self,
        registry: Registry,
        presence: Presence,
        throttle: Throttle,
        hints: Hints,
        settings: RouterSettings | None = None,
    ) -> None:
        self._registry = registry
        self._presence = presence
        self._throttle = throttle
        self._hints = hints
        self._settings = settings or RouterSettings()
        self.counters = RouterCounters()

    def sender(self, incoming: Incoming) -> Device | None:
        """The device; None when the request was refused, answered or not."""
        flow = incoming.flow
        name = incoming.request.from_.uri.user
        device = self._registry.find(name)
        if device is None and self._settings.learn_aliases:
            device = self._registry.only_one_at(flow)
            if device is not None:
                self._hints.alias(device, name[:32])
        if device is not None and self._presence.admit(device, flow, incoming.received_at):
            return device
        self.refuse(incoming, self._settings.unknown_status if device is None else 403)
        return None

    def refuse(self, incoming: Incoming, status: int) -> None:
        if self._throttle.may_refuse(incoming.flow.remote[0], incoming.received_at):
            self.counters.refused += 1
            incoming.respond(status)
        else:
            self.counters.ignored += 1
            incoming.ignore()


class PlatformHandler:
    """A ``RequestHandler`` of the transport. ``commands`` is what later services extend."""

    def __init__(
        self,
        registrar: Registrar,
        admission: Admission,
        presence: Presence,
        services: DeviceCommands,
        hints: Hints,
    ) -> None:
        self._registrar = registrar
        self._admission = admission
        self._presence = presence
        self._services = services
        self._hints = hints
        self.commands = CommandTable()
        services.join(self.commands)
        self._methods: dict[str, Callable[[Incoming], None]] = {
            "MESSAGE": self._message,
            "REGISTER": self._register,
            "NOTIFY": self._notify,
            "SUBSCRIBE": self._subscribe,
            "INVITE": self._invite,
        }

    @property
    def counters(self) -> RouterCounters:
        return self._admission.counters

    def on_request(self, incoming: Incoming) -> None:
        handle = self._methods.get(incoming.request.method, self._other)
        handle(incoming)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        self._presence.connection_lost(flow)

    def _register(self, incoming: Incoming) -> None:
        wish = self._registrar.receive(incoming)
        if wish is not None:
            self._hints.registered(wish)

    def _message(self, incoming: Incoming) -> None:
        device = self._admission.sender(incoming)
        if device is None:
            return
        message = self._read(device, incoming)
        if message is not None:
            incoming.respond(200)
            self._handle(device, message, incoming)

    def _notify(self, incoming: Incoming) -> None:
        """Accepted without a known subscription: many devices lose their dialogs."""
        device = self._admission.sender(incoming)
        if device is None:
            return
        if not incoming.request.body.strip():
            incoming.respond(200)  # a subscription that ends, or has nothing to report
            return
        message = self._read(device, incoming)
        if message is None:
            return
        if self.commands.knows(message):
            incoming.respond(200)
            self._handle(device, message, incoming)
        else:
            incoming.respond(481)

    def _subscribe(self, incoming: Incoming) -> None:
        """Devices subscribe at a platform only when they are one: not offered here."""
        if self._admission.sender(incoming) is not None:
            incoming.respond(489)

    def _invite(self, incoming: Incoming) -> None:
        """A device calls the platform for voice alone; without that no media is acceptable."""
        if self._admission.sender(incoming) is not None:
            incoming.respond(488)

    def _other(self, incoming: Incoming) -> None:
        if self._admission.sender(incoming) is not None:
            incoming.respond(405)

    def _handle(self, device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        self._admission.counters.messages += 1
        if message.charset_certain:
            self._services.remember_charset(device, message)
        if message.device_id != device.device_id and message.cmd_type == "Keepalive":
            self._hints.reported_id(device, message.device_id)
        self.commands.handle(device, message, incoming)

    def _read(self, device: Device, incoming: Incoming) -> ManscdpMessage | None:
        """The parsed body; None when it was answered here."""
        request = incoming.request
        try:
            return parse(request.body, device.account.charset, remembered=device.details.charset)
        except BadBody as error:
            self.counters.malformed += 1
            self._hints.unreadable(device, request, error.reason)
            if b"Keepalive" in request.body:
                incoming.respond(200)  # never 4xx to a heartbeat of a known device
                self._presence.keepalive(device, incoming.received_at)
            elif request.content_type and "xml" not in request.content_type:
                incoming.respond(415, headers=ACCEPT)
            else:
                incoming.respond(error.status_hint)
        return None
