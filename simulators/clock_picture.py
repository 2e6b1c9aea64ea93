"""The simulated cameras' picture: a clock for people and a frame number for programs.

Everything is drawn into plain bytes in YUV 4:2:0, without numpy or an imaging library.

The frame number stands at the top left as 16 square blocks in one row, black for 0 and white for
1, the most significant bit first: 15 bits of the number, then a bit that makes the count of white
blocks odd. So neither an all black nor an all white picture reads as a number.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from simulators.glyphs import GLYPH_HEIGHT, text_rows

if TYPE_CHECKING:
    import av

BLOCKS = 16
LARGEST_NUMBER = (1 << (BLOCKS - 1)) - 1
_BLACK, _WHITE = 16, 235
_SURE_BLACK, _SURE_WHITE = 90, 165
"""Decoded blocks are a few steps off the drawn level; what lies between is not a block of ours."""
_BARS = (
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
)
"""Grey, yellow, cyan, green, magenta, red at 75 % (ITU-R BT.709, limited range)."""

_TINTS = (
    ((118, 140), (116, 140)),
    ((142, 118), (118, 124)),
    ((136, 134), (122, 120)),
    ((126, 128), (112, 132)),
)
"""(U, V) of sky and ground: evening over sand, noon over grass, haze over water, fog over clay."""


class UnreadableFrameNumber(ValueError):
    """The picture carries no frame number, or it is damaged."""


def block_size(width: int) -> int:
    """Side of one block in dots: 32 at 1920, never below 16 (the size of a macroblock)."""
    return max(16, width // 60 // 16 * 16)


def number_bits(number: int) -> list[bool]:
    """The 16 blocks of a frame number, True for white."""
    if not 0 <= number <= LARGEST_NUMBER:
        raise ValueError(f"frame number {number} is not within 0..{LARGEST_NUMBER}")
    odd = number.bit_count() % 2 == 1
    return [number >> bit & 1 == 1 for bit in range(BLOCKS - 2, -1, -1)] + [not odd]


def read_frame_number(frame: av.VideoFrame) -> int:
    """The number drawn into a decoded picture of any size that `block_size` knows.

    Raises UnreadableFrameNumber.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p", "nv12"):
        raise UnreadableFrameNumber(f"pixel format {frame.format.name} is not read here")
    plane = frame.planes[0]
    luma, stride, side = memoryview(plane), plane.line_size, block_size(frame.width)
    if frame.width < BLOCKS * side or frame.height < side:
        raise UnreadableFrameNumber(f"{frame.width}x{frame.height} has no room for a frame number")
    number = white = 0
    for block in range(BLOCKS):
        level = _block_level(luma, stride, block * side, side)
        if _SURE_BLACK < level < _SURE_WHITE:
            raise UnreadableFrameNumber(f"block {block} is neither black nor white: level {level}")
        bit = level >= _SURE_WHITE
        white += bit
        number = number << 1 | bit
    if white % 2 == 0:
        raise UnreadableFrameNumber(f"parity of block word {number:#06x} is wrong")
    return number >> 1


def _block_level(luma: memoryview, stride: int, left: int, side: int) -> int:
    """Mean luma of the middle half of one block."""
    first, last = side // 4, side - side // 4
    total = sum(
        sum(luma[row * stride + left + first : row * stride + left + last])
        for row in range(first, last)
    )
    return total // (last - first) ** 2


class ClockPicture:
    """Draws frame after frame of one scene; the same arguments give the same pictures."""

    def __init__(
        self, width: int, height: int, *, label: str, frames_per_second: int, seed: int = 1
    ) -> None:
        if width % 16 or height % 4 or width < BLOCKS * block_size(width):
            raise ValueError(f"{width}x{height} cannot carry the frame number and the clock")
        self.width, self.height = width, height
        self._frames_per_second = frames_per_second
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - a test picture, no secret
        self._scale = width // 112
        self._label = text_rows(label, max(2, self._scale // 2), _WHITE, 40)
        self._panorama = self._draw_panorama()
        self._noise = self._draw_noise()
        self._chroma = self._draw_chroma()

    def planes(self, number: int) -> tuple[bytes, bytes, bytes]:
        """Y, U and V of frame `number`; rows lie without gaps."""
        luma = self._scene(number)
        self._draw_bars(luma)
        self._draw_grain(luma)
        self._draw_clock(luma, number)
        self._draw_number(luma, number)
        return bytes(luma), *self._chroma

    # The scene: a panorama that passes by (the encoder's motion search has work), drawn once.

    def _draw_panorama(self) -> list[bytes]:
        """Rows of twice the width: hills of soft texture below a sky; periodic in `width`."""
        rows: list[bytes] = []
        horizon = self.height * 2 // 5
        grain = self._random.randbytes(self.width * 2)
        for row in range(self.height):
            if row < horizon:
                line = bytes([150 + row * 40 // horizon]) * self.width
            else:
                depth = (row - horizon) * 70 // (self.height - horizon)
                start = (row // 4 * 977) % self.width
                cells = grain[start : start + self.width // 8]
                line = b"".join(bytes([60 + depth + cell % 32]) * 8 for cell in cells)
            rows.append(line + line)
        return rows

    def _scene(self, number: int) -> bytearray:
        width, horizon = self.width, self.height * 2 // 5
        # Two dots per frame and a whole turn in `width` / 2 frames.
        near = number * 2 % width
        return bytearray(
            b"".join(
                row[near : near + width] if index >= horizon else row[:width]
                for index, row in enumerate(self._panorama)
            )
        )

    def _draw_bars(self, luma: bytearray) -> None:
        width, top = self.width, self._bars_top()
        step = width // len(_BARS)
        line = b"".join(bytes([level]) * step for level, _, _ in _BARS).ljust(width, b"\x10")
        for row in range(top, self.height):
            luma[row * width : (row + 1) * width] = line

    def _bars_top(self) -> int:
        return (self.height * 11 // 12) // 2 * 2

    def _draw_chroma(self) -> tuple[bytes, bytes]:
        width, height = self.width // 2, self.height // 2
        horizon, bars = height * 2 // 5, self._bars_top() // 2
        sky_tint, ground_tint = _TINTS[self._seed % len(_TINTS)]
        planes: list[bytes] = []
        for sky, ground, part in (
            (sky_tint[0], ground_tint[0], 1),
            (sky_tint[1], ground_tint[1], 2),
        ):
            step = self.width // len(_BARS) // 2
            line = b"".join(bytes([bar[part]]) * step for bar in _BARS).ljust(width, b"\x80")
            planes.append(
                bytes([sky]) * (width * horizon)
                + bytes([ground]) * (width * (bars - horizon))
                + line * (height - bars)
            )
        return planes[0], planes[1]

    # The grain: fresh noise in every frame, which no motion search predicts. It sets the bit rate.

    def _draw_noise(self) -> bytes:
        """A store of grain from which every frame takes other rows."""
        levels = bytes(70 + value % 64 for value in range(256))
        return self._random.randbytes(1 << 20).translate(levels)

    def _draw_grain(self, luma: bytearray) -> None:
        width = self.width
        patch_width, patch_height = width // 4, self.height // 4
        left, top = width * 11 // 16, self.height * 9 // 16
        for row in range(top, top + patch_height):
            start = self._random.randrange(len(self._noise) - patch_width)
            luma[row * width + left : row * width + left + patch_width] = self._noise[
                start : start + patch_width
            ]

    # What is read: clock, label and frame number.

    def _draw_clock(self, luma: bytearray, number: int) -> None:
        milliseconds = number * 1000 // self._frames_per_second
        seconds = milliseconds // 1000
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        clock += f".{milliseconds % 1000:03}"
        scale, left = self._scale, self.width // 16
        top = self.height // 8
        self._draw_text(luma, text_rows(clock, scale, _WHITE, 40), scale, left, top)
        top += scale * (GLYPH_HEIGHT + 2)
        small = max(2, scale // 2)
        self._draw_text(luma, text_rows(f"FRAME {number:05}", small, _WHITE, 40), small, left, top)
        self._draw_text(luma, self._label, small, left, top + small * (GLYPH_HEIGHT + 2))

    def _draw_text(
        self, luma: bytearray, rows: list[bytes], scale: int, left: int, top: int
    ) -> None:
        line = top
        for dots in rows:
            for _ in range(scale):
                start = line * self.width + left
                luma[start : start + len(dots)] = dots
                line += 1

    def _draw_number(self, luma: bytearray, number: int) -> None:
        side = block_size(self.width)
        dots = b"".join(
            bytes([_WHITE if white else _BLACK]) * side for white in number_bits(number)
        )
        for row in range(side):
            luma[row * self.width : row * self.width + len(dots)] = dots
