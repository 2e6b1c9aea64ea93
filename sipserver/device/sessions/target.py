"""Whom to call and what that device is used to: what the registrar side tells the live view."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from manscdp.edition import Edition
from sdp.gb import StreamSelector, Transport
from sdp.payload import Payload
from sipserver.sip.flow import Flow


class SsrcHabit(StrEnum):
    """What the device did with our ``y=`` so far."""

    UNKNOWN = "unknown"
    OBEYS = "obeys"
    OWN = "own"  # answers or sends a value of its own (quirk rows 1, 2)
    ZERO = "zero"  # always 0 (quirk row 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpProfile:
    """An offer that certain models want instead of the standard one (quirk row 55)."""

    payloads: tuple[Payload, ...] | None = None  # None: as the standard recommends
    with_format: bool = True  # False: no ``f=``, so ``y=`` is the last line


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayTarget:
    """One channel that can be called now, with the habits of its device."""

    device_id: str
    channel_id: str
    flow: Flow  # where its REGISTER came from: INVITE, ACK and BYE go there (signalling quirk 27)
    domain: str = ""  # host part of To; "": the platform's own domain
    edition: Edition = Edition.GB2016  # it also spells the key-frame request (quirk row 42)
    transport: Transport = Transport.UDP
    media_ip: str = ""  # address for our ``c=``, for peers behind NAT; "": the platform's own
    selector: StreamSelector | None = None  # how a stream is chosen; None: by edition
    sdp_profile: SdpProfile = SdpProfile()
    ssrc_habit: SsrcHabit = SsrcHabit.UNKNOWN
    session_limit: int | None = None  # concurrent sessions the device can carry; None: unknown


class TargetLookup(Protocol):
    """The registrar's and the channel directory's side of a play."""

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        """:raises UnknownDevice, UnknownChannel, DeviceNotOnline: of ``sipserver.device.errors``"""
