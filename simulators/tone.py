"""The simulated cameras' sound: 1 kHz in G.711 A-law, with a mark at every full second.

The first tenth of second `n` of a clip is a tone of 400 + 100 * (n mod 16) Hz, louder than the
1 kHz, so that an ear and a program can tell which second is heard. Every frequency makes whole
turns in 100 ms: there is no click, not at the clip's end either.
"""

from __future__ import annotations

import math

SAMPLE_RATE = 8000
TONE_HZ = 1000
MARK_SAMPLES = SAMPLE_RATE // 10
_TONE_AMPLITUDE, _MARK_AMPLITUDE = 4000, 12000
_MARKS = 16


def mark_hz(second: int) -> int:
    """Frequency of the mark at the beginning of a second."""
    return 400 + 100 * (second % _MARKS)


def to_alaw(sample: int) -> int:
    """One 16-bit linear sample as A-law (ITU-T G.711, even bits inverted)."""
    magnitude = (sample if sample >= 0 else ~sample) >> 4
    segment = max(magnitude.bit_length() - 4, 0)
    if segment > 1:
        magnitude >>= segment - 1
    code = segment << 4 | magnitude & 0x0F
    return (code | 0x80 if sample >= 0 else code) ^ 0x55


def tone(seconds: int) -> bytes:
    """A-law samples, 8000 per second."""
    carrier = _turns(TONE_HZ, _TONE_AMPLITUDE)
    return b"".join(
        _turns(mark_hz(second), _MARK_AMPLITUDE) + carrier * 9 for second in range(seconds)
    )


def _turns(hertz: int, amplitude: int) -> bytes:
    """100 ms of a sine."""
    step = 2 * math.pi * hertz / SAMPLE_RATE
    return bytes(
        to_alaw(round(amplitude * math.sin(step * index))) for index in range(MARK_SAMPLES)
    )
