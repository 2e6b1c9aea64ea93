"""Leases of RTP ports, in virtual time."""

import random

import pytest

from media_relay.errors import NoPortLeft
from media_relay.ports import PortPool


def test_only_even_ports_whose_rtcp_port_is_in_the_range() -> None:
    pool = PortPool(30001, 30006, now=lambda: 0.0)
    assert [pool.lease(), pool.lease()] == [30002, 30004]
    with pytest.raises(NoPortLeft, match="all 2 media ports"):
        pool.lease()


def test_a_released_port_rests() -> None:
    now = 0.0
    pool = PortPool(30000, 30005, rest=15.0, now=lambda: now)
    first = pool.lease()
    pool.release(first)
    assert pool.lease() != first
    assert pool.lease() != first
    now = 15.0
    assert pool.lease() == first


def test_the_longest_rested_is_used_when_nothing_else_is_free() -> None:
    pool = PortPool(30000, 30003, now=lambda: 0.0)
    first, second = pool.lease(), pool.lease()
    pool.release(second)
    pool.release(first)
    assert [pool.lease(), pool.lease()] == [second, first]


def test_a_port_is_given_back_once() -> None:
    pool = PortPool(30000, 30003)
    port = pool.lease()
    pool.release(port)
    with pytest.raises(ValueError, match="not leased"):
        pool.release(port)


@pytest.mark.parametrize(("first", "last"), [(0, 10), (10, 10), (30001, 30002), (1, 65536)])
def test_bad_ranges(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="port"):
        PortPool(first, last)


def test_100_000_random_cycles_leak_nothing() -> None:
    dice, now = random.Random(1), 0.0
    pool = PortPool(30000, 30401, now=lambda: now)
    every, held = pool.available, set[int]()
    for _ in range(100_000):
        now += dice.random()
        if held and (dice.random() < 0.5 or len(held) == every):
            port = dice.choice(sorted(held)) if dice.random() < 0.01 else next(iter(held))
            held.remove(port)
            pool.release(port)
        else:
            port = pool.lease()
            assert port not in held
            held.add(port)
        assert pool.leased == len(held)
        assert pool.available == every - len(held)
