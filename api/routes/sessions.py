"""Live view: start a play, follow its stages, see why it failed, stop it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta
from structlog.contextvars import bound_contextvars

from api.client_address import ClientAddresses
from api.errors import (
    DEVICE_OFFLINE,
    INVALID_REQUEST,
    OVERLOADED,
    PLAY_FAILED,
    PLAY_STOPPED,
    UNKNOWN_CHANNEL,
    UNKNOWN_SESSION,
    ApiError,
    ErrorView,
)
from api.models import (
    Limit,
    Offset,
    Page,
    PlayUrls,
    SessionJson,
    session_json,
)
from api.route import Call, Nothing, Route, json_response, route
from sdp.gb import Transport
from sipserver.device.sessions.errors import PlayFailed, PlayStopped
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.session import LiveSession
from sipserver.device.sessions.verdict import Fault, Verdict, VerdictCode
from sipserver.device.sessions.view import SessionView

LOOK_INTERVAL: Final = 0.5
"""Seconds between two looks whether a client that waits for a picture is still there."""

_STATUS: Final[dict[Fault, int]] = {
    Fault.REQUEST: 409,
    Fault.DEVICE: 502,
    Fault.NETWORK: 504,
    Fault.PLATFORM: 503,
}
_STATUS_OF_CODE: Final[dict[VerdictCode, int]] = {
    VerdictCode.UNKNOWN_CHANNEL: 404,
    VerdictCode.DEVICE_OFFLINE: 409,
}
"""Verdicts that other routes answer too, with the same status; they outrank the fault."""
_PLAY_UNANSWERED: Final = replace(PLAY_FAILED, status=504)


class UrlSigner(Protocol):
    """Signs play URLs."""

    def play_urls(self, stream: str, request: web.Request) -> PlayUrls: ...


class SessionArchive(Protocol):
    """Plays of the past, longer than the process lives."""

    async def sessions(
        self, *, device_id: str, channel_id: str, offset: int, limit: int
    ) -> tuple[list[SessionJson], int]: ...

    async def session(self, session_id: str) -> SessionJson | None: ...


class PlayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to play; every field may be left out."""

    transport: Literal["udp", "tcp-passive", "tcp-active"] | None = None
    """Media transport of a new session; else that of the device's account."""
    stream: Annotated[int, Meta(ge=0, le=7)] = 0
    """0: main stream, 1: first sub-stream."""
    wait: bool = True
    """Answer when there is a picture or a verdict; else at once, and the stages tell the rest."""


class PlayJson(msgspec.Struct, frozen=True):
    """The session and where to watch it."""

    session: SessionJson
    play: PlayUrls


class PlayFailure(ErrorView, frozen=True):
    """A play that failed: the verdict in words, and how far it came."""

    session: SessionJson | None = None


class SessionsQuery(msgspec.Struct, frozen=True):
    state: Literal["running", "ended", "all"] = "running"
    device_id: Annotated[str, Meta(max_length=32)] = ""
    channel_id: Annotated[str, Meta(max_length=32)] = ""
    offset: Offset = 0
    limit: Limit = 100


class SessionRoutes:
    def __init__(
        self,
        live: LiveSessions,
        signer: UrlSigner,
        archive: SessionArchive,
        addresses: ClientAddresses,
    ) -> None:
        self._live = live
        self._signer = signer
        self._archive = archive
        self._addresses = addresses

    async def play(self, call: Call[Nothing, PlayRequest]) -> object:
        device_id, channel_id = call.path["device_id"], call.path["channel_id"]
        transport = Transport(call.body.transport) if call.body.transport else None
        with bound_contextvars(device=device_id, channel=channel_id):  # for the session's log
            session = self._live.open(
                device_id,
                channel_id,
                transport=transport,
                stream=call.body.stream,
                viewer=f"{call.user}@{self._addresses.of(call.request)}",
            )
        if call.body.wait:
            try:
                await _ready(session, call.request)
            except PlayFailed as error:
                return _failure(error, session.view())
            except PlayStopped as error:
                raise ApiError(PLAY_STOPPED, str(error)) from error
        urls = self._signer.play_urls(session.stream_name, call.request)
        return PlayJson(session=session_json(session.view()), play=urls)

    async def list_sessions(self, call: Call[SessionsQuery, Nothing]) -> Page[SessionJson]:
        query = call.query
        if query.state == "ended":
            items, total = await self._archived(query, query.offset, query.limit)
            return Page(items=items, total=total, offset=query.offset)
        running = [session_json(view) for view in self._live.views() if _matches(view, query)]
        items = running[query.offset : query.offset + query.limit]
        if query.state == "running":
            return Page(items=items, total=len(running), offset=query.offset)
        rest_offset = max(0, query.offset - len(running))
        ended, total = await self._archived(query, rest_offset, max(1, query.limit - len(items)))
        items += ended[: query.limit - len(items)]
        return Page(items=items, total=total + len(running), offset=query.offset)

    async def get_session(self, call: Call[Nothing, Nothing]) -> SessionJson:
        session_id = call.path["session_id"]
        for view in self._live.views():
            if view.id == session_id:
                return session_json(view)
        stored = await self._archive.session(session_id)
        return stored if stored is not None else session_json(self._live.view(session_id))

    async def play_urls(self, call: Call[Nothing, Nothing]) -> PlayUrls:
        session = self._live.get(call.path["session_id"])
        return self._signer.play_urls(session.stream_name, call.request)

    async def stop_session(self, call: Call[Nothing, Nothing]) -> SessionJson:
        return session_json(await self._live.stop(call.path["session_id"]))

    async def _archived(
        self, query: SessionsQuery, offset: int, limit: int
    ) -> tuple[list[SessionJson], int]:
        return await self._archive.sessions(
            device_id=query.device_id, channel_id=query.channel_id, offset=offset, limit=limit
        )

    def table(self) -> Sequence[Route]:
        return (
            route(
                "POST",
                "/api/v1/devices/{device_id}/channels/{channel_id}/play",
                self.play,
                summary="Play a channel: the session with its play URLs, or a verdict",
                summary_zh="点播通道：返回会话与播放地址，失败时给出原因和建议",
                tag="live view",
                body=PlayRequest,
                response=PlayJson,
                errors=(
                    INVALID_REQUEST,
                    UNKNOWN_CHANNEL,
                    DEVICE_OFFLINE,
                    PLAY_STOPPED,
                    OVERLOADED,
                    PLAY_FAILED,
                    _PLAY_UNANSWERED,
                ),
                failure=PlayFailure,
            ),
            route(
                "GET",
                "/api/v1/sessions",
                self.list_sessions,
                summary="Live sessions: running, ended or both",
                summary_zh="会话列表：进行中、已结束或全部",
                tag="live view",
                query=SessionsQuery,
                response=Page[SessionJson],
                errors=(INVALID_REQUEST,),
            ),
            route(
                "GET",
                "/api/v1/sessions/{session_id}",
                self.get_session,
                summary="One session with its stages and verdict",
                summary_zh="会话详情：各阶段用时与结论",
                tag="live view",
                response=SessionJson,
                errors=(UNKNOWN_SESSION,),
            ),
            route(
                "GET",
                "/api/v1/sessions/{session_id}/urls",
                self.play_urls,
                summary="Fresh play URLs of a running session",
                summary_zh="获取进行中会话的新播放地址",
                tag="live view",
                response=PlayUrls,
                errors=(UNKNOWN_SESSION,),
            ),
            route(
                "POST",
                "/api/v1/sessions/{session_id}/stop",
                self.stop_session,
                summary="Stop a session for everybody",
                summary_zh="停止会话（对所有观看者生效）",
                tag="live view",
                response=SessionJson,
                errors=(UNKNOWN_SESSION,),
            ),
        )


def _matches(view: SessionView, query: SessionsQuery) -> bool:
    return query.device_id in ("", view.device_id) and query.channel_id in ("", view.channel_id)


def _failure(error: PlayFailed, view: SessionView) -> web.Response:
    verdict = error.verdict
    body = PlayFailure(
        code=verdict.code.value,
        message=verdict.cause.en,
        message_zh=verdict.cause.zh,
        next_step=verdict.next_step.en,
        next_step_zh=verdict.next_step.zh,
        detail=f"{view.sip_status}" if view.sip_status >= 300 else "",
        session=session_json(view),
    )
    return json_response(body, status=_status(verdict))


def _status(verdict: Verdict) -> int:
    return _STATUS_OF_CODE.get(verdict.code, _STATUS[verdict.fault])


async def _ready(session: LiveSession, request: web.Request) -> None:
    """Wait for the picture for as long as the client does: the last that leaves ends the call.

    The server does not cancel handlers of clients that leave: most should finish what they began.

    :raises PlayFailed, PlayStopped: see :meth:`LiveSession.ready`
    :raises ApiError: the client has left; nobody reads it
    """
    ready = asyncio.ensure_future(session.ready())
    try:
        while not ready.done():
            await asyncio.wait((ready,), timeout=LOOK_INTERVAL)
            if not ready.done() and (request.transport is None or request.transport.is_closing()):
                raise ApiError(PLAY_STOPPED, "the caller has left")
        ready.result()
    finally:
        ready.cancel()
        await asyncio.gather(ready, return_exceptions=True)
