"""One device as the platform sees it now, and the part of it that outlives a restart."""

from __future__ import annotations

from dataclasses import dataclass, field

from manscdp.edition import Edition
from sipserver.device.accounts import DeviceAccount
from sipserver.device.profiles import VendorProfile, common_edition, profile_of, send_date
from sipserver.sip.flow import Address, Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A registration as stored: enough to restore a device after a restart of the server."""

    device_id: str
    transport: str
    """``UDP`` or ``TCP``."""
    local: Address
    """Where its REGISTER arrived: requests to it leave from there."""
    remote: Address
    """Where its REGISTER came from; Contact and Via are not believed."""
    contact: str
    """Contact URI as the device wrote it, for the operator."""
    registered_at: float
    """Wall clock, seconds since 1970."""
    expires_at: float
    """Wall clock, seconds since 1970."""
    gb_version: str | None
    user_agent: str
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDetails:
    """What the device said about itself, kept across registrations."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    channels: int | None = None
    charset: str | None = None
    """``utf-8`` or ``gb18030``: what its bodies turned out to be."""
    ssrc_habit: str = "unknown"
    """What it did with the SSRC of our offers, a ``SsrcHabit`` of the sessions."""


@dataclass(slots=True, eq=False)
class Device:
    """Runtime state; only :class:`~sipserver.device.registry.Registry` changes it."""

    account: DeviceAccount
    details: DeviceDetails = field(default_factory=DeviceDetails)
    binding: Binding | None = None
    """The last authenticated registration; None before the first and after it unregistered."""
    flow: Flow | None = None
    """Where it is reached, while it is online."""
    online: bool = False
    online_since: float | None = None
    """Wall clock."""
    healthy: bool = True
    faulty: tuple[str, ...] = ()
    """Sub-devices that its last Keepalive called faulty."""
    _profile: VendorProfile | None = None

    @property
    def device_id(self) -> str:
        return self.account.device_id

    @property
    def edition(self) -> Edition:
        """What both sides understand (annex I)."""
        return common_edition(self.account, self.binding.gb_version if self.binding else None)

    @property
    def writing_charset(self) -> str:
        """UTF-8 only when the operator says so: the standard's is GB 18030 (6.10)."""
        return self.account.charset or "gb18030"

    @property
    def profile(self) -> VendorProfile:
        if self._profile is None:
            agent = self.binding.user_agent if self.binding else ""
            self._profile = profile_of(agent, self.details.manufacturer)
        return self._profile

    @property
    def send_date(self) -> bool:
        return send_date(self.account, self.profile)

    def forget_profile(self) -> None:
        """User-Agent or Manufacturer changed."""
        self._profile = None


def same_source(flow: Flow, other: Flow) -> bool:
    """The same UDP address and port, or the very same TCP connection."""
    return (
        flow.remote == other.remote
        and flow.connection == other.connection
        and flow.transport == other.transport
    )


def source_text(flow: Flow) -> str:
    host, port = flow.remote[:2]
    return f"{flow.transport} [{host}]:{port}" if ":" in host else f"{flow.transport} {host}:{port}"
