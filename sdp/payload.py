"""Payload types of GB/T 28181-2022 annex G. The rtpmap decides, the number only where none is."""

from dataclasses import dataclass
from typing import Final

from .session import Media

NUMBERS: Final = {
    "PS": 96,
    "MPEG4": 97,
    "H264": 98,
    "SVAC": 99,
    "H265": 100,
    "AAC": 102,
    "PCMU": 0,
    "PCMA": 8,
    "G723": 4,
    "G722": 9,
    "G729": 18,
    "SVACA": 20,
}
"""Encoding name -> the number the standard recommends; 100 and 102 since 2022."""

_ENCODINGS: Final = {number: name for name, number in NUMBERS.items()}
_CLOCK_8000: Final = ("PCMU", "PCMA", "G723", "G722", "G729", "SVACA", "AAC")
_SYNONYMS: Final = {
    "MP2P": "PS",
    "MP4V-ES": "MPEG4",
    "HEVC": "H265",
    "H264S": "H264",
    "MPEG4-GENERIC": "AAC",
    "MP4A-LATM": "AAC",
    "G7221": "G722",
    "G723.1": "G723",
}


@dataclass(frozen=True, slots=True)
class Payload:
    payload_type: int
    encoding: str  # upper case, one name per format: "PS", "H264", "H265", "PCMA" ...; "" unknown
    clock_rate: int = 90000  # Hz
    channels: int | None = None

    @property
    def standard(self) -> bool:
        """False: a vendor's name, so the vendor's private stream (annex G), or unknown."""
        return self.encoding in NUMBERS

    @property
    def rtpmap(self) -> str:
        """The ``a=`` line."""
        tail = f"/{self.channels}" if self.channels is not None else ""
        return f"rtpmap:{self.payload_type} {self.encoding}/{self.clock_rate}{tail}"


def recommended(encoding: str) -> Payload:
    """The payload as the standard numbers it."""
    if encoding == "AAC":
        return Payload(NUMBERS[encoding], encoding, 8000, 1)
    return Payload(NUMBERS[encoding], encoding, default_clock(encoding))


def default_clock(encoding: str) -> int:
    return 8000 if encoding in _CLOCK_8000 else 90000


def payloads_of(media: Media) -> tuple[Payload, ...]:
    """The payloads of an ``m=`` line in its order of preference."""
    mapped = {rtpmap.payload_type: rtpmap for rtpmap in reversed(media.rtpmaps)}
    found = []
    for number in media.payload_types or tuple(rtpmap.payload_type for rtpmap in media.rtpmaps):
        rtpmap = mapped.get(number)
        if rtpmap is None:
            encoding = _ENCODINGS.get(number, "")
            found.append(Payload(number, encoding, default_clock(encoding)))
            continue
        name = rtpmap.encoding.upper()
        encoding = _SYNONYMS.get(name, name)
        clock = rtpmap.clock_rate or default_clock(encoding)
        found.append(Payload(number, encoding, clock, rtpmap.channels))
    return tuple(found)
