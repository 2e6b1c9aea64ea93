"""A receiver and its port lease, taken and given back together."""

import pytest

from media_relay import _core
from media_relay.errors import NoPortLeft, PortInUse, StreamExists
from media_relay.node import LocalMediaNode
from media_relay.ports import PortPool
from media_relay.receiver import OPEN_ATTEMPTS, LeasedReceiver

LOOPBACK = "127.0.0.1"


def leased(node: LocalMediaNode, ports: PortPool, stream: str = "s") -> LeasedReceiver:
    return LeasedReceiver(node, ports, stream, host=LOOPBACK, transport="udp", ssrc=1)


async def test_the_port_comes_back(node: LocalMediaNode) -> None:
    ports = PortPool(41000, 41101)
    with leased(node, ports) as receiver:
        assert 41000 <= receiver.port <= 41100
        assert ports.leased == 1
    assert ports.leased == 0
    receiver.close()
    assert ports.leased == 0


async def test_a_name_that_is_open_costs_no_port(node: LocalMediaNode) -> None:
    ports = PortPool(41000, 41101)
    with leased(node, ports):
        with pytest.raises(StreamExists):
            leased(node, ports)
        assert ports.leased == 1


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tried: list[int] = []

    def open_receiver(self, stream: str, *, port: int, **rest: object) -> _core.Receiver:
        self.tried.append(port)
        raise self.error


def test_ports_of_other_programs_are_passed_over() -> None:
    ports, node = PortPool(41000, 41101), Refusing(PortInUse("taken"))
    with pytest.raises(PortInUse):
        LeasedReceiver(node, ports, "s", host=LOOPBACK, transport="udp", ssrc=1)
    assert len(set(node.tried)) == OPEN_ATTEMPTS
    assert ports.leased == 0


def test_nothing_is_opened_without_a_port() -> None:
    ports, node = PortPool(41000, 41001), Refusing(PortInUse("taken"))
    ports.lease()
    with pytest.raises(NoPortLeft):
        LeasedReceiver(node, ports, "s", host=LOOPBACK, transport="udp", ssrc=1)
    assert node.tried == []
