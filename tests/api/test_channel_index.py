import time

import pytest

from api.channel_index import ChannelIndex
from manscdp.catalog import CatalogItem
from sipserver.device.channels import Channel, ChannelSettings

PLATFORM = "34020000002000000001"
GROUP = "34020000002150000001"
EAST = "34020000002160000001"
CAMERAS = [f"3402000000132{number:07}" for number in range(1, 5)]


def catalogue() -> list[CatalogItem]:
    return [
        CatalogItem(device_id=GROUP, name="Groups", parent_id=PLATFORM),
        CatalogItem(device_id=EAST, name="East 东区", parent_id=GROUP, business_group_id=GROUP),
        CatalogItem(device_id=CAMERAS[0], name="Gate", parent_id=EAST, status="ON"),
        CatalogItem(device_id=CAMERAS[1], name="Yard", parent_id=EAST, status="OFF"),
        # below two places at once: counted once above both
        CatalogItem(device_id=CAMERAS[2], name="Hall", parent_id=f"{EAST}/{GROUP}", status="ON"),
        CatalogItem(device_id=CAMERAS[3], name="Lone", longitude=117.2, latitude=31.8),
    ]


@pytest.fixture
def index() -> ChannelIndex:
    return ChannelIndex(PLATFORM, catalogue())


def lookup(channel_id: str) -> Channel | None:
    for item in catalogue():
        if item.device_id == channel_id:
            return Channel(PLATFORM, item, ChannelSettings(), item.online)
    return None


def test_each_level_has_its_counts(index: ChannelIndex) -> None:
    assert index.children(PLATFORM) == [GROUP, CAMERAS[3]]
    group = index.view(GROUP, lookup, device_online=True)
    assert (group.kind, group.playable, group.children) == ("group", False, 2)
    assert (group.channels, group.channels_online) == (3, 2)
    assert index.playable == 4


def test_channels_that_go_on_and_off_are_counted_in_place(index: ChannelIndex) -> None:
    index.switch([CAMERAS[0], CAMERAS[0], CAMERAS[1], GROUP, "none"], online=False)
    assert index.view(EAST, lookup, device_online=True).channels_online == 1
    index.switch([CAMERAS[0], CAMERAS[1]], online=True)
    assert index.view(PLATFORM, lookup, device_online=True).channels_online == 4


def test_nothing_is_online_below_a_device_that_is_not(index: ChannelIndex) -> None:
    view = index.view(GROUP, lambda channel_id: None, device_online=False)
    assert (view.online, view.channels_online, view.channels) == (False, 0, 3)


def test_search_finds_ids_and_names(index: ChannelIndex) -> None:
    assert index.search("东区") == [EAST]
    assert index.search("gAtE") == [CAMERAS[0]]
    assert index.search("340200000013200000") == CAMERAS
    assert index.search("none") == []


def test_one_channel_in_full(index: ChannelIndex) -> None:
    view = index.view(CAMERAS[3], lookup, device_online=True)
    assert (view.longitude, view.latitude, view.type) == (117.2, 31.8, "IP camera")
    assert view.playable
    assert index.is_playable(CAMERAS[3])
    assert CAMERAS[3] in index
    assert "none" not in index


def test_what_the_operator_set_wins(index: ChannelIndex) -> None:
    item = catalogue()[-1]
    settings = ChannelSettings(name="Mine", hidden=True, longitude=1.0)
    channel = Channel(PLATFORM, item, settings, True)
    view = index.view(CAMERAS[3], lambda channel_id: channel, device_online=True)
    assert (view.name, view.own_name, view.hidden) == ("Mine", "Lone", True)
    assert (view.longitude, view.latitude) == (1.0, 31.8)


def test_a_camera_that_is_its_own_channel_is_shown() -> None:
    index = ChannelIndex(CAMERAS[0], [CatalogItem(device_id=CAMERAS[0], name="Gate")])
    assert index.children(CAMERAS[0]) == [CAMERAS[0]]


@pytest.mark.slow
def test_a_search_of_100000_channels_is_quick() -> None:
    items = [CatalogItem(device_id=f"3402000000132{n:07}", name=f"c{n}") for n in range(100_000)]
    index = ChannelIndex(PLATFORM, items)
    started = time.process_time()
    found = index.search("c99999")
    assert time.process_time() - started < 0.1
    assert len(found) == 1
    assert len(index.children(PLATFORM)) == 100_000
