"""Settings of the SIP transports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Where the platform listens for SIP, what it says of itself, and the limits of both."""

    host: str = "0.0.0.0"  # noqa: S104  devices come from every network of the host
    """IPv4 address to listen on; ``0.0.0.0`` listens on all and answers every peer from
    the address that it speaks to."""
    port: int = 5060
    """One number for UDP and TCP (GB/T 28181-2022 4.3.2 recommends 5060); 0 takes any free."""
    advertised_host: str = ""
    """Address in Via and Contact instead of the local one, for a server behind a port mapping."""
    user_agent: str = "gb28181"
    """Value of User-Agent; empty sends none."""
    max_connections: int = 20_000
    """TCP connections at once; further ones are closed. Twice 10,000 registered devices."""
    max_connections_per_host: int = 4_000
    """TCP connections that one remote host may open; further ones are closed. 1,000 devices behind
    one NAT, four times over: after the NAT restarts the old connections are there for a while."""
    max_write_buffer: int = 16 * 1024 * 1024
    """Bytes a TCP peer may leave unread before it is disconnected: one full catalogue answer
    (10,000 items of 1.2 kB, GB/T 28181-2022 Annex M)."""
    first_message_timeout: float = 30.0
    """Seconds until a new TCP connection must have sent one whole message."""
    message_timeout: float = 30.0
    """Seconds a message on TCP may take from its first byte to its last (RFC 4475 3.1.2.2)."""
    idle_timeout: float = 900.0
    """Seconds of silence after which a TCP connection is closed that no online device is
    registered on; an online device keeps its own until its heartbeats are missing."""
    connect_timeout: float = 5.0
    """Seconds to open a TCP connection to a peer."""
    max_server_transactions: int = 20_000
    """Requests that may wait for our answer; the next is answered 503 with Retry-After."""
    max_client_transactions: int = 65_536
    """Requests of ours that may wait for theirs."""
    max_calls: int = 20_000
    """INVITE dialogs at once."""
    receive_buffer: int = 8 * 1024 * 1024
    """Bytes asked of the kernel for the UDP socket: 10,000 REGISTERs that come at once."""
