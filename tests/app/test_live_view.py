import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from app.live_view import (
    AddressedTargets,
    PlayUrlSigner,
    SessionArchive,
    media_status_handler,
    play_secret,
)
from app.platform import PlatformSettings
from manscdp.xml import parse
from media_relay.tokens import PlayTokens
from sdp.gb import Transport
from sipserver.device.device import Device
from sipserver.device.incoming import Incoming
from sipserver.device.sessions.events import LiveEnded, LiveStarted
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.state import State
from sipserver.device.sessions.target import PlayTarget
from sipserver.device.sessions.view import SessionView
from sipserver.sip.flow import Flow
from storage.sql.sessions import EndedSession

TARGET = PlayTarget(
    device_id="d",
    channel_id="c",
    flow=Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5061)),
)
VIEW = SessionView(
    id="s",
    device_id="d",
    channel_id="c",
    stream=0,
    stream_name="d_c_0",
    state=State.ENDED,
    stages=(),
    verdict=None,
    ended_by=None,
    viewers=0,
    waiting=0,
    requested_by="",
    transport=Transport.UDP,
    media_port=30000,
    ssrc="0200000001",
    sip_status=200,
    call_id="x",
    quirks=(),
    started_at=1.0,
)


class OneTarget:
    def __init__(self, target: PlayTarget) -> None:
        self._target = target

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        return self._target


@pytest.mark.parametrize(
    ("account", "platform", "expected"),
    [
        ("", "", "192.0.2.1"),
        ("", "203.0.113.5", "203.0.113.5"),
        ("198.51.100.9", "203.0.113.5", "198.51.100.9"),
    ],
)
def test_media_goes_where_the_device_can_reach(account: str, platform: str, expected: str) -> None:
    targets = AddressedTargets(
        OneTarget(replace(TARGET, media_ip=account)), PlatformSettings(media_address=platform)
    )
    assert targets.target("d", "c").media_ip == expected


class Calls:
    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    def media_status(self, **values: str) -> bool:
        self.seen.append(values)
        return True


class FakeRequest:
    call_id = "c@h"


class FakeIncoming:
    request = FakeRequest()


def test_a_media_status_ends_the_session_it_is_about() -> None:
    live = Calls()
    body = (
        b'<?xml version="1.0"?><Notify><CmdType>MediaStatus</CmdType><SN>8</SN>'
        b"<DeviceID>34020000001320000001</DeviceID><NotifyType>121</NotifyType></Notify>"
    )
    handle = media_status_handler(cast(LiveSessions, live))
    sender = SimpleNamespace(device_id="34020000001180000001")
    handle(cast(Device, sender), parse(body), cast(Incoming, FakeIncoming()))
    assert live.seen == [
        {
            "call_id": "c@h",
            "device_id": "34020000001320000001",
            "notify_type": "121",
            "sender_id": "34020000001180000001",
        }
    ]


class MemoryStore:
    def __init__(self) -> None:
        self.kept: list[EndedSession] = []

    def append(self, session: EndedSession) -> bool:
        self.kept.append(session)
        return True

    async def newest(self, **query: Any) -> tuple[list[EndedSession], int]:
        return self.kept, len(self.kept)

    async def find(self, session_id: str) -> EndedSession | None:
        return next((kept for kept in self.kept if kept.session_id == session_id), None)


async def test_a_session_that_ended_is_kept_as_it_was_shown() -> None:
    store = MemoryStore()
    archive = SessionArchive(store)
    archive.on_event(LiveStarted(VIEW, 2.0))
    archive.on_event(LiveEnded(VIEW, 3.0))
    assert [(kept.started_at, kept.ended_at, kept.verdict) for kept in store.kept] == [
        (1.0, 3.0, "")
    ]
    page, total = await archive.sessions(device_id="", channel_id="", offset=0, limit=9)
    assert (page[0].ssrc, total) == ("0200000001", 1)
    assert await archive.session("s") == page[0]
    assert await archive.session("none") is None


def request(**headers: str) -> web.Request:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", "/", headers={"Host": "nvr.example:8080", **given})


def test_play_urls_are_signed_for_the_address_the_client_used() -> None:
    tokens = PlayTokens(b"x" * 32, now=lambda: 100.0)
    signer = PlayUrlSigner(tokens, 60.0, clock=lambda: 100.0)
    play = signer.play_urls("d_c_0", request())
    assert play.urls["flv"].startswith("http://nvr.example:8080/live/d_c_0.flv?token=")
    assert play.urls["ws_fmp4"].startswith("ws://nvr.example:8080/live/d_c_0.mp4?token=")
    assert play.expires_at == 160.0
    token = play.urls["fmp4"].partition("token=")[2]
    assert tokens.check("d_c_0", token) == 160.0


def test_behind_a_proxy_that_speaks_tls_the_urls_do_too() -> None:
    signer = PlayUrlSigner(PlayTokens(b"x" * 32), 60.0)
    urls = signer.play_urls("s", request(X_Forwarded_Proto="https")).urls
    assert urls["ws_flv"].startswith("wss://nvr.example:8080/")


def test_behind_a_proxy_with_another_name_the_urls_have_the_name_outside() -> None:
    signer = PlayUrlSigner(PlayTokens(b"x" * 32), 60.0)
    outside = request(X_Forwarded_Host="video.example, inner.example")
    assert signer.play_urls("s", outside).urls["flv"].startswith("http://video.example/live/s.flv")


async def test_the_secret_of_the_tokens_is_made_once(tmp_path: Path) -> None:
    secret = await play_secret(tmp_path)
    assert len(secret) == 32
    assert await play_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "play-secret").stat().st_mode) == 0o600
    (tmp_path / "play-secret").write_bytes(b"short")
    assert len(await play_secret(tmp_path)) == 32
