"""Readers of the simple types of annex A.2.1: lenient, ``None`` for what cannot be meant.

GB/T 28181-2022 A.2.1 and the dateTime of the schema (``yyyy-MM-ddTHH:mm:ss``, Beijing time).
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

BEIJING: Final = timezone(timedelta(hours=8))

_INTEGER = re.compile(r"[+-]?\d{1,18}(?:\.0{1,6})?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,64})?|\.\d{1,64})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[T ]\s{0,4}(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?)?"
    r"\s{0,4}(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)


def integer(text: str) -> int | None:
    """``"65535"``, ``"-1"``; a decimal of nothing but zeros counts as the integer."""
    return int(text.partition(".")[0]) if _INTEGER.fullmatch(text) else None


def decimal(text: str) -> float | None:
    if _DECIMAL.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def longitude(text: str) -> float | None:
    """Degrees, WGS-84; out of range is ``None``, never 0."""
    value = decimal(text)
    return value if value is not None and -180.0 <= value <= 180.0 else None


def latitude(text: str) -> float | None:
    value = decimal(text)
    return value if value is not None and -90.0 <= value <= 90.0 else None


def parental(text: str) -> int | None:
    """1 has sub-devices, 0 none. Hikvision sends 65535: all but 0 means "may have"."""
    value = integer(text)
    return None if value is None else int(value != 0)


def date_time(text: str) -> datetime | None:
    """Read a dateTime as devices write it: no padding, blank for ``T``, fraction, zone.

    A time without zone is Beijing time; the result always carries a zone.
    """
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        zone = _zone(match[8])
        return datetime(year, month, day, hour, minute, second, fraction, tzinfo=zone)
    except ValueError:
        return None


def _zone(text: str | None) -> timezone:
    if text is None:
        return BEIJING
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def date_time_text(moment: datetime) -> str:
    """The wire form: Beijing time, whole seconds, no zone."""
    return moment.astimezone(BEIJING).strftime("%Y-%m-%dT%H:%M:%S")
