from collections.abc import Callable
from pathlib import Path

import pytest

WIRE = Path(__file__).parents[1] / "wire" / "sdp"


@pytest.fixture(scope="session")
def wire() -> Callable[[str], bytes]:
    """The exact bytes of a fixture by name."""
    return lambda name: (WIRE / f"{name}.sdp").read_bytes()
