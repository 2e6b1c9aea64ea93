"""The web console: built static files and where they lie."""

from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
"""Directory of the built console; absent until ``make console`` has run."""
