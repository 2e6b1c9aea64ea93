"""Offer and answer of one media session (GB/T 28181-2022 annex G, 9.2).

The platform receives, so it offers ``recvonly``; the device answers ``sendonly`` with one payload.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Final

from .errors import LocalError, MalformedSdp
from .format import MediaFormat
from .gb import (
    StreamSelector,
    Transport,
    UriLine,
    format_ssrc,
    parse_ssrc,
    stream_attribute,
    stream_of,
)
from .payload import Payload, payloads_of, recommended
from .session import Line, Media, Sdp

EDITION_2022: Final = "3.0"
_SETUP: Final = {Transport.TCP_PASSIVE: "passive", Transport.TCP_ACTIVE: "active"}
_PRIVATE_NETWORKS: Final = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",  # carrier NAT, loopback, link-local
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
_COMPLEMENT: Final = {"active": "passive", "passive": "active"}


class Problem(StrEnum):
    """What is odd about a description that can be used all the same."""

    NO_SSRC = "no y="
    BAD_SSRC = "unreadable y="
    ZERO_SSRC = "y= is zero"  # some Dahua devices: never key a session by it
    OTHER_SSRC = "y= differs from the offer"
    OTHER_PROTOCOL = "m= protocol differs from the offer"
    NO_SETUP = "TCP without a=setup"
    SAME_SETUP = "a=setup repeats the role of the offer"
    NO_ADDRESS = "no address in c="
    UNSPECIFIED_ADDRESS = "c= is no address one can send to"
    PRIVATE_ADDRESS = "c= is a private address"
    PRIVATE_STREAM = "rtpmap names a vendor's private stream"
    UNKNOWN_PAYLOAD = "payload type without rtpmap"
    SEVERAL_PAYLOADS = "answer with several payload types"
    NOT_OFFERED = "payload that was not offered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """The 200 to an INVITE for media."""

    sender_id: str  # o= user name, as the device wrote it
    address: str | None  # c=; check ``problems`` before sending there
    port: int
    transport: Transport  # what the answer says, also when it is not what was offered
    ssrc: int | None  # y=; None: keep the offered one
    payload_type: int | None
    encoding: str  # "PS", "H264" ...; a vendor's name for a private stream; "" unknown
    clock_rate: int
    f: MediaFormat | None
    refused: bool  # port 0
    problems: tuple[Problem, ...] = ()

    @property
    def private_stream(self) -> bool:
        """HIKVISION/90000, DAHUA/90000: not decodable by the standard (annex G)."""
        return Problem.PRIVATE_STREAM in self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaOffer:
    """An INVITE for media as its receiver (a device, a lower platform) understands it."""

    name: str  # s=: "Play", "Playback", "Download" ...
    owner_id: str  # o= user name
    address: str | None
    port: int
    transport: Transport  # TCP_PASSIVE: the offering side listens
    kind: str  # "video" or "audio"
    payloads: tuple[Payload, ...]  # in the order of the offer
    ssrc: int | None
    stream: int | None  # 0 main, 1 sub, None not said
    f: MediaFormat | None
    uri: UriLine | None
    times: tuple[int, int]  # Unix seconds, (0, 0) live
    problems: tuple[Problem, ...] = ()

    def payload(self, encoding: str) -> Payload | None:
        return next((p for p in self.payloads if p.encoding == encoding), None)


def make_live_offer(
    *,
    platform_id: str,
    media_ip: str,
    media_port: int,
    transport: Transport | str,
    ssrc: str,
    stream: int | None = None,
    edition: str = EDITION_2022,
    selector: StreamSelector | None = None,
    payloads: Sequence[Payload] | None = None,
    media_format: MediaFormat | None = MediaFormat(),  # noqa: B008 -- frozen
) -> bytes:
    """The body of a live INVITE.

    ``selector`` is the device's way to name the sub-stream; by default 2022's ``streamnumber``,
    which older devices are only sent for another stream than the main one. ``payloads`` replaces
    the offered list for devices that want another. ``media_format=None`` leaves ``f=`` out.
    """
    transport = Transport(transport)
    if len(ssrc) != 10 or not (ssrc.isascii() and ssrc.isdigit()):
        raise LocalError(f"y= needs ten digits, not {ssrc!r}")
    offered = _default_payloads(transport, edition) if payloads is None else payloads
    lines = _session_lines(platform_id, "Play", media_ip)
    lines.append(("m", _media_line("video", media_port, transport, offered)))
    lines.append(("a", "recvonly"))
    lines += [("a", payload.rtpmap) for payload in offered]
    lines += _setup_lines(_SETUP.get(transport))
    if stream is not None:
        style = _selector(edition, stream) if selector is None else selector
        attribute = stream_attribute(style, stream)
        lines += [("a", attribute)] if attribute is not None else []
    return _finished(lines, ssrc, media_format)


def parse_answer(
    body: bytes,
    *,
    transport: Transport | str,
    ssrc: str | int | None = None,
    offered: Sequence[Payload] | None = None,
) -> LiveAnswer:
    """Read the 200's body against what was offered. Raises :exc:`MalformedSdp`."""
    sdp = Sdp.parse(body)
    media = _main_media(sdp)
    payloads = payloads_of(media)
    answered, problems = _answered_transport(media, Transport(transport))
    address = media.address or sdp.address
    answer_ssrc, ssrc_problem = _read_ssrc(sdp)
    if ssrc_problem is None and ssrc is not None and answer_ssrc != int(ssrc):
        ssrc_problem = Problem.OTHER_SSRC
    problems += [ssrc_problem] if ssrc_problem else []
    problems += _address_problems(address)
    problems += _payload_problems(payloads, offered)
    chosen = payloads[0] if payloads else None
    return LiveAnswer(
        sender_id=sdp.origin_user,
        address=address,
        port=media.port,
        transport=answered,
        ssrc=answer_ssrc,
        payload_type=chosen.payload_type if chosen else None,
        encoding=chosen.encoding if chosen else "",
        clock_rate=chosen.clock_rate if chosen else 90000,
        f=_read_format(sdp),
        refused=media.port == 0,
        problems=tuple(problems),
    )


def parse_offer(body: bytes) -> MediaOffer:
    """Read an INVITE's body, live or history. Raises :exc:`MalformedSdp`."""
    sdp = Sdp.parse(body)
    media = _main_media(sdp)
    address = media.address or sdp.address
    transport, problems = _offered_transport(media)
    ssrc, ssrc_problem = _read_ssrc(sdp)
    problems += [ssrc_problem] if ssrc_problem else []
    uri = sdp.value("u")
    return MediaOffer(
        name=sdp.name,
        owner_id=sdp.origin_user,
        address=address,
        port=media.port,
        transport=transport,
        kind=media.kind,
        payloads=payloads_of(media),
        ssrc=ssrc,
        stream=stream_of(media),
        f=_read_format(sdp),
        uri=UriLine.parse(uri) if uri else None,
        times=sdp.times,
        problems=tuple(problems + _address_problems(address)),
    )


def make_live_answer(
    offer: MediaOffer,
    *,
    sender_id: str,
    media_ip: str,
    media_port: int,
    ssrc: int | None = None,
    encoding: str = "PS",
    media_format: MediaFormat | None = None,
) -> bytes:
    """The 200's body of a sender: one payload of the offer, the offer's SSRC unless told another.

    Raises :exc:`LocalError` when the offer has no such encoding: the answer is 488 then.
    """
    payload = offer.payload(encoding)
    if payload is None:
        raise LocalError(f"{encoding} was not offered")
    lines = _session_lines(sender_id, offer.name, media_ip)
    lines.append(("m", _media_line(offer.kind, media_port, offer.transport, (payload,))))
    lines.append(("a", "sendonly"))
    lines.append(("a", payload.rtpmap))
    lines += _setup_lines(_COMPLEMENT.get(_SETUP.get(offer.transport, "")))
    chosen = offer.ssrc if ssrc is None else ssrc
    return _finished(lines, None if chosen is None else format_ssrc(chosen), media_format)


def _default_payloads(transport: Transport, edition: str) -> tuple[Payload, ...]:
    if transport is not Transport.UDP:
        return (recommended("PS"),)
    names = ("PS", "H264", "H265") if edition >= EDITION_2022 else ("PS", "H264")
    return tuple(recommended(name) for name in names)


def _selector(edition: str, stream: int) -> StreamSelector:
    wanted = edition >= EDITION_2022 or stream > 0
    return StreamSelector.STREAM_NUMBER if wanted else StreamSelector.NONE


def _session_lines(owner_id: str, name: str, media_ip: str) -> list[Line]:
    version = "IP6" if ":" in media_ip else "IP4"
    return [
        ("v", "0"),
        ("o", f"{owner_id} 0 0 IN {version} {media_ip}"),
        ("s", name),
        ("c", f"IN {version} {media_ip}"),
        ("t", "0 0"),
    ]


def _media_line(kind: str, port: int, transport: Transport, payloads: Sequence[Payload]) -> str:
    protocol = "RTP/AVP" if transport is Transport.UDP else "TCP/RTP/AVP"
    numbers = " ".join(str(payload.payload_type) for payload in payloads)
    return f"{kind} {port} {protocol} {numbers}"


def _setup_lines(role: str | None) -> list[Line]:
    return [] if role is None else [("a", f"setup:{role}"), ("a", "connection:new")]


def _finished(lines: list[Line], ssrc: str | None, media_format: MediaFormat | None) -> bytes:
    """``y=`` behind all ``a=`` lines, ``f=`` last: a Hikvision device answers 415 otherwise."""
    if ssrc is not None:
        lines.append(("y", ssrc))
    if media_format is not None:
        lines.append(("f", str(media_format)))
    return Sdp(lines).to_bytes()


def _main_media(sdp: Sdp) -> Media:
    """The first video line that is not refused, else the first line that is not."""
    media = sdp.media
    if not media:
        raise MalformedSdp("no readable m= line")
    ranked = sorted(media, key=lambda m: (m.port == 0, m.kind != "video"))
    return ranked[0]


def _is_tcp(media: Media) -> bool:
    return "TCP" in media.protocol.split("/")


def _offered_transport(media: Media) -> tuple[Transport, list[Problem]]:
    if not _is_tcp(media):
        return Transport.UDP, []
    role = (media.attribute("setup") or "").lower()
    if role == "active":
        return Transport.TCP_ACTIVE, []
    return Transport.TCP_PASSIVE, [] if role == "passive" else [Problem.NO_SETUP]


def _answered_transport(media: Media, offered: Transport) -> tuple[Transport, list[Problem]]:
    """Our own role follows from the sender's, unless that makes no pair."""
    tcp_offered = offered is not Transport.UDP
    if not _is_tcp(media):
        return Transport.UDP, [Problem.OTHER_PROTOCOL] if tcp_offered else []
    problems = [] if tcp_offered else [Problem.OTHER_PROTOCOL]
    role = (media.attribute("setup") or "").lower()
    if role not in _COMPLEMENT:
        return (offered if tcp_offered else Transport.TCP_PASSIVE), [*problems, Problem.NO_SETUP]
    if role == _SETUP.get(offered):
        return offered, [*problems, Problem.SAME_SETUP]
    passive = role == "active"
    return (Transport.TCP_PASSIVE if passive else Transport.TCP_ACTIVE), problems


def _read_ssrc(sdp: Sdp) -> tuple[int | None, Problem | None]:
    text = sdp.value("y")
    if text is None:
        return None, Problem.NO_SSRC
    ssrc = parse_ssrc(text)
    if ssrc is None:
        return None, Problem.BAD_SSRC
    return ssrc, None if ssrc else Problem.ZERO_SSRC


def _read_format(sdp: Sdp) -> MediaFormat | None:
    text = sdp.value("f")
    return MediaFormat.parse(text) if text is not None else None


def _address_problems(address: str | None) -> list[Problem]:
    if address is None:
        return [Problem.NO_ADDRESS]
    try:
        parsed = ip_address(address)
    except ValueError:
        return []  # a host name
    if parsed.is_unspecified or parsed.is_multicast or str(parsed) == "255.255.255.255":
        return [Problem.UNSPECIFIED_ADDRESS]
    private = any(parsed in network for network in _PRIVATE_NETWORKS)
    return [Problem.PRIVATE_ADDRESS] if private else []


def _payload_problems(
    payloads: tuple[Payload, ...], offered: Sequence[Payload] | None
) -> list[Problem]:
    if not payloads:
        return [Problem.UNKNOWN_PAYLOAD]
    problems: list[Problem] = []
    chosen = payloads[0]
    if not chosen.encoding:
        problems.append(Problem.UNKNOWN_PAYLOAD)
    elif not chosen.standard:
        problems.append(Problem.PRIVATE_STREAM)
    if len(payloads) > 1:
        problems.append(Problem.SEVERAL_PAYLOADS)
    if offered is not None and chosen.encoding not in {p.encoding for p in offered}:
        problems.append(Problem.NOT_OFFERED)
    return problems
