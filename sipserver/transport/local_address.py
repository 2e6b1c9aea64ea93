"""Which of our addresses a peer is reached from: what Via and Contact must say.

A socket bound to ``0.0.0.0`` has no address of its own, and a device drops messages that name
one it does not know. Connecting a UDP socket sends nothing; it makes the kernel choose the route,
and with it the source address.
"""

from __future__ import annotations

import socket

from sipserver.transport.errors import TransportFailed

MAX_REMEMBERED = 65_536
"""Hosts whose answer is kept; then the memory starts anew."""
_DISCARD_PORT = 9  # any port: nothing is sent


def is_every_address(host: str) -> bool:
    """Whether a socket bound to ``host`` listens on all addresses."""
    return host in ("", "0.0.0.0")  # noqa: S104


class LocalAddresses:
    """Our address towards each remote host; asked of the kernel once per host."""

    def __init__(self, bound_host: str, advertised_host: str = "") -> None:
        self._fixed = advertised_host or ("" if is_every_address(bound_host) else bound_host)
        self._known: dict[str, str] = {}

    def towards(self, host: str) -> str:
        """
        :raises TransportFailed: when there is no route, or ``host`` is no IPv4 address
        """
        if self._fixed:
            return self._fixed
        known = self._known.get(host)
        if known is None:
            known = probe(host)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[host] = known
        return known


def probe(host: str) -> str:
    check_address(host)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        try:
            probing.connect((host, _DISCARD_PORT))
        except OSError as error:
            raise TransportFailed(f"no route to {host}: {error.strerror}") from error
        address: str = probing.getsockname()[0]
        return address


def check_address(host: str) -> None:
    """Names would block the event loop while they are resolved: the caller resolves them.

    :raises TransportFailed: when ``host`` is no IPv4 address
    """
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        raise TransportFailed(f"{host!r} is not an IPv4 address") from None
