"""One INVITE: what we ask a device for, and how its answer is to be read (signalling 8.9)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from manscdp.edition import Edition
from sdp.errors import SdpError
from sdp.format import MediaFormat
from sdp.gb import format_ssrc
from sdp.offer import LiveAnswer, Problem, make_live_offer, parse_answer
from sdp.payload import Payload
from sdp.subject import Subject
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.media import MediaLeg
from sipserver.device.sessions.target import PlayTarget, SsrcHabit
from sipserver.sip.flow import Address, Flow
from sipserver.sip.message import Response
from sipserver.sip.outgoing import OutgoingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Who we are in From, Subject and SDP."""

    platform_id: str  # 20 digits
    domain: str  # host part of our URIs, usually the first ten digits
    media_ip: str  # address that devices reach our media ports at
    listen_ip: str = "0.0.0.0"  # noqa: S104 -- media comes from anywhere; the SSRC and port bind it


class AnswerRefused(Exception):
    """The 2xx cannot be used: ACK, then BYE. ``ending`` says why."""

    def __init__(self, ending: Ending, detail: str = "", encoding: str = "") -> None:
        super().__init__(f"{ending.value} {detail}".rstrip())
        self.ending = ending
        self.detail = detail
        self.encoding = encoding


def make_offer(
    target: PlayTarget,
    platform: Platform,
    media: MediaLeg,
    stream: int,
    payloads: tuple[Payload, ...] | None = None,
) -> bytes:
    """``payloads``: other ones than the device's profile says."""
    profile = target.sdp_profile
    return make_live_offer(
        platform_id=platform.platform_id,
        media_ip=target.media_ip or platform.media_ip,
        media_port=media.port,
        transport=media.transport,
        ssrc=format_ssrc(media.ssrc),
        stream=stream,
        edition=target.edition,
        selector=target.selector,
        payloads=profile.payloads if payloads is None else payloads,
        media_format=MediaFormat() if profile.with_format else None,
    )


def make_description(
    target: PlayTarget, platform: Platform, media: MediaLeg, stream: int, answer: LiveAnswer
) -> bytes:
    """What runs: our side of it after the answer, with the one payload that was agreed. It
    answers a re-INVITE, which must not be answered with payloads it does not offer (RFC 3264 6.1).
    """
    if answer.payload_type is None or not answer.encoding:
        return make_offer(target, platform, media, stream)
    agreed = Payload(answer.payload_type, answer.encoding, answer.clock_rate)
    return make_offer(target, platform, media, stream, (agreed,))


def make_invite(target: PlayTarget, platform: Platform, offer: bytes, ssrc: int) -> OutgoingRequest:
    """Addressed to the packet source of the device: what its Contact says is often wrong."""
    host, port = target.flow.remote
    domain = target.domain or platform.domain
    subject = Subject(target.channel_id, format_ssrc(ssrc), platform.platform_id)
    headers = [("Subject", str(subject))]
    if target.edition >= Edition.GB2022:
        headers.append(("X-GB-Ver", Edition.GB2022.value))
    return OutgoingRequest(
        method="INVITE",
        uri=f"sip:{target.channel_id}@{host}:{port}",
        from_uri=f"sip:{platform.platform_id}@{platform.domain}",
        to_uri=f"sip:{target.channel_id}@{domain}",
        headers=tuple(headers),
        body=offer,
        content_type="application/sdp",
    )


def read_answer(response: Response, media: MediaLeg) -> LiveAnswer:
    """:raises AnswerRefused: when there is nothing to play in it"""
    try:
        answer = parse_answer(response.body, transport=media.transport, ssrc=media.ssrc)
    except SdpError as error:
        raise AnswerRefused(Ending.BAD_ANSWER, str(error)) from error
    if answer.refused:
        raise AnswerRefused(Ending.PORT_ZERO)
    if answer.private_stream:
        raise AnswerRefused(Ending.PRIVATE_STREAM, encoding=answer.encoding)
    return answer


def habit_of(answer: LiveAnswer, offered: int) -> SsrcHabit:
    if answer.ssrc is None or answer.ssrc == offered:
        return SsrcHabit.OBEYS
    return SsrcHabit.ZERO if answer.ssrc == 0 else SsrcHabit.OWN


def connect_address(answer: LiveAnswer, flow: Flow) -> Address:
    """Where to connect to. What a device behind NAT writes into ``c=`` leads nowhere: then it is
    the address that its signalling comes from (quirk row 54)."""
    source = flow.remote[0]
    useless = Problem.UNSPECIFIED_ADDRESS in answer.problems
    if answer.address is None or useless:
        return source, answer.port
    if Problem.PRIVATE_ADDRESS in answer.problems and not is_private(source):
        return source, answer.port
    return answer.address, answer.port


def is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:  # a host name
        return False
