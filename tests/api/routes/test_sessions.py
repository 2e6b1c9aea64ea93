import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.client_address import ClientAddresses
from api.models import PlayUrls, SessionJson, session_json
from api.routes.sessions import SessionRoutes, _status
from sdp.gb import Transport
from sipserver.device.sessions.errors import (
    PlayFailed,
    PlayStopped,
    ShuttingDown,
    UnknownSession,
)
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.stages import Stage, StageTime
from sipserver.device.sessions.state import State
from sipserver.device.sessions.verdict import ADVICE, Fault, Text, Verdict, VerdictCode
from sipserver.device.sessions.view import SessionView

Client = TestClient[Request, Application]
CAMERA = "34020000001320000001"
PLAY = f"/api/v1/devices/{CAMERA}/channels/{CAMERA}/play"

VIEW = SessionView(
    id="s1",
    device_id=CAMERA,
    channel_id=CAMERA,
    stream=0,
    stream_name="stream",
    state=State.PLAYING,
    stages=(StageTime(Stage.QUEUED, 0.0), StageTime(Stage.INVITE_SENT, 0.01)),
    verdict=None,
    ended_by=None,
    viewers=2,
    waiting=0,
    requested_by="admin",
    transport=Transport.UDP,
    media_port=30000,
    ssrc="0200000001",
    sip_status=200,
    call_id="c@h",
    quirks=("own ssrc",),
    started_at=1.0,
)


def verdict(fault: Fault, code: VerdictCode = VerdictCode.NO_ANSWER) -> Verdict:
    return Verdict(code, fault, Text("cause", "原因"), Text("next", "下一步"))


@dataclass
class FakeSession:
    shown: SessionView = VIEW
    error: Exception | None = None
    stream_name: str = "stream"
    never: bool = False
    waiting: int = 0
    counts: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    """How many wait, after each change."""

    async def ready(self) -> None:
        if self.never:
            self._wait(+1)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._wait(-1)
        if self.error is not None:
            raise self.error

    def _wait(self, change: int) -> None:
        self.waiting += change
        self.counts.put_nowait(self.waiting)

    def view(self) -> SessionView:
        return self.shown


@dataclass
class FakeLive:
    session: FakeSession = field(default_factory=FakeSession)
    opened: list[dict[str, Any]] = field(default_factory=list)
    closing: bool = False

    def open(self, device_id: str, channel_id: str, **options: Any) -> FakeSession:
        if self.closing:
            raise ShuttingDown("the platform stops")
        self.opened.append({"device_id": device_id, "channel_id": channel_id, **options})
        return self.session

    def views(self) -> list[SessionView]:
        return [VIEW, replace(VIEW, id="s2", channel_id="other")]

    def get(self, session_id: str) -> FakeSession:
        if session_id != "s1":
            raise UnknownSession(session_id)
        return self.session

    def view(self, session_id: str) -> SessionView:
        return self.get(session_id).view()

    async def stop(self, session_id: str) -> SessionView:
        return replace(self.view(session_id), state=State.ENDED)


class Signer:
    def play_urls(self, stream: str, request: web.Request) -> PlayUrls:
        return PlayUrls(urls={"flv": f"http://{request.host}/live/{stream}.flv"}, expires_at=9.0)


class Archive:
    old = tuple(session_json(replace(VIEW, id=f"old{n}", state=State.ENDED)) for n in range(5))

    async def sessions(
        self, *, device_id: str, channel_id: str, offset: int, limit: int
    ) -> tuple[list[SessionJson], int]:
        return list(self.old[offset : offset + limit]), len(self.old)

    async def session(self, session_id: str) -> SessionJson | None:
        return next((session for session in self.old if session.id == session_id), None)


@pytest.fixture
def live() -> FakeLive:
    return FakeLive()


@pytest.fixture
async def client(make_client, live: FakeLive) -> Client:  # type: ignore[no-untyped-def]
    routes = SessionRoutes(cast(LiveSessions, live), Signer(), Archive(), ClientAddresses())
    made: Client = await make_client(routes.table())
    return made


async def test_a_play_returns_session_stages_and_urls(client: Client, live: FakeLive) -> None:
    answer = await client.post(PLAY, json={"transport": "tcp-passive", "stream": 1})
    assert answer.status == 200
    body = await answer.json()
    assert body["session"]["state"] == "playing"
    assert body["session"]["stages"][1] == {"stage": "invite_sent", "seconds": 0.01}
    assert body["play"]["urls"]["flv"].endswith("/live/stream.flv")
    assert live.opened[0]["transport"] is Transport.TCP_PASSIVE
    assert live.opened[0]["stream"] == 1
    assert live.opened[0]["viewer"].startswith("admin@127.0.0.1")


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Fault.REQUEST, VerdictCode.PRIVATE_STREAM, 409),
        (Fault.DEVICE, VerdictCode.DEVICE_OFFLINE, 409),
        (Fault.REQUEST, VerdictCode.UNKNOWN_CHANNEL, 404),
        (Fault.DEVICE, VerdictCode.DEVICE_BUSY, 502),
        (Fault.NETWORK, VerdictCode.NO_PACKET_UDP, 504),
        (Fault.PLATFORM, VerdictCode.NO_PORT, 503),
    ],
)
async def test_a_failed_play_is_its_verdict(
    client: Client, live: FakeLive, fault: Fault, code: VerdictCode, status: int
) -> None:
    found = verdict(fault, code)
    live.session.error = PlayFailed(found, "s1")
    live.session.shown = replace(VIEW, state=State.ENDED, verdict=found, sip_status=486)
    answer = await client.post(PLAY, json={})
    assert answer.status == status
    body = await answer.json()
    assert (body["code"], body["message"], body["next_step_zh"]) == (code.value, "cause", "下一步")
    assert body["detail"] == "486"
    assert body["session"]["verdict"]["fault"] == fault.value


async def test_every_status_of_a_failed_play_is_documented() -> None:
    table = SessionRoutes(cast(LiveSessions, None), Signer(), Archive(), ClientAddresses()).table()
    play = next(row for row in table if row.operation == "play")
    documented = {problem.status for problem in play.errors}
    assert {
        _status(Verdict(code, advice.fault, Text("", ""), Text("", "")))
        for code, advice in ADVICE.items()
    } <= documented
    by_code = {problem.code: problem.status for problem in play.errors}
    for code, advice in ADVICE.items():
        if code.value in by_code:
            status = _status(Verdict(code, advice.fault, Text("", ""), Text("", "")))
            assert status == by_code[code.value], code


async def test_a_client_that_goes_away_waits_no_longer(
    client: Client, live: FakeLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.sessions.LOOK_INTERVAL", 0.01)
    live.session.never = True
    asking = [asyncio.create_task(client.post(PLAY, json={})) for _ in range(2)]
    counts = live.session.counts
    async with asyncio.timeout(5):
        assert [await counts.get(), await counts.get()] == [1, 2]
        asking[0].cancel()
        assert await counts.get() == 1
        assert not asking[1].done()  # who stays is not sent away
        asking[1].cancel()
        assert await counts.get() == 0
    await asyncio.gather(*asking, return_exceptions=True)


async def test_who_does_not_wait_gets_the_session_at_once(client: Client, live: FakeLive) -> None:
    live.session.error = PlayFailed(verdict(Fault.DEVICE), "s1")
    live.session.shown = replace(VIEW, state=State.INVITING)
    answer = await client.post(PLAY, json={"wait": False})
    assert answer.status == 200
    assert (await answer.json())["session"]["state"] == "inviting"


async def test_a_play_that_was_stopped_and_a_platform_that_stops(
    client: Client, live: FakeLive
) -> None:
    live.session.error = PlayStopped("stopped")
    answer = await client.post(PLAY, json={})
    assert (answer.status, (await answer.json())["code"]) == (409, "play_stopped")
    live.closing = True
    answer = await client.post(PLAY, json={})
    assert (answer.status, (await answer.json())["code"]) == (503, "shutting_down")


async def test_running_and_ended_sessions_are_one_list(client: Client) -> None:
    async def ids(query: str) -> tuple[list[str], int]:
        page = await (await client.get(f"/api/v1/sessions{query}")).json()
        return [item["id"] for item in page["items"]], page["total"]

    assert await ids("") == (["s1", "s2"], 2)
    assert await ids(f"?channel_id={CAMERA}") == (["s1"], 1)
    assert await ids("?state=ended&limit=2&offset=1") == (["old1", "old2"], 5)
    assert await ids("?state=all&limit=3") == (["s1", "s2", "old0"], 7)
    assert await ids("?state=all&limit=2&offset=3") == (["old1", "old2"], 7)
    assert await ids("?state=all&limit=2") == (["s1", "s2"], 7)


async def test_one_session_running_or_kept(client: Client) -> None:
    assert (await (await client.get("/api/v1/sessions/s1")).json())["viewers"] == 2
    assert (await (await client.get("/api/v1/sessions/old3")).json())["state"] == "ended"
    missing = await client.get("/api/v1/sessions/none")
    assert (missing.status, (await missing.json())["code"]) == (404, "unknown_session")


async def test_fresh_urls_and_a_stop(client: Client) -> None:
    urls = await (await client.get("/api/v1/sessions/s1/urls")).json()
    assert urls["expires_at"] == 9.0
    assert (await client.get("/api/v1/sessions/none/urls")).status == 404
    stopped = await (await client.post("/api/v1/sessions/s1/stop")).json()
    assert stopped["state"] == "ended"
