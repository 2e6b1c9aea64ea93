"""A thousand devices behind one address: whoever falls silent goes, and nobody else."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from conformance.peer import UdpPeer
from conformance.wire import WireMessage, read_manscdp
from tests.end_to_end.driving import (
    PASSWORD,
    PLATFORM_ID,
    RunningPlatform,
    Settings,
    eventually,
    platform,
)
from tests.end_to_end.scripted import MANSCDP, answers, keepalive

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(200)]

DEVICES = 1000
INTERVAL = 3.0
"""Seconds between two keepalives of a device."""
SETTINGS: Settings = {
    "liveness": {"keepalive_interval": INTERVAL, "keepalive_misses": 2},
    "common_password": {"password": PASSWORD, "prefixes": [PLATFORM_ID[:10]]},
}


def device_code(number: int) -> str:
    return f"34020000001180{number:06d}"


def channel_code(number: int) -> str:
    return f"34020000001310{number:06d}"


class Crowd(UdpPeer):
    """A thousand recorders of one channel each, all behind one socket."""

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(device_code(0), PLATFORM_ID, target)
        self.codes = {device_code(number): channel_code(number) for number in range(DEVICES)}
        self.registered: list[str] = []
        self.listed: set[str] = set()
        """Devices that have told their channels."""
        self.unanswered: set[str] = set()
        """Call-IDs of keepalives that wait for 200."""
        self._answers: dict[tuple[str, int], asyncio.Future[WireMessage]] = {}
        self._number = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        super().datagram_received(data, addr)
        while self._waiting:
            self._sort(self._waiting.popleft())

    def _sort(self, message: WireMessage) -> None:
        call_id, cseq = message.one("call-id"), int(message.one("cseq").split()[0])
        if message.is_request:
            self._query(message)
        elif message.status == 200 and message.method == "MESSAGE":
            self.unanswered.discard(call_id)
        elif waiting := self._answers.pop((call_id, cseq), None):
            waiting.set_result(message)

    def _query(self, message: WireMessage) -> None:
        """Answered as the device that it is addressed to."""
        self.respond(message, "200 OK")
        found = re.search(r"sip:(\d{20})@", message.start_line)
        query = read_manscdp(message.body)
        if found is None or query.findtext("DeviceID") != found.group(1):
            self.problems.append(f"a query for nobody: {message.start_line}")
            return
        code = found.group(1)
        for body in answers(query, code, [(self.codes[code], f"channel of {code}")]):
            self._message(code, body)
        if query.findtext("CmdType") == "Catalog":
            self.listed.add(code)

    def _message(self, code: str, body: str) -> str:
        self._number += 1
        self.device, call_id = code, f"m{self._number}"
        self.request(
            "MESSAGE", call_id=call_id, cseq=20, extra=MANSCDP, body=body.encode("gb18030")
        )
        return call_id

    def keep_alive(self, code: str) -> None:
        self.unanswered.add(self._message(code, keepalive(code, self._number)))

    async def _register_once(self, code: str, cseq: int, extra: str) -> WireMessage:
        """Repeated like any UDP request until it is answered (RFC 3261 17.1.2)."""
        call_id = f"r{code}"
        answer = asyncio.get_running_loop().create_future()
        self._answers[call_id, cseq] = answer
        for patience in (1.0, 2.0, 4.0, 8.0):
            self.device = code
            lines = f"{extra}\nExpires: 3600"
            self.request("REGISTER", call_id=call_id, cseq=cseq, extra=lines, to=code)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(answer), patience)
        raise TimeoutError(f"no answer to REGISTER {cseq} of {code}")

    async def register_as(self, code: str) -> int:
        asked = await self._register_once(code, 1, "")
        self.device = code
        line = self.authorize(asked.one("www-authenticate"), "REGISTER", PASSWORD)
        status = (await self._register_once(code, 2, line)).status
        self.registered.append(code)
        return status

    async def beat(self, silent: set[str]) -> None:
        """Keepalives of all but the silent ones, spread over the interval, for ever."""
        while True:
            codes = list(self.registered)
            for start in range(0, DEVICES, 50):
                for code in codes[start : start + 50]:
                    if code not in silent:
                        self.keep_alive(code)
                await asyncio.sleep(INTERVAL * 50 / DEVICES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform("crowd", tmp_path_factory.mktemp("crowd"), SETTINGS) as started:
        yield started


@asynccontextmanager
async def beating(crowd: Crowd, silent: set[str]) -> AsyncIterator[None]:
    task = asyncio.create_task(crowd.beat(silent))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def wait_until(server: RunningPlatform, field: str, value: int) -> None:
    await asyncio.to_thread(server.wait_for, field, value, 60.0)


async def test_one_of_a_thousand_falls_silent(server: RunningPlatform) -> None:
    lost = device_code(DEVICES // 2)
    silent: set[str] = set()
    async with Crowd(server.sip) as crowd, beating(crowd, silent):
        gate = asyncio.Semaphore(50)

        async def enter(code: str) -> int:
            async with gate:
                return await crowd.register_as(code)

        statuses = await asyncio.gather(*(enter(code) for code in crowd.codes))
        assert set(statuses) == {200}
        await wait_until(server, "devices_online", DEVICES)
        await wait_until(server, "channels_online", DEVICES)
        silent.add(lost)
        await wait_until(server, "devices_online", DEVICES - 1)
        await asyncio.sleep(2 * INTERVAL)  # whoever else is lost would be gone by now
        await asyncio.to_thread(only_this_one_is_gone, server, lost, crowd.codes[lost])
        assert len(crowd.listed) == DEVICES
        assert len(crowd.unanswered) <= DEVICES // 10, "keepalives are not answered at once"
        silent.clear()
        await wait_until(server, "devices_online", DEVICES)
        assert crowd.problems == []


def only_this_one_is_gone(server: RunningPlatform, lost: str, channel: str) -> None:
    offline = server.call("GET", "/api/v1/devices?online=false&limit=1000")
    assert [view["device_id"] for view in offline["items"]] == [lost]
    online = server.call("GET", "/api/v1/devices?online=true&limit=1000")
    assert online["total"] == DEVICES - 1
    statistics = server.statistics()
    assert statistics["channels"] == DEVICES
    assert statistics["channels_online"] == DEVICES - 1
    channels = server.call("GET", "/api/v1/channels?playable=true&limit=1000")["items"]
    assert [view["channel_id"] for view in channels if not view["online"]] == [channel]
    eventually(lambda: len(server.presence(lost)) == 2, "the history lacks an edge")
    assert server.presence(lost)[0]["reason"] == "heartbeats missing"
    edges = server.call("GET", "/api/v1/presence?limit=1000")["items"]
    assert [edge["device_id"] for edge in edges if not edge["online"]] == [lost]
