"""The services of the platform, built and joined: storage, signalling, media, live view."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from app.device_desk import AccountWatch
from app.errors import StartError
from app.live_view import (
    AddressedTargets,
    KeyFrames,
    SessionArchive,
    media_status_handler,
)
from app.logs import request_at_hand
from app.media_node import open_media_node
from app.settings import Settings
from media_relay.node import LocalMediaNode
from media_relay.ports import PortPool
from media_relay.ssrc import SsrcPool
from sipserver.device.clock import Clock
from sipserver.device.events import DeviceEvent, DeviceOffline
from sipserver.device.messenger import LAST_SN
from sipserver.device.platform import DevicePlatform, PlatformSettings, Stores, Surroundings
from sipserver.device.sessions import surroundings as sessions
from sipserver.device.sessions.events import LiveEvent, SsrcHabitLearned
from sipserver.device.sessions.invite import Platform
from sipserver.device.sessions.live import LiveSessions
from sipserver.sip.flow import Flow
from sipserver.transport.errors import TransportError
from sipserver.transport.service import IncomingRequest, RequestHandler, SipService
from storage.errors import StorageUnavailable
from storage.sql.channels import SqlChannelStore
from storage.sql.database import Database
from storage.sql.devices import AccountProvisioning, SqlDeviceStore
from storage.sql.presence import SqlPresenceLog
from storage.sql.sessions import SqlSessionArchive
from storage.sql.users import SqlUserStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Storage:
    database: Database
    devices: SqlDeviceStore
    channels: SqlChannelStore
    presence: SqlPresenceLog
    sessions: SqlSessionArchive
    users: SqlUserStore
    provisioning: AccountProvisioning

    @property
    def directory(self) -> Path:
        """Where the database and the secrets lie."""
        return self.database.path.parent


@dataclass(frozen=True, slots=True)
class Media:
    node: LocalMediaNode
    ports: PortPool
    ssrcs: SsrcPool


class LiveEvents:
    """Where the sessions report; subscribers join after the sessions are built."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[LiveEvent], None]] = []

    def subscribe(self, subscriber: Callable[[LiveEvent], None]) -> None:
        self._subscribers.append(subscriber)

    def publish(self, event: LiveEvent) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # one subscriber's bug must not keep a session from its end
                log.exception("a subscriber failed at %s", type(event).__name__)


@dataclass(frozen=True, slots=True)
class Services:
    storage: Storage
    platform: DevicePlatform
    sip: SipService
    media: Media
    live: LiveSessions
    live_events: LiveEvents
    archive: SessionArchive
    watch: AccountWatch


async def open_storage(settings: Settings, undo: AsyncExitStack) -> Storage:
    """:raises StartError: when the database cannot be used"""
    database = Database(settings.storage)
    undo.push_async_callback(database.close)
    try:
        await database.open()
    except StorageUnavailable as error:
        raise StartError(str(error)) from error
    return Storage(
        database=database,
        devices=SqlDeviceStore(database),
        channels=SqlChannelStore(database),
        presence=SqlPresenceLog(database),
        sessions=SqlSessionArchive(database),
        users=SqlUserStore(database),
        provisioning=AccountProvisioning(database),
    )


async def open_services(settings: Settings, undo: AsyncExitStack) -> Services:
    """Everything below HTTP, started; ``undo`` ends it in the reverse order.

    :raises StartError: when something is missing or taken
    """
    storage = await open_storage(settings, undo)
    platform = device_platform(settings, storage)
    watch = AccountWatch(platform, storage.devices, storage.provisioning)
    await watch.begin()
    await asyncio.to_thread(platform.load)
    media = open_media(settings, undo)
    sip = await open_sip(settings, platform, undo)
    events = LiveEvents()
    live = live_sessions(settings, platform, sip, media, events)
    undo.push_async_callback(live.close)
    archive = SessionArchive(storage.sessions)
    events.subscribe(archive.on_event)
    events.subscribe(_habits(platform))
    platform.events.subscribe(_media_of_offline_devices(live))
    platform.handler.commands.add("Notify", "MediaStatus", media_status_handler(live))
    return Services(storage, platform, sip, media, live, events, archive, watch)


def device_platform(settings: Settings, storage: Storage) -> DevicePlatform:
    identity = settings.platform
    return DevicePlatform(
        PlatformSettings(
            authentication=replace(settings.authentication, realm=identity.sip_domain),
            messenger=replace(settings.messages, server_id=identity.id, domain=identity.sip_domain),
            common_password=settings.common_password,
            expiry=settings.registration,
            liveness=settings.liveness,
            presence=settings.presence,
            throttle=settings.throttle,
            router=settings.requests,
            queries=replace(settings.queries, catalog=settings.catalogue),
            sync=settings.sync,
        ),
        Stores(storage.devices, storage.channels, storage.presence),
        Surroundings(
            clock=Clock(monotonic=time.monotonic, wall=time.time),
            new_token=lambda: secrets.token_hex(16),
            first_sn=1 + secrets.randbelow(LAST_SN),
        ),
    )


class LoggedHandler:
    """The device services, with the request at hand known to the log."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    def on_request(self, incoming: IncomingRequest) -> None:
        token = request_at_hand.set(incoming)
        try:
            self._handler.on_request(incoming)
        finally:
            request_at_hand.reset(token)

    def on_connection_lost(self, flow: Flow, reason: str) -> None:
        self._handler.on_connection_lost(flow, reason)


async def open_sip(
    settings: Settings, platform: DevicePlatform, undo: AsyncExitStack
) -> SipService:
    """:raises StartError: when the port is taken"""
    sip = SipService(settings.sip, LoggedHandler(platform.handler), in_use=platform.in_use)
    try:
        await sip.start()
    except TransportError as error:
        raise StartError(f"{error} ([sip] port).") from error
    undo.push_async_callback(sip.close)
    platform.attach(sip)
    return sip


def open_media(settings: Settings, undo: AsyncExitStack) -> Media:
    """:raises StartError: when the media node cannot start"""
    group = settings.media
    node = open_media_node(group)
    undo.callback(node.close)
    ports = PortPool(group.first_port, group.last_port)
    return Media(node, ports, SsrcPool(settings.platform.id))


def live_sessions(
    settings: Settings,
    platform: DevicePlatform,
    sip: SipService,
    media: Media,
    events: LiveEvents,
) -> LiveSessions:
    identity = settings.platform
    around = sessions.Surroundings(
        platform=Platform(
            platform_id=identity.id,
            domain=identity.sip_domain,
            media_ip=identity.media_address,
            listen_ip=settings.media.host,
        ),
        caller=sip,
        node=media.node,
        ports=media.ports,
        ssrcs=media.ssrcs,
        targets=AddressedTargets(platform.targets, identity),
        settings=settings.live,
        node_silence=settings.media.silence_seconds,
        pass_on=LoggedHandler(platform.handler).on_request,
        request_key_frame=KeyFrames(platform).request,
    )
    return LiveSessions(around, publish=events.publish)


def _habits(platform: DevicePlatform) -> Callable[[LiveEvent], None]:
    """What a device did with our SSRC is kept for its next play."""

    def on_event(event: LiveEvent) -> None:
        if isinstance(event, SsrcHabitLearned):
            platform.targets.learned(event.device_id, event.habit)

    return on_event


def _media_of_offline_devices(live: LiveSessions) -> Callable[[DeviceEvent], None]:
    """The media of a device that is gone is released (GB/T 28181-2022 9.1.1, annex K)."""

    def on_event(event: DeviceEvent) -> None:
        if isinstance(event, DeviceOffline):
            live.device_offline(event.device_id, event.reason.value)

    return on_event
