import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp import format as f
from sdp.format import MediaFormat

FULL = MediaFormat(
    video_codec=2, resolution="6", frame_rate=25, rate_type=1, video_kbps=4096,
    audio_codec=1, audio_bitrate=8, audio_sampling=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("v/2/6/25/1/4096a/1/8/1", FULL),
        ("v/2/6/25/1/4096 a/1/8/1 ", FULL),
        ("V/2/6/25/1/4096A/1/8/1", FULL),
        ("v/////a///", MediaFormat()),
        ("", MediaFormat()),
        ("v/2", MediaFormat(video_codec=2)),
        ("v/////a/1", MediaFormat(audio_codec=1)),
        ("v/5/3840x2160/30//a", MediaFormat(video_codec=5, resolution="3840x2160", frame_rate=30)),
        ("v/H264/1080P/-1/x/99999999999a/?/?/?", MediaFormat()),
    ],
)
def test_parse(text: str, value: MediaFormat) -> None:
    assert MediaFormat.parse(text) == value


def test_written_forms_of_the_standard() -> None:
    video = MediaFormat(video_codec=2, resolution="6", frame_rate=25, rate_type=1, video_kbps=4096)
    sound = MediaFormat(audio_codec=1, audio_bitrate=8, audio_sampling=1)
    assert str(video) == "v/2/6/25/1/4096a///"
    assert str(sound) == "v/////a/1/8/1"
    assert str(MediaFormat()) == "v/////a///"


def test_meanings() -> None:
    assert (FULL.video_codec_name, FULL.size) == ("H.264", (1920, 1080))
    assert (FULL.audio_codec_name, FULL.audio_kbps, FULL.audio_khz) == ("G.711", 64.0, 8.0)
    assert MediaFormat(resolution="3840x2160").size == (3840, 2160)
    assert MediaFormat().size is None
    assert MediaFormat().audio_codec_name is None


def test_codes_back() -> None:
    assert [f.video_codec_code(name) for name in ("H.264", "H.265", "VP8")] == [2, 5, None]
    assert [f.audio_codec_code(name) for name in ("G.711", "AAC", "MP3")] == [1, 6, None]
    assert [f.audio_bitrate_code(kbps) for kbps in (64.0, 48.61, 1.0)] == [8, 30, None]
    assert [f.audio_sampling_code(khz) for khz in (8.0, 38.4, 9.0)] == [1, 17, None]
    assert f.resolution_code(1280, 720) == "5"
    assert f.resolution_code(2560, 1440) == "2560x1440"


@pytest.mark.parametrize(
    ("codec", "rate", "sampling", "legal"),
    [(1, 8, 1, True), (1, 7, 1, False), (2, 1, 1, True), (3, 3, 1, True), (4, 5, 3, True),
     (4, 5, 1, False), (5, 30, 17, True), (6, 19, 14, True), (6, 19, 2, False), (9, 1, 1, False),
     (None, 1, 9, True), (1, None, None, True)],
)  # fmt: skip
def test_legal_combinations(
    codec: int | None, rate: int | None, sampling: int | None, legal: bool
) -> None:
    value = MediaFormat(audio_codec=codec, audio_bitrate=rate, audio_sampling=sampling)
    assert value.audio_is_legal is legal


CODE = st.none() | st.integers(0, 9)


@given(
    st.builds(
        MediaFormat,
        video_codec=CODE,
        resolution=st.none() | st.sampled_from(["1", "6", "640x480"]),
        frame_rate=st.none() | st.integers(0, 99),
        rate_type=CODE,
        video_kbps=st.none() | st.integers(0, 100_000),
        audio_codec=CODE,
        audio_bitrate=st.none() | st.integers(0, 30),
        audio_sampling=st.none() | st.integers(0, 17),
    )
)
def test_formats_come_back(value: MediaFormat) -> None:
    assert MediaFormat.parse(str(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_a_format(text: str) -> None:
    str(MediaFormat.parse(text))
