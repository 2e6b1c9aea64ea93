"""The ``f=`` line (GB/T 28181-2022 annex G): what a stream is, or is wished to be.

``f=v/<codec>/<resolution>/<fps>/<rate type>/<kbit/s>a/<codec>/<bit rate>/<sampling>``, no separator
ever omitted, an empty field is unspecified. The same codes stand in MANSCDP.
"""

import re
from dataclasses import dataclass
from typing import Final

VIDEO_CODECS: Final = {1: "MPEG-4", 2: "H.264", 3: "SVAC", 4: "3GP", 5: "H.265"}
AUDIO_CODECS: Final = {1: "G.711", 2: "G.723.1", 3: "G.729", 4: "G.722.1", 5: "SVAC", 6: "AAC"}
RATE_TYPES: Final = {1: "CBR", 2: "VBR"}
RESOLUTIONS: Final = {
    "1": (176, 144),  # QCIF
    "2": (352, 288),  # CIF
    "3": (704, 576),  # 4CIF
    "4": (720, 576),  # D1
    "5": (1280, 720),
    "6": (1920, 1080),
}
"""Code -> width and height in pixels; 2022 writes any other size as ``WxH``."""
AUDIO_KBPS: Final = {
    1: 5.3, 2: 6.3, 3: 8.0, 4: 16.0, 5: 24.0, 6: 32.0, 7: 48.0, 8: 64.0, 9: 12.0, 10: 80.0,
    11: 96.0, 12: 112.0, 13: 128.0, 14: 160.0, 15: 192.0, 16: 224.0, 17: 256.0, 18: 288.0,
    19: 320.0, 20: 10.8, 21: 12.4, 22: 14.0, 23: 15.6, 24: 17.2, 25: 19.6, 26: 21.2, 27: 24.4,
    28: 23.05, 29: 34.0, 30: 48.61,
}  # fmt: skip
"""Code -> kbit/s; 9 and above since 2022."""
AUDIO_KHZ: Final = {
    1: 8.0, 2: 14.0, 3: 16.0, 4: 32.0, 5: 7.0, 6: 11.0, 7: 12.0, 8: 22.0, 9: 24.0, 10: 44.0,
    11: 48.0, 12: 64.0, 13: 88.0, 14: 96.0, 15: 12.8, 16: 25.6, 17: 38.4,
}  # fmt: skip
"""Code -> kHz; 5 and above since 2022."""

_AUDIO_LEGAL: Final = {
    1: ({8}, {1}),
    2: ({1, 2}, {1}),
    3: ({3}, {1}),
    4: (set(range(4, 8)), {2, 3, 4}),
    5: ({5, 9, *range(20, 31)}, {3, 4, 9, 11, 15, 16, 17}),
    6: (set(range(4, 20)), {1, *range(3, 15)}),
}
_SIZE = re.compile(r"(\d{1,5})[xX*](\d{1,5})", re.ASCII)
_VIDEO_CODES: Final = {name: code for code, name in VIDEO_CODECS.items()}
_AUDIO_CODES: Final = {name: code for code, name in AUDIO_CODECS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFormat:
    """The fields as codes; ``None`` is unspecified."""

    video_codec: int | None = None  # VIDEO_CODECS
    resolution: str | None = None  # a key of RESOLUTIONS or "WxH"
    frame_rate: int | None = None  # 0..99 per second
    rate_type: int | None = None  # RATE_TYPES
    video_kbps: int | None = None  # 0..100000 kbit/s
    audio_codec: int | None = None  # AUDIO_CODECS
    audio_bitrate: int | None = None  # AUDIO_KBPS
    audio_sampling: int | None = None  # AUDIO_KHZ

    @classmethod
    def parse(cls, text: str) -> "MediaFormat":
        """Missing separators, blanks before ``a`` and unknown codes never fail: unspecified."""
        video, _, audio = _halves(text)
        picture = [*video.split("/"), "", "", "", "", ""]
        sound = [*audio.split("/"), "", "", ""]
        return cls(
            video_codec=_number(picture[0], 99),
            resolution=_resolution(picture[1]),
            frame_rate=_number(picture[2], 999),
            rate_type=_number(picture[3], 9),
            video_kbps=_number(picture[4], 10_000_000),
            audio_codec=_number(sound[0], 99),
            audio_bitrate=_number(sound[1], 99),
            audio_sampling=_number(sound[2], 99),
        )

    def __str__(self) -> str:
        picture = (
            self.video_codec, self.resolution, self.frame_rate, self.rate_type, self.video_kbps,
        )  # fmt: skip
        sound = (self.audio_codec, self.audio_bitrate, self.audio_sampling)
        return f"v/{_joined(picture)}a/{_joined(sound)}"

    @property
    def video_codec_name(self) -> str | None:
        return VIDEO_CODECS.get(self.video_codec or 0)

    @property
    def audio_codec_name(self) -> str | None:
        return AUDIO_CODECS.get(self.audio_codec or 0)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels."""
        text = self.resolution or ""
        if text in RESOLUTIONS:
            return RESOLUTIONS[text]
        match = _SIZE.fullmatch(text)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def audio_kbps(self) -> float | None:
        return AUDIO_KBPS.get(self.audio_bitrate or 0)

    @property
    def audio_khz(self) -> float | None:
        return AUDIO_KHZ.get(self.audio_sampling or 0)

    @property
    def audio_is_legal(self) -> bool:
        """Whether codec, bit rate and sampling may stand together; unspecified parts may."""
        if self.audio_codec is None:
            return True
        if self.audio_codec not in _AUDIO_LEGAL:
            return False
        rates, samplings = _AUDIO_LEGAL[self.audio_codec]
        rate_fits = self.audio_bitrate is None or self.audio_bitrate in rates
        return rate_fits and (self.audio_sampling is None or self.audio_sampling in samplings)


def resolution_code(width: int, height: int) -> str:
    """The code of a picture size, ``WxH`` where there is none."""
    sizes = {size: code for code, size in RESOLUTIONS.items()}
    return sizes.get((width, height), f"{width}x{height}")


def video_codec_code(name: str) -> int | None:
    return _VIDEO_CODES.get(name)


def audio_codec_code(name: str) -> int | None:
    return _AUDIO_CODES.get(name)


def audio_bitrate_code(kbps: float) -> int | None:
    return next((code for code, value in AUDIO_KBPS.items() if value == kbps), None)


def audio_sampling_code(khz: float) -> int | None:
    return next((code for code, value in AUDIO_KHZ.items() if value == khz), None)


def _halves(text: str) -> tuple[str, str, str]:
    """The fields behind ``v/`` and behind ``a/``."""
    text = text.strip()[:256].lower()
    video, separator, audio = text.partition("a/")
    if video[:2] == "v/":
        video = video[2:]
    elif video[:1] == "v":
        video = video[1:]
    return video.strip(), separator, audio.strip()


def _number(text: str, most: int) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return int(text) if int(text) <= most else None


def _resolution(text: str) -> str | None:
    text = text.strip()
    size = _SIZE.fullmatch(text)
    if size:
        return f"{int(size[1])}x{int(size[2])}"
    return text if text.isascii() and text.isdigit() and len(text) <= 2 else None


def _joined(values: tuple[object, ...]) -> str:
    return "/".join("" if value is None else str(value) for value in values)
