"""What the checks read: the files of the checkout that belong to the project."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "api",
    "app",
    "boundary",
    "cascade",
    "catalog",
    "conformance",
    "console",
    "manscdp",
    "media_relay",
    "sdp",
    "simulators",
    "sipserver",
    "storage",
)
NOT_OURS = {"node_modules", "target", "static", "__pycache__"}


def sources(root: Path, *patterns: str) -> list[Path]:
    return sorted(
        path
        for pattern in patterns
        for path in root.rglob(pattern)
        if not NOT_OURS.intersection(path.relative_to(root).parts)
    )


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Path]:
    """Every module of the packages, relative to the checkout."""
    return [
        path.relative_to(ROOT) for package in PACKAGES for path in sources(ROOT / package, "*.py")
    ]


@pytest.fixture(scope="session")
def test_modules() -> list[Path]:
    return [path.relative_to(ROOT) for path in sources(ROOT / "tests", "*.py")]
