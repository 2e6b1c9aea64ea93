"""Watches the media of one session: what the media node reports and what time it is go in,
stages and actions come out. No socket, no clock, no task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.stages import Stage, StageLog
from sipserver.device.sessions.state import Input

MAX_QUIRKS: Final = 32  # names kept per session; the catalogue of quirks is shorter


class MediaEvent(Protocol):
    """One report of the media node, see ``media_relay``."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> float: ...  # monotonic seconds
    @property
    def detail(self) -> str: ...
    @property
    def viewer(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Advance:
    """The session's state is to take this input."""

    event: Input


@dataclass(frozen=True, slots=True)
class RequestKeyFrame:
    """Ask the device for a key frame (GB/T 28181-2022 9.3)."""


@dataclass(frozen=True, slots=True)
class End:
    ending: Ending
    detail: str = ""
    waited: float = 0.0


Action = Advance | RequestKeyFrame | End


class Timer(StrEnum):
    FIRST_PACKET = "first_packet"
    PICTURE = "picture"
    KEY_FRAME = "key_frame"
    AUDIO_ONLY = "audio_only"
    CLOSED = "closed"
    SILENCE = "silence"
    IDLE = "idle"


STAGES: Final[dict[str, Stage]] = {
    "connected": Stage.CONNECTED,
    "first_packet": Stage.FIRST_PACKET,
    "ssrc_matched": Stage.SSRC_MATCHED,
    "ssrc_adopted": Stage.SSRC_ADOPTED,
    "ps_locked": Stage.PS_LOCKED,
    "parameter_sets": Stage.PARAMETER_SETS,
    "key_frame": Stage.KEY_FRAME,
    "viewer_first_byte": Stage.VIEWER_FIRST_BYTE,
}
"""Kinds of media events that are stages of a play."""


class MediaWatch:
    def __init__(
        self, settings: LiveSettings, stages: StageLog, *, node_silence: float = 10.0
    ) -> None:
        """:param node_silence: seconds without packets after which the node says ``silent``"""
        self.actions: list[Action] = []
        self.viewers: set[int] = set()
        self.quirks: list[str] = []
        self.audio_seen = False
        self.encrypted = False
        self.key_frame_requests = 0
        self._settings = settings
        self._stages = stages
        self._silence_left = max(0.0, settings.silence_timeout - node_silence)
        self._answered = False
        self._packets = False
        self._playing = False
        self._held = 0
        self._deadlines: dict[Timer, float] = {}
        self._handlers: dict[str, Callable[[MediaEvent], None]] = {
            "connected": self._connected,
            "connect_failed": self._connect_failed,
            "disconnected": self._disconnected,
            "first_packet": self._first_packet,
            "key_frame": self._key_frame,
            "audio": self._audio,
            "quirk": self._quirk,
            "silent": self._silent,
            "resumed": self._resumed,
            "viewer_first_byte": self._viewer_joined,
            "viewer_left": self._viewer_left,
        }

    # ---------------------------------------------------------------- inputs
    def receive_answer(self, now: float) -> None:
        """The answer is accepted and acknowledged: from here the device owes us media."""
        self._answered = True
        self.actions.append(Advance(Input.ANSWER_ACCEPTED))
        if Stage.FIRST_PACKET in self._stages or Stage.KEY_FRAME in self._stages:
            self._start_buffering(now)
        else:
            self._deadlines[Timer.FIRST_PACKET] = now + self._settings.first_packet_timeout
        if Stage.KEY_FRAME in self._stages:
            self._start_playing(now)

    def receive(self, event: MediaEvent) -> None:
        """Kinds that are not known here are other people's business."""
        stage = STAGES.get(event.kind)
        if stage is not None:
            self._stages.reach(stage, event.at)
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)

    def hold(self, change: int, now: float) -> None:
        """Somebody else than a viewer of the node needs the stream (+1), or no longer (-1)."""
        self._held += change
        self._consider_idle(now)

    # ---------------------------------------------------------------- timers
    def get_timer(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    def handle_timer(self, now: float) -> None:
        for timer in [t for t, at in self._deadlines.items() if at <= now]:
            at = self._deadlines.pop(timer, None)
            if at is not None:  # an earlier timer of this round may have taken it away
                self._fired(timer, now)

    def _fired(self, timer: Timer, now: float) -> None:
        settings = self._settings
        match timer:
            case Timer.FIRST_PACKET:
                self._end(Ending.NO_PACKET, waited=settings.first_packet_timeout)
            case Timer.PICTURE:
                self._end(Ending.NO_PICTURE, waited=settings.picture_timeout)
            case Timer.CLOSED:
                self._end(Ending.CONNECTION_CLOSED)
            case Timer.IDLE:
                self._end(Ending.IDLE, waited=settings.idle_timeout)
            case Timer.SILENCE:
                self._end(Ending.SILENCE, waited=settings.silence_timeout)
            case Timer.AUDIO_ONLY:
                self._consider_audio_alone(now)
            case Timer.KEY_FRAME:
                self._request_key_frame(now)

    # ------------------------------------------------------------ connection
    def _connect_failed(self, event: MediaEvent) -> None:
        """TCP-active: the node has used up its tries, a second apart (2022 annex D)."""
        self._end(Ending.CONNECT_FAILED, detail=event.detail)

    def _connected(self, event: MediaEvent) -> None:
        self._deadlines.pop(Timer.CLOSED, None)

    def _disconnected(self, event: MediaEvent) -> None:
        """Annex D lets a device connect again; it gets a moment for it."""
        self._deadlines[Timer.CLOSED] = event.at + self._settings.reconnect_grace

    # --------------------------------------------------------------- packets
    def _first_packet(self, event: MediaEvent) -> None:
        self._deadlines.pop(Timer.CLOSED, None)
        if self._packets:
            return
        if self._answered:
            self._start_buffering(event.at)

    def _start_buffering(self, now: float) -> None:
        self._packets = True
        self._deadlines.pop(Timer.FIRST_PACKET, None)
        self._deadlines[Timer.PICTURE] = now + self._settings.picture_timeout
        if self._settings.key_frame_requests:
            self._deadlines[Timer.KEY_FRAME] = now + self._settings.key_frame_after
        self._deadlines[Timer.AUDIO_ONLY] = now + self._settings.audio_only_after
        self.actions.append(Advance(Input.FIRST_PACKET))

    def _key_frame(self, event: MediaEvent) -> None:
        if self._answered:
            if not self._packets:  # reported in one breath, in another order
                self._start_buffering(event.at)
            self._start_playing(event.at)

    def _start_playing(self, now: float) -> None:
        if self._playing:
            return
        self._playing = True
        for timer in (Timer.PICTURE, Timer.KEY_FRAME, Timer.AUDIO_ONLY):
            self._deadlines.pop(timer, None)
        self.actions.append(Advance(Input.PLAYABLE))
        self._consider_idle(now)

    def _audio(self, event: MediaEvent) -> None:
        self.audio_seen = True
        if self._packets and Timer.AUDIO_ONLY not in self._deadlines:
            self._consider_audio_alone(event.at)

    def _consider_audio_alone(self, now: float) -> None:
        if self.audio_seen and Stage.PARAMETER_SETS not in self._stages:
            self._start_playing(now)

    def _request_key_frame(self, now: float) -> None:
        self.key_frame_requests += 1
        self.actions.append(RequestKeyFrame())
        if self.key_frame_requests < self._settings.key_frame_requests:
            self._deadlines[Timer.KEY_FRAME] = now + self._settings.key_frame_after

    def _silent(self, event: MediaEvent) -> None:
        """The node reports silence after its own, usually shorter time."""
        if self._packets:
            self._deadlines[Timer.SILENCE] = event.at + self._silence_left

    def _resumed(self, event: MediaEvent) -> None:
        self._deadlines.pop(Timer.SILENCE, None)
        self._deadlines.pop(Timer.CLOSED, None)

    def _quirk(self, event: MediaEvent) -> None:
        self.encrypted = self.encrypted or "encrypt" in event.detail
        if event.detail not in self.quirks and len(self.quirks) < MAX_QUIRKS:
            self.quirks.append(event.detail)

    # --------------------------------------------------------------- viewers
    def _viewer_joined(self, event: MediaEvent) -> None:
        self.viewers.add(event.viewer)
        self._consider_idle(event.at)

    def _viewer_left(self, event: MediaEvent) -> None:
        self.viewers.discard(event.viewer)
        self._consider_idle(event.at)

    def _consider_idle(self, now: float) -> None:
        if self.viewers or self._held:
            self._deadlines.pop(Timer.IDLE, None)
        elif self._playing and Timer.IDLE not in self._deadlines:
            self._deadlines[Timer.IDLE] = now + self._settings.idle_timeout

    def _end(self, ending: Ending, *, detail: str = "", waited: float = 0.0) -> None:
        self._deadlines.clear()
        self.actions.append(End(ending, detail, waited))
