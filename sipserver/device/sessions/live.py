"""Live view (GB/T 28181-2022 9.2): one upstream session per channel and stream, shared by all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from manscdp.notify import END_OF_FILE
from sdp.gb import Transport
from sipserver.device.sessions.admission import Admission
from sipserver.device.sessions.errors import ShuttingDown, UnknownSession
from sipserver.device.sessions.events import LiveEnded, LiveEvent, LiveStarted
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.history import LiveStats, PlayHistory
from sipserver.device.sessions.session import LiveSession
from sipserver.device.sessions.state import State
from sipserver.device.sessions.surroundings import Surroundings
from sipserver.device.sessions.view import SessionKey, SessionView

log = logging.getLogger(__name__)


def publish_to_nobody(event: LiveEvent) -> None:
    """For a platform that wants no events."""


class LiveSessions:
    def __init__(
        self, around: Surroundings, *, publish: Callable[[LiveEvent], None] = publish_to_nobody
    ) -> None:
        self._around = around
        self._settings = around.settings
        self._publish = publish
        self._admission = Admission(self._settings, self._make_room)
        self._sessions: dict[str, LiveSession] = {}  # by id, until every lease is back
        self._of_key: dict[SessionKey, list[LiveSession]] = {}  # the same, oldest first
        self._of_device: dict[str, dict[str, LiveSession]] = {}  # the same, by id
        self._history = PlayHistory(self._settings.history_size)
        self._closing = False
        self._started = 0
        self._joined = 0
        self._played = 0
        self._key_frame_requests = 0
        self._release_failures = 0

    # ------------------------------------------------------------------ play
    async def play(
        self,
        device_id: str,
        channel_id: str,
        *,
        transport: Transport | None = None,
        stream: int = 0,
        viewer: str = "",
    ) -> LiveSession:
        """The session with its picture, new or shared. ``viewer`` says who asks, for the record.

        A caller that is cancelled stops nobody else; the last one that waits aborts the call.

        :raises PlayFailed: with the verdict
        :raises PlayStopped, ShuttingDown: when it was stopped meanwhile
        """
        session = self.open(
            device_id, channel_id, transport=transport, stream=stream, viewer=viewer
        )
        await session.ready()
        return session

    def open(
        self,
        device_id: str,
        channel_id: str,
        *,
        transport: Transport | None = None,
        stream: int = 0,
        viewer: str = "",
    ) -> LiveSession:
        """The same without waiting. ``transport`` counts for a new session only.

        A second INVITE to a channel would kill or be refused by the first (quirk row 57), so
        sessions that are just being released are waited for.
        """
        if self._closing:
            raise ShuttingDown("the platform stops")
        key = SessionKey(device_id, channel_id, stream)
        present = self.find(key)
        if present is not None:
            self._joined += 1
            return present
        earlier = self._of_key.setdefault(key, [])
        session = LiveSession(
            self._around.new_id(),
            key,
            self._around,
            self._admission,
            transport=transport,
            requested_by=viewer,
            after=tuple(earlier),
            on_event=self._receive,
        )
        self._started += 1
        earlier.append(session)
        self._sessions[session.id] = session
        self._of_device.setdefault(device_id, {})[session.id] = session
        return session

    # ------------------------------------------------------------------ find
    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._sessions.values()))

    def get(self, session_id: str) -> LiveSession:
        """:raises UnknownSession: it never existed or has ended"""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise UnknownSession(session_id) from None

    def find(self, key: SessionKey) -> LiveSession | None:
        """The session that a play of ``key`` would share."""
        sessions = self._of_key.get(key)
        return sessions[-1] if sessions and sessions[-1].ending is None else None

    def view(self, session_id: str) -> SessionView:
        """Running or over, as long as the history reaches. :raises UnknownSession:"""
        session = self._sessions.get(session_id)
        view = session.view() if session is not None else self._history.find(session_id)
        if view is None:
            raise UnknownSession(session_id)
        return view

    def views(self) -> list[SessionView]:
        """Every session that still holds a lease."""
        return [session.view() for session in self._sessions.values()]

    def history(self) -> list[SessionView]:
        """Plays that are over, newest first."""
        return list(self._history)

    # ------------------------------------------------------------------ stop
    async def stop(self, session_id: str) -> SessionView:
        """Stop for everybody; returns when every lease is back. :raises UnknownSession:"""
        session = self.get(session_id)
        session.stop()
        await session.released()
        return session.view()

    def device_offline(self, device_id: str, reason: str) -> None:
        """For the registrar's offline event: its media is released (annex A.12 b)."""
        for session in self._sessions_of(device_id):
            session.stop(Ending.DEVICE_OFFLINE, reason)

    def media_status(
        self, *, call_id: str, device_id: str, notify_type: str = END_OF_FILE, sender_id: str = ""
    ) -> bool:
        """A MediaStatus outside of its dialog: by Call-ID first, then by the code in it.

        Its From may be anybody's (Hikvision; signalling quirk 3). ``sender_id`` is the device whose
        flow it came by: one device must not end another's play. ``False``: it belongs to no live
        session.
        """
        if notify_type not in ("", END_OF_FILE):
            return False
        sessions = [s for s in self if s.ending is None]
        if sender_id:
            sessions = [s for s in sessions if s.key.device_id == sender_id]
        hit = [s for s in sessions if call_id and s.call_id == call_id]
        hit = hit or [s for s in sessions if s.key.channel_id == device_id]
        for session in hit:
            session.stop(Ending.MEDIA_STATUS, notify_type)
        return bool(hit)

    async def close(self) -> None:
        """Say BYE to all within a bounded time; what does not answer is released all the same."""
        self._closing = True
        sessions = list(self)
        for session in sessions:
            session.stop(Ending.SHUTDOWN)
        everyone = asyncio.gather(*(session.released() for session in sessions))
        try:
            await asyncio.wait_for(everyone, self._settings.shutdown_timeout)
        except TimeoutError:
            log.warning("%d live sessions did not end in time", len(self._sessions))
            for session in self:
                session.abandon()
            await asyncio.gather(*(session.released() for session in sessions))

    # -------------------------------------------------------------- internal
    def stats(self) -> LiveStats:
        return LiveStats(
            active=len(self._sessions),
            started=self._started,
            joined=self._joined,
            played=self._played,
            endings=dict(self._history.endings),
            verdicts=dict(self._history.verdicts),
            key_frame_requests=self._key_frame_requests,
            release_failures=self._release_failures,
            forgotten=self._history.forgotten,
        )

    async def _make_room(self, device_id: str) -> bool:
        mine = self._sessions_of(device_id)
        going = next((s for s in mine if s.state is State.RELEASING and s.admitted), None)
        if going is None:
            going = next((s for s in mine if s.unwatched), None)
            if going is None:
                return False
            going.stop(Ending.IDLE)
        await going.released()
        return True

    def _sessions_of(self, device_id: str) -> list[LiveSession]:
        return list(self._of_device.get(device_id, {}).values())

    def _receive(self, event: LiveEvent) -> None:
        match event:
            case LiveStarted():
                self._played += 1
            case LiveEnded(view):
                self._forget(view)
        self._publish(event)

    def _forget(self, view: SessionView) -> None:
        session = self._sessions.pop(view.id)
        of_key = self._of_key[session.key]
        of_key.remove(session)
        if not of_key:
            del self._of_key[session.key]
        of_device = self._of_device[session.key.device_id]
        del of_device[session.id]
        if not of_device:
            del self._of_device[session.key.device_id]
        self._history.add(view)
        self._key_frame_requests += session.key_frame_requests
        self._release_failures += session.release_failed
