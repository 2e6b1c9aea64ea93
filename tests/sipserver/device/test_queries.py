"""Query and answer joined by SN, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from catalog.assembly import AssemblySettings, Reason
from manscdp.catalog import CatalogItem, CatalogPage
from manscdp.information import DeviceInfo, DeviceStatus
from manscdp.xml import parse
from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Device
from sipserver.device.errors import (
    DeviceError,
    DeviceNotOnline,
    DeviceRefused,
    DeviceSilent,
    DeviceUnreachable,
)
from sipserver.device.messenger import Messenger, MessengerSettings, SerialNumbers
from sipserver.device.queries import PageFate, QueryEngine, QuerySettings
from sipserver.sip.flow import Flow
from sipserver.sip.message import Response, parse_message
from sipserver.sip.outgoing import OutgoingRequest
from sipserver.transport.errors import RequestTimedOut

Virtual = Callable[[Coroutine[Any, Any, Any]], Any]
NVR = "34020000001180000001"
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060))


def item(number: int) -> CatalogItem:
    return CatalogItem(device_id=f"3402000000131{number:07d}", name=f"camera {number}")


def page(sn: int, sum_num: int | None, *numbers: int, target: str = NVR) -> CatalogPage:
    items = tuple(item(number) for number in numbers)
    return CatalogPage(sn=sn, device_id=target, sum_num=sum_num, items=items)


class Peer:
    """A device: every query runs ``script(sn, target)`` beside the SIP answer."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, int, str]] = []
        self.status = 200
        self.accepts_after: float | None = 0.05
        self.script: Callable[[int, str], Coroutine[Any, Any, None]] | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def request(self, request: OutgoingRequest, flow: Flow) -> Response:
        message = parse(request.body)
        self.queries.append((message.cmd_type, message.sn, message.device_id))
        if self.script is not None:
            self.tasks.add(asyncio.create_task(self.script(message.sn, message.device_id)))
        if self.accepts_after is None:
            await asyncio.sleep(32.0)
            raise RequestTimedOut("MESSAGE: no answer")
        await asyncio.sleep(self.accepts_after)
        response = parse_message(f"SIP/2.0 {self.status} x\r\n\r\n".encode())
        assert isinstance(response, Response)
        return response


class Bench:
    def __init__(self) -> None:
        self.peer = Peer()
        self.numbers = SerialNumbers(500)
        messenger = Messenger(
            self.peer, MessengerSettings(server_id="34020000002000000001", domain="3402000000")
        )
        self.engine = QueryEngine(
            messenger,
            self.numbers,
            lambda: asyncio.get_running_loop().time(),
            QuerySettings(answer_timeout=10.0, catalog=AssemblySettings()),
        )
        self.device = Device(
            DeviceAccount(device_id=NVR, password="12345678"), online=True, flow=FLOW
        )
        self.fates: list[PageFate] = []

    def receive(self, *pages: CatalogPage) -> None:
        self.fates.extend(self.engine.receive_page(self.device, one) for one in pages)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def now() -> float:
    return asyncio.get_running_loop().time()


def test_pages_come_together_in_any_order_and_twice(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        for numbers in ((5, 6), (1, 2), (1, 2), (3, 4)):
            await asyncio.sleep(0.2)
            bench.receive(page(sn, 6, *numbers))

    async def scenario() -> None:
        bench.peer.script = script
        started = now()
        result = await bench.engine.catalog(bench.device)
        assert [i.name for i in result.items] == [f"camera {n}" for n in (5, 6, 1, 2, 3, 4)]
        assert result.complete
        assert now() - started < 2.0

    virtual(scenario())


def test_the_answer_may_come_before_the_200_or_without_one(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        bench.receive(page(sn, 1, 1))

    async def scenario() -> None:
        bench.peer.script = script
        bench.peer.accepts_after = None
        assert (await bench.engine.catalog(bench.device)).complete
        assert now() < 1010.0

    virtual(scenario())


def test_row_65_first_page_after_two_minutes_and_a_sum_never_reached(
    bench: Bench, virtual: Virtual
) -> None:
    async def script(sn: int, target: str) -> None:
        await asyncio.sleep(115.0)
        bench.receive(page(sn, 100, 1, 2))
        await asyncio.sleep(4.0)
        bench.receive(page(sn, 100, 3))

    async def scenario() -> None:
        bench.peer.script = script
        started = now()
        result = await bench.engine.catalog(bench.device)
        assert (len(result.items), result.complete, result.reason) == (3, False, Reason.GAP)
        assert now() - started == pytest.approx(124.0, abs=0.5)

    virtual(scenario())


def test_a_sum_that_is_too_small_loses_nothing(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        for number in range(10):
            bench.receive(page(sn, 4, number))
            await asyncio.sleep(0.1)

    async def scenario() -> None:
        bench.peer.script = script
        assert len((await bench.engine.catalog(bench.device)).items) == 10

    virtual(scenario())


def test_an_empty_answer_ends_at_once(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        await asyncio.sleep(1.0)
        bench.receive(page(sn, 0))

    async def scenario() -> None:
        bench.peer.script = script
        result = await bench.engine.catalog(bench.device)
        assert (result.items, result.complete) == ((), True)
        assert now() < 1002.0

    virtual(scenario())


def test_late_pages_are_for_merging_for_a_minute(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        bench.receive(page(sn, 5, 1, 2, 3))
        await asyncio.sleep(30.0)
        bench.receive(page(sn, 5, 4), page(sn, 5, 4), page(sn, 5, 1, 2, 3))
        await asyncio.sleep(26.0)
        bench.receive(page(sn, 5, 5))
        await asyncio.sleep(15.0)
        bench.receive(page(sn, 5, 6))

    async def scenario() -> None:
        bench.peer.script = script
        assert not (await bench.engine.catalog(bench.device)).complete
        await asyncio.sleep(120.0)
        late, repeated = PageFate.LATE, PageFate.REPEATED
        assert bench.fates == [
            PageFate.COLLECTED,
            late,
            repeated,
            repeated,
            late,
            PageFate.UNSOLICITED,
        ]

    virtual(scenario())


def test_callers_with_one_question_share_one_query(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        await asyncio.sleep(1.0)
        bench.receive(page(sn, 1, 1))

    async def scenario() -> None:
        bench.peer.script = script
        asking = [asyncio.create_task(bench.engine.catalog(bench.device)) for _ in range(5)]
        await asyncio.sleep(0.5)
        asking[0].cancel()
        results = await asyncio.gather(*asking[1:])
        assert len({id(result) for result in results}) == 1
        assert len(bench.peer.queries) == 1

    virtual(scenario())


def test_one_query_of_a_kind_at_a_time(bench: Bench, virtual: Virtual) -> None:
    open_now = 0

    async def script(sn: int, target: str) -> None:
        nonlocal open_now
        open_now += 1
        assert open_now == 1
        await asyncio.sleep(1.0)
        open_now -= 1
        bench.receive(page(sn, 1, 1, target=target))

    async def scenario() -> None:
        bench.peer.script = script
        await asyncio.gather(*(bench.engine.catalog(bench.device, t) for t in ("3402", "", "34")))
        assert [target for _, _, target in bench.peer.queries] == ["3402", NVR, "34"]
        assert len({sn for _, sn, _ in bench.peer.queries}) == 3

    virtual(scenario())


def test_row_29_an_old_answer_with_sum_1_is_never_the_answer_to_an_open_query(
    bench: Bench, virtual: Virtual
) -> None:
    async def script(sn: int, target: str) -> None:
        bench.receive(page(bench.peer.queries[0][1], 1, 7))  # Tiandy: the SN of an old query
        await asyncio.sleep(1.0)
        bench.receive(page(sn, 2, 1, 2))

    async def scenario() -> None:
        async def first(sn: int, target: str) -> None:
            bench.receive(page(sn, 2, 1, 2))

        bench.peer.script = first
        await bench.engine.catalog(bench.device)
        bench.peer.script = script
        result = await bench.engine.catalog(bench.device)
        assert [i.name for i in result.items] == ["camera 1", "camera 2"]
        assert PageFate.UNSOLICITED in bench.fates

    virtual(scenario())


def test_a_page_without_any_query_is_unsolicited(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        bench.receive(page(3, 1, 1))
        assert bench.fates == [PageFate.UNSOLICITED]
        assert bench.engine.unmatched == 1

    virtual(scenario())


@pytest.mark.parametrize("wrong", [0, 1, 77])
def test_a_wrong_sn_falls_back_to_the_device_id_but_may_only_add(
    bench: Bench, virtual: Virtual, wrong: int
) -> None:
    async def script(sn: int, target: str) -> None:
        await asyncio.sleep(1.0)
        bench.receive(page(wrong, 2, 1))
        bench.receive(page(wrong, 2, 2))

    async def scenario() -> None:
        bench.peer.script = script
        started = now()
        result = await bench.engine.catalog(bench.device)
        assert (len(result.items), result.complete) == (2, False)
        assert now() - started < 3.0

    virtual(scenario())


def test_a_right_sn_beats_what_came_with_a_wrong_one(bench: Bench, virtual: Virtual) -> None:
    async def script(sn: int, target: str) -> None:
        bench.receive(page(3, 1, 9))
        await asyncio.sleep(0.1)
        bench.receive(page(sn, 2, 1))
        await asyncio.sleep(3.0)
        bench.receive(page(sn, 2, 2), page(3, 1, 9))

    async def scenario() -> None:
        bench.peer.script = script
        result = await bench.engine.catalog(bench.device)
        assert (len(result.items), result.complete) == (2, True)

    virtual(scenario())


def test_silence_has_a_name(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        with pytest.raises(DeviceSilent, match="within 120 s"):
            await bench.engine.catalog(bench.device)
        with pytest.raises(DeviceSilent, match="accepted DeviceInfo but sent no answer within 10"):
            await bench.engine.device_info(bench.device)

    virtual(scenario())


def test_sip_failures_reach_the_caller(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        bench.peer.status = 403
        with pytest.raises(DeviceRefused, match="403"):
            await bench.engine.device_info(bench.device)
        with pytest.raises(DeviceRefused, match="403"):
            await bench.engine.catalog(bench.device)
        bench.peer.accepts_after = None
        with pytest.raises(DeviceUnreachable):
            await bench.engine.catalog(bench.device)

    virtual(scenario())


def test_going_offline_ends_the_wait(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        asking: list[asyncio.Task[Any]] = [
            asyncio.create_task(bench.engine.catalog(bench.device)),
            asyncio.create_task(bench.engine.device_info(bench.device)),
        ]
        await asyncio.sleep(1.0)
        bench.device.online = False
        bench.engine.device_gone(NVR)
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DeviceNotOnline, DeviceNotOnline]
        with pytest.raises(DeviceNotOnline):
            await bench.engine.device_status(bench.device)

    virtual(scenario())


@pytest.mark.parametrize("shift", [0, -(10**6)])
def test_device_info_by_sn_or_by_device_id(bench: Bench, virtual: Virtual, shift: int) -> None:
    async def script(sn: int, target: str) -> None:
        info = DeviceInfo(sn=max(0, sn + shift), device_id=NVR, model="NVR-64")
        bench.engine.receive_answer(bench.device, info)

    async def scenario() -> None:
        bench.peer.script = script
        assert (await bench.engine.device_info(bench.device)).model == "NVR-64"

    virtual(scenario())


def test_device_status_of_a_channel(bench: Bench, virtual: Virtual) -> None:
    channel = item(1).device_id

    async def script(sn: int, target: str) -> None:
        assert target == channel
        stranger = DeviceStatus(sn=3, device_id=NVR, online="OFFLINE")
        assert not bench.engine.receive_answer(bench.device, stranger)
        bench.engine.receive_answer(
            bench.device, DeviceStatus(sn=sn, device_id=NVR, online="ONLINE")
        )

    async def scenario() -> None:
        bench.peer.script = script
        assert (await bench.engine.device_status(bench.device, channel)).online == "ONLINE"

    virtual(scenario())


def test_an_answer_nobody_waits_for_is_counted(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        assert not bench.engine.receive_answer(bench.device, DeviceInfo(sn=1, device_id=NVR))
        assert bench.engine.unmatched == 1

    virtual(scenario())


def test_closing_ends_what_runs(bench: Bench, virtual: Virtual) -> None:
    async def scenario() -> None:
        asking = asyncio.create_task(bench.engine.catalog(bench.device))
        await asyncio.sleep(1.0)
        await bench.engine.close()
        with pytest.raises(asyncio.CancelledError):
            await asking

    virtual(scenario())


def test_every_error_is_a_device_error() -> None:
    kinds = (DeviceSilent, DeviceRefused, DeviceUnreachable, DeviceNotOnline)
    assert all(issubclass(kind, DeviceError) for kind in kinds)


def test_an_answer_of_another_device_never_counts(bench: Bench, virtual: Virtual) -> None:
    """SN are one series over all devices, so a stranger may guess or repeat one."""
    stranger = Device(DeviceAccount(device_id="34020000001180000002", password="x"))
    stranger.online, stranger.flow = True, FLOW

    async def script(sn: int, target: str) -> None:
        for sent in (sn, 1):
            wrong = bench.engine.receive_page(stranger, page(sent, 1, 66))
            assert wrong is PageFate.UNSOLICITED
            info = DeviceInfo(sn=sent, device_id=NVR, model="stranger")
            assert not bench.engine.receive_answer(stranger, info)
        bench.engine.receive_page(bench.device, page(sn, 2, 1, 2))

    async def scenario() -> None:
        bench.peer.script = script
        result = await bench.engine.catalog(bench.device)
        assert [item.name for item in result.items] == ["camera 1", "camera 2"]
        [(_, sn, _)] = bench.peer.queries
        late = bench.engine.receive_page(stranger, page(sn, 3, 67))
        assert late is PageFate.UNSOLICITED

    virtual(scenario())


def test_the_late_answer_to_an_earlier_question_is_not_the_answer_to_this_one(
    bench: Bench, virtual: Virtual
) -> None:
    async def scenario() -> None:
        with pytest.raises(DeviceSilent):
            await bench.engine.device_info(bench.device)
        earlier = bench.peer.queries[0][1]

        async def script(sn: int, target: str) -> None:
            old = DeviceInfo(sn=earlier, device_id=NVR, model="old")
            assert not bench.engine.receive_answer(bench.device, old)
            bench.engine.receive_answer(bench.device, DeviceInfo(sn=sn, device_id=NVR, model="new"))

        bench.peer.script = script
        assert (await bench.engine.device_info(bench.device)).model == "new"

    virtual(scenario())
