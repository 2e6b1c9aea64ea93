"""Play tokens: who holds one may watch one stream until it expires."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from time import time
from typing import Final

from media_relay.errors import TokenExpired, TokenRefused

MIN_SECRET_BYTES: Final = 16
MAX_TOKEN_LENGTH: Final = 128


class PlayTokens:
    """Issues and checks tokens ``EXPIRES.SIGNATURE``.

    ``EXPIRES`` is the Unix time in hexadecimal, the signature HMAC-SHA256 (RFC 2104) over it and
    the stream's name. Nothing is stored: any server with the same secret can check a token.
    """

    def __init__(
        self, secret: bytes, *, lifetime: float = 3600.0, now: Callable[[], float] = time
    ) -> None:
        """
        :param lifetime: seconds a token opens its stream; a viewer who watches may stay longer
        """
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"the secret must have at least {MIN_SECRET_BYTES} bytes")
        self._secret = secret
        self._lifetime = lifetime
        self._now = now

    def issue(self, stream: str, *, lifetime: float | None = None) -> str:
        expires = f"{int(self._now() + (lifetime or self._lifetime)):x}"
        return f"{expires}.{self._sign(stream, expires)}"

    def check(self, stream: str, token: str) -> float:
        """When it expires, Unix time.

        :raises TokenExpired: when its time is over
        :raises TokenRefused: when it is not a token for this stream
        """
        expires, _, signature = token[:MAX_TOKEN_LENGTH].partition(".")
        expected = self._sign(stream, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise TokenRefused("the play token is not valid for this stream")
        at = float(int(expires, 16))
        if at < self._now():
            raise TokenExpired("the play token has expired")
        return at

    def _sign(self, stream: str, expires: str) -> str:
        text = f"play\0{stream}\0{expires}".encode()
        digest = hmac.new(self._secret, text, hashlib.sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
