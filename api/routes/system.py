"""Health, statistics and the stream of events."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from api.errors import NOT_READY, TOO_MANY_LISTENERS
from api.events import EventHub
from api.health import Check, HealthView, examine
from api.route import Access, Call, Nothing, Route, json_response, route

HEARTBEAT: Final = 15.0
"""Seconds between comments on an idle event stream; proxies cut at 30 to 60."""


class StatisticsView(msgspec.Struct, frozen=True):
    """Counters of every service, by service and name; see /metrics for the same as time series."""

    version: str
    started_at: float
    """Seconds since 1970, UTC."""
    uptime: float
    """Seconds."""
    devices: int
    devices_online: int
    channels: int
    channels_online: int
    sessions: int
    """Live sessions that run now."""
    services: dict[str, dict[str, Any]]


class SystemRoutes:
    def __init__(
        self,
        *,
        events: EventHub,
        checks: Mapping[str, Check],
        statistics: Callable[[], StatisticsView],
        login_lasts: Callable[[web.Request], bool],
    ) -> None:
        """
        :param login_lasts: asked again and again for a stream of events: it ends with its login
        """
        self._events = events
        self._checks = checks
        self._statistics = statistics
        self._login_lasts = login_lasts

    async def health_live(self, call: Call[Nothing, Nothing]) -> HealthView:
        return HealthView(status="ok", reasons=[], checked=[])

    async def health_ready(self, call: Call[Nothing, Nothing]) -> web.StreamResponse:
        health = examine(self._checks)
        return json_response(health, status=503 if health.reasons else 200)

    async def statistics(self, call: Call[Nothing, Nothing]) -> StatisticsView:
        return self._statistics()

    async def events(self, call: Call[Nothing, Nothing]) -> web.StreamResponse:
        request = call.request
        with self._events.listen(request.headers.get("Last-Event-ID", "")) as queue:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            await response.prepare(request)
            await response.write(b"retry: 3000\n\n")
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        frames = await queue.take()
                except TimeoutError:
                    frames = b": still here\n\n"
                if not frames or not self._login_lasts(request):
                    return response  # the server stops, or this is nobody's business any more
                try:
                    await response.write(frames)
                except ConnectionError:
                    return response

    def table(self) -> Sequence[Route]:
        return (
            route(
                "GET",
                "/api/v1/health/live",
                self.health_live,
                summary="The process answers",
                summary_zh="进程存活",
                tag="system",
                response=HealthView,
                access=Access.PUBLIC,
            ),
            route(
                "GET",
                "/api/v1/health/ready",
                self.health_ready,
                summary="Whether every part works, with reasons; 503 when not",
                summary_zh="各部分是否就绪及原因",
                tag="system",
                response=HealthView,
                errors=(NOT_READY,),
                access=Access.PUBLIC,
            ),
            route(
                "GET",
                "/api/v1/statistics",
                self.statistics,
                summary="Counters of every service",
                summary_zh="各服务的统计计数",
                tag="system",
                response=StatisticsView,
            ),
            route(
                "GET",
                "/api/v1/events",
                self.events,
                summary="Server-sent events: devices on and off line, catalogues, sessions",
                summary_zh="事件流：设备上下线、目录同步、会话状态",
                tag="system",
                response=str,
                errors=(TOO_MANY_LISTENERS,),
                content="text/event-stream",
            ),
        )
