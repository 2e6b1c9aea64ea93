"""Live view on the device's side: INVITE in, media out (GB/T 28181-2022 9.2, annex G)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

import structlog

from manscdp.edition import Edition
from sdp.errors import SdpError
from sdp.format import RESOLUTIONS, MediaFormat, resolution_code, video_codec_code
from sdp.gb import Transport, compose_ssrc
from sdp.offer import MediaOffer, make_live_answer, parse_offer
from sdp.subject import Subject
from simulators.profile import ChannelProfile, DeviceProfile
from sipserver.transport.service import Call, IncomingRequest

ACK_TIMEOUT: Final = 32.0
"""Seconds from our 200 to the ACK, after which the session is given up (RFC 3261 13.3.1.4)."""
SUB_STREAM: Final = 1
FULL: Final = ((1920, 1080), 4000)
SMALL: Final = ((640, 360), 600)
"""Picture size and kbit/s of the clips."""
G711A: Final = {"audio_codec": 1, "audio_bitrate": 8, "audio_sampling": 1}
"""64 kbit/s at 8 kHz in the codes of ``f=``."""

log = structlog.get_logger(__name__)


class OutgoingStream(Protocol):
    """Media of one session."""

    @property
    def port(self) -> int:
        """The local port, for the ``m=`` line of the answer."""

    def start(self) -> None:
        """Begin to send; for TCP-active of the platform wait for its connection first."""

    def close(self) -> None:
        """Stop and free the port. Safe to call twice."""


class Streams(Protocol):
    """Where media comes from."""

    def open(
        self,
        channel: ChannelProfile,
        *,
        sub_stream: bool,
        transport: Transport,
        remote: tuple[str, int],
        ssrc: int,
    ) -> OutgoingStream:
        """
        :param transport: the role of the *receiver*: ``TCP_PASSIVE`` means we connect
        :raises OSError: when no port is free
        """


@dataclass(slots=True)
class _Session:
    call: Call
    stream: OutgoingStream
    channel_id: str
    sequence: str
    """The sender's sequence of the Subject; "" without one."""
    started: bool = False


class LiveSender:
    """The sessions of one device.

    :param limit: sessions at once; one more is refused with 486
    :param first_ssrc: where the SSRCs begin that this device chooses when an INVITE names none
    """

    def __init__(
        self,
        profile: DeviceProfile,
        streams: Streams,
        *,
        limit: int = 64,
        first_ssrc: int = 0,
    ) -> None:
        self.invites = 0
        """INVITEs answered with 200."""
        self._profile = profile
        self._channels = {channel.channel_id: channel for channel in profile.channels}
        self._streams = streams
        self._limit = limit
        self._ssrc_numbers = count(first_ssrc)
        self._sessions: dict[str, _Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> int:
        """Sessions that hold a port."""
        return len(self._sessions)

    def on_invite(self, incoming: IncomingRequest) -> None:
        channel = self._channels.get(incoming.request.uri.user)
        if channel is None:
            incoming.respond(404)
            return
        if len(self._sessions) >= self._limit:
            incoming.respond(486)
            return
        try:
            offer = parse_offer(incoming.request.body)
        except SdpError:
            incoming.respond(488)
            return
        if offer.address is None or offer.payload("PS") is None:
            incoming.respond(488)
            return
        incoming.respond(100)
        subject = Subject.parse(
            (incoming.request.get(b"subject") or b"").decode("utf-8", "replace")
        )
        self._release_stale(channel.channel_id, subject.sender_seq)
        self._accept(incoming, channel, offer, subject.sender_seq)

    def _release_stale(self, channel_id: str, sequence: str) -> None:
        """A new INVITE for what is being sent takes its place (annex K c, annex L)."""
        for call_id, session in list(self._sessions.items()):
            if sequence and (session.channel_id, session.sequence) == (channel_id, sequence):
                session.call.cancel()
                self._end(call_id, "the same stream is asked for anew")

    def close(self) -> None:
        """Stop every stream and say nothing: calls are left to the platform's BYE or time-out."""
        for call_id in list(self._sessions):
            self._end(call_id, "the device stops")
        for task in self._tasks:
            task.cancel()

    async def hang_up(self) -> None:
        """End every session from the device's side."""
        for session in list(self._sessions.values()):
            await session.call.bye()

    def hang_up_all(self) -> None:
        """BYE to all without waiting for the answers, and no media any more."""
        for call_id, session in list(self._sessions.items()):
            session.call.cancel()
            self._end(call_id, "the device hangs up")

    def _own_ssrc(self) -> int:
        """By the rule of annex G, each once in 10,000 streams."""
        return compose_ssrc(self._profile.domain, next(self._ssrc_numbers) % 10_000)

    def _format(self, channel: ChannelProfile, *, sub_stream: bool) -> MediaFormat:
        """What is really sent; before 2022 ``f=`` had no codes for H.265 and odd sizes."""
        small = sub_stream or self._profile.main_clip == "small"
        size, kbps = SMALL if small else FULL
        code = resolution_code(*size)
        old = self._profile.edition < Edition.GB2022
        if old and code not in RESOLUTIONS:
            code = ""
        h265 = channel.codec == "h265" and not sub_stream
        codec = None if h265 and old else video_codec_code("H.265" if h265 else "H.264")
        return MediaFormat(
            video_codec=codec,
            resolution=code or None,
            frame_rate=25,
            rate_type=2,
            video_kbps=kbps,
            **(G711A if channel.audio else {}),
        )

    def _accept(
        self,
        incoming: IncomingRequest,
        channel: ChannelProfile,
        offer: MediaOffer,
        sequence: str,
    ) -> None:
        ssrc = self._own_ssrc() if offer.ssrc is None else offer.ssrc
        sub_stream = offer.stream == SUB_STREAM
        try:
            stream = self._streams.open(
                channel,
                sub_stream=sub_stream,
                transport=offer.transport,
                remote=(offer.address or "", offer.port),
                ssrc=ssrc,
            )
        except OSError as error:
            log.warning("no media port", channel=channel.channel_id, error=str(error))
            incoming.respond(480)
            return
        sdp = make_live_answer(
            offer,
            sender_id=channel.channel_id,
            media_ip=incoming.flow.local[0],
            media_port=stream.port,
            ssrc=ssrc,
            media_format=self._format(channel, sub_stream=sub_stream),
        )
        call = incoming.accept(body=sdp)
        self._sessions[call.call_id] = _Session(call, stream, channel.channel_id, sequence)
        self.invites += 1
        call.on_ended = lambda reason: self._end(call.call_id, reason)
        call.on_request = self._on_request
        task = asyncio.create_task(self._start_after_ack(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_after_ack(self, call: Call) -> None:
        try:
            async with asyncio.timeout(ACK_TIMEOUT):
                await call.acknowledged.wait()
        except TimeoutError:
            self._end(call.call_id, "no ACK came")
            return
        session = self._sessions.get(call.call_id)
        if session and not session.started:
            session.started = True
            session.stream.start()

    def _on_request(self, incoming: IncomingRequest) -> None:
        """INFO and MESSAGE inside the dialog are acknowledged; BYE the core has answered."""
        if incoming.request.method == "INVITE":
            incoming.respond(488)
        elif incoming.request.method != "BYE":
            incoming.respond(200)

    def _end(self, call_id: str, reason: str) -> None:
        session = self._sessions.pop(call_id, None)
        if session:
            session.stream.close()
            log.debug("live ended", channel=session.channel_id, reason=reason)
