"""Where the HTTP server listens, and its limits."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from api.client_address import read_networks


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The HTTP server: console, API, metrics and live streams on one port."""

    host: str = "0.0.0.0"  # noqa: S104 - cameras and operators are on other machines
    """Address to listen at. Default: every IPv4 address of the machine."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """TCP port; 0 takes a free one. Default: the usual one beside 80."""

    body_limit_bytes: Annotated[int, Meta(ge=1_024, le=104_857_600)] = 1_048_576
    """Largest request body in bytes. Default: 1 MiB, a hundred times the largest of the API."""

    event_clients: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """Clients of the event stream at once. Default: one console window each for 500 people."""

    secure_cookie: bool = False
    """Mark the session cookie ``Secure``. Set it when the console is reached over HTTPS only."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies, such as ``127.0.0.1`` or ``10.0.0.0/24``. Whom they
    name in ``X-Forwarded-For`` is taken for the client; failed logins are counted by it."""

    metrics_public: bool = True
    """Serve ``/metrics`` without a login. It holds counts, no device IDs and no addresses."""

    def __post_init__(self) -> None:
        """:raises ValueError: a trusted proxy is neither an address nor a network"""
        try:
            read_networks(self.trusted_proxies)
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from error
