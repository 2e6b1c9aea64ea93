"""The channel list: swapped as a whole, merged in parts, nothing lost and nothing doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from manscdp.catalog import BadItem, CatalogChange, CatalogItem
from sipserver.device.channels import ChannelDirectory, ChannelSettings
from sipserver.device.clock import Clock
from sipserver.device.errors import UnknownChannel
from sipserver.device.events import ChannelsChanged, DeviceEvent
from sipserver.device.memory import MemoryChannelStore

NVR = "34020000001180000001"


def item(number: int, **values: str) -> CatalogItem:
    return CatalogItem(
        **{  # type: ignore[arg-type]
            "device_id": f"3402000000131{number:07d}",
            "name": f"camera {number}",
            "status": "ON",
            **values,
        }
    )


class Bench:
    def __init__(self, store: MemoryChannelStore | None = None, most: int = 1000) -> None:
        self.events: list[DeviceEvent] = []
        self.store = store or MemoryChannelStore()
        self.device_online = True
        self.directory = ChannelDirectory(
            self.store,
            self.events.append,
            Clock(lambda: 0.0, lambda: 0.0),
            lambda device_id: self.device_online,
            most=most,
        )
        self.directory.load()

    def ids(self) -> list[int]:
        return [int(key[-7:]) for key in self.directory.items(NVR)]

    def online(self) -> list[int]:
        return [int(c.channel_id[-7:]) for c in self.directory.channels(NVR) if c.online]

    def take(self) -> list[ChannelsChanged]:
        taken = [event for event in self.events if isinstance(event, ChannelsChanged)]
        self.events.clear()
        return taken


@pytest.fixture
def bench() -> Bench:
    filled = Bench()
    filled.directory.swap(NVR, [item(n) for n in (1, 2, 3)])
    filled.events.clear()
    return filled


def off(number: int) -> CatalogChange:
    return CatalogChange("OFF", item(number, name=""))


def test_a_swap_adds_removes_changes_and_keeps_the_peers_order(bench: Bench) -> None:
    found = [item(4), item(2, name="new name"), item(1, status="OFF")]
    bench.directory.swap(NVR, found)
    assert bench.ids() == [4, 2, 1]
    [event] = bench.take()
    assert event.added == (item(4).device_id,)
    assert event.removed == (item(3).device_id,)
    assert event.changed == (item(2).device_id,)
    assert event.switched_off == (item(1).device_id,)
    assert bench.store.items[NVR] == {i.device_id: i for i in found}


def test_the_same_list_again_is_no_event_and_no_write(bench: Bench) -> None:
    bench.store.items.clear()
    bench.directory.swap(NVR, [item(n) for n in (1, 2, 3)])
    assert bench.events == []
    assert bench.store.items == {}


def test_a_merge_removes_nothing(bench: Bench) -> None:
    bench.directory.merge(NVR, [item(9), item(2, name="new name")])
    assert bench.ids() == [1, 2, 3, 9]
    [event] = bench.take()
    assert (event.cause, event.added, event.changed) == (
        "unsolicited",
        (item(9).device_id,),
        (item(2).device_id,),
    )


def test_a_bad_item_is_kept_aside_and_its_old_state_stays(bench: Bench) -> None:
    bad = BadItem("DeviceID is not 1-32 digits or letters", "34 02", "gate")
    broken = BadItem("Longitude", item(3).device_id, "")
    bench.directory.swap(NVR, [item(1), item(2)], (bad, broken))
    assert bench.ids() == [1, 2, 3]
    assert bench.directory.bad_items(NVR) == (bad, broken)


def test_events_of_annex_n(bench: Bench) -> None:
    bench.directory.apply(
        NVR,
        [
            CatalogChange("ADD", item(4)),
            CatalogChange("UPDATE", item(1, name="new name")),
            CatalogChange("DEL", item(2)),
            CatalogChange("VLOST", item(3)),
            CatalogChange("OFF", item(77)),
        ],
    )
    assert bench.ids() == [1, 3, 4]
    assert bench.online() == [1, 4]
    assert bench.directory.get(NVR, item(3).device_id).item.fault == "VLOST"
    bench.directory.apply(NVR, [CatalogChange("ON", item(3))])
    assert bench.online() == [1, 3, 4]


def test_row_8_states_of_a_peer_that_errs_are_ignored_on_request(bench: Bench) -> None:
    bench.directory.apply(NVR, [off(1), CatalogChange("ADD", item(4))], trust_states=False)
    assert bench.online() == [1, 2, 3, 4]
    bench.directory.apply(NVR, [off(1)])
    assert bench.online() == [2, 3, 4]


def test_a_channel_is_online_only_while_its_device_is(bench: Bench) -> None:
    bench.device_online = False
    assert bench.online() == []
    assert not bench.directory.get(NVR, item(1).device_id).online
    bench.device_online = True
    assert bench.online() == [1, 2, 3]


def test_row_67_off_of_the_devices_own_id_means_all_channels(bench: Bench) -> None:
    own = CatalogItem(device_id=NVR)
    bench.directory.apply(NVR, [CatalogChange("OFF", own)])
    assert bench.online() == []
    [event] = bench.take()
    assert event.switched_off == tuple(item(n).device_id for n in (1, 2, 3))
    bench.directory.apply(NVR, [CatalogChange("ON", own)])
    assert bench.online() == [1, 2, 3]


def test_row_67_a_camera_that_is_its_own_channel(bench: Bench) -> None:
    own = CatalogItem(device_id=NVR, name="camera", status="ON")
    bench.directory.swap(NVR, [own])
    bench.directory.apply(NVR, [CatalogChange("OFF", own)])
    assert not bench.directory.get(NVR, NVR).online
    bench.directory.apply(NVR, [CatalogChange("ON", own)])
    assert bench.directory.get(NVR, NVR).online
    bench.directory.apply(NVR, [CatalogChange("OFF", own)])
    bench.directory.swap(NVR, [own])  # the answer to a query is the newer truth
    assert bench.directory.get(NVR, NVR).online


def test_an_update_without_a_name_does_not_erase_what_is_known(bench: Bench) -> None:
    bench.directory.merge(NVR, [CatalogItem(device_id=item(1).device_id, status="OFF")])
    channel = bench.directory.get(NVR, item(1).device_id)
    assert (channel.name, channel.online) == ("camera 1", False)


def test_what_is_notified_during_a_query_survives_its_answer(bench: Bench) -> None:
    bench.directory.begin(NVR)
    bench.directory.apply(
        NVR, [CatalogChange("ADD", item(9)), off(1), CatalogChange("DEL", item(2))]
    )
    bench.directory.swap(NVR, [item(n) for n in (1, 2, 3)])  # listed before that happened
    assert bench.ids() == [1, 3, 9]
    assert bench.online() == [3, 9]


def test_a_notification_after_the_query_is_not_kept(bench: Bench) -> None:
    bench.directory.begin(NVR)
    bench.directory.end(NVR)
    bench.directory.apply(NVR, [CatalogChange("ADD", item(9))])
    bench.directory.swap(NVR, [item(1)])
    assert bench.ids() == [1]


def test_operator_data_is_apart_from_the_peers_and_outlives_an_absence(bench: Bench) -> None:
    channel_id = item(1).device_id
    bench.directory.set_settings(NVR, channel_id, ChannelSettings(name="South gate"))
    bench.directory.swap(NVR, [item(2)])
    with pytest.raises(UnknownChannel):
        bench.directory.get(NVR, channel_id)
    bench.directory.swap(NVR, [item(1, name="other"), item(2)])
    channel = bench.directory.get(NVR, channel_id)
    assert (channel.name, channel.item.name) == ("South gate", "other")
    restarted = Bench(bench.store)
    assert restarted.directory.get(NVR, channel_id).name == "South gate"
    assert restarted.ids() == [2, 1]


def test_settings_need_a_channel(bench: Bench) -> None:
    with pytest.raises(UnknownChannel):
        bench.directory.set_settings(NVR, "nobody", ChannelSettings())


def test_forgetting_a_device_takes_everything_with_it(bench: Bench) -> None:
    bench.directory.set_settings(NVR, item(1).device_id, ChannelSettings(note="x"))
    bench.directory.forget(NVR)
    assert bench.ids() == []
    assert bench.store.items == {}
    assert bench.store.settings == {}


def test_bad_items_are_bounded(bench: Bench) -> None:
    for number in range(30):
        bench.directory.merge(NVR, [], tuple(BadItem(f"bad {number}") for _ in range(100)))
    assert len(bench.directory.bad_items(NVR)) == 1000


def test_an_unknown_device_has_no_channels() -> None:
    bench = Bench()
    assert bench.directory.channels("x") == []
    assert bench.directory.bad_items("x") == ()
    assert dict(bench.directory.items("x")) == {}


def test_items_of_one_swap_with_one_identifier_are_one_channel(bench: Bench) -> None:
    twice = replace(item(1), name="second")
    bench.directory.swap(NVR, [item(1), twice])
    assert bench.ids() == [1]
    assert bench.directory.get(NVR, item(1).device_id).name == "second"


def test_what_nobody_asked_for_cannot_fill_the_memory() -> None:
    bench = Bench(most=4)
    bench.directory.merge(NVR, [item(n) for n in (1, 2, 3)])
    bench.directory.merge(NVR, [item(n, name="again") for n in (3, 4, 4, 5, 6)])
    assert bench.ids() == [1, 2, 3, 4]
    assert bench.directory.get(NVR, item(3).device_id).name == "again"
    assert [(bad.reason, bad.device_id) for bad in bench.directory.bad_items(NVR)] == [
        ("more channels than the limit", item(n).device_id) for n in (5, 6)
    ]
    changes = [CatalogChange("DEL", item(1)), CatalogChange("OFF", item(2))]
    bench.directory.apply(NVR, changes)
    bench.directory.apply(NVR, [CatalogChange("ADD", item(7))])
    assert bench.ids() == [2, 3, 4, 7]


def test_row_67_a_whole_item_of_the_device_itself_that_is_on_switches_its_channels_on(
    bench: Bench,
) -> None:
    bench.directory.apply(NVR, [CatalogChange("OFF", item(1, device_id=NVR))])
    assert bench.online() == []
    bench.directory.merge(NVR, [item(1, device_id=NVR)])
    assert bench.online() == [1, 2, 3, 1]
