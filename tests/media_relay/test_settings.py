"""What the media core takes of the settings."""

import pytest

from media_relay import _core
from media_relay.settings import MediaSettings


def test_units_are_converted() -> None:
    core = MediaSettings(workers=3, coalesce_ms=2.0, silence_seconds=12.5).node_settings()
    assert (core.workers, core.coalesce, core.silence) == (3, 0.002, 12.5)


def test_workers_follow_the_cores() -> None:
    assert MediaSettings().node_settings().workers >= 1


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_times_that_cannot_be(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        _core.NodeSettings(silence=seconds)
