"""What devices send, from bytes to effect; rows are those of the vendor table, signalling.md 10."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from sipserver.device.accounts import DeviceAccount
from sipserver.device.errors import UnknownDevice
from sipserver.device.events import (
    ChannelsChanged,
    DeviceHealthChanged,
    DeviceOffline,
    DeviceOnline,
    OfflineReason,
    SignallingHint,
)
from sipserver.device.router import RouterSettings
from sipserver.device.throttle import ThrottleSettings
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import PlatformBench

Virtual = Callable[[Coroutine[Any, Any, Any]], Any]
CAMERA = "34020000001320000001"
CHANNEL = "34020000001310000001"
ACCOUNT = DeviceAccount(device_id=CAMERA, password="12345678")
ELSEWHERE = Flow("UDP", ("192.0.2.1", 5060), ("203.0.113.66", 5060))


def catalog(items: str, *, sn: int = 99, sum_num: int = 1, kind: str = "Response") -> str:
    return (
        f"<{kind}><CmdType>Catalog</CmdType><SN>{sn}</SN><DeviceID>{CAMERA}</DeviceID>"
        f"<SumNum>{sum_num}</SumNum><DeviceList Num='1'>{items}</DeviceList></{kind}>"
    )


def item(content: str = "", channel: str = CHANNEL) -> str:
    return f"<Item><DeviceID>{channel}</DeviceID>{content}</Item>"


def names(bench: PlatformBench) -> list[str]:
    return [channel.name for channel in bench.platform.directory.channels(CAMERA)]


class Registered:
    """Runs a scenario with one registered camera."""

    def __init__(self, virtual: Virtual, make_platform: type[PlatformBench]) -> None:
        self._virtual = virtual
        self._make = make_platform

    def __call__(self, scenario: Callable[[PlatformBench], Any], **settings: Any) -> None:
        async def run() -> None:
            bench = self._make(settings.pop("account", ACCOUNT), **settings)
            assert bench.register().status == 200
            bench.events.clear()
            scenario(bench)

        self._virtual(run())


@pytest.fixture
def registered(virtual: Virtual, make_platform: type[PlatformBench]) -> Registered:
    return Registered(virtual, make_platform)


def test_a_keepalive_is_answered_200_without_a_body(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        incoming = bench.request(
            "MESSAGE",
            '<?xml version="1.0" encoding="GB18030"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>'
            f"\r\n<SN>43</SN>\r\n<DeviceID>{CAMERA}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>",
        )
        assert (incoming.answer.status, incoming.answer.body) == (200, b"")
        assert bench.events == []

    registered(scenario)


def test_a_keepalive_tells_of_faulty_sub_devices(registered: Registered) -> None:
    body = (
        f"<Notify><CmdType>Keepalive</CmdType><SN>1</SN><DeviceID>{CAMERA}</DeviceID>"
        f"<Status>ERROR</Status><Info><DeviceID>{CHANNEL}</DeviceID></Info></Notify>"
    )

    def scenario(bench: PlatformBench) -> None:
        assert bench.message(body) == 200
        assert bench.keepalive() == 200
        changes = bench.take_events(DeviceHealthChanged)
        assert [(e.healthy, e.faulty) for e in changes] == [(False, (CHANNEL,)), (True, ())]

    registered(scenario)


def test_an_unknown_sender_is_403_and_creates_nothing(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.keepalive("34020000001320000099", flow=ELSEWHERE) == 403
        with pytest.raises(UnknownDevice):
            bench.device("34020000001320000099")
        assert bench.events == []

    registered(scenario)


def test_an_unknown_sender_is_404_when_configured(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.keepalive("34020000001320000099", flow=ELSEWHERE) == 404
        assert bench.keepalive(CAMERA, flow=ELSEWHERE) == 403

    registered(scenario, router=RouterSettings(unknown_status=404))


def test_row_71_answers_to_unknown_senders_are_limited_per_source(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        statuses = [bench.keepalive(f"scan{n}", flow=ELSEWHERE) for n in range(50)]
        assert statuses == [403] * 5 + [None] * 45
        assert bench.platform.handler.counters.ignored == 45
        assert bench.keepalive() == 200

    registered(scenario, throttle=ThrottleSettings(refusals_burst=5, refusals_per_second=0.1))


def test_a_known_device_from_elsewhere_is_403(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.keepalive(flow=ELSEWHERE) == 403
        assert bench.device().flow != ELSEWHERE

    registered(scenario)


@pytest.mark.parametrize("host", ["3402000000", "198.51.100.10:5060", "x.spvmn.cn"])
def test_row_14_a_message_is_known_by_its_user_part(registered: Registered, host: str) -> None:
    registered(lambda bench: _same(bench.keepalive(host=host), 200))


def _same(value: object, wanted: object) -> None:
    assert value == wanted


def test_row_38_heartbeats_of_a_platform_are_answered_always(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert [bench.keepalive(sn=n) for n in range(20)] == [200] * 20

    registered(scenario)


def test_a_broken_keepalive_is_never_4xx(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.message("<!DOCTYPE x><Notify><CmdType>Keepalive") == 200
        assert bench.platform.handler.counters.malformed == 1

    registered(scenario)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", "Application/MANSCDP+xml", 400),
        ("no xml", "Application/MANSCDP+xml", 400),
        ("<Notify><SN>1</SN></Notify>", "Application/MANSCDP+xml", 400),
        ("v=0", "application/sdp", 415),
        ("<Other><CmdType>x</CmdType></Other>", "text/xml", 400),
    ],
)
def test_bodies_that_are_no_command_are_refused_and_told_once(
    registered: Registered,
    body: str,
    content_type: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.message(body, content_type=content_type) == status
        assert bench.message(body, content_type=content_type) == status
        (hint,) = bench.take_events(SignallingHint)
        assert hint.device_id == CAMERA
        assert "a body that cannot be read: " in hint.text
        assert "(Call-ID call" in hint.text
        assert " MESSAGE)" in hint.text
        assert caplog.messages == [hint.text]

    registered(scenario)


@pytest.mark.parametrize(
    "content_type",
    ["application/manscdp+XML", "Application/MANSCDP+xml;charset=gb2312", "text/xml", "text/plain"],
)
def test_content_types_devices_send(registered: Registered, content_type: str) -> None:
    registered(lambda bench: _same(bench.keepalive(content_type=content_type), 200))


def test_row_12_an_unknown_command_is_200_counted_and_visible(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        for _ in range(3):
            body = f"<Notify><CmdType>SensorCatalog</CmdType><SN>1</SN><DeviceID>{CAMERA}"
            assert bench.message(body + "</DeviceID></Notify>") == 200
        assert bench.platform.handler.commands.unknown == {"Notify SensorCatalog": 3}

    registered(scenario)


def test_names_of_unknown_commands_are_bounded(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        for number in range(500):
            bench.message(f"<Notify><CmdType>X{number}</CmdType><SN>1</SN></Notify>")
        assert len(bench.platform.handler.commands.unknown) == 100

    registered(scenario)


def test_row_1_an_unescaped_ampersand(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.message(catalog(item("<Name>A&B <gate></Name>".replace("<gate>", "")))) == 200
        assert names(bench) == ["A&B"]

    registered(scenario)


def test_row_2_an_address_with_an_angle_bracket(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        body = catalog(item("\n<Name>gate</Name>\n<Address>west < east</Address>\n"))
        assert bench.message(body) == 200
        assert names(bench) == ["gate"]

    registered(scenario)


@pytest.mark.parametrize(
    ("status", "online"),
    [("ON", True), ("ONLINE", True), ("ok", True), ("OFF", False), ("OFFLINE", False), ("", True)],
)
def test_row_4_status_words(registered: Registered, status: str, online: bool) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item(f"<Name>x</Name><Status>{status}</Status>")))
        assert bench.platform.directory.get(CAMERA, CHANNEL).online == online

    registered(scenario)


def test_row_5_parental_65535_means_may_have_children(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item("<Name>x</Name><Parental>65535</Parental>")))
        assert bench.platform.directory.get(CAMERA, CHANNEL).item.parental == 1

    registered(scenario)


@pytest.mark.parametrize(
    ("parent", "parents"),
    [("null", ()), ("", ()), ("a/b/c", ("a", "b", "c")), (CAMERA, (CAMERA,))],
)
def test_rows_6_and_7_parents_are_kept_all(
    registered: Registered, parent: str, parents: tuple[str, ...]
) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item(f"<Name>x</Name><ParentID>{parent}</ParentID>")))
        assert bench.platform.directory.get(CAMERA, CHANNEL).item.parent_ids == parents

    registered(scenario)


def test_row_3_and_50_another_id_from_the_devices_own_address(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        other = "34020000002000000077"
        assert bench.keepalive(other) == 200
        assert bench.keepalive(other) == 200
        assert bench.keepalive(other, flow=ELSEWHERE) == 403
        hints = bench.take_events(SignallingHint)
        assert [hint.kind for hint in hints] == ["alias", "heartbeat ID"]

    registered(scenario)


def test_row_50_without_learning_only_configured_aliases_count(registered: Registered) -> None:
    other = "34020000002000000077"

    def scenario(bench: PlatformBench) -> None:
        assert bench.keepalive(other) == 200
        assert bench.keepalive("34020000002000000078") == 403
        assert bench.take_events(SignallingHint) == []

    registered(
        scenario,
        account=DeviceAccount(device_id=CAMERA, password="12345678", aliases=(other,)),
        router=RouterSettings(learn_aliases=False),
    )


def test_row_50_an_alias_is_not_guessed_where_several_devices_share_a_connection(
    registered: Registered,
) -> None:
    def scenario(bench: PlatformBench) -> None:
        second = "34020000001320000002"
        bench.platform.put_account(DeviceAccount(device_id=second, password="12345678"))
        connection = Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.7", 40000), 3)
        assert bench.register(CAMERA, flow=connection).status == 200
        assert bench.register(second, flow=connection).status == 200
        assert bench.keepalive("34020000002000000077", flow=connection) == 403

    registered(scenario)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_rows_13_and_20_the_charset_is_found_and_remembered(
    registered: Registered, encoding: str
) -> None:
    def scenario(bench: PlatformBench) -> None:
        declared = '<?xml version="1.0" encoding="GB2312"?>'
        body = declared + catalog(item("<Name>南门一号摄像机𠀀</Name>"))
        assert bench.message(body.encode(encoding)) == 200
        assert names(bench) == ["南门一号摄像机𠀀"]
        assert bench.device().details.charset == encoding
        assert bench.platform.registry.get(CAMERA).details.charset == encoding

    registered(scenario)


def test_row_13_the_operator_may_set_the_charset(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        short = catalog(item("<Name>東</Name>")).encode("gb18030")
        assert bench.message(short) == 200
        assert names(bench) == ["東"]

    registered(
        scenario, account=DeviceAccount(device_id=CAMERA, password="12345678", charset="gb18030")
    )


def test_row_21_control_characters_and_text_behind_the_root(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        body = b"\x00\x01 \r\n" + catalog(item("<Name>ga\x02te</Name>")).encode() + b"junk\x00"
        assert bench.message(body) == 200
        assert names(bench) == ["gate"]

    registered(scenario)


def test_row_31_fields_of_info_at_both_places(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        content = "<Name>x</Name><PTZType>1</PTZType><Info><IPAddress>192.0.2.5</IPAddress></Info>"
        bench.message(catalog(item(content)))
        found = bench.platform.directory.get(CAMERA, CHANNEL).item
        assert (found.ptz_type, found.ip_address) == ("1", "192.0.2.5")

    registered(scenario)


def test_row_72_namespaces_and_empty_lists(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        body = catalog(item("<Name>x</Name><Longtitude>118.3</Longtitude>"))
        assert bench.message(body.replace("<Response>", '<Response xmlns="http://x/">')) == 200
        assert names(bench) == ["x"]
        assert bench.platform.directory.get(CAMERA, CHANNEL).item.longitude == 118.3
        empty = catalog("", sum_num=0).replace("Num='1'", "Num='0'")
        assert bench.message(empty) == 200
        assert names(bench) == ["x"]

    registered(scenario)


def test_row_29_unsolicited_responses_are_merged_one_by_one(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item("<Name>one</Name>")))
        other = "34020000001310000002"
        bench.message(catalog(item("<Name>two</Name>", channel=other)))
        assert names(bench) == ["one", "two"]
        assert [event.added for event in bench.take_events(ChannelsChanged)] == [
            (CHANNEL,),
            (other,),
        ]

    registered(scenario)


@pytest.mark.parametrize("method", ["MESSAGE", "NOTIFY"])
def test_catalogue_notifications_with_and_without_a_dialog(
    registered: Registered, method: str
) -> None:
    def scenario(bench: PlatformBench) -> None:
        add = catalog(item("<Event>ADD</Event><Name>one</Name>"), kind="Notify")
        off = catalog(item("<Event>OFF </Event>"), kind="Notify")
        assert bench.request(method, add).answer.status == 200
        assert bench.request(method, off).answer.status == 200
        assert not bench.platform.directory.get(CAMERA, CHANNEL).online

    registered(scenario)


def test_row_8_notified_states_are_ignored_on_request(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item("<Name>one</Name>")))
        bench.request("NOTIFY", catalog(item("<Event>OFF</Event>"), kind="Notify"))
        assert bench.platform.directory.get(CAMERA, CHANNEL).online

    registered(
        scenario,
        account=DeviceAccount(
            device_id=CAMERA, password="12345678", trust_state_notifications=False
        ),
    )


def test_2011_notifies_with_root_response(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.request("NOTIFY", catalog(item("<Name>x</Name>"))).answer.status == 200
        assert names(bench) == ["x"]

    registered(scenario)


def test_notify_without_a_body_or_with_a_strange_one(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        ended = bench.request("NOTIFY", "", "Subscription-State: terminated")
        assert ended.answer.status == 200
        strange = f"<Notify><CmdType>Whatever</CmdType><SN>1</SN><DeviceID>{CAMERA}"
        assert bench.request("NOTIFY", strange + "</DeviceID></Notify>").answer.status == 481
        assert bench.request("NOTIFY", "x", flow=ELSEWHERE).answer.status == 403

    registered(scenario)


@pytest.mark.parametrize(("method", "status"), [("SUBSCRIBE", 489), ("INVITE", 488), ("INFO", 405)])
def test_what_is_not_offered_is_refused_clearly(
    registered: Registered, method: str, status: int
) -> None:
    def scenario(bench: PlatformBench) -> None:
        assert bench.request(method).answer.status == status
        assert bench.request(method, flow=ELSEWHERE).answer.status == 403
        assert bench.request(method, sender="friendly-scanner", flow=ELSEWHERE).answer.status == 403

    registered(scenario)


def test_any_valid_request_is_liveness(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.request("SUBSCRIBE")
        assert bench.platform.presence.get_timer() is not None
        assert bench.device().online

    registered(scenario)


def test_a_lost_connection_is_offline(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        connection = Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.7", 40000), 3)
        bench.register(flow=connection)
        bench.events.clear()
        bench.platform.handler.on_connection_lost(connection, "reset by peer")
        [event] = bench.take_events(DeviceOffline)
        assert event.reason is OfflineReason.CONNECTION_LOST

    registered(scenario)


def test_row_56_a_device_set_to_another_server_id_is_reported_once(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        for _ in range(3):
            assert bench.register(server="34020000002000000009").status == 200
        [hint] = bench.take_events(SignallingHint)
        assert hint.kind == "server ID"
        assert "34020000002000000009" in hint.text
        assert "34020000002000000001" in hint.text

    registered(scenario)


def test_hints_are_bounded(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        for number in range(11_000):
            assert bench.keepalive(f"other{number}") == 200
        assert len(bench.platform.handler._hints._given) == 10_000

    registered(scenario)


def test_the_acknowledgement_of_2016_is_no_catalogue(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        body = f"<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>{CAMERA}</DeviceID>"
        assert bench.message(body + "<Result>OK</Result></Response>") == 200
        assert names(bench) == []

    registered(scenario)


def test_a_later_service_adds_its_commands(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        seen: list[str] = []
        bench.platform.handler.commands.add(
            "Notify", "MediaStatus", lambda device, message, incoming: seen.append(message.cmd_type)
        )
        body = f"<Notify><CmdType>MediaStatus</CmdType><SN>1</SN><DeviceID>{CHANNEL}</DeviceID>"
        # Row 3: From is not the device's ID, but the address is.
        assert bench.message(body + "<NotifyType>121</NotifyType></Notify>", sender=CHANNEL) == 200
        assert seen == ["MediaStatus"]

    registered(scenario)


def test_removing_an_account_ends_everything_of_it(registered: Registered) -> None:
    def scenario(bench: PlatformBench) -> None:
        bench.message(catalog(item("<Name>x</Name>")))
        bench.take_events()
        bench.platform.remove_account(CAMERA)
        [event] = bench.take_events(DeviceOffline)
        assert event.reason is OfflineReason.REMOVED
        assert bench.keepalive() == 403
        assert names(bench) == []
        assert bench.take_events(DeviceOnline) == []

    registered(scenario)
