"""Joins the services with HTTP, and owns the tasks that run for as long as the server does."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from api.application import ApiParts, make_application
from api.authentication import Authenticator, logged_in
from api.channel_indexes import ChannelIndexes
from api.client_address import ClientAddresses
from api.domain_errors import DOMAIN_ERRORS
from api.events import EventHub
from api.health import Check
from api.login import LoginSessions, LoginThrottle
from api.route import Access, Route
from api.routes.channels import ChannelRoutes
from api.routes.devices import DeviceRoutes
from api.routes.history import HistoryRoutes
from api.routes.login import LoginRoutes
from api.routes.media import LiveRoutes
from api.routes.media_node import PREFIX, MediaNodeRoutes, media_node_app
from api.routes.sessions import SessionRoutes
from api.routes.system import StatisticsView, SystemRoutes
from app import __version__
from app.device_desk import DeviceDesk
from app.event_views import device_event_view, live_event_view
from app.first_run import InitialLogin, ensure_user, forget_initial_password
from app.http import HttpSite
from app.live_view import PlayUrlSigner, play_secret
from app.media_node import node_token
from app.metrics import metrics_handler
from app.services import Services, open_services
from app.settings import Settings
from app.statistics import SIP_LEVELS, Source, all_values
from app.upkeep import HistoryPruning
from console import STATIC
from media_relay.tokens import PlayTokens
from sipserver.device.events import DeviceEvent
from sipserver.device.sessions.events import LiveEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What the operator wants to know."""

    http_port: int
    sip_port: int
    login: InitialLogin | None
    """At the first start only."""


async def serve(
    settings: Settings, *, stop: asyncio.Event, on_started: Callable[[Started], None]
) -> None:
    """Run the platform until ``stop`` is set.

    :raises StartError: when it cannot start; the text says what to do
    """
    async with AsyncExitStack() as undo:
        services = await open_services(settings, undo)
        login = await ensure_user(services.storage.users, services.storage.directory)
        site = await _http(settings, services)
        undo.push_async_callback(site.close)
        await site.start()
        started = Started(http_port=site.port, sip_port=services.sip.port, login=login)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(services.platform.run(), name="device services"),
                group.create_task(services.watch.run(), name="account watch"),
                group.create_task(_pruning(settings, services).run(), name="history pruning"),
            ]
            on_started(started)
            await stop.wait()
            for task in tasks:
                task.cancel()


def route_table(
    *,
    login: LoginRoutes,
    devices: DeviceRoutes,
    channels: ChannelRoutes,
    sessions: SessionRoutes,
    history: HistoryRoutes,
    system: SystemRoutes,
) -> tuple[Route, ...]:
    """Every typed route, in the order of the documentation."""
    groups = (login, devices, channels, sessions, history, system)
    return tuple(row for group in groups for row in group.table())


def documented_routes() -> tuple[Route, ...]:
    """The table without anything behind it: for the OpenAPI document."""
    nothing = cast(Any, None)
    return (
        *route_table(
            login=LoginRoutes(nothing, nothing, secure_cookie=False),
            devices=DeviceRoutes(nothing),
            channels=ChannelRoutes(nothing),
            sessions=SessionRoutes(nothing, nothing, nothing, nothing),
            history=HistoryRoutes(nothing),
            system=SystemRoutes(events=nothing, checks={}, statistics=nothing, login_lasts=nothing),
        ),
        *node_route_table(),
    )


def node_route_table() -> tuple[Route, ...]:
    """The media node's API, which checks its own token."""
    nothing = cast(Any, None)
    rows = MediaNodeRoutes(nothing, nothing).table(PREFIX)
    return tuple(replace(row, access=Access.NODE) for row in rows)


async def _http(settings: Settings, services: Services) -> HttpSite:
    directory = services.storage.directory
    indexes = ChannelIndexes(
        services.platform.directory, services.platform.registry, [settings.platform.id]
    )
    hub = EventHub(clients=settings.http.event_clients)
    _report(services, indexes, hub)
    sources = _sources(services, hub)
    authenticator = _authenticator(settings, services, directory)
    addresses = ClientAddresses(settings.http.trusted_proxies)
    lifetime = settings.media.token_seconds
    tokens = PlayTokens(await play_secret(directory), lifetime=lifetime)
    storage = services.storage
    routes = route_table(
        login=LoginRoutes(
            authenticator,
            addresses,
            secure_cookie=settings.http.secure_cookie,
        ),
        devices=DeviceRoutes(DeviceDesk(services.platform, storage.devices, indexes)),
        channels=ChannelRoutes(indexes),
        sessions=SessionRoutes(
            services.live, PlayUrlSigner(tokens, lifetime), services.archive, addresses
        ),
        history=HistoryRoutes(storage.presence),
        system=SystemRoutes(
            events=hub,
            checks=_checks(services),
            statistics=_statistics(services, indexes, sources),
            login_lasts=authenticator.lasts,
        ),
    )
    streams = LiveRoutes(services.media.node, tokens=tokens)
    metrics = metrics_handler(sources)
    if not settings.http.metrics_public:
        metrics = logged_in(metrics, authenticator)
    node_secret = await node_token(settings.media_node, directory)
    node_api = media_node_app(
        services.media.node, node_secret, ports=services.media.ports, prefix="", tokens=tokens
    )
    parts = ApiParts(
        settings=settings.http,
        authenticator=authenticator,
        routes=routes,
        errors=DOMAIN_ERRORS,
        console=STATIC,
        more_routes=(
            web.get("/metrics", metrics),
            *streams.routes(),
        ),
        applications={PREFIX: node_api},
        documented=node_route_table(),
    )
    application = make_application(parts)
    application.on_shutdown.append(streams.close)
    application.on_shutdown.append(hub.close)
    return HttpSite(application, settings.http)


def _authenticator(settings: Settings, services: Services, directory: Path) -> Authenticator:
    return Authenticator(
        services.storage.users,
        LoginSessions(settings.login, lambda: secrets.token_urlsafe(32)),
        LoginThrottle(settings.login),
        on_password_changed=lambda name: forget_initial_password(directory),
    )


def _report(services: Services, indexes: ChannelIndexes, hub: EventHub) -> None:
    def device_event(event: DeviceEvent) -> None:
        indexes.on_event(event)
        if hub.is_heard and (view := device_event_view(event)) is not None:
            hub.publish(view)

    def live_event(event: LiveEvent) -> None:
        if hub.is_heard and (view := live_event_view(event)) is not None:
            hub.publish(view)

    services.platform.events.subscribe(device_event)
    services.live_events.subscribe(live_event)


def _pruning(settings: Settings, services: Services) -> HistoryPruning:
    histories = (services.storage.presence, services.storage.sessions)
    return HistoryPruning(histories, settings.storage.history_days)


def _checks(services: Services) -> dict[str, Check]:
    def database() -> str:
        stats = services.storage.database.stats()
        if stats.failing:
            return f"The database refuses writes: {stats.last_error}. Check the disk."
        return ""

    def ports() -> str:
        if services.media.ports.available:
            return ""
        return "Every media port is in use. Stop sessions, or widen [media] first_port..last_port."

    return {"database": database, "media ports": ports}


def _sources(services: Services, hub: EventHub) -> Sequence[Source]:
    platform, media = services.platform, services.media

    def media_node() -> dict[str, int]:
        stats = media.node.stats()
        now = ("streams", "viewers", "relays", "senders")
        counted = ("dropped_events", "unknown_ssrc", "unbound_closed")
        return {name: getattr(stats, name) for name in (*now, *counted)}

    def devices() -> dict[str, int]:
        return {
            "registered": len(platform.registry),
            "online": sum(device.online for device in platform.registry),
            "syncing": platform.sync.waiting,
            "presence_edges_dropped": platform.history.dropped,
            "answers_unmatched": platform.queries.unmatched,
        }

    def leases() -> dict[str, int]:
        return {
            "ports_leased": media.ports.leased,
            "ports_free": media.ports.available,
            "ssrcs_leased": media.ssrcs.leased,
            "ssrcs_free": media.ssrcs.available,
        }

    def events() -> dict[str, int]:
        return {"published": hub.published, "clients": hub.clients}

    return (
        Source("sip", services.sip.stats, SIP_LEVELS),
        Source("transport", services.sip.transport_stats, SIP_LEVELS),
        Source("registrar", lambda: platform.registrar.counters),
        Source("requests", lambda: platform.handler.counters),
        Source("devices", devices, frozenset({"registered", "online", "syncing"})),
        Source("live", services.live.stats, frozenset({"active"})),
        Source("media", media_node, frozenset({"streams", "viewers", "relays", "senders"})),
        Source("leases", leases, frozenset(leases())),
        Source("storage", services.storage.database.stats, frozenset({"waiting"})),
        Source("events", events, frozenset({"clients"})),
    )


def _statistics(
    services: Services, indexes: ChannelIndexes, sources: Sequence[Source]
) -> Callable[[], StatisticsView]:
    started_at, started = time.time(), time.monotonic()

    def statistics() -> StatisticsView:
        registry = services.platform.registry
        channels, channels_online = indexes.totals()
        return StatisticsView(
            version=__version__,
            started_at=started_at,
            uptime=time.monotonic() - started,
            devices=len(registry),
            devices_online=sum(device.online for device in registry),
            channels=channels,
            channels_online=channels_online,
            sessions=services.live.stats().active,
            services=all_values(sources),
        )

    return statistics
