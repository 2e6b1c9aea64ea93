"""Which address a peer sees."""

from __future__ import annotations

import pytest

from sipserver.transport import local_address
from sipserver.transport.errors import TransportFailed
from sipserver.transport.local_address import LocalAddresses, check_address, probe

EVERY = "0.0.0.0"  # noqa: S104  the very case


def test_bound_and_advertised_addresses_win() -> None:
    assert LocalAddresses("192.0.2.1").towards("127.0.0.1") == "192.0.2.1"
    assert LocalAddresses(EVERY, "203.0.113.1").towards("127.0.0.1") == "203.0.113.1"


def test_the_route_decides_once_per_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def recorded(host: str) -> str:
        asked.append(host)
        return "10.0.0.1"

    monkeypatch.setattr(local_address, "probe", recorded)
    monkeypatch.setattr(local_address, "MAX_REMEMBERED", 2)
    addresses = LocalAddresses(EVERY)
    for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"):
        assert addresses.towards(host) == "10.0.0.1"
    assert asked == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"]


def test_probe() -> None:
    assert probe("127.0.0.1") == "127.0.0.1"
    with pytest.raises(TransportFailed, match="no route to 255"):
        probe("255.255.255.255")


@pytest.mark.parametrize("host", ["", "localhost", "1.2.3", "::1", "1.2.3.4.5"])
def test_names_are_refused(host: str) -> None:
    with pytest.raises(TransportFailed, match="is not an IPv4 address"):
        check_address(host)
