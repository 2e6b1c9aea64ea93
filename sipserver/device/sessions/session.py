"""One live session: a task that takes leases, keeps them while anybody watches, returns them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from sdp.gb import Transport
from sipserver.device.sessions.admission import Admission
from sipserver.device.sessions.errors import PlayFailed, PlayStopped
from sipserver.device.sessions.events import LiveEnded, LiveEvent, LiveStarted, SsrcHabitLearned
from sipserver.device.sessions.facts import Ending, Facts
from sipserver.device.sessions.failures import Failure, clean, failure_of
from sipserver.device.sessions.invite import (
    connect_address,
    habit_of,
    make_description,
    make_invite,
    make_offer,
    read_answer,
)
from sipserver.device.sessions.leg import CallLeg
from sipserver.device.sessions.media import MediaLeg
from sipserver.device.sessions.stages import Stage, StageLog
from sipserver.device.sessions.state import Input, State, advance
from sipserver.device.sessions.surroundings import Surroundings
from sipserver.device.sessions.target import PlayTarget, SsrcHabit
from sipserver.device.sessions.verdict import Verdict, judge
from sipserver.device.sessions.view import SessionKey, SessionView
from sipserver.device.sessions.watch import (
    Action,
    Advance,
    End,
    MediaEvent,
    MediaWatch,
    RequestKeyFrame,
)
from sipserver.sip.message import Response

CLAIM_TIME: Final = 5.0
"""Seconds after the picture in which whoever asked for it may open its play URL undisturbed."""

log = logging.getLogger(__name__)


class LiveSession:
    """Made by :class:`~sipserver.device.sessions.live.LiveSessions` only."""

    def __init__(
        self,
        session_id: str,
        key: SessionKey,
        around: Surroundings,
        admission: Admission,
        *,
        transport: Transport | None,
        requested_by: str,
        after: tuple[LiveSession, ...],
        on_event: Callable[[LiveEvent], None],
    ) -> None:
        self.id = session_id
        self.key = key
        self.state = State.QUEUED
        self.ending: Ending | None = None
        self.verdict: Verdict | None = None
        self.release_failed = False
        self._opened_at = 0.0  # reports of an earlier stream of this name are older
        self._around = around
        self._settings = around.settings
        self._admission = admission
        self._ordered = transport
        self._requested_by = requested_by
        self._after = after
        self._on_event = on_event
        self._stages = StageLog(now=around.clock.monotonic(), wall_clock=around.clock.wall())
        self._watch = MediaWatch(self._settings, self._stages, node_silence=around.node_silence)
        self._media = MediaLeg(
            around.node,
            around.ports,
            around.ssrcs,
            stream=key.stream_name,
            host=around.platform.listen_ip,
        )
        self._leg = CallLeg(
            around.caller,
            on_provisional=self._provisional,
            on_over=self.stop,
            pass_on=around.pass_on,
        )
        self._target: PlayTarget | None = None
        self._sip_status = 0
        self._answer_habit = SsrcHabit.UNKNOWN
        self._waiting = 0
        self._held = 0
        self._watched = False
        self._claimed_until = 0.0
        self._established = False
        self._settled = asyncio.Event()  # there is a picture, or there will be none
        self._over = asyncio.Event()
        self._released = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._begun = False
        self._admitted = False
        self._task = asyncio.create_task(self._run(), name=f"live {key.stream_name}")

    # --------------------------------------------------------------- callers
    @property
    def stream_name(self) -> str:
        return self.key.stream_name

    @property
    def call_id(self) -> str:
        return self._leg.call_id

    @property
    def admitted(self) -> bool:
        """It counts against the limits until it is released."""
        return self._admitted

    @property
    def key_frame_requests(self) -> int:
        return self._watch.key_frame_requests

    @property
    def viewers(self) -> int:
        return len(self._watch.viewers) + self._held

    @property
    def unwatched(self) -> bool:
        """It plays and nobody wants it: it may give way to a play that somebody wants."""
        idle = self.state is State.PLAYING and not self.viewers and not self._waiting
        return idle and self._around.clock.monotonic() >= self._claimed_until

    async def ready(self) -> None:
        """Wait for the picture. A caller that gives up takes the session along only if alone.

        :raises PlayFailed: with the verdict
        :raises PlayStopped: when it was stopped on purpose
        """
        self._waiting += 1
        self._hold(+1)
        try:
            await self._settled.wait()
        finally:
            self._waiting -= 1
            self._hold(-1)
            if not self._settled.is_set() and not self._waiting and not self.viewers:
                self._end(Failure(Ending.CALLER_LEFT))
        if self.verdict is not None:
            raise PlayFailed(self.verdict, self.id)
        if self.ending is not None:
            raise PlayStopped(self.ending.value)

    def attach(self) -> Callable[[], None]:
        """Count somebody who needs the stream but is no viewer of the node (a relay, a recorder).

        Returns what ends it; calling that twice is harmless.
        """
        self._held += 1
        self._hold(+1)
        self._claimed()
        attached = True

        def detach() -> None:
            nonlocal attached
            if attached:
                attached = False
                self._held -= 1
                self._hold(-1)

        return detach

    def stop(self, ending: Ending = Ending.STOPPED, detail: str = "") -> None:
        """End it now, whoever watches; :meth:`released` tells when every lease is back."""
        self._end(Failure(ending, clean(detail)))

    def abandon(self) -> None:
        """Return the leases now, without waiting for an answer to BYE any longer."""
        if self.ending is not None:
            self._task.cancel()

    async def released(self) -> None:
        await self._released.wait()

    def view(self) -> SessionView:
        return SessionView(
            id=self.id,
            device_id=self.key.device_id,
            channel_id=self.key.channel_id,
            stream=self.key.stream,
            stream_name=self.key.stream_name,
            state=self.state,
            stages=self._stages.times(),
            verdict=self.verdict,
            ended_by=self.ending,
            viewers=self.viewers,
            waiting=self._waiting,
            requested_by=self._requested_by,
            transport=self._media.transport,
            media_port=self._media.port,
            ssrc=f"{self._media.ssrc:010d}" if self._media.port else "",
            sip_status=self._sip_status,
            call_id=self._leg.call_id,
            quirks=tuple(self._watch.quirks),
            started_at=self._stages.started_at,
        )

    # -------------------------------------------------------------- the task
    async def _run(self) -> None:
        self._begun = True
        try:
            async with AsyncExitStack() as leases:
                await self._live(leases)
                self._leg.bye_timeout = self._bye_timeout()
                await self._stop_errands()
        except Exception:
            self.release_failed = True
            log.exception("live session %s did not return every lease", self.id)
        finally:
            self._advance(Input.RELEASED)
            self._stages.reach(Stage.ENDED, self._around.clock.monotonic())
            self._released.set()
            self._on_event(LiveEnded(self.view(), self._around.clock.wall()))

    async def _live(self, leases: AsyncExitStack) -> None:
        """Returns when the session is to end, for whatever reason; raises nothing."""
        try:
            if self.ending is None:
                await self._establish(leases)
                self._established = True
                await self._over.wait()
        except asyncio.CancelledError:
            if self.ending is None:  # not ours: the event loop is being closed
                self._end(Failure(Ending.SHUTDOWN))
        except Exception as error:
            self._fail(error)

    async def _establish(self, leases: AsyncExitStack) -> None:
        for earlier in self._after:  # of the same channel and stream: it may owe a BYE
            await earlier.released()
        self._after = ()
        target = self._around.targets.target(self.key.device_id, self.key.channel_id)
        self._target = target
        await self._admission.admit(target, leases)
        self._admitted = True
        async with self._admission.setup(target.device_id):
            self._advance(Input.ADMITTED)
            self._opened_at = self._around.clock.monotonic()
            self._media.open(self._ordered or target.transport, self._media_event, leases)
            response = await self._invite(target, leases)
        self._accept(response, target, leases)

    async def _invite(self, target: PlayTarget, leases: AsyncExitStack) -> Response:
        platform = self._around.platform
        offer = make_offer(target, platform, self._media, self.key.stream)
        request = make_invite(target, platform, offer, self._media.ssrc)
        self._advance(Input.INVITE_SENT)
        self._stages.reach(Stage.INVITE_SENT, self._around.clock.monotonic())
        timeout = self._settings.invite_timeout
        return await self._leg.invite(request, target.flow, leases, timeout)

    def _accept(self, response: Response, target: PlayTarget, leases: AsyncExitStack) -> None:
        """The 2xx: aim the receiver first, then ACK, then connect; a bad one is ACKed too."""
        self._sip_status = response.status
        self._stages.reach(Stage.ANSWERED, self._around.clock.monotonic())
        try:
            answer = read_answer(response, self._media)
            self._answer_habit = habit_of(answer, self._media.ssrc)
            self._media.follow(answer.transport, leases)
            self._leg.description = make_description(
                target, self._around.platform, self._media, self.key.stream, answer
            )
            if answer.ssrc is not None:
                self._media.expect(answer.ssrc)
        finally:
            self._leg.acknowledge()
        now = self._around.clock.monotonic()
        self._stages.reach(Stage.SDP_ACCEPTED, now)
        self._watch.receive_answer(now)
        if self._media.transport is Transport.TCP_ACTIVE:
            self._media.connect(*connect_address(answer, target.flow))
        self._drain()

    async def _stop_errands(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        errands = list(self._errands)
        for errand in errands:
            errand.cancel()
        await asyncio.gather(*errands, return_exceptions=True)

    def _bye_timeout(self) -> float:
        """A device that is gone, or a platform that stops, need not be waited for."""
        if self.ending in (Ending.DEVICE_OFFLINE, Ending.SHUTDOWN):
            return self._settings.offline_bye_timeout
        return self._settings.bye_timeout

    # ---------------------------------------------------------------- inputs
    def _provisional(self, status: int) -> None:
        stage = Stage.TRYING if status == 100 else Stage.PROGRESS
        self._stages.reach(stage, self._around.clock.monotonic())

    def _media_event(self, event: MediaEvent) -> None:
        if self.ending is None and event.at >= self._opened_at:
            if event.kind == "ssrc_adopted":
                log.info("%s sends another SSRC than agreed; it is taken", self.stream_name)
            if event.kind == "viewer_first_byte":
                self._claimed()
            self._watch.receive(event)
            self._drain()

    def _hold(self, change: int) -> None:
        if self.ending is None:
            self._watch.hold(change, self._around.clock.monotonic())
            self._drain()

    def _timer_fired(self) -> None:
        self._timer_at = None
        if self.ending is None:
            self._watch.handle_timer(self._around.clock.monotonic())
            self._drain()

    def _drain(self) -> None:
        """After every call into the watch: do what it says, then arm the one timer."""
        while self._watch.actions and self.ending is None:
            self._act(self._watch.actions.pop(0))
        at = self._watch.get_timer() if self.ending is None else None
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, at
        if at is not None:
            loop = asyncio.get_running_loop()
            due = loop.time() + max(0.0, at - self._around.clock.monotonic())
            self._timer = loop.call_at(due, self._timer_fired)

    def _act(self, action: Action) -> None:
        match action:
            case Advance(event):
                self._advance(event)
                if event is Input.PLAYABLE:
                    self._report_playing()
            case RequestKeyFrame():
                self._request_key_frame()
            case End(ending, detail, waited):
                self._end(Failure(ending, clean(detail), waited=waited))

    def _advance(self, event: Input) -> None:
        self.state = advance(self.state, event)

    def _claimed(self) -> None:
        self._watched = True
        self._claimed_until = 0.0

    def _report_playing(self) -> None:
        self._settled.set()
        if not self._watched:
            self._claimed_until = self._around.clock.monotonic() + CLAIM_TIME
        at = self._around.clock.wall()
        habit = self._answer_habit
        if Stage.SSRC_ADOPTED in self._stages and habit is SsrcHabit.OBEYS:
            habit = SsrcHabit.OWN  # it said ours and sends another (quirk row 2)
        if self._target is not None and habit is not self._target.ssrc_habit:
            self._on_event(SsrcHabitLearned(self.key.device_id, habit, at))
        self._on_event(LiveStarted(self.view(), at))

    def _request_key_frame(self) -> None:
        if self._target is None:
            return
        errand = asyncio.create_task(self._around.request_key_frame(self._target))
        self._errands.add(errand)
        errand.add_done_callback(self._errand_done)

    def _errand_done(self, errand: asyncio.Task[None]) -> None:
        self._errands.discard(errand)
        if not errand.cancelled() and (error := errand.exception()) is not None:
            log.info("no key frame request for %s: %s", self.key.stream_name, error)

    # ------------------------------------------------------------------- end
    def _fail(self, error: Exception) -> None:
        failure = failure_of(error, invite_timeout=self._settings.invite_timeout)
        if failure.ending is Ending.INTERNAL:
            log.exception("live session %s failed", self.id, exc_info=error)
        self._sip_status = failure.sip_status or self._sip_status
        self._end(failure)

    def _end(self, failure: Failure) -> None:
        """The first cause counts. The verdict is there at once, the leases come back after it."""
        if self.ending is not None:
            return
        self.ending = failure.ending
        self._advance(Input.END)
        self.verdict = judge(self._facts(failure))
        self._settled.set()
        self._over.set()
        interrupted = self._begun and not self._established
        if interrupted and asyncio.current_task() is not self._task:
            self._task.cancel()

    def _facts(self, failure: Failure) -> Facts:
        return Facts(
            ending=failure.ending,
            stages=frozenset(self._stages),
            transport=self._media.transport,
            sip_status=failure.sip_status,
            sip_reason=failure.sip_reason,
            detail=failure.detail,
            media_port=self._media.port,
            waited=failure.waited,
            session_limit=failure.limit,
            stray_packets=self._media.stray_packets(),
            encrypted=self._watch.encrypted,
            encoding=failure.encoding,
        )
