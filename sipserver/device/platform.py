"""The device services joined: registrar, presence, queries, catalogue, and the tasks they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sipserver.device.accounts import AccountBook, CommonPassword, DeviceAccount
from sipserver.device.authentication import AuthenticationSettings, Authenticator
from sipserver.device.channels import ChannelDirectory, ChannelStore
from sipserver.device.clock import Clock
from sipserver.device.commands import DeviceCommands
from sipserver.device.device import Device
from sipserver.device.events import DeviceOffline, EventBus, OfflineReason
from sipserver.device.hints import Hints
from sipserver.device.history import PresenceHistory, PresenceLog
from sipserver.device.liveness import Liveness, LivenessSettings
from sipserver.device.messenger import (
    Messenger,
    MessengerSettings,
    RequestSender,
    SerialNumbers,
)
from sipserver.device.presence import Presence, PresenceSettings
from sipserver.device.queries import QueryEngine, QuerySettings
from sipserver.device.registrar import Registrar
from sipserver.device.registration import ExpiryPolicy
from sipserver.device.registry import DeviceStore, Registry
from sipserver.device.router import Admission, PlatformHandler, RouterSettings
from sipserver.device.sync import DeviceSync, SyncSettings
from sipserver.device.targets import ChannelTargets
from sipserver.device.throttle import Throttle, ThrottleSettings
from sipserver.sip.auth import NonceBook
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import TransportFailed

TICK = 1.0  # seconds between two looks at the presence timers


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """Each group is documented where it is read."""

    authentication: AuthenticationSettings
    messenger: MessengerSettings
    common_password: CommonPassword = field(default_factory=CommonPassword)
    expiry: ExpiryPolicy = field(default_factory=ExpiryPolicy)
    liveness: LivenessSettings = field(default_factory=LivenessSettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    throttle: ThrottleSettings = field(default_factory=ThrottleSettings)
    router: RouterSettings = field(default_factory=RouterSettings)
    queries: QuerySettings = field(default_factory=QuerySettings)
    sync: SyncSettings = field(default_factory=SyncSettings)


@dataclass(frozen=True, slots=True)
class Stores:
    devices: DeviceStore
    channels: ChannelStore
    presence: PresenceLog


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the services must not take from the interpreter themselves."""

    clock: Clock
    """``monotonic`` is the event loop's ``time``."""
    new_token: Callable[[], str]
    """Unguessable; for nonces."""
    first_sn: int
    """Random, 1 to 2**31 - 2."""


class _Attached:
    """The sender, which itself needs the handler first."""

    def __init__(self) -> None:
        self.sender: RequestSender | None = None

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        if self.sender is None:
            raise TransportFailed("the SIP service is not started")
        return await self.sender.request(request, flow)


class DevicePlatform:
    """Build, :meth:`load`, give ``handler`` to the SIP service, :meth:`attach` it, :meth:`run`."""

    def __init__(
        self, settings: PlatformSettings, stores: Stores, surroundings: Surroundings
    ) -> None:
        clock = surroundings.clock
        self.events = EventBus()
        publish = self.events.publish
        self.registry = Registry(AccountBook(settings.common_password), stores.devices)
        self.presence = Presence(
            self.registry, Liveness(settings.liveness), publish, clock, settings.presence
        )
        throttle = Throttle(settings.throttle)
        nonces = NonceBook(new_token=surroundings.new_token)
        self.registrar = Registrar(
            Authenticator(self.registry, nonces, throttle, settings.authentication),
            self.registry,
            self.presence,
            publish,
            clock,
            expiry=settings.expiry,
        )
        self._attached = _Attached()
        self.messenger = Messenger(self._attached, settings.messenger)
        self.serial_numbers = SerialNumbers(surroundings.first_sn)
        self.queries = QueryEngine(
            self.messenger, self.serial_numbers, clock.monotonic, settings.queries
        )
        self.directory = ChannelDirectory(stores.channels, publish, clock, self._is_online)
        self.sync = DeviceSync(
            self.registry, self.queries, self.directory, publish, clock, settings=settings.sync
        )
        self.history = PresenceHistory(stores.presence)
        self.targets = ChannelTargets(self.registry, self.directory)
        hints = Hints(settings.messenger.server_id, publish, clock)
        self.handler = PlatformHandler(
            self.registrar,
            Admission(self.registry, self.presence, throttle, hints, settings.router),
            self.presence,
            DeviceCommands(self.presence, self.registry, self.queries, self.directory),
            hints,
        )
        self._clock = clock
        self.events.subscribe(self.sync.on_event)
        self.events.subscribe(self.history.on_event)

    def load(self) -> None:
        """Take over what the stores have. Blocks: call it before the service starts."""
        self.registry.load()
        self.directory.load()

    def attach(self, sender: RequestSender) -> None:
        """The started SIP service."""
        self._attached.sender = sender

    def in_use(self, flow: Flow) -> bool:
        """Whether an online device is reached there: its heartbeats alone decide when it is not."""
        return bool(self.registry.all_at(flow))

    async def run(self) -> None:
        """Timers, synchronisation and history, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(), name="presence timers")
                group.create_task(self.sync.run(), name="device synchronisation")
                group.create_task(self.history.run(), name="presence history")
        finally:
            await self.queries.close()
            self._record_stop()
            await self.history.flush()

    def put_account(self, account: DeviceAccount) -> Device:
        """Provision a device, or change what the operator set."""
        device = self.registry.put_account(account)
        self.presence.account_changed(device)
        return device

    def remove_account(self, device_id: str) -> None:
        """:raises UnknownDevice: no such account"""
        device = self.registry.get(device_id)
        self.presence.removed(device)
        self.sync.forget(device.device_id)
        self.directory.forget(device.device_id)
        self.registry.remove_account(device.device_id)

    def _record_stop(self) -> None:
        """The last edge of whoever is online; no event, so plays still end with their BYE."""
        at, reason = self._clock.wall(), OfflineReason.STOPPED
        for device in self.registry:
            if device.online:
                self.history.on_event(
                    DeviceOffline(device_id=device.device_id, at=at, reason=reason)
                )

    def _is_online(self, device_id: str) -> bool:
        device = self.registry.find(device_id)
        return device is not None and device.online

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.presence.handle_timer(self._clock.monotonic())
