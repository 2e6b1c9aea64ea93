"""SSRCs of GB/T 28181-2022 annex G: ``y=dDDDDDnnnn``.

``d`` is 0 for live and 1 for history (playback, download), ``DDDDD`` are characters 4 to 8 of the
SIP domain's ID, ``nnnn`` tells the streams of the domain apart. The RTP SSRC is this decimal
number.
"""

from collections import deque
from collections.abc import Callable
from secrets import randbelow
from time import monotonic
from typing import Final

from media_relay.errors import NoSsrcLeft

NUMBERS: Final = 9999
"""0001 to 9999. 0000 is left out: with a domain of zeros it would be the SSRC 0."""


class SsrcPool:
    """The SSRCs of one domain and kind, each leased to one session at a time.

    A released SSRC rests, because a device may go on sending for a while, and a receiver that
    tells streams apart by SSRC would mix two of them up.
    """

    def __init__(
        self,
        domain: str,
        *,
        history: bool = False,
        rest: float = 15.0,
        first: int | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """
        :param domain: ID of the SIP domain, at least 8 digits
        :param rest: seconds a released SSRC is not leased again, at least 15 by practice
        :param first: number ``nnnn`` to begin with; chosen at random, so that a restarted server
            does not use the numbers of streams that still flow
        """
        if len(domain) < 8 or not (domain.isascii() and domain.isdigit()):
            raise ValueError(f"not a SIP domain ID: {domain!r}")
        self._base = (int(history) * 100_000 + int(domain[3:8])) * 10_000
        begin = (randbelow(NUMBERS) if first is None else first - 1) % NUMBERS
        self._free = deque(self._base + 1 + (begin + i) % NUMBERS for i in range(NUMBERS))
        self._leased: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._rest = rest
        self._now = now

    @property
    def leased(self) -> int:
        """SSRCs in use."""
        return len(self._leased)

    @property
    def available(self) -> int:
        """SSRCs that are neither in use nor resting."""
        self._wake()
        return len(self._free)

    def lease(self) -> int:
        """
        :raises NoSsrcLeft: when all are leased or resting
        """
        self._wake()
        if not self._free:
            raise NoSsrcLeft(f"{len(self._leased)} SSRCs in use, {len(self._resting)} resting")
        ssrc = self._free.popleft()
        self._leased.add(ssrc)
        return ssrc

    def release(self, ssrc: int) -> None:
        """
        :raises ValueError: when the SSRC is not leased
        """
        try:
            self._leased.remove(ssrc)
        except KeyError:
            raise ValueError(f"SSRC {ssrc:010} is not leased") from None
        self._resting.append((self._now() + self._rest, ssrc))

    def _wake(self) -> None:
        now = self._now()
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
