import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.authentication import Authenticator
from api.events import EventHub, EventView
from api.routes.system import StatisticsView, SystemRoutes

Client = TestClient[Request, Application]
MakeClient = Callable[..., Awaitable[Client]]


def routes(
    hub: EventHub,
    reason: str = "",
    login_lasts: Callable[[Request], bool] = lambda request: True,
) -> SystemRoutes:
    statistics = StatisticsView(
        version="0",
        started_at=1.0,
        uptime=2.0,
        devices=4,
        devices_online=3,
        channels=20,
        channels_online=10,
        sessions=1,
        services={"sip": {"received": 3}},
    )
    return SystemRoutes(
        events=hub,
        checks={"database": lambda: reason},
        statistics=lambda: statistics,
        login_lasts=login_lasts,
    )


async def test_health_is_public_and_ready_names_the_reason(make_client) -> None:  # type: ignore[no-untyped-def]
    client: Client = await make_client(
        routes(EventHub(clients=1), "disk full").table(), login=False
    )
    assert (await client.get("/api/v1/health/live")).status == 200
    ready = await client.get("/api/v1/health/ready")
    assert ready.status == 503
    body = await ready.json()
    assert body["reasons"] == [{"part": "database", "reason": "disk full"}]


async def test_statistics_need_a_login(make_client) -> None:  # type: ignore[no-untyped-def]
    stranger: Client = await make_client(routes(EventHub(clients=1)).table(), login=False)
    assert (await stranger.get("/api/v1/statistics")).status == 401
    client: Client = await make_client(routes(EventHub(clients=1)).table())
    body = await (await client.get("/api/v1/statistics")).json()
    assert body["services"] == {"sip": {"received": 3}}


async def test_events_arrive_as_they_happen(make_client) -> None:  # type: ignore[no-untyped-def]
    hub = EventHub(clients=1)
    client: Client = await make_client(routes(hub).table())
    async with asyncio.timeout(5), client.get("/api/v1/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b"retry: 3000\n\n"
        hub.publish(EventView(type="device_online", at=1.0, device_id="1", data={}))
        frame = await answer.content.readuntil(b"\n\n")
        assert frame.startswith(b"id: 1\nevent: device_online\n")
        refused = await client.get("/api/v1/events")
        assert refused.status == 503
        await hub.close()
        assert await answer.content.read() == b""


@pytest.mark.parametrize("busy", [True, False])
async def test_a_stream_of_events_ends_with_its_login(
    make_client: MakeClient,
    authenticator: Authenticator,
    monkeypatch: pytest.MonkeyPatch,
    busy: bool,
) -> None:
    monkeypatch.setattr("api.routes.system.HEARTBEAT", 60.0 if busy else 0.02)
    hub = EventHub(clients=1)
    client: Client = await make_client(routes(hub, login_lasts=authenticator.lasts).table())
    event = EventView(type="device_online", at=1.0, device_id="1", data={})
    async with asyncio.timeout(5), client.get("/api/v1/events") as answer:
        await answer.content.readuntil(b"\n\n")
        hub.publish(event)
        while not (await answer.content.readuntil(b"\n\n")).startswith(b"id: 1\n"):
            pass
        assert (await client.post("/api/v1/logout")).status == 204
        if busy:
            hub.publish(event)
        assert b"id: 2" not in await answer.content.read()
    assert hub.clients == 0


async def test_a_stream_of_events_goes_on_with_its_login(
    make_client: MakeClient,
    authenticator: Authenticator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.routes.system.HEARTBEAT", 0.01)
    client: Client = await make_client(
        routes(EventHub(clients=1), login_lasts=authenticator.lasts).table()
    )
    async with asyncio.timeout(5), client.get("/api/v1/events") as answer:
        await answer.content.readuntil(b"\n\n")
        for _ in range(3):
            assert await answer.content.readuntil(b"\n\n") == b": still here\n\n"
