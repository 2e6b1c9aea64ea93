"""Digest on every REGISTER: the first one, refreshes and de-registrations alike.

An unknown ID and a wrong password take the same way and get the same answers, so a scanner does
not learn which IDs exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipserver.device.accounts import DeviceAccount, is_device_id
from sipserver.device.registration import RegistrationWish
from sipserver.device.registry import Registry
from sipserver.device.throttle import Throttle
from sipserver.sip.auth import (
    ALGORITHMS,
    DigestCredentials,
    NonceBook,
    NonceVerdict,
    challenge_header,
    verify,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationSettings:
    realm: str
    """What a device mixes into its digest: the domain, first 10 digits of the server's ID."""

    algorithm: str = "MD5"
    """``MD5`` or ``SHA-256``; the standard names none, all devices speak MD5."""

    qop: bool = False
    """Ask for ``qop=auth``. Off: it breaks some devices (signalling.md 3.2)."""

    strict_ids: bool = False
    """Refuse IDs that are not 20 digits (GB/T 28181-2022 annex E)."""

    conceal_unknown: bool = True
    """Challenge an unknown ID like a known one. False: refuse it at once."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"digest algorithm {self.algorithm!r}: MD5 or SHA-256")


@dataclass(frozen=True, slots=True)
class Accepted:
    account: DeviceAccount


@dataclass(frozen=True, slots=True)
class Challenge:
    """Answer 401."""

    header: str
    """Value of WWW-Authenticate."""
    detail: str = ""
    """Empty for the ordinary first step."""


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    detail: str
    """For the operator. The peer sees the status alone."""
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Ignored:
    """No answer: this source has been refused too often."""

    detail: str


Outcome = Accepted | Challenge | Refused | Ignored
Verdict = Accepted | Challenge | Refused

NOBODY: Final = DeviceAccount(device_id="0", password="nobody knows it", provisioned=False)  # noqa: S106
"""Checked against when there is no account, so that the time taken tells nothing."""


class Authenticator:
    def __init__(
        self,
        registry: Registry,
        nonces: NonceBook,
        throttle: Throttle,
        settings: AuthenticationSettings,
    ) -> None:
        self._registry = registry
        self._nonces = nonces
        self._throttle = throttle
        self._settings = settings

    def check(self, wish: RegistrationWish, host: str, now: float) -> Outcome:
        """``host`` is the source address; :class:`Accepted` is the only success."""
        verdict = self._judge(wish, host, now)
        if isinstance(verdict, Accepted):
            self._throttle.succeeded(host, wish.device_id)
        elif isinstance(verdict, Refused) and not self._throttle.may_refuse(host, now):
            return Ignored(verdict.detail)
        return verdict

    def may_refuse(self, host: str, now: float) -> bool:
        """False: the source was refused too often, do not answer it."""
        return self._throttle.may_refuse(host, now)

    def challenge(
        self, device_id: str, host: str, now: float, *, stale: bool = False, detail: str = ""
    ) -> Challenge:
        algorithm = self._settings.algorithm
        nonce = self._nonces.issue(device_id, host, now, algorithm=algorithm)
        header = challenge_header(
            self._settings.realm, nonce, algorithm=algorithm, qop=self._settings.qop, stale=stale
        )
        return Challenge(header, detail)

    def _judge(self, wish: RegistrationWish, host: str, now: float) -> Verdict:
        device_id = wish.device_id
        if not is_device_id(device_id, strict=self._settings.strict_ids):
            return Refused(403, "the device ID is malformed")
        blocked = self._throttle.blocked_for(host, device_id, now)
        if blocked > 0.0:
            return Refused(503, "too many wrong passwords", retry_after=int(blocked) + 1)
        credentials = wish.credentials
        if credentials is None and self._settings.conceal_unknown:
            return self._first_step(device_id, host, now)
        account = self._registry.candidate(device_id)
        if account is None and not self._settings.conceal_unknown:
            return Refused(403, "no account, or it is disabled")
        if credentials is None:
            return self._first_step(device_id, host, now)
        return self._second_step(device_id, credentials, account, host, now)

    def _first_step(self, device_id: str, host: str, now: float) -> Verdict:
        if not self._throttle.may_challenge(host, now):
            return Refused(503, "too many REGISTERs without credentials", retry_after=60)
        return self.challenge(device_id, host, now)

    def _second_step(
        self,
        device_id: str,
        credentials: DigestCredentials,
        account: DeviceAccount | None,
        host: str,
        now: float,
    ) -> Verdict:
        found = self._nonces.judge(credentials, device_id=device_id, host=host, now=now)
        if found in (NonceVerdict.UNKNOWN, NonceVerdict.STALE):
            return self._ask_again(device_id, host, now, found)
        right = verify(credentials, password=(account or NOBODY).password, method="REGISTER")
        if account is None or not right or not _may_use(account, credentials.username):
            self._throttle.failed(host, device_id, now)
            return Refused(403, _what_is_wrong(account, credentials.username))
        if found is NonceVerdict.REPLAYED:
            return self.challenge(device_id, host, now, detail="nonce count replayed")
        self._nonces.use_up(credentials)
        return Accepted(account)

    def _ask_again(self, device_id: str, host: str, now: float, found: NonceVerdict) -> Verdict:
        """Credentials of another server, from before our restart, used up, or made up.

        The answer is the same whether the digest is right or wrong, so it tells a guesser nothing
        and no failure is counted: who never saw a nonce of ours, such as the sender of a forged
        source address, cannot have the true device blocked.
        """
        if not self._throttle.may_challenge(host, now):
            return Refused(503, "too many REGISTERs with old nonces", retry_after=60)
        return self.challenge(device_id, host, now, stale=True, detail=f"nonce {found.value}")


def _what_is_wrong(account: DeviceAccount | None, username: str) -> str:
    if account is None:
        return "no account, or it is disabled"
    if not _may_use(account, username):
        return "the digest username is not the account's"
    return "wrong password"


def _may_use(account: DeviceAccount, username: str) -> bool:
    return username in (account.device_id, account.username)
