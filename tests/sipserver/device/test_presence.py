"""Online edges and the identity check of signalling.md 3.11, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import DeviceDetails
from sipserver.device.events import (
    DeviceHealthChanged,
    DeviceMoved,
    DeviceOffline,
    DeviceOnline,
    OfflineReason,
    OnlineReason,
)
from sipserver.device.presence import PresenceSettings
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import Bench

CAMERA = "34020000001320000001"
PASSWORD = "12345678"


def udp(host: str = "192.0.2.7", port: int = 5060) -> Flow:
    return Flow("UDP", ("192.0.2.1", 5060), (host, port))


def tcp(connection: int, host: str = "192.0.2.7", port: int = 40000) -> Flow:
    return Flow("TCP", ("192.0.2.1", 5060), (host, port), connection)


def restarted(make_bench: type[Bench], bench: Bench, *, tolerant: bool = True) -> Bench:
    """The same store under a new server, one minute later."""
    return make_bench(
        store=bench.store,
        presence=PresenceSettings(tolerant=tolerant),
        wall=bench.clock.wall() + 60.0,
    )


def keepalive(bench: Bench, flow: Flow, device_id: str = CAMERA) -> bool:
    device = bench.device(device_id)
    admitted = bench.presence.admit(device, flow, bench.now)
    if admitted:
        bench.presence.keepalive(device, bench.now)
    return admitted


def test_missing_heartbeats_take_the_device_offline(bench: Bench) -> None:
    bench.register()
    bench.advance(60)
    assert keepalive(bench, udp())
    bench.take_events()
    bench.advance(239)
    assert bench.device().online
    bench.advance(1)
    [event] = bench.take_events()
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.SILENT
    assert bench.device().flow is None


def test_registration_expires_though_heartbeats_go_on(bench: Bench) -> None:
    bench.register(expires="100")
    for _ in range(10):
        bench.advance(10)
        keepalive(bench, udp())
    bench.advance(10)
    [event] = bench.take_events(DeviceOffline)
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.EXPIRED


def test_a_late_refresh_within_the_margin_is_no_edge(bench: Bench) -> None:
    bench.register(expires="100")
    bench.take_events()
    bench.advance(105)
    bench.register(expires="100")
    assert bench.take_events(DeviceOffline) == []


def test_losing_the_connection_is_offline_at_once(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    bench.take_events()
    bench.presence.connection_lost(tcp(6))
    assert bench.device().online
    bench.presence.connection_lost(tcp(5))
    [event] = bench.take_events()
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.CONNECTION_LOST


def test_losing_a_connection_that_was_replaced_is_nothing(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    bench.register(flow=tcp(6, port=40001))
    bench.take_events()
    bench.presence.connection_lost(tcp(5))
    assert bench.device().online
    assert bench.take_events() == []


# The table of 3.11, row by row; row 1 (unknown ID) is the router's.


def test_after_a_restart_a_heartbeat_from_the_same_address_restores(
    bench: Bench, make_bench: type[Bench]
) -> None:
    bench.register(expires="3600")
    after = restarted(make_bench, bench)
    assert not after.device().online
    assert keepalive(after, udp())
    [event] = after.take_events()
    assert isinstance(event, DeviceOnline)
    assert event.reason is OnlineReason.RESTORED
    for _ in range(70):
        after.advance(60)
        if not after.device().online:
            break
        keepalive(after, udp())
    [event] = after.take_events(DeviceOffline)
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.EXPIRED  # what was left of the registration counts


def test_after_expiry_a_heartbeat_from_the_same_address_restores_until_it_is_silent(
    bench: Bench,
) -> None:
    bench.register(expires="60")
    bench.advance(100)
    assert not bench.device().online
    assert keepalive(bench, udp())
    for _ in range(100):
        bench.advance(60)
        assert keepalive(bench, udp())
    assert bench.device().online
    bench.advance(240)
    assert not bench.device().online


def test_in_strict_mode_only_a_register_brings_it_online(
    bench: Bench, make_bench: type[Bench]
) -> None:
    bench.register()
    after = restarted(make_bench, bench, tolerant=False)
    assert not keepalive(after, udp())
    assert after.register().status == 200
    assert keepalive(after, udp())


def test_after_a_restart_a_new_connection_from_the_registered_host_restores(
    bench: Bench, make_bench: type[Bench]
) -> None:
    bench.register(flow=tcp(5))
    after = restarted(make_bench, bench)
    assert not keepalive(after, tcp(1, "203.0.113.66"))
    assert keepalive(after, tcp(2, port=40077))
    [event] = after.take_events()
    assert isinstance(event, DeviceOnline)
    assert event.reason is OnlineReason.RECONNECTED


@pytest.mark.parametrize("flow", [udp("203.0.113.66"), udp(port=5061), tcp(9), tcp(9, "10.0.0.1")])
def test_after_a_restart_another_source_does_not_restore(
    bench: Bench, make_bench: type[Bench], flow: Flow
) -> None:
    bench.register()
    after = restarted(make_bench, bench)
    assert not keepalive(after, flow)
    assert after.take_events() == []


@pytest.mark.parametrize("flow", [udp("203.0.113.66"), udp(port=5061), tcp(9, "10.0.0.1")])
def test_while_online_another_source_is_refused(bench: Bench, flow: Flow) -> None:
    bench.register()
    bench.take_events()
    assert not keepalive(bench, flow)
    assert bench.device().flow == udp()
    assert bench.take_events() == []


def test_a_nat_rebinding_follows_the_authenticated_refresh(bench: Bench) -> None:
    bench.register()
    rebound = udp(port=61001)
    assert not keepalive(bench, rebound)
    bench.register(flow=rebound)
    assert keepalive(bench, rebound)
    assert not keepalive(bench, udp())


def test_row_28_a_new_connection_from_the_registered_host_is_rebound(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    bench.take_events()
    assert keepalive(bench, tcp(6, port=40001))
    assert bench.device().flow == tcp(6, port=40001)
    assert [type(event) for event in bench.take_events()] == [DeviceMoved]
    bench.presence.connection_lost(tcp(5))
    assert bench.device().online


def test_row_28_after_the_connection_was_lost_a_heartbeat_reconnects(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    bench.presence.connection_lost(tcp(5))
    bench.take_events()
    assert keepalive(bench, tcp(6, port=40001))
    [event] = bench.take_events()
    assert isinstance(event, DeviceOnline)
    assert event.reason is OnlineReason.RECONNECTED


def test_row_28_a_new_connection_from_another_host_is_refused(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    assert not keepalive(bench, tcp(6, "203.0.113.66"))
    bench.presence.connection_lost(tcp(5))
    assert not keepalive(bench, tcp(7, "203.0.113.66"))


def test_row_28_in_strict_mode_a_new_connection_must_register(make_bench: type[Bench]) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        presence=PresenceSettings(tolerant=False),
    )
    bench.register(flow=tcp(5))
    assert not keepalive(bench, tcp(6))


def test_a_tcp_device_is_not_believed_over_udp(bench: Bench) -> None:
    bench.register(flow=tcp(5))
    assert not keepalive(bench, udp())


def test_a_udp_device_may_send_a_large_message_by_tcp_and_stays_where_it_is(bench: Bench) -> None:
    bench.register()
    assert keepalive(bench, tcp(5))
    assert bench.device().flow == udp()


def test_after_unregistering_nothing_but_a_register_counts(bench: Bench) -> None:
    bench.register()
    bench.register(expires="0")
    assert not keepalive(bench, udp())


def test_a_disabled_account_is_offline_and_refused(bench: Bench) -> None:
    bench.register()
    bench.take_events()
    device = bench.registry.put_account(
        DeviceAccount(device_id=CAMERA, password=PASSWORD, enabled=False)
    )
    bench.presence.account_changed(device)
    [event] = bench.take_events()
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.REMOVED
    assert not keepalive(bench, udp())


def test_a_changed_heartbeat_setting_counts_at_once(bench: Bench) -> None:
    bench.register()
    account = DeviceAccount(
        device_id=CAMERA, password=PASSWORD, heartbeat_interval=10.0, heartbeat_misses=2
    )
    bench.presence.account_changed(bench.registry.put_account(account))
    bench.advance(30)
    assert not bench.device().online


def test_health_is_an_event_only_when_it_changes(bench: Bench) -> None:
    bench.register()
    device = bench.device()
    bench.take_events()
    bench.presence.keepalive(device, bench.now, healthy=False, faulty=("x",))
    bench.presence.keepalive(device, bench.now, healthy=False, faulty=("x",))
    bench.presence.keepalive(device, bench.now)
    changes = bench.take_events(DeviceHealthChanged)
    assert [(e.healthy, e.faulty) for e in changes if isinstance(e, DeviceHealthChanged)] == [
        (False, ("x",)),
        (True, ()),
    ]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_one_of_a_thousand_devices_behind_one_address_is_killed(
    make_bench: type[Bench], transport: str
) -> None:
    ids = [f"3402000000132{number:07d}" for number in range(1000)]
    flows = {
        device_id: udp("203.0.113.5", 10_000 + n) if transport == "UDP" else tcp(n + 1, port=n + 1)
        for n, device_id in enumerate(ids)
    }
    bench = make_bench(*(DeviceAccount(device_id=i, password=PASSWORD) for i in ids))
    for device_id in ids:
        assert bench.register(device_id, flow=flows[device_id], expires="86400").status == 200
    assert len(bench.take_events(DeviceOnline)) == 1000
    victim = ids[417]
    for _ in range(10):
        bench.advance(60)
        for device_id in ids:
            if device_id != victim:
                assert keepalive(bench, flows[device_id], device_id)
    [event] = bench.take_events()
    assert isinstance(event, DeviceOffline)
    assert (event.device_id, event.reason) == (victim, OfflineReason.SILENT)
    assert [d.device_id for d in bench.registry if not d.online] == [victim]


def test_several_devices_of_one_connection_fall_together(make_bench: type[Bench]) -> None:
    ids = [f"3402000000132{number:07d}" for number in range(4)]
    bench = make_bench(*(DeviceAccount(device_id=i, password=PASSWORD) for i in ids))
    for device_id in ids:
        bench.register(device_id, flow=tcp(1 if device_id < ids[3] else 2))
    bench.presence.connection_lost(tcp(1))
    assert [d.device_id for d in bench.registry if d.online] == [ids[3]]


def test_nobody_is_watched_who_is_not_there(bench: Bench) -> None:
    bench.register(flow=tcp(7))
    assert len(bench.liveness) == 1
    bench.presence.connection_lost(tcp(7))
    assert len(bench.liveness) == 0
    bench.register(flow=tcp(8))
    bench.presence.removed(bench.device())
    assert len(bench.liveness) == 0


def test_an_unknown_charset_in_the_store_is_learned_anew(make_bench: type[Bench]) -> None:
    bench = make_bench(DeviceAccount(device_id=CAMERA, password=PASSWORD))
    for stored, read in (("klingon", None), ("utf-8", "utf-8")):
        bench.store.save_details(CAMERA, DeviceDetails(charset=stored, name="gate"))
        again = make_bench(store=bench.store)
        assert again.device().details == DeviceDetails(charset=read, name="gate")
