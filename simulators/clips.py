"""The simulated cameras' clips: encoded once by PyAV, kept as files, sent by the media core.

PyAV is an optional extra of the distribution: only making a clip needs it, sending one does not.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simulators.clip_file import CLOCK_RATE, H264, H265, Clip, ClipFrame
from simulators.clock_picture import ClockPicture, read_frame_number
from simulators.tone import tone

if TYPE_CHECKING:
    import av

__all__ = [
    "FULL_H264",
    "FULL_H265",
    "SMALL_H264",
    "SMALL_H265",
    "ClipProfile",
    "EncoderMissing",
    "encode_clip",
    "ensure_clip",
    "read_frame_number",
]

DEFAULT_DIRECTORY = Path("build/clips")
_VERSION = 1
"""Part of the file name: raise it whenever another picture or another encoder setting is wanted."""

Progress = Callable[[int, int], None]
"""Called with the frames done and the frames in all."""


class EncoderMissing(RuntimeError):
    """PyAV, or the encoder within it, is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipProfile:
    """What a clip is to look like."""

    codec: Literal["h264", "h265"]
    width: int
    height: int
    bit_rate: int
    """Video bits per second, mean over the clip."""
    seconds: int = 10
    frames_per_second: int = 25
    key_frame_interval: int = 50
    """Frames; the clip's length is a multiple of it, so that the loop stays regular."""
    audio: bool = True
    label: str = ""
    """Shown in the picture after codec and size."""
    seed: int = 1
    """Other seeds give other pictures of the same kind."""

    @property
    def frames(self) -> int:
        """Frames in the clip."""
        return self.seconds * self.frames_per_second

    @property
    def file_name(self) -> str:
        """Names everything that the content depends on."""
        sound = "alaw" if self.audio else "silent"
        label = f"-{self.label.encode().hex()}" if self.label else ""
        size = f"{self.width}x{self.height}p{self.frames_per_second}-{self.bit_rate // 1000}k"
        loop = f"gop{self.key_frame_interval}-{self.seconds}s"
        return f"{self.codec}-{size}-{loop}-{sound}-s{self.seed}{label}-v{_VERSION}.gbclip"


FULL_H264 = ClipProfile(codec="h264", width=1920, height=1080, bit_rate=4_000_000)
FULL_H265 = ClipProfile(codec="h265", width=1920, height=1080, bit_rate=4_000_000)
SMALL_H264 = ClipProfile(codec="h264", width=640, height=360, bit_rate=600_000)
SMALL_H265 = ClipProfile(codec="h265", width=640, height=360, bit_rate=600_000)
"""The small ones are a camera's sub stream, and what the tests send."""


def ensure_clip(
    profile: ClipProfile, directory: Path = DEFAULT_DIRECTORY, *, progress: Progress | None = None
) -> Path:
    """The clip's file below `directory`, encoded now if it is not there yet.

    Safe when several processes ask for the same clip: one encodes, the others wait for it.
    Raises EncoderMissing, OSError.
    """
    path = directory / profile.file_name
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    with _only_one(directory / f".{profile.file_name}.lock"):
        if not path.exists():
            _write_atomically(path, encode_clip(profile, progress=progress).to_bytes())
    return path


def encode_clip(profile: ClipProfile, *, progress: Progress | None = None) -> Clip:
    """Draws and encodes a clip. Takes seconds. Raises EncoderMissing."""
    if profile.frames % profile.key_frame_interval:
        raise ValueError(
            f"{profile.frames} frames are no multiple of the GOP of {profile.key_frame_interval}"
        )
    encoder = _open_encoder(profile)
    codec = "H.264" if profile.codec == "h264" else "H.265"
    picture = ClockPicture(
        profile.width,
        profile.height,
        label=f"{codec} {profile.width}X{profile.height} {profile.label}".strip(),
        frames_per_second=profile.frames_per_second,
        seed=profile.seed,
    )
    ticks = CLOCK_RATE // profile.frames_per_second
    frames: list[ClipFrame] = []
    for number in range(profile.frames):
        frames.extend(
            _clip_frame(packet, ticks) for packet in encoder.encode(_video_frame(picture, number))
        )
        if progress is not None:
            progress(number + 1, profile.frames)
    frames.extend(_clip_frame(packet, ticks) for packet in encoder.encode(None))
    return Clip(
        video_type=H264 if profile.codec == "h264" else H265,
        width=profile.width,
        height=profile.height,
        duration=profile.frames * ticks,
        frames=tuple(frames),
        audio=tone(profile.seconds) if profile.audio else b"",
    )


def _open_encoder(profile: ClipProfile) -> av.VideoCodecContext:
    """An encoder for Annex B with in-band parameter sets, regular GOPs and no B frames."""
    try:
        import av
    except ImportError as error:
        raise EncoderMissing(
            "Making the simulated cameras' clips needs PyAV: install the extra 'media' "
            "(pip install 'gb28181-server[media]')."
        ) from error
    name: Literal["libx264", "libx265"] = "libx264" if profile.codec == "h264" else "libx265"
    try:
        encoder = av.CodecContext.create(name, "w")
    except av.error.FFmpegError as error:
        raise EncoderMissing(f"This build of PyAV has no encoder {name}.") from error
    encoder.width, encoder.height = profile.width, profile.height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, profile.frames_per_second)
    encoder.framerate = Fraction(profile.frames_per_second)
    encoder.gop_size = profile.key_frame_interval
    encoder.max_b_frames = 0
    encoder.bit_rate = profile.bit_rate
    encoder.options = _encoder_options(profile)
    return encoder


def _encoder_options(profile: ClipProfile) -> dict[str, str]:
    kilobits = profile.bit_rate // 1000
    shared = (
        f"keyint={profile.key_frame_interval}:min-keyint={profile.key_frame_interval}:scenecut=0:bframes=0"
        f":open-gop=0:repeat-headers=1:vbv-maxrate={kilobits * 5 // 4}:vbv-bufsize={kilobits}"
    )
    if profile.codec == "h264":
        return {"preset": "superfast", "x264-params": f"{shared}:force-cfr=1"}
    return {"preset": "ultrafast", "x265-params": f"{shared}:log-level=none:info=0"}


def _video_frame(picture: ClockPicture, number: int) -> av.VideoFrame:
    import av

    frame = av.VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, content in zip(frame.planes, picture.planes(number), strict=True):
        plane.update(_padded(content, plane.width, plane.line_size))
    frame.pts = number
    return frame


def _padded(content: bytes, width: int, line_size: int) -> bytes:
    """Rows as FFmpeg lays them out: `line_size` bytes each."""
    if line_size == width:
        return content
    rest = bytes(line_size - width)
    return b"".join(
        content[start : start + width] + rest for start in range(0, len(content), width)
    )


def _clip_frame(packet: av.Packet[av.VideoStream], ticks: int) -> ClipFrame:
    if packet.pts is None:
        raise EncoderMissing(
            "The encoder gave a packet without time: this build of PyAV cannot be used."
        )
    return ClipFrame(packet.pts * ticks, packet.is_keyframe, bytes(packet))


def _write_atomically(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds the lock file for as long as the body runs."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
