"""The clip file: round trip, and what is refused."""

import pytest

from simulators.clip_file import G711A, H264, MAGIC, BadClipFile, Clip, ClipFrame

CLIP = Clip(
    video_type=H264,
    width=640,
    height=360,
    duration=7200,
    frames=(ClipFrame(0, True, b"\0\0\0\1\x65key"), ClipFrame(3600, False, b"\0\0\0\1\x41")),
    audio=b"\xd5" * 640,
)


def test_round_trip() -> None:
    assert Clip.parse(CLIP.to_bytes()) == CLIP


def test_layout_is_the_documented_one() -> None:
    content = CLIP.to_bytes()
    assert content[:12] == MAGIC + bytes([H264, G711A]) + (640).to_bytes(2)
    assert content[16:28] == (2).to_bytes(4) + (7200).to_bytes(4) + (640).to_bytes(4)
    assert content[32:48] == (8).to_bytes(4) + (1).to_bytes(4) + (0).to_bytes(8)
    assert content[64:72] == b"\0\0\0\1\x65key"


def test_silent_clip_names_no_audio_type() -> None:
    content = Clip(
        video_type=H264, width=640, height=360, duration=1, frames=CLIP.frames, audio=b""
    ).to_bytes()
    assert content[9] == 0
    assert Clip.parse(content).audio == b""


@pytest.mark.parametrize(
    "content",
    [b"", b"GBCLIP", b"X" + CLIP.to_bytes()[1:], CLIP.to_bytes()[:-1], CLIP.to_bytes() + b"\0"]
    + [CLIP.to_bytes()[:length] for length in (31, 40, 63, 70)],
)
def test_broken_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadClipFile):
        Clip.parse(content)
