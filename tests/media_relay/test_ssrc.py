"""Leases of SSRCs, in virtual time (GB/T 28181-2022 annex G, ``y=``)."""

import random

import pytest

from media_relay.errors import NoSsrcLeft
from media_relay.ssrc import NUMBERS, SsrcPool

DOMAIN = "34020000002000000001"


def test_digits_are_kind_domain_and_number() -> None:
    assert f"{SsrcPool(DOMAIN, first=7).lease():010}" == "0200000007"
    assert f"{SsrcPool(DOMAIN, history=True, first=7).lease():010}" == "1200000007"
    assert f"{SsrcPool('13010000002000000001', first=1).lease():010}" == "0100000001"


def test_begins_anywhere() -> None:
    assert len({SsrcPool(DOMAIN).lease() for _ in range(50)}) > 25


def test_never_zero() -> None:
    pool = SsrcPool("34000000000000000000")
    assert 0 not in {pool.lease() for _ in range(NUMBERS)}


def test_a_released_ssrc_rests_at_least_15_seconds() -> None:
    now = 0.0
    pool = SsrcPool(DOMAIN, now=lambda: now)
    leased = [pool.lease() for _ in range(NUMBERS)]
    assert len(set(leased)) == NUMBERS
    pool.release(leased[5])
    with pytest.raises(NoSsrcLeft, match="1 resting"):
        pool.lease()
    now = 15.0
    assert pool.lease() == leased[5]


def test_an_ssrc_is_given_back_once() -> None:
    pool = SsrcPool(DOMAIN)
    ssrc = pool.lease()
    pool.release(ssrc)
    with pytest.raises(ValueError, match="not leased"):
        pool.release(ssrc)


@pytest.mark.parametrize("domain", ["", "3402", "3402000000200000000x", "３４０２００００００２０"])
def test_bad_domains(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        SsrcPool(domain)


def test_100_000_random_cycles_leak_nothing() -> None:
    dice, now = random.Random(2), 0.0
    pool = SsrcPool(DOMAIN, now=lambda: now)
    held: list[int] = []
    for _ in range(100_000):
        now += dice.random() * 0.01
        if held and dice.random() < 0.5:
            pool.release(held.pop(dice.randrange(len(held))))
        else:
            held.append(pool.lease())
        assert pool.leased == len(held)
    for ssrc in held:
        pool.release(ssrc)
    now += 15.0
    assert (pool.leased, pool.available) == (0, NUMBERS)
