"""Password hashes of the console's users: scrypt (RFC 7914), parameters kept in the hash."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

# 2**15 * 8 * 128 bytes = 32 MiB and about 80 ms per guess on one core.
_COST: Final = 2**15
_BLOCK: Final = 8
_PARALLEL: Final = 1
_MEMORY: Final = 64 * 1024 * 1024
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that looks like another


def hash_password(password: str, *, cost: int = _COST) -> str:
    """``scrypt$n$r$p$salt$key``. Takes tens of milliseconds: call it off the event loop."""
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, cost, _BLOCK, _PARALLEL)
    return f"scrypt${cost}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(key)}"


def verify_password(password: str, stored: str) -> bool:
    """Whether ``password`` made ``stored``. A hash of another form is never right."""
    try:
        kind, cost, block, parallel, salt, key = stored.split("$")
        if kind != "scrypt":
            return False
        derived = _derive(password, _bytes(salt), int(cost), int(block), int(parallel))
        return hmac.compare_digest(derived, _bytes(key))
    except ValueError:
        return False


def random_password(length: int = 16) -> str:
    """Readable on a screen and over the telephone; 5 bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _derive(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
