"""The editions of GB/T 28181 as the header ``X-GB-Ver`` names them (GB/T 28181-2022 annex I)."""

import re
from enum import StrEnum

_VERSION = re.compile(r"\s*(\d)\.(\d)\s*")


class Edition(StrEnum):
    """Text order is edition order: ``Edition.GB2016 < Edition.GB2022``."""

    GB2011 = "1.0"
    GB2011S = "1.1"  # the supplement of 2014
    GB2016 = "2.0"
    GB2022 = "3.0"


def parse_edition(value: str | None) -> Edition:
    """Read a header value; absent or strange is 2016, an edition of the future is 2022.

    Only 2022 introduced the header, so silence means an older peer.
    """
    match = _VERSION.fullmatch(value or "")
    if match is None:
        return Edition.GB2016
    version = f"{match[1]}.{match[2]}"
    known = [edition for edition in Edition if edition <= version]
    return known[-1] if known else Edition.GB2011


def effective_edition(own: Edition, peer: Edition) -> Edition:
    """The higher side avoids what the lower one cannot understand (annex I)."""
    return min(own, peer)
