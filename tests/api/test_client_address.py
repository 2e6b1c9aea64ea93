import logging

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from api.client_address import ClientAddresses

PROXIES = ("127.0.0.1", "10.0.0.0/24", "2001:db8::1")


def of(addresses: ClientAddresses, remote: str, *forwarded: str) -> str:
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    return addresses.of(request)


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.7", (), "192.0.2.7"),
        ("192.0.2.7", ("198.51.100.1",), "192.0.2.7"),
        ("127.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("203.0.113.9, 198.51.100.1, 10.0.0.5",), "198.51.100.1"),
        ("127.0.0.1", ("203.0.113.9", "198.51.100.1"), "198.51.100.1"),
        ("127.0.0.1", ("10.0.0.7, 10.0.0.5",), "10.0.0.7"),
        ("127.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("127.0.0.1", ("[2001:db8::9]:4711",), "2001:db8::9"),
        ("2001:db8::1", ("2001:DB8:0::9",), "2001:db8::9"),
        ("::ffff:127.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("unknown",), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9, nonsense, 10.0.0.5",), "10.0.0.5"),
        ("", ("198.51.100.1",), ""),
    ],
)
def test_only_what_a_trusted_proxy_added_counts(
    remote: str, forwarded: tuple[str, ...], client: str
) -> None:
    assert of(ClientAddresses(PROXIES), remote, *forwarded) == client


def test_a_proxy_that_is_not_named_is_told_about_once(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses()
    with caplog.at_level(logging.WARNING, "api"):
        for _ in range(3):
            assert of(addresses, "172.17.0.1", "198.51.100.1") == "172.17.0.1"
    assert len(caplog.records) == 1
    assert "172.17.0.1" in caplog.text
    assert "trusted_proxies" in caplog.text
