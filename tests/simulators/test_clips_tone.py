"""The tone: A-law as FFmpeg reads it, the right frequency in the right second."""

import math

import av
import pytest

from simulators.tone import MARK_SAMPLES, SAMPLE_RATE, TONE_HZ, mark_hz, to_alaw, tone


def decoded(samples: bytes) -> list[int]:
    decoder = av.AudioCodecContext.create("pcm_alaw", "r")
    decoder.sample_rate = SAMPLE_RATE
    decoder.layout = "mono"
    (frame,) = decoder.decode(av.Packet(samples))
    plane = memoryview(frame.planes[0])[: 2 * frame.samples]
    return list(plane.cast("h"))


def strength(samples: list[int], hertz: int) -> float:
    """Amplitude of one frequency."""
    angle = 2 * math.pi * hertz / SAMPLE_RATE
    real = sum(value * math.cos(angle * index) for index, value in enumerate(samples))
    imaginary = sum(value * math.sin(angle * index) for index, value in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)


def test_alaw_agrees_with_a_foreign_decoder() -> None:
    levels = [*range(-32768, 32768, 37), -1, 0, 1, 32767]
    read = decoded(bytes(to_alaw(level) for level in levels))
    for level, back in zip(levels, read, strict=True):
        assert abs(level - back) <= max(16, abs(level) // 16)


@pytest.mark.parametrize("second", [0, 1, 7, 9])
def test_every_second_begins_with_its_mark(second: int) -> None:
    samples = decoded(tone(10))[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
    mark, rest = samples[:MARK_SAMPLES], samples[MARK_SAMPLES:]
    assert strength(mark, mark_hz(second)) == pytest.approx(12000, rel=0.02)
    assert strength(rest, TONE_HZ) == pytest.approx(4000, rel=0.02)


def test_length() -> None:
    assert len(tone(3)) == 3 * SAMPLE_RATE
