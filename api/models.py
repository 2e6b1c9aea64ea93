"""The JSON shapes that several routes share."""

from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from sipserver.device.sessions.verdict import Verdict
from sipserver.device.sessions.view import SessionView

Item = TypeVar("Item")

Offset = Annotated[int, Meta(ge=0, le=10_000_000, description="Items to skip.")]
Limit = Annotated[int, Meta(ge=1, le=1_000, description="Items to return at most.")]
Search = Annotated[str, Meta(max_length=100, description="Part of an ID or a name.")]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list."""

    items: list[Item]
    total: int
    """Items that match, on all pages."""
    offset: int


class VerdictJson(msgspec.Struct, frozen=True):
    """Why a play failed, and what to do about it."""

    code: str
    fault: str
    """Where to look first: ``request``, ``device``, ``network`` or ``platform``."""
    cause: str
    cause_zh: str
    next_step: str
    next_step_zh: str


class StageJson(msgspec.Struct, frozen=True):
    """A stage that the play reached."""

    stage: str
    seconds: float
    """Since the play was asked for."""


class SessionJson(msgspec.Struct, frozen=True):
    """A live session, running or over."""

    id: str
    device_id: str
    channel_id: str
    stream: int
    stream_name: str
    state: str
    started_at: float
    """Seconds since 1970, UTC."""
    stages: list[StageJson]
    verdict: VerdictJson | None
    ended_by: str | None
    viewers: int
    requested_by: str
    transport: str
    media_port: int
    ssrc: str
    sip_status: int
    call_id: str
    quirks: list[str]


class PlayUrls(msgspec.Struct, frozen=True):
    """Where the stream can be watched now; each address carries a token that expires."""

    urls: dict[str, str]
    """``flv``, ``fmp4``, ``ws_flv`` and ``ws_fmp4``."""
    expires_at: float
    """When a new viewer must ask again; seconds since 1970, UTC."""


def verdict_json(verdict: Verdict) -> VerdictJson:
    return VerdictJson(
        code=verdict.code.value,
        fault=verdict.fault.value,
        cause=verdict.cause.en,
        cause_zh=verdict.cause.zh,
        next_step=verdict.next_step.en,
        next_step_zh=verdict.next_step.zh,
    )


def session_json(view: SessionView) -> SessionJson:
    return SessionJson(
        id=view.id,
        device_id=view.device_id,
        channel_id=view.channel_id,
        stream=view.stream,
        stream_name=view.stream_name,
        state=view.state.value,
        started_at=view.started_at,
        stages=[StageJson(time.stage.value, time.seconds) for time in view.stages],
        verdict=verdict_json(view.verdict) if view.verdict is not None else None,
        ended_by=view.ended_by.value if view.ended_by is not None else None,
        viewers=view.viewers,
        requested_by=view.requested_by,
        transport=view.transport.value,
        media_port=view.media_port,
        ssrc=view.ssrc,
        sip_status=view.sip_status,
        call_id=view.call_id,
        quirks=list(view.quirks),
    )


def page(items: list[Item], total: int, offset: int) -> Page[Item]:
    return Page(items=items, total=total, offset=offset)
