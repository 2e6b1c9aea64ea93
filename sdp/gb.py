"""What GB/T 28181 adds to SDP (2022 annex G): ``y=`` SSRC, ``u=``, stream selectors, roles."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .errors import LocalError
from .session import Media

SSRC_LIMIT: Final = 2**32  # RFC 3550 section 5.1: 32 bits
_NUMBER = re.compile(r"\d{1,20}", re.ASCII)


def format_ssrc(ssrc: int) -> str:
    """Ten digits with leading zeros, as ``y=`` and Subject want it."""
    if not 0 <= ssrc < SSRC_LIMIT:
        raise LocalError(f"SSRC {ssrc} is no 32-bit number")
    return f"{ssrc:010d}"


def parse_ssrc(text: str) -> int | None:
    """Read ``y=``: 1 to 10 digits (2016's own examples have nine), above 2^31 too.

    ``None`` for what no RTP packet can carry.
    """
    match = _NUMBER.match(text.strip())
    if match is None:
        return None
    value = int(match[0])
    return value if value < SSRC_LIMIT else None


def compose_ssrc(domain_id: str, number: int, *, history: bool = False) -> int:
    """Annex G rule: 0 live or 1 history, digits 4-8 of the SIP domain's ID, four digits of ours."""
    middle = domain_id[3:8]
    if len(middle) != 5 or not (middle.isascii() and middle.isdigit()):
        raise LocalError(f"domain {domain_id!r} has no digits 4 to 8")
    if not 0 <= number <= 9999:
        raise LocalError(f"SSRC number {number} is not 0..9999")
    return int(f"{int(history)}{middle}{number:04d}")


@dataclass(frozen=True, slots=True)
class SsrcParts:
    history: bool
    domain_digits: str  # characters 4 to 8 of the domain's ID
    number: int  # 0..9999


def split_ssrc(ssrc: int) -> SsrcParts | None:
    """The parts of an SSRC that follows the rule, else ``None``."""
    text = format_ssrc(ssrc)
    if text[0] not in "01":
        return None
    return SsrcParts(text[0] == "1", text[1:6], int(text[6:]))


class StreamSelector(StrEnum):
    """How a device is told main or sub stream. 2022 has streamnumber, the others are vendors'."""

    NONE = "none"
    STREAM_NUMBER = "streamnumber"  # GB/T 28181-2022 annex G
    STREAM = "stream"
    STREAM_PROFILE = "streamprofile"  # Dahua
    STREAM_MODE = "streamMode"  # TP-LINK, Mercury: MAIN or SUB


def stream_attribute(style: StreamSelector, stream: int) -> str | None:
    """The value of the ``a=`` line for stream 0 (main), 1 (sub) ..., ``None`` for no line."""
    if style is StreamSelector.NONE:
        return None
    if style is StreamSelector.STREAM_MODE:
        return f"{style}:{'SUB' if stream else 'MAIN'}"
    return f"{style}:{stream}"


def stream_of(media: Media) -> int | None:
    """The stream asked for, in whatever style."""
    for name in ("streamnumber", "stream", "streamprofile", "subtype"):
        value = media.attribute(name)
        if value is not None and _NUMBER.fullmatch(value) and len(value) <= 3:
            return int(value)
    mode = (media.attribute("streammode") or "").upper()
    return {"MAIN": 0, "SUB": 1}.get(mode)


class Transport(StrEnum):
    """How the media travels; the TCP role is that of the receiver of the media (RFC 4145)."""

    UDP = "udp"
    TCP_PASSIVE = "tcp-passive"  # the receiver listens
    TCP_ACTIVE = "tcp-active"  # the receiver connects


_RECORD_TYPES: Final = {
    "0": 0, "1": 1, "2": 2, "3": 3, "": 0, "all": 0, "manual": 1, "alarm": 2, "time": 3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UriLine:
    """``u=`` of playback and download: ``<device>:<type>`` or ``http://<storage>/<path>``."""

    device_id: str
    record_type: int = 0  # 0 all, 1 manual, 2 alarm, 3 time
    path: str = ""  # of the long form

    def __str__(self) -> str:
        if self.path:
            return f"http://{self.device_id}/{self.path}"
        return f"{self.device_id}:{self.record_type}"

    @classmethod
    def parse(cls, text: str) -> "UriLine":
        if text.lower().startswith("http://"):
            storage, _, path = text[7:].partition("/")
            return cls(storage, 0, path)
        device_id, _, record_type = text.partition(":")
        return cls(device_id.strip(), _RECORD_TYPES.get(record_type.strip().lower(), 0))
