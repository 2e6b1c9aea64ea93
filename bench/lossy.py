"""A UDP path that loses and repeats datagrams, the same ones for the same seed."""

import asyncio
import random


class _Side(asyncio.DatagramProtocol):
    def __init__(self, path: "LossyPath", *, towards_target: bool) -> None:
        self._path = path
        self._towards_target = towards_target

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._path.carry(data, addr, towards_target=self._towards_target)


class LossyPath:
    """Stands between one client and ``target``.

    :param loss: part of the datagrams that vanish, each direction
    :param repeat: part that arrives twice
    """

    def __init__(self, target: tuple[str, int], *, loss: float, repeat: float, seed: int) -> None:
        self.lost = 0
        self.repeated = 0
        self.carried = 0
        self._target = target
        self._loss = loss
        self._repeat = repeat
        self._random = random.Random(seed)
        self._client: tuple[str, int] | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def open(self) -> tuple[str, int]:
        """Returns the address the client talks to."""
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self, towards_target=True), local_addr=("127.0.0.1", 0)
        )
        self._far, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self, towards_target=False), local_addr=("127.0.0.1", 0)
        )
        host, port = self._near.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def close(self) -> None:
        for side in (self._near, self._far):
            if side:
                side.close()

    def carry(self, data: bytes, addr: tuple[str, int], *, towards_target: bool) -> None:
        draw = self._random.random()
        if draw < self._loss:
            self.lost += 1
            return
        times = 2 if draw < self._loss + self._repeat else 1
        self.repeated += times - 1
        self.carried += 1
        if towards_target:
            self._client = addr
            transport, to = self._far, self._target
        else:
            transport, to = self._near, self._client
        if transport and to:
            for _ in range(times):
                transport.sendto(data, to)
