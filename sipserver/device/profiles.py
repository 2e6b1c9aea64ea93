"""What a vendor needs differently, as data.

A profile is a default below the account's own settings: the operator always wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from manscdp.edition import Edition, effective_edition, parse_edition
from sdp.gb import StreamSelector
from sipserver.device.accounts import DeviceAccount

OWN_EDITION: Final = Edition.GB2022
"""Sent as X-GB-Ver in every answer to a REGISTER (annex I)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorProfile:
    name: str
    pattern: re.Pattern[str]
    """Searched in User-Agent, and in Manufacturer once DeviceInfo has answered."""
    send_date: bool = True
    stream_selector: StreamSelector | None = None
    """None: as the edition says."""


GENERIC: Final = VendorProfile(name="generic", pattern=re.compile(""))

PROFILES: Final = (
    # A TP-Link camera shifts its clock by the zone when it reads Date.
    VendorProfile(
        name="tp-link",
        pattern=re.compile(r"tp-?link|mercury", re.I),
        send_date=False,
        stream_selector=StreamSelector.STREAM_MODE,
    ),
    VendorProfile(
        name="dahua",
        pattern=re.compile(r"dahua|\bdh-", re.I),
        stream_selector=StreamSelector.STREAM_PROFILE,
    ),
    VendorProfile(name="hikvision", pattern=re.compile(r"hikvision|\bhik", re.I)),
    VendorProfile(name="uniview", pattern=re.compile(r"uniview|\bunv\b", re.I)),
    VendorProfile(name="tiandy", pattern=re.compile(r"tiandy", re.I)),
)


@lru_cache(maxsize=1024)
def profile_of(*descriptions: str) -> VendorProfile:
    """The first profile that knows one of the texts, else the generic one.

    Remembered: ten thousand devices have some dozen firmwares between them.
    """
    for profile in PROFILES:
        if any(profile.pattern.search(text) for text in descriptions if text):
            return profile
    return GENERIC


def send_date(account: DeviceAccount, profile: VendorProfile) -> bool:
    return profile.send_date if account.send_date is None else account.send_date


def stream_selector(account: DeviceAccount, profile: VendorProfile) -> StreamSelector | None:
    """None: as the edition says."""
    chosen = account.stream_selector
    return profile.stream_selector if chosen is None else StreamSelector(chosen)


def common_edition(account: DeviceAccount, announced: str | None) -> Edition:
    """min(ours, the peer's): the side with the higher version adapts, annex I."""
    return _common_edition(account.edition or announced)


@lru_cache(maxsize=64)
def _common_edition(announced: str | None) -> Edition:
    return effective_edition(OWN_EDITION, parse_edition(announced))
