"""Synchronisation after registration and on demand, in virtual time, over real bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from manscdp.catalog import CatalogItem, CatalogPage
from manscdp.information import DeviceInfo
from manscdp.xml import ManscdpMessage
from sipserver.device.accounts import DeviceAccount
from sipserver.device.errors import DeviceNotOnline, DeviceRefused
from sipserver.device.events import (
    CatalogSynced,
    CatalogSyncFailed,
    ChannelsChanged,
    DeviceDescribed,
    DeviceOffline,
)
from sipserver.device.sync import SyncSettings
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import PlatformBench

Virtual = Callable[[Coroutine[Any, Any, Any]], Any]
CAMERA = "34020000001320000001"
ACCOUNT = DeviceAccount(device_id=CAMERA, password="12345678")


def item(number: int, device: str = "131") -> CatalogItem:
    return CatalogItem(
        device_id=f"3402000000{device}{number:07d}", name=f"camera {number}", status="ON"
    )


class Nvr:
    """Answers DeviceInfo, and Catalog page by page."""

    def __init__(self, bench: PlatformBench, channels: int = 4) -> None:
        self.bench = bench
        self.channels = channels
        self.announced: int | None = None
        self.answers_info = True
        self.silent = False
        self.catalogues = 0
        bench.peers.script = self.script

    def script(self, query: ManscdpMessage, flow: Flow) -> None:
        if self.silent:
            return
        if query.cmd_type == "DeviceInfo" and self.answers_info:
            info = DeviceInfo(
                sn=query.sn,
                device_id=CAMERA,
                device_name="大厅",
                result="OK",
                manufacturer="TP-LINK",
                model="NVR-64",
                firmware="V1",
                channel=self.channels,
            )
            self.say(info.to_bytes(), flow)
        if query.cmd_type == "Catalog":
            self.catalogues += 1
            total = self.channels if self.announced is None else self.announced
            if not self.channels:
                page = CatalogPage(sn=query.sn, device_id=CAMERA, sum_num=total)
                self.say(page.to_bytes(), flow)
            for number in range(self.channels):
                page = CatalogPage(
                    sn=query.sn, device_id=CAMERA, sum_num=total, items=(item(number),)
                )
                self.say(page.to_bytes(), flow)

    def say(self, body: bytes, flow: Flow) -> None:
        assert self.bench.message(body, flow=flow) == 200


@pytest.fixture
def run(virtual: Virtual, make_platform: type[PlatformBench]) -> Callable[..., None]:
    """``run(scenario)``: the scenario gets a bench with one account, and its recorder."""

    def runner(
        scenario: Callable[[PlatformBench, Nvr], Coroutine[Any, Any, None]],
        sync: SyncSettings | None = None,
    ) -> None:
        async def outer() -> None:
            bench = make_platform(ACCOUNT, sync=sync)
            async with bench.running():
                await scenario(bench, Nvr(bench))

        virtual(outer())

    return runner


def names(bench: PlatformBench) -> list[str]:
    return [channel.name for channel in bench.platform.directory.channels(CAMERA)]


def test_after_registration_device_info_then_catalogue(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        assert bench.peers.queries() == ["DeviceInfo", "Catalog"]
        assert names(bench) == [f"camera {n}" for n in range(4)]
        device = bench.device()
        assert (device.details.name, device.details.channels) == ("大厅", 4)
        assert device.profile.name == "tp-link"
        assert not device.send_date
        events = bench.take_events()
        assert [e for e in events if isinstance(e, DeviceDescribed)]
        [report] = [e for e in events if isinstance(e, CatalogSynced)]
        assert (report.complete, report.announced, report.channels) == (True, 4, 4)

    run(scenario)


def test_a_refresh_is_no_reason_to_ask_again(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        for _ in range(5):
            bench.register()
            await asyncio.sleep(30.0)
        assert nvr.catalogues == 1

    run(scenario)


def test_a_reboot_without_an_offline_edge_is_asked_again_after_a_while(
    run: Callable[..., None],
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register(call_id="first")
        for minute in range(12):
            await asyncio.sleep(60.0)
            bench.keepalive(sn=minute)
        bench.register(call_id="second")
        await asyncio.sleep(5.0)
        bench.register(call_id="third")
        await asyncio.sleep(5.0)
        assert nvr.catalogues == 2

    run(scenario)


def test_no_answer_to_device_info_keeps_nobody_from_the_catalogue(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        nvr.answers_info = False
        bench.register()
        await asyncio.sleep(15.0)
        assert len(names(bench)) == 4

    run(scenario)


def test_callers_on_demand_share_one_query(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        reports = await asyncio.gather(*(bench.platform.sync.sync(CAMERA) for _ in range(5)))
        assert nvr.catalogues == 1
        assert {report.channels for report in reports} == {4}
        await bench.platform.sync.sync(CAMERA)
        assert nvr.catalogues == 2

    run(scenario)


def test_offline_and_unknown_devices_cannot_be_asked(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        with pytest.raises(DeviceNotOnline):
            await bench.platform.sync.sync(CAMERA)

    run(scenario)


def test_a_failure_is_told_to_the_caller_and_repeated_later(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.peers.status = 404
        nvr.silent = True
        bench.register()
        with pytest.raises(DeviceRefused, match="404"):
            await bench.platform.sync.sync(CAMERA)
        [failed] = bench.take_events(CatalogSyncFailed)
        assert failed.retry_in == 30.0
        bench.peers.status = 200
        nvr.silent = False
        await asyncio.sleep(31.0)
        assert len(names(bench)) == 4

    run(scenario)


def test_repetitions_grow_rarer(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.peers.status = 500
        nvr.silent = True
        bench.register()
        for minute in range(30):
            await asyncio.sleep(60.0)
            bench.keepalive(sn=minute)
        failures = bench.take_events(CatalogSyncFailed)
        assert [failed.retry_in for failed in failures] == [30.0, 120.0, 600.0, 1800.0]
        assert bench.platform.sync.waiting == 1

    run(scenario)


def test_after_the_last_retry_nothing_waits(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.peers.status = 500
        nvr.silent = True
        bench.register()
        await asyncio.sleep(5.0)
        assert [e.retry_in for e in bench.take_events(CatalogSyncFailed)] == [1.0, None]
        assert bench.platform.sync.waiting == 0
        nvr.silent, bench.peers.status = False, 200
        bench.register(expires="0")
        bench.register()
        await asyncio.sleep(5.0)
        assert len(names(bench)) == 4

    run(scenario, SyncSettings(retries=(1.0,), device_info=False))


def test_row_65_a_partial_answer_is_merged_and_asked_again(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        nvr.channels, nvr.announced = 2, 4
        report = await bench.platform.sync.sync(CAMERA)
        assert (report.complete, report.detail) == (False, "partial answer: gap")
        assert len(names(bench)) == 4  # nothing is lost
        nvr.channels = 4
        await asyncio.sleep(40.0)
        assert bench.platform.sync.waiting == 0

    run(scenario)


def test_row_65_a_sum_that_is_always_too_large_is_believed_the_second_time(
    run: Callable[..., None],
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        nvr.channels, nvr.announced = 3, 4
        await bench.platform.sync.sync(CAMERA)
        await asyncio.sleep(60.0)
        assert names(bench) == ["camera 0", "camera 1", "camera 2"]
        assert bench.platform.sync.waiting == 0
        assert nvr.catalogues == 3

    run(scenario)


def test_an_empty_answer_of_a_starting_recorder_wipes_nothing_at_once(
    run: Callable[..., None],
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        nvr.channels = 0
        report = await bench.platform.sync.sync(CAMERA)
        assert not report.complete
        assert len(names(bench)) == 4
        for _ in range(12):
            await asyncio.sleep(60.0)  # the repetitions after 30 and 150 s say the same
            assert bench.keepalive() == 200
            assert len(names(bench)) == 4
        await asyncio.sleep(60.0)
        assert names(bench) == []  # it goes on saying so: there are none

    run(scenario)


def test_nothing_of_what_was_announced_is_never_a_list(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        nvr.channels, nvr.announced = 0, 4
        await bench.platform.sync.sync(CAMERA)
        await asyncio.sleep(200.0)
        assert nvr.catalogues >= 4
        assert len(names(bench)) == 4

    run(scenario)


def test_a_recorder_that_was_empty_while_it_started_is_asked_again(
    run: Callable[..., None],
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        nvr.channels = 0
        await bench.platform.sync.sync(CAMERA)
        await asyncio.sleep(100.0)
        nvr.channels = 3
        await asyncio.sleep(100.0)
        assert len(names(bench)) == 3

    run(scenario)


def test_a_device_without_channels_is_in_order(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        nvr.channels = 0
        bench.register()
        assert (await bench.platform.sync.sync(CAMERA)).complete

    run(scenario)


def test_what_is_notified_during_the_query_stays(run: Callable[..., None]) -> None:
    added = item(77)

    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(5.0)
        bench.peers.script = lambda query, flow: None
        asking = asyncio.create_task(bench.platform.sync.sync(CAMERA))
        await asyncio.sleep(15.0)  # DeviceInfo has timed out, Catalog is open
        page = CatalogPage(sn=1, device_id=CAMERA, sum_num=1, items=(added,))
        bench.request("NOTIFY", page.to_bytes())
        sn = bench.platform.queries._open[CAMERA, "Catalog"].sn
        whole = tuple(item(number) for number in range(4))
        answer = CatalogPage(sn=sn, device_id=CAMERA, sum_num=4, items=whole)
        nvr.say(answer.to_bytes(), Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060)))
        await asking
        assert names(bench) == ["camera 0", "camera 1", "camera 2", "camera 3", "camera 77"]

    run(scenario)


def test_late_pages_are_merged(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        nvr.announced = 6
        bench.register()
        await asyncio.sleep(20.0)
        assert len(names(bench)) == 4
        sn = next(key[1] for key in bench.platform.queries._late)
        page = CatalogPage(sn=sn, device_id=CAMERA, sum_num=6, items=(item(4), item(5)))
        nvr.say(page.to_bytes(), Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060)))
        assert len(names(bench)) == 6

    run(scenario)


def test_going_offline_ends_a_query_and_coming_back_starts_anew(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        nvr.silent = True
        bench.register()
        asking = asyncio.create_task(bench.platform.sync.sync(CAMERA))
        await asyncio.sleep(2.0)
        bench.register(expires="0")
        with pytest.raises(DeviceNotOnline):
            await asking
        assert bench.platform.sync.waiting == 0
        nvr.silent = False
        bench.register()
        await asyncio.sleep(5.0)
        assert len(names(bench)) == 4

    run(scenario)


def test_many_devices_are_asked_a_few_at_a_time(
    virtual: Virtual, make_platform: type[PlatformBench]
) -> None:
    async def scenario() -> None:
        ids = [f"3402000000118{number:07d}" for number in range(50)]
        bench = make_platform(
            *(DeviceAccount(device_id=i, password="12345678") for i in ids),
            sync=SyncSettings(parallel=5, device_info=False),
        )
        open_now: list[int] = []

        def script(query: ManscdpMessage, flow: Flow) -> None:
            open_now.append(len(bench.platform.queries._open))
            page = CatalogPage(sn=query.sn, device_id=query.device_id, sum_num=1, items=(item(1),))
            bench.message(page.to_bytes(), sender=query.device_id, flow=flow)

        bench.peers.script = script
        async with bench.running():
            for number, device_id in enumerate(ids):
                flow = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 6000 + number))
                assert bench.register(device_id, flow=flow).status == 200
            await asyncio.sleep(30.0)
            assert len(bench.take_events(CatalogSynced)) == 50
            assert max(open_now) == 5

    virtual(scenario())


def test_one_of_a_thousand_is_killed_and_only_its_channels_go_offline(
    virtual: Virtual, make_platform: type[PlatformBench]
) -> None:
    async def scenario() -> None:
        ids = [f"3402000000118{number:07d}" for number in range(1000)]
        flows = {
            device_id: Flow("UDP", ("192.0.2.1", 5060), ("203.0.113.5", 10_000 + number))
            for number, device_id in enumerate(ids)
        }
        bench = make_platform(
            *(DeviceAccount(device_id=i, password="12345678") for i in ids),
            sync=SyncSettings(device_info=False),
        )

        def script(query: ManscdpMessage, flow: Flow) -> None:
            own = int(query.device_id[-7:])
            items = (item(2 * own), item(2 * own + 1))
            page = CatalogPage(sn=query.sn, device_id=query.device_id, sum_num=2, items=items)
            assert bench.message(page.to_bytes(), sender=query.device_id, flow=flow) == 200

        bench.peers.script = script
        async with bench.running():
            for device_id in ids:
                assert bench.register(device_id, flow=flows[device_id]).status == 200
            await asyncio.sleep(30.0)
            victim = ids[417]
            bench.take_events()
            for minute in range(6):
                for device_id in ids:
                    if device_id != victim:
                        assert bench.keepalive(device_id, sn=minute, flow=flows[device_id]) == 200
                await asyncio.sleep(60.0)
            assert [event.device_id for event in bench.take_events()] == [victim]
            channels = [c for i in ids for c in bench.platform.directory.channels(i)]
            assert len(channels) == 2000
            offline = [c for c in channels if not c.online]
            assert {c.device_id for c in offline} == {victim}
            assert len(offline) == 2
            assert bench.take_events(ChannelsChanged) == []

    virtual(scenario())


def test_presence_history_reaches_storage(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        bench.register()
        await asyncio.sleep(1.0)
        bench.register(expires="0")
        await asyncio.sleep(1.0)
        edges = bench.stores.presence.edges  # type: ignore[attr-defined]
        assert [(edge.online, edge.reason) for edge in edges] == [
            (True, "registered"),
            (False, "unregistered"),
        ]

    run(scenario)


def test_a_stop_of_the_platform_ends_every_presence_in_the_history(
    virtual: Virtual, make_platform: type[PlatformBench]
) -> None:
    async def scenario() -> None:
        bench = make_platform(ACCOUNT)
        Nvr(bench)
        async with bench.running():
            bench.register()
            await asyncio.sleep(5.0)
        assert bench.take_events(DeviceOffline) == []  # its plays are not ended by a loss
        edges = bench.stores.presence.edges  # type: ignore[attr-defined]
        assert [(edge.online, edge.reason) for edge in edges] == [
            (True, "registered"),
            (False, "platform stopped"),
        ]

    virtual(scenario())


def test_a_restarted_platform_knows_its_devices_and_channels(
    virtual: Virtual, make_platform: type[PlatformBench]
) -> None:
    async def scenario() -> None:
        first = make_platform(ACCOUNT)
        Nvr(first)
        async with first.running():
            first.register()
            await asyncio.sleep(5.0)
        second = make_platform(stores=first.stores)
        nvr = Nvr(second)
        async with second.running():
            assert len(names(second)) == 4
            assert not second.device().online
            assert second.keepalive() == 200
            assert second.device().online
            await asyncio.sleep(5.0)
            assert nvr.catalogues == 1

    virtual(scenario())


def test_row_63_device_info_in_any_order_and_odd_catalogue_values(run: Callable[..., None]) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        def script(query: ManscdpMessage, flow: Flow) -> None:
            head = f"<SN>{query.sn}</SN><DeviceID>{CAMERA}</DeviceID><CmdType>{query.cmd_type}"
            if query.cmd_type == "DeviceInfo":
                rest = "<Result>OK</Result><Firmware>V4</Firmware><DeviceName>hall</DeviceName>"
            else:
                rest = (
                    "<SumNum>2</SumNum><DeviceList Num='2'><Item><CivilCode>3402000000</CivilCode>"
                    "<DeviceID>34020000001340000001</DeviceID><Name/></Item>"
                    "<Item><Name>gate</Name><DeviceID>34020000001310000001</DeviceID></Item>"
                    "</DeviceList>"
                )
            nvr.say(f"<Response>{head}</CmdType>{rest}</Response>".encode(), flow)

        bench.peers.script = script
        bench.register()
        await asyncio.sleep(5.0)
        assert (bench.device().details.name, bench.device().details.firmware) == ("hall", "V4")
        assert names(bench) == ["", "gate"]

    run(scenario)


def test_row_22_a_device_time_of_any_shape_is_no_reason_to_refuse_the_answer(
    run: Callable[..., None],
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        def script(query: ManscdpMessage, flow: Flow) -> None:
            if query.cmd_type == "DeviceStatus":
                body = (
                    f"<Response><CmdType>DeviceStatus</CmdType><SN>{query.sn}</SN>"
                    f"<DeviceID>{CAMERA}</DeviceID><DeviceTime>2024-5-6 8:1:0.5Z</DeviceTime>"
                    "<Online>ONLINE</Online></Response>"
                )
                nvr.say(body.encode(), flow)

        bench.peers.script = script
        bench.register()
        status = await bench.platform.queries.device_status(bench.device())
        assert status.online == "ONLINE"

    run(scenario)


def test_row_30_requests_leave_from_where_the_register_arrived(run: Callable[..., None]) -> None:
    second_network = Flow("UDP", ("198.51.100.10", 5060), ("198.51.100.20", 5060))

    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        used: list[Flow] = []
        bench.peers.script = lambda query, flow: used.append(flow)
        bench.register(flow=second_network)
        await asyncio.sleep(30.0)
        assert used == [second_network, second_network]
        assert bench.stores.devices.load_bindings()

    run(scenario)


def test_a_bug_in_one_synchronisation_does_not_end_the_others(
    run: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(bench: PlatformBench, nvr: Nvr) -> None:
        def broken(query: ManscdpMessage, flow: Flow) -> None:
            raise RuntimeError("bug")

        bench.peers.script = broken
        bench.register()
        with pytest.raises(RuntimeError):
            await bench.platform.sync.sync(CAMERA)
        Nvr(bench)
        assert (await bench.platform.sync.sync(CAMERA)).channels == 4

    run(scenario, SyncSettings(device_info=False))
