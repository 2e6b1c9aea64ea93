"""RTP ports: leased in pairs of an even RTP port and the odd RTCP port after it."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from media_relay.errors import NoPortLeft


class PortPool:
    """The even ports of a range, each leased to one session at a time.

    A released port rests: packets of a device that goes on after its BYE would be taken for the
    next session's. When nothing else is free, the one that has rested longest is used.
    """

    def __init__(
        self, first: int, last: int, *, rest: float = 15.0, now: Callable[[], float] = monotonic
    ) -> None:
        """
        :param first, last: the range, both included; RTCP of the last pair must fit into it
        :param rest: seconds a released port is not leased again
        """
        if not 1 <= first < last <= 65535:
            raise ValueError(f"not a port range: {first}-{last}")
        self._free = deque(range(first + first % 2, last, 2))
        if not self._free:
            raise ValueError(f"no pair of an even and an odd port in {first}-{last}")
        self._leased: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._rest = rest
        self._now = now

    @property
    def leased(self) -> int:
        """Ports in use."""
        return len(self._leased)

    @property
    def available(self) -> int:
        """Ports that could be leased now, resting ones included."""
        return len(self._free) + len(self._resting)

    def lease(self) -> int:
        """
        :raises NoPortLeft: when every port of the range is leased
        """
        now = self._now()
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        if self._free:
            port = self._free.popleft()
        elif self._resting:
            port = self._resting.popleft()[1]
        else:
            raise NoPortLeft(f"all {len(self._leased)} media ports are in use; widen the range")
        self._leased.add(port)
        return port

    def release(self, port: int) -> None:
        """
        :raises ValueError: when the port is not leased
        """
        try:
            self._leased.remove(port)
        except KeyError:
            raise ValueError(f"port {port} is not leased") from None
        self._resting.append((self._now() + self._rest, port))
