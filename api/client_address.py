"""Whom a request comes from: the peer of the connection, or whom a trusted proxy names."""

import ipaddress
import logging
from collections.abc import Iterable
from typing import Final

from aiohttp import web

FORWARDED_FOR: Final = "X-Forwarded-For"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

log = logging.getLogger("api")


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """:raises ValueError: for what is neither an address nor a network"""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


class ClientAddresses:
    """Anybody can write ``X-Forwarded-For``: what a trusted proxy has added counts, and no more."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = read_networks(trusted_proxies)
        self._told = False

    def of(self, request: web.Request) -> str:
        """The last address that is no trusted proxy, in plain form; empty when there is none."""
        peer = _address(request.remote or "")
        if peer is None:
            return request.remote or ""
        named = ",".join(request.headers.getall(FORWARDED_FOR, ())).split(",")
        client = peer
        while named and self._trusts(client):
            before = _address(named.pop())
            if before is None:
                break
            client = before
        if client is peer and FORWARDED_FOR in request.headers:
            self._tell(peer)
        return str(client)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _tell(self, peer: Address) -> None:
        """Once: a forgotten setting makes one address of all users."""
        if not self._told and not self._trusts(peer):
            self._told = True
            log.warning(
                "%s sends X-Forwarded-For; if it is your reverse proxy, name it in"
                " [http] trusted_proxies, so that failed logins count for each user's own address",
                peer,
            )


def _address(text: str) -> Address | None:
    """An address as proxies write it: bare, with a port, or in brackets."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
