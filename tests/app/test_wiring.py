import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from api.application import openapi_document
from app.settings import Settings, from_mapping
from app.wiring import Started, documented_routes, serve

NVR = "34020000001180000001"


def settings(directory: Path) -> Settings:
    return from_mapping(
        {
            "storage": {"path": str(directory / "data" / "x.sqlite3")},
            "http": {"host": "127.0.0.1", "port": 0},
            "sip": {"host": "127.0.0.1", "port": 0},
            "media": {"host": "127.0.0.1", "workers": 1},
        }
    )


class Running:
    """The platform in this process, and a client of its API."""

    def __init__(self, started: Started, client: ClientSession) -> None:
        self.started = started
        self.client = client

    async def json(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.started.http_port}{path}"
        async with self.client.request(method, url, json=body or None) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings(tmp_path), stop=stop, on_started=started.set_result))
    done, _ = await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        task.result()
    async with ClientSession() as client:
        platform = Running(started.result(), client)
        login = platform.started.login
        assert login is not None
        body = {"name": login.name, "password": login.password}
        _, answer = await platform.json("POST", "/api/v1/login", **body)
        client.headers["Authorization"] = f"Bearer {answer['token']}"
        yield platform
    stop.set()
    await task


async def test_the_platform_is_whole(running: Running, tmp_path: Path) -> None:
    status, health = await running.json("GET", "/api/v1/health/ready")
    assert (status, health["reasons"]) == (200, [])
    assert (await running.json("POST", "/api/v1/devices", device_id=NVR, password="12345678"))[
        0
    ] == 200
    _, statistics = await running.json("GET", "/api/v1/statistics")
    assert (statistics["devices"], statistics["devices_online"]) == (1, 0)
    assert set(statistics["services"]) >= {"sip", "devices", "live", "media", "storage", "leases"}
    _, page = await running.json("GET", "/api/v1/devices")
    assert page["items"][0]["device_id"] == NVR
    _, page = await running.json("GET", f"/api/v1/devices/{NVR}/channels")
    assert page["total"] == 0
    secrets = [path for path in (tmp_path / "data").iterdir() if path.stat().st_mode & 0o077]
    assert secrets == []


async def test_a_play_of_an_offline_device_ends_with_a_verdict_and_is_kept(
    running: Running,
) -> None:
    await running.json("POST", "/api/v1/devices", device_id=NVR, password="12345678")
    path = f"/api/v1/devices/{NVR}/channels/34020000001320000001/play"
    status, failure = await running.json("POST", path, wait=True)
    assert status in (404, 409)
    assert failure["next_step_zh"]
    session_id = failure["session"]["id"]
    _, session = await running.json("GET", f"/api/v1/sessions/{session_id}")
    assert session["verdict"]["code"] == failure["code"]
    async with asyncio.timeout(5):
        while (await running.json("GET", "/api/v1/sessions?state=ended"))[1]["total"] == 0:
            await asyncio.sleep(0)
    status, missing = await running.json("GET", "/api/v1/sessions/none")
    assert (status, missing["code"]) == (404, "unknown_session")


async def test_streams_metrics_and_media_node_are_mounted(running: Running) -> None:
    status, answer = await running.json("GET", "/live/none.flv")
    assert (status, answer["code"]) == (401, "play_token_missing")
    status, answer = await running.json("GET", "/media/v1/statistics")
    assert (status, answer["code"]) == (401, "wrong_node_token")
    _, openapi = await running.json("GET", "/api/openapi.json")
    assert openapi == json.loads(openapi_document(documented_routes()))
    url = f"http://127.0.0.1:{running.started.http_port}/metrics"
    async with running.client.get(url) as metrics:
        text = await metrics.text()
    assert "gb28181_devices_online 0.0" in text
    assert "gb28181_leases_ports_free" in text


async def test_the_password_file_goes_with_the_first_change(
    running: Running, tmp_path: Path
) -> None:
    login = running.started.login
    assert login is not None
    assert login.file.exists()
    body = {"old_password": login.password, "new_password": "a better one"}
    assert (await running.json("POST", "/api/v1/user/password", **body))[0] == 204
    assert not login.file.exists()


def test_every_operation_has_its_own_name() -> None:
    names = [row.operation for row in documented_routes()]
    assert len(names) == len(set(names))
