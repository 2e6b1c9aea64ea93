"""Live view joined: sessions over SIP and the media node, their archive, their play URLs."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web

from api.models import PlayUrls, SessionJson, session_json
from app.platform import PlatformSettings
from manscdp.control import KeyFrameRequest
from manscdp.errors import ManscdpError
from manscdp.notify import MediaStatus
from manscdp.registry import from_message
from manscdp.xml import ManscdpMessage
from media_relay.outputs import play_urls
from media_relay.tokens import PlayTokens
from sipserver.device.device import Device
from sipserver.device.incoming import Incoming
from sipserver.device.platform import DevicePlatform
from sipserver.device.sessions.events import LiveEnded, LiveEvent
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.target import PlayTarget, TargetLookup
from storage.sql.sessions import EndedSession

SECRET_BYTES: Final = 32
log = logging.getLogger(__name__)


class AddressedTargets:
    """Targets that know where their device reaches our media ports."""

    def __init__(self, targets: TargetLookup, settings: PlatformSettings) -> None:
        self._targets = targets
        self._media_address = settings.media_address

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        """As :meth:`TargetLookup.target`; what it registered at is what it can reach."""
        target = self._targets.target(device_id, channel_id)
        address = target.media_ip or self._media_address or target.flow.local[0]
        return replace(target, media_ip=address)


class KeyFrames:
    """Asks a device for a key frame (GB/T 28181-2022 9.3, A.2.3.1)."""

    def __init__(self, platform: DevicePlatform) -> None:
        self._platform = platform

    async def request(self, target: PlayTarget) -> None:
        """:raises DeviceError: of the messenger"""
        device = self._platform.registry.get(target.device_id)
        message = KeyFrameRequest(
            sn=self._platform.serial_numbers.take(), device_id=target.channel_id
        )
        body = message.to_bytes(device.writing_charset, target.edition)
        await self._platform.messenger.send(
            device, body, what="the key frame request", target=target.channel_id
        )


def media_status_handler(
    live: LiveSessions,
) -> Callable[[Device, ManscdpMessage, Incoming], None]:
    """Hands a MediaStatus that came outside of its dialog to the sessions."""

    def handle(device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        try:
            status = from_message(message)
        except ManscdpError:
            return
        if isinstance(status, MediaStatus):
            live.media_status(
                call_id=incoming.request.call_id,
                device_id=status.device_id,
                notify_type=status.notify_type,
                sender_id=device.device_id,
            )

    return handle


class EndedSessions(Protocol):
    """What the storage keeps of sessions."""

    def append(self, session: EndedSession) -> bool: ...
    async def newest(
        self, *, device_id: str = "", channel_id: str = "", offset: int = 0, limit: int = 100
    ) -> tuple[list[EndedSession], int]: ...
    async def find(self, session_id: str) -> EndedSession | None: ...


class SessionArchive:
    """A ``SessionArchive`` of :mod:`api.routes.sessions`; a subscriber of the live events."""

    def __init__(self, store: EndedSessions) -> None:
        self._store = store

    def on_event(self, event: LiveEvent) -> None:
        if not isinstance(event, LiveEnded):
            return
        view = event.view
        detail: dict[str, Any] = msgspec.to_builtins(session_json(view))
        self._store.append(
            EndedSession(
                session_id=view.id,
                device_id=view.device_id,
                channel_id=view.channel_id,
                started_at=view.started_at,
                ended_at=event.at,
                verdict=view.verdict.code.value if view.verdict is not None else "",
                detail=detail,
            )
        )

    async def sessions(
        self, *, device_id: str, channel_id: str, offset: int, limit: int
    ) -> tuple[list[SessionJson], int]:
        found, total = await self._store.newest(
            device_id=device_id, channel_id=channel_id, offset=offset, limit=limit
        )
        return [_session(session) for session in found], total

    async def session(self, session_id: str) -> SessionJson | None:
        found = await self._store.find(session_id)
        return _session(found) if found is not None else None


def _session(session: EndedSession) -> SessionJson:
    return msgspec.convert(session.detail, SessionJson)


class PlayUrlSigner:
    """A ``UrlSigner`` of :mod:`api.routes.sessions`."""

    def __init__(
        self,
        tokens: PlayTokens,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._lifetime = lifetime
        self._clock = clock

    def play_urls(self, stream: str, request: web.Request) -> PlayUrls:
        """At the address by which the client reached us, or the proxy before us."""
        proxied = request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        forwarded = request.headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
        urls = play_urls(
            stream,
            authority=forwarded or request.host,
            token=self._tokens.issue(stream, lifetime=self._lifetime),
            secure=request.secure or proxied,
        )
        return PlayUrls(
            urls={
                "flv": urls.flv,
                "fmp4": urls.mp4,
                "ws_flv": urls.ws_flv,
                "ws_fmp4": urls.ws_mp4,
            },
            expires_at=self._clock() + self._lifetime,
        )


async def play_secret(directory: Path) -> bytes:
    """The key of the play tokens: made once, kept in a file for its owner."""
    return await asyncio.to_thread(_read_or_make, directory / "play-secret")


def _read_or_make(path: Path) -> bytes:
    try:
        secret = path.read_bytes()
        if len(secret) >= SECRET_BYTES:
            return secret
        path.unlink()
    except FileNotFoundError:
        pass
    secret = secrets.token_bytes(SECRET_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    return secret
