"""The picture: drawn and read back without a codec, and what must not read as a number."""

import av
import pytest

from simulators.clock_picture import (
    LARGEST_NUMBER,
    ClockPicture,
    UnreadableFrameNumber,
    block_size,
    number_bits,
    read_frame_number,
)

SIZES = [(1920, 1080), (1280, 720), (640, 360), (352, 288)]


def raw(width: int, height: int, level: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([level]) * plane.buffer_size)
    return frame


def put_luma(frame: av.VideoFrame, luma: bytes) -> None:
    plane = frame.planes[0]
    rest = bytes(plane.line_size - plane.width)
    rows = [luma[start : start + plane.width] for start in range(0, len(luma), plane.width)]
    plane.update(b"".join(row + rest for row in rows))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_drawn_number_is_read(width: int, height: int) -> None:
    picture = ClockPicture(width, height, label="H.264", frames_per_second=25)
    for number in (0, 1, 2, 249, 0x5555, LARGEST_NUMBER):
        frame = raw(width, height, 128)
        luma, u, v = picture.planes(number)
        assert (len(luma), len(u), len(v)) == (
            width * height,
            width * height // 4,
            width * height // 4,
        )
        put_luma(frame, luma)
        assert read_frame_number(frame) == number


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
def test_plain_picture_is_no_number(level: int) -> None:
    with pytest.raises(UnreadableFrameNumber):
        read_frame_number(raw(640, 360, level))


def test_one_flipped_block_is_found() -> None:
    picture = ClockPicture(640, 360, label="", frames_per_second=25)
    luma = bytearray(picture.planes(77)[0])
    for row in range(16):
        for column in range(3 * 16, 4 * 16):
            luma[row * 640 + column] = 251 - luma[row * 640 + column]
    frame = raw(640, 360, 128)
    put_luma(frame, bytes(luma))
    with pytest.raises(UnreadableFrameNumber, match="parity"):
        read_frame_number(frame)


def test_same_seed_same_picture() -> None:
    def third_frame(seed: int) -> tuple[bytes, bytes, bytes]:
        picture = ClockPicture(352, 288, label="A", frames_per_second=25, seed=seed)
        return [picture.planes(number) for number in range(3)][-1]

    assert third_frame(1) == third_frame(1)
    assert third_frame(1) != third_frame(2)


def test_blocks_are_whole_macroblocks() -> None:
    assert [block_size(width) for width, _ in SIZES] == [32, 16, 16, 16]


def test_parity_is_odd_and_range_is_checked() -> None:
    assert all(sum(number_bits(number)) % 2 == 1 for number in range(1000))
    with pytest.raises(ValueError, match="not within"):
        number_bits(LARGEST_NUMBER + 1)


def test_impossible_size_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        ClockPicture(240, 180, label="", frames_per_second=25)


def test_other_pixel_format_is_refused() -> None:
    with pytest.raises(UnreadableFrameNumber, match="rgb24"):
        read_frame_number(av.VideoFrame(640, 360, "rgb24"))
