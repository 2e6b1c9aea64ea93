"""The clip file: what the encoder wrote, ready to be sent again and again.

Layout, all numbers big endian; the media core reads the same (`gbmedia::clip`)::

    offset  size
    0       8     47 42 43 4C 49 50 00 01   "GBCLIP", 0, version 1
    8       1     video stream type of GB/T 28181-2022 annex C: 0x1B H.264, 0x24 H.265
    9       1     audio stream type: 0x90 G.711 A-law, 0 none
    10      2     width
    12      2     height
    14      2     0
    16      4     number of frames
    20      4     length of the loop in 1/90000 s
    24      4     audio bytes (8000 a second)
    28      4     0
    32      16*n  one entry for each frame: length (4), flags (4; bit 0: key),
                    pts (8; 1/90000 s)
    ...           the frames in Annex B form, in decoding order (there are no B frames)
    ...           the audio
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"GBCLIP\x00\x01"
_HEADER = struct.Struct(">8sBBHHHIIII")
_ENTRY = struct.Struct(">IIQ")
_KEY = 1
H264, H265, G711A = 0x1B, 0x24, 0x90
CLOCK_RATE = 90_000


class BadClipFile(ValueError):
    """The file is not a clip, or it is cut short."""


@dataclass(frozen=True, slots=True)
class ClipFrame:
    """One access unit in Annex B form."""

    pts: int
    """1/90000 s from the clip's beginning."""
    key: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Ten seconds or so of a camera."""

    video_type: int
    width: int
    height: int
    duration: int
    """Length of the loop in 1/90000 s."""
    frames: tuple[ClipFrame, ...]
    audio: bytes
    """G.711 A-law, 8000 bytes a second; empty for a silent camera."""

    def to_bytes(self) -> bytes:
        """The clip file."""
        header = _HEADER.pack(
            MAGIC,
            self.video_type,
            G711A if self.audio else 0,
            self.width,
            self.height,
            0,
            len(self.frames),
            self.duration,
            len(self.audio),
            0,
        )
        index = (
            _ENTRY.pack(len(frame.data), _KEY if frame.key else 0, frame.pts)
            for frame in self.frames
        )
        return b"".join((header, *index, *(frame.data for frame in self.frames), self.audio))

    @classmethod
    def parse(cls, content: bytes) -> Clip:
        """Reads a clip file's content. Raises BadClipFile."""
        try:
            (magic, video_type, _, width, height, _, count, duration, audio_bytes, _) = (
                _HEADER.unpack_from(content)
            )
            if magic != MAGIC:
                raise BadClipFile("this is not a clip file of version 1")
            entries = [
                _ENTRY.unpack_from(content, _HEADER.size + number * _ENTRY.size)
                for number in range(count)
            ]
        except struct.error as error:
            raise BadClipFile(f"the clip file is cut short: {error}") from error
        position = _HEADER.size + count * _ENTRY.size
        frames: list[ClipFrame] = []
        for length, flags, pts in entries:
            frames.append(ClipFrame(pts, bool(flags & _KEY), content[position : position + length]))
            position += length
        if position + audio_bytes != len(content):
            raise BadClipFile(
                f"the clip file has {len(content)} bytes, not {position + audio_bytes}"
            )
        return cls(
            video_type=video_type,
            width=width,
            height=height,
            duration=duration,
            frames=tuple(frames),
            audio=content[position:],
        )


def read_clip(path: Path) -> Clip:
    """Reads a clip file. Raises BadClipFile, OSError."""
    return Clip.parse(path.read_bytes())
