"""Digest access authentication of SIP: RFC 3261 section 22, RFC 2617, RFC 7616 (SHA-256).

Server side, in this order::

    credentials = parse_authorization(request.first(b"authorization"))
    book.judge(credentials, device_id=..., host=..., now=now)        # is the nonce ours and fresh?
    verify(credentials, password=..., method=request.method)         # does the sender know it?
    book.use_up(credentials)                                         # it may not do so again

The nonce is used up last, so that nobody without the password can spoil one for its device.
``verify`` computes in the form the *answer* uses: devices answer a qop challenge with qop quoted,
unquoted or not at all (GB/T 28181 gives only the form without qop, 9.1.2.1).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sipserver.sip.errors import LocalError, MalformedMessage
from sipserver.sip.headers import parse_parameters

ALGORITHMS: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
"""The standard names none; MD5 is what all devices speak."""

_FIELD: Final = re.compile(
    rb'[ \t]*([A-Za-z0-9-]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s",=]+))[ \t]*(?:,|$)'
)
"""One ``name="value"`` or ``name=token`` as everybody writes it, with its comma."""

NONCE_LIFETIME: Final = 60.0
"""Seconds; twice the longest a transaction lasts (64*T1 = 32 s). A nonce serves one login."""
MAX_NONCES: Final = 65536
"""About 20 MB at worst; ten logins in flight for each of 6,500 devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCredentials:
    """An Authorization value; what proves the password is kept out of ``repr``."""

    username: str
    realm: str
    nonce: str = field(repr=False)
    uri: str
    response: str = field(repr=False)
    algorithm: str = "MD5"
    qop: str = ""
    nc: str = ""
    cnonce: str = field(default="", repr=False)


class NonceVerdict(Enum):
    """What the book says of a nonce; everything but VALID is answered with a new challenge."""

    VALID = "valid"
    STALE = "stale"
    """Ours but too old, or no longer remembered: challenge with ``stale=true``."""
    UNKNOWN = "unknown"
    """Never issued by us, or issued to another device or another host."""
    REPLAYED = "replayed"
    """A nonce count that was used before (RFC 7616 section 3.4.5)."""


class _Nonce:
    __slots__ = ("algorithm", "count", "device_id", "expires_at", "host")

    def __init__(self, device_id: str, host: str, algorithm: str, expires_at: float) -> None:
        self.device_id = device_id
        self.host = host
        self.algorithm = algorithm
        self.expires_at = expires_at
        self.count = -1  # highest nc used up


class NonceBook:
    """The nonces we issued: bound to a device and the host it asked from, expiring, bounded."""

    def __init__(
        self,
        *,
        new_token: Callable[[], str],
        lifetime: float = NONCE_LIFETIME,
        max_nonces: int = MAX_NONCES,
    ) -> None:
        self._new_token = new_token
        self._lifetime = lifetime
        self._max_nonces = max_nonces
        self._nonces: OrderedDict[str, _Nonce] = OrderedDict()  # oldest first: one lifetime
        self._expired: OrderedDict[str, None] = OrderedDict()  # "stale", no longer "unknown"
        self.evicted = 0
        """Nonces dropped before their time because the book was full."""

    def __len__(self) -> int:
        return len(self._nonces)

    def issue(self, device_id: str, host: str, now: float, *, algorithm: str = "MD5") -> str:
        """A nonce for the next challenge to this device at this host."""
        self._forget(now)
        if len(self._nonces) >= self._max_nonces:
            self._expire_oldest()
            self.evicted += 1
        nonce = self._new_token()
        self._nonces[nonce] = _Nonce(device_id, host, algorithm, now + self._lifetime)
        return nonce

    def judge(
        self, credentials: DigestCredentials, *, device_id: str, host: str, now: float
    ) -> NonceVerdict:
        """What the book says of the nonce of these credentials; nothing changes."""
        self._forget(now)
        nonce = self._nonces.get(credentials.nonce)
        if nonce is None:
            known = credentials.nonce in self._expired
            return NonceVerdict.STALE if known else NonceVerdict.UNKNOWN
        if (nonce.device_id, nonce.host) != (device_id, host):
            return NonceVerdict.UNKNOWN
        if nonce.algorithm != credentials.algorithm:
            return NonceVerdict.UNKNOWN  # no downgrade from SHA-256 to MD5
        # Leaving the count out, once it was counted, is a replay as well.
        count = int(credentials.nc, 16) if credentials.qop else 0
        return NonceVerdict.REPLAYED if count <= nonce.count else NonceVerdict.VALID

    def use_up(self, credentials: DigestCredentials) -> None:
        """After the login: its count, or without counts the whole nonce, serves no second one.

        The digest covers neither CSeq nor Contact nor Expires, so whoever saw one REGISTER could
        otherwise make another one of it.
        """
        nonce = self._nonces.get(credentials.nonce)
        if nonce is None:
            return
        if credentials.qop:
            nonce.count = int(credentials.nc, 16)
        else:
            del self._nonces[credentials.nonce]
            self._remember_expired(credentials.nonce)

    def _forget(self, now: float) -> None:
        while self._nonces and next(iter(self._nonces.values())).expires_at <= now:
            self._expire_oldest()

    def _expire_oldest(self) -> None:
        self._remember_expired(self._nonces.popitem(last=False)[0])

    def _remember_expired(self, nonce: str) -> None:
        self._expired[nonce] = None
        if len(self._expired) > self._max_nonces:
            self._expired.popitem(last=False)


def challenge_header(
    realm: str, nonce: str, *, algorithm: str = "MD5", qop: bool = False, stale: bool = False
) -> str:
    """The value of WWW-Authenticate.

    ``algorithm`` always stands in it (Dahua insists), qop only when asked for: a qop list breaks
    some clients, and GB/T 28181 shows none.
    """
    _hash(algorithm)
    text = f'Digest realm="{realm}",nonce="{nonce}",algorithm={algorithm}'
    if qop:
        text += ',qop="auth"'
    return text + ",stale=true" if stale else text


def parse_authorization(value: bytes) -> DigestCredentials:
    """
    :raises MalformedMessage: when it is not a complete Digest answer
    """
    fields = _digest_fields(value)
    missing = [
        name for name in ("username", "realm", "nonce", "uri", "response") if name not in fields
    ]
    if missing:
        raise MalformedMessage(f"digest without {missing[0]}")
    qop = fields.get("qop", "").lower()
    nc = fields.get("nc", "")
    if qop and (not 1 <= len(nc) <= 8 or not _is_hex(nc) or "cnonce" not in fields):
        raise MalformedMessage("digest with qop but no nc or cnonce")
    return DigestCredentials(
        username=fields["username"],
        realm=fields["realm"],
        nonce=fields["nonce"],
        uri=fields["uri"],
        response=fields["response"],
        algorithm=fields.get("algorithm", "MD5").upper(),
        qop=qop,
        nc=nc,
        cnonce=fields.get("cnonce", ""),
    )


def verify(credentials: DigestCredentials, *, password: str, method: str) -> bool:
    """Whether the sender knows the password; constant time, hex in either case."""
    if credentials.algorithm not in ALGORITHMS or credentials.qop not in ("", "auth"):
        return False
    wanted = _response(credentials, password, method)
    given = credentials.response.lower()
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace"))


def answer_challenge(
    www_authenticate: bytes,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    new_token: Callable[[], str],
) -> str:
    """The Authorization value for a challenge: what a device or a lower platform sends.

    :raises MalformedMessage: when it is no Digest challenge we can answer
    """
    fields = _digest_fields(www_authenticate)
    algorithm = fields.get("algorithm", "MD5").upper()
    if "nonce" not in fields or algorithm not in ALGORITHMS:
        raise MalformedMessage("challenge without nonce or with an unknown algorithm")
    offered = [item.strip() for item in fields.get("qop", "").lower().split(",") if item.strip()]
    if offered and "auth" not in offered:
        raise MalformedMessage("challenge offers no qop we know")
    credentials = DigestCredentials(
        username=username,
        realm=fields.get("realm", ""),
        nonce=fields["nonce"],
        uri=uri,
        response="",
        algorithm=algorithm,
        qop="auth" if offered else "",
        nc="00000001" if offered else "",
        cnonce=new_token() if offered else "",
    )
    text = (
        f'Digest username="{username}",realm="{credentials.realm}",nonce="{credentials.nonce}",'
        f'uri="{uri}",response="{_response(credentials, password, method)}",algorithm={algorithm}'
    )
    if offered:
        text += f',qop=auth,nc={credentials.nc},cnonce="{credentials.cnonce}"'
    if "opaque" in fields:
        text += f',opaque="{fields["opaque"]}"'
    return text


def _response(credentials: DigestCredentials, password: str, method: str) -> str:
    """RFC 7616 section 3.4.1; without qop RFC 2069's form."""
    new_hash = _hash(credentials.algorithm)

    def digest(*parts: str) -> str:
        text = ":".join(parts).encode("utf-8", "replace")
        return new_hash(text, usedforsecurity=False).hexdigest()

    ha1 = digest(credentials.username, credentials.realm, password)
    ha2 = digest(method, credentials.uri)
    if not credentials.qop:
        return digest(ha1, credentials.nonce, ha2)
    return digest(ha1, credentials.nonce, credentials.nc, credentials.cnonce, credentials.qop, ha2)


def _hash(algorithm: str) -> Callable[..., hashlib._Hash]:
    try:
        return ALGORITHMS[algorithm]
    except KeyError:
        raise LocalError(f"no digest algorithm {algorithm}") from None


def _digest_fields(value: bytes) -> dict[str, str]:
    scheme, _, rest = value.strip().partition(b" ")
    if scheme.lower() != b"digest":
        raise MalformedMessage("not the Digest scheme", where=repr(scheme[:32]))
    rest = rest.strip()
    fields = {}
    position = 0
    while match := _FIELD.match(rest, position):
        position = match.end()
        fields[match[1].lower().decode()] = (match[2] or match[3] or b"").decode("utf-8", "replace")
    if position == len(rest):
        return fields
    pairs = parse_parameters(b"," + rest.strip(b","), b",")
    return {
        name.decode("utf-8", "replace"): text.decode("utf-8", "replace") for name, text in pairs
    }


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)
