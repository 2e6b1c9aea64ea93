"""Where a message came from, and so where answers and requests to that peer go.

A device behind NAT is reachable on the path it opened and on no other, and devices drop messages
that come from another address than the one they registered at (signalling reference 9,
"multi-homed server"). So nothing in the core sends to a host and port: it sends on a flow.
The word is RFC 5626's (section 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

Address = tuple[str, int]

UDP: Final = "UDP"
TCP: Final = "TCP"


@dataclass(frozen=True, slots=True)
class Flow:
    """One path between us and one peer."""

    transport: str
    """``"UDP"`` or ``"TCP"``, as it stands in a Via."""
    local: Address
    """Our address as that peer sees it: what Via and Contact say."""
    remote: Address
    """The source of the peer's packets."""
    connection: int = 0
    """Number of the TCP connection, never used twice; 0 for UDP."""
    source: bytes = field(default=b"", repr=False, compare=False)
    """What makes the UDP socket send from the address the peer's packets came to; empty: the
    route decides, or the socket has one address only."""
    via_marks: bytes = field(init=False, repr=False, compare=False)
    """``;received=..;rport=..`` (RFC 3581 section 4), made once for all answers on this flow."""

    def __post_init__(self) -> None:
        host, port = self.remote
        marks = b";received=%s;rport=%d" % (host.encode("ascii", "replace"), port)
        object.__setattr__(self, "via_marks", marks)

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself (RFC 3261 section 17)."""
        return self.transport != UDP
