"""Who may register: provisioned accounts, and a common password for a range of IDs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from manscdp.charset import GB18030, UTF8
from manscdp.edition import Edition
from sdp.gb import StreamSelector, Transport

_CHOICES: Final = {
    "media_transport": frozenset(map(str, Transport)),
    "edition": frozenset(map(str, Edition)),
    "stream_selector": frozenset(map(str, StreamSelector)),
    "charset": frozenset({GB18030, UTF8}),
}
LONGEST_DEVICE_ID: Final = 32  # 20 by GB/T 28181-2022 annex E; other lengths occur in the field


def is_device_id(text: str, *, strict: bool = False) -> bool:
    """20 digits when ``strict``; else 1 to 32 letters and digits, as devices in the field have."""
    if strict:
        return len(text) == 20 and text.isascii() and text.isdigit()
    return text.isalnum() and text.isascii() and len(text) <= LONGEST_DEVICE_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAccount:
    """What the operator set for one device. None: by the vendor's profile, else the default."""

    device_id: str
    password: str = field(repr=False)
    """Never empty: an account without a password cannot register."""

    username: str | None = None
    """Digest username besides ``device_id`` (Hikvision has a field of its own for it)."""

    name: str = ""
    enabled: bool = True
    provisioned: bool = True
    """False when the common password created it."""

    aliases: tuple[str, ...] = ()
    """Other IDs that the same peer uses in From."""

    send_date: bool | None = None
    """Put the Beijing time into the 200 to REGISTER, GB/T 28181-2022 9.10. Default on."""

    strict_expiry: bool | None = None
    """Answer 423 below the standard's minimum of 3,600 s. Default: the registrar's setting."""

    edition: str | None = None
    """``1.0``, ``1.1``, ``2.0`` or ``3.0``: overrides the device's X-GB-Ver."""

    charset: str | None = None
    """``gb18030`` or ``utf-8``: overrides detection and what we write."""

    heartbeat_interval: float | None = None
    """Seconds between keepalives, 1..86400; other values are ignored."""

    heartbeat_misses: int | None = None
    """Keepalives missed in a row before the device is offline, 1..100."""

    media_transport: str = "udp"
    """``udp``, ``tcp-passive`` or ``tcp-active``: what the platform offers for live media."""

    media_address: str | None = None
    """Address put into offers to this device instead of the platform's own."""

    stream_selector: str | None = None
    """How main and sub stream are told apart in an offer, a ``sdp.gb.StreamSelector``."""

    session_limit: int | None = None
    """Live sessions the device carries at once, 1..1000; None: not known."""

    trust_state_notifications: bool = True
    """False: ignore ON/OFF in catalogue notifications of this peer (some platforms err)."""

    def __post_init__(self) -> None:
        if not is_device_id(self.device_id):
            raise ValueError(f"device ID {self.device_id!r}: 1 to 32 letters and digits are needed")
        if not self.password:
            raise ValueError(f"device {self.device_id}: the password is empty")
        if self.session_limit is not None and not 1 <= self.session_limit <= 1000:
            raise ValueError(f"device {self.device_id}: session_limit must be 1 to 1000")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                choices = ", ".join(sorted(allowed))
                raise ValueError(f"device {self.device_id}: {name} {value!r} is none of {choices}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonPassword:
    """One password for every ID of an allow-list; it creates the account at the first success."""

    password: str = field(default="", repr=False)
    """Empty: no device registers without an account of its own."""

    prefixes: tuple[str, ...] = ()
    """IDs begin with one of these. Empty: none is allowed, not all."""

    limit: int = 20_000
    """Accounts it may create; a bound on what a leaked password costs."""

    def covers(self, device_id: str) -> bool:
        return bool(self.password) and device_id.startswith(self.prefixes)


class AccountBook:
    """Accounts by device ID and by alias. Unknown IDs are denied."""

    def __init__(self, common: CommonPassword | None = None) -> None:
        self._common = common or CommonPassword()
        self._accounts: dict[str, DeviceAccount] = {}
        self._aliases: dict[str, str] = {}
        self._created = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def __iter__(self) -> Iterator[DeviceAccount]:
        return iter(self._accounts.values())

    def get(self, device_id: str) -> DeviceAccount | None:
        return self._accounts.get(device_id)

    def owner_of(self, alias: str) -> str | None:
        return self._aliases.get(alias)

    def put(self, account: DeviceAccount) -> None:
        """Add or replace. An alias never hides an account of its own."""
        self.remove(account.device_id)
        self._accounts[account.device_id] = account
        self._created += not account.provisioned
        for alias in account.aliases:
            self._aliases.setdefault(alias, account.device_id)

    def remove(self, device_id: str) -> DeviceAccount | None:
        account = self._accounts.pop(device_id, None)
        if account is not None:
            self._created -= not account.provisioned
            for alias in account.aliases:
                if self._aliases.get(alias) == device_id:
                    del self._aliases[alias]
        return account

    def candidate(self, device_id: str) -> DeviceAccount | None:
        """The account to check a REGISTER against: its own, else one the common password allows.

        A candidate of the common password is not in the book until :meth:`put`.
        """
        account = self._accounts.get(device_id)
        if account is not None:
            return account if account.enabled else None
        if self._common.covers(device_id) and self._created < self._common.limit:
            return DeviceAccount(
                device_id=device_id, password=self._common.password, provisioned=False
            )
        return None
