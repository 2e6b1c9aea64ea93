"""Settings of the media node's own API."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from msgspec import Meta

MIN_TOKEN_LENGTH: Final = 16
"""As :mod:`api.routes.media_node` has it; a test compares the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaNodeSettings:
    """The media node's HTTP API: below ``/media/v1`` of the platform, or alone with
    ``gb28181 media-node``."""

    token: str = field(default="", repr=False)
    """Secret of the API, at least 16 characters. Default: a random one, made at the first start
    and kept in media-node-token.txt beside the database."""

    host: str = "127.0.0.1"
    """Address that ``gb28181 media-node`` listens at."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8081
    """Port of ``gb28181 media-node``; 0 takes a free one. Default: the one after the platform's."""

    def __post_init__(self) -> None:
        if self.token and len(self.token) < MIN_TOKEN_LENGTH:
            raise ValueError(f"token needs at least {MIN_TOKEN_LENGTH} characters")
