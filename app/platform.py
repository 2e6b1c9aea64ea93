"""Who we are towards devices."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """The platform's own identity. Devices are set up with its ID, domain, address and port."""

    id: Annotated[str, Meta(pattern="^[0-9]{20}$")] = "34020000002000000001"
    """The 20-digit ID of this server, type 200 (GB/T 28181-2022 annex E). The default is the
    example that the field uses everywhere; set your own before you connect to other platforms."""

    domain: Annotated[str, Meta(pattern="^([0-9A-Za-z.-]{1,64})?$")] = ""
    """SIP domain and digest realm. Default: the first 10 digits of ``id``."""

    media_address: str = ""
    """IP address that devices send media to. Default: the address of ours that the device itself
    registered at, which is right unless there is a NAT in front of this server."""

    @property
    def sip_domain(self) -> str:
        return self.domain or self.id[:10]
