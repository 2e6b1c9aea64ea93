"""Clips of both codecs: encoded, decoded by FFmpeg, every frame number read."""

import sys
from pathlib import Path

import av
import pytest

from simulators.clip_file import H264, Clip, read_clip
from simulators.clips import (
    FULL_H264,
    FULL_H265,
    SMALL_H264,
    SMALL_H265,
    ClipProfile,
    EncoderMissing,
    ensure_clip,
    read_frame_number,
)

SHORT = ClipProfile(codec="h264", width=640, height=360, bit_rate=600_000, seconds=2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module", params=[SMALL_H264, SMALL_H265], ids=["h264", "h265"])
def clip(request: pytest.FixtureRequest, directory: Path) -> Clip:
    return read_clip(ensure_clip(request.param, directory))


def numbers(clip: Clip) -> list[int]:
    decoder = av.VideoCodecContext.create("h264" if clip.video_type == H264 else "hevc", "r")
    packets = [av.Packet(frame.data) for frame in clip.frames]
    pictures = [picture for packet in (*packets, None) for picture in decoder.decode(packet)]
    return [read_frame_number(picture) for picture in pictures]


def test_every_frame_number_survives_the_codec(clip: Clip) -> None:
    assert numbers(clip) == list(range(250))


def test_shape(clip: Clip) -> None:
    assert (clip.width, clip.height, clip.duration) == (640, 360, 900_000)
    assert [frame.pts for frame in clip.frames] == [3600 * number for number in range(250)]
    keys = [number for number, frame in enumerate(clip.frames) if frame.key]
    assert keys == [0, 50, 100, 150, 200]
    assert len(clip.audio) == 80_000


def test_key_frames_carry_their_parameter_sets(clip: Clip) -> None:
    shift, mask, wanted = (
        (0, 0x1F, {7, 8, 5}) if clip.video_type == H264 else (1, 0x3F, {32, 33, 34})
    )
    for frame in clip.frames:
        kinds = {unit[0] >> shift & mask for unit in frame.data.split(b"\0\0\1")[1:]}
        assert frame.data.startswith((b"\0\0\0\1", b"\0\0\1"))
        assert wanted <= kinds if frame.key else not wanted & kinds


def test_bit_rate(clip: Clip) -> None:
    bits = 8 * sum(len(frame.data) for frame in clip.frames) / 10
    assert bits == pytest.approx(600_000, rel=0.1)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("profile", [FULL_H264, FULL_H265], ids=["h264", "h265"])
def test_full_size_clip(profile: ClipProfile, directory: Path) -> None:
    full = read_clip(ensure_clip(profile, directory))
    bits = 8 * sum(len(frame.data) for frame in full.frames) / 10
    assert bits == pytest.approx(4_000_000, rel=0.1)
    assert numbers(full) == list(range(250))


def test_encoded_once(directory: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = ensure_clip(SHORT, directory, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 50) for number in range(1, 51)]
    written = first.stat().st_mtime_ns
    assert (
        ensure_clip(SHORT, directory, progress=lambda done, total: seen.append((done, total)))
        == first
    )
    assert len(seen) == 50
    assert first.stat().st_mtime_ns == written


def test_half_written_clip_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_clip(SHORT, tmp_path, progress=stop)
    assert not list(tmp_path.glob("*.gbclip"))


def test_missing_encoder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(EncoderMissing, match=r"install the extra 'media'"):
        ensure_clip(SHORT, tmp_path)


def test_length_must_be_whole_gops(tmp_path: Path) -> None:
    odd = ClipProfile(codec="h264", width=640, height=360, bit_rate=600_000, seconds=3)
    with pytest.raises(ValueError, match="no multiple"):
        ensure_clip(odd, tmp_path)


def test_file_name_tells_the_content_apart() -> None:
    labelled = ClipProfile(codec="h264", width=640, height=360, bit_rate=600_000, label="门口/1")
    assert (
        len({SMALL_H264.file_name, SMALL_H265.file_name, SHORT.file_name, labelled.file_name}) == 4
    )
    assert "/" not in labelled.file_name
