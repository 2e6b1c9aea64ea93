"""REGISTER towards the registrar; the rows are those of the vendor table, signalling.md 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from manscdp.edition import Edition
from sipserver.device.accounts import CommonPassword, DeviceAccount
from sipserver.device.authentication import AuthenticationSettings
from sipserver.device.events import (
    DeviceMoved,
    DeviceOffline,
    DeviceOnline,
    DeviceRegistered,
    OfflineReason,
    RegistrationRefused,
)
from sipserver.device.registration import ExpiryPolicy
from sipserver.device.throttle import ThrottleSettings
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import Bench

CAMERA = "34020000001320000001"
PASSWORD = "12345678"


def udp(host: str = "192.0.2.7", port: int = 5060) -> Flow:
    return Flow("UDP", ("192.0.2.1", 5060), (host, port))


def tcp(connection: int, host: str = "192.0.2.7", port: int = 40000) -> Flow:
    return Flow("TCP", ("192.0.2.1", 5060), (host, port), connection)


def test_four_messages_of_9_1_2_1(bench: Bench) -> None:
    first = bench.send_register()
    assert first.answer.status == 401
    challenge = first.answer.header("WWW-Authenticate")
    assert challenge == 'Digest realm="3402000000",nonce="token2",algorithm=MD5'
    assert not bench.device().online
    second = bench.send_register(authorization=bench.credentials(challenge))
    assert second.answer.status == 200
    assert second.answer.headers == (
        ("Contact", f"<sip:{CAMERA}@192.0.2.7:5060>"),
        ("Expires", "3600"),
        ("Date", "2024-05-06T08:00:00.125"),
        ("X-GB-Ver", "3.0"),
    )
    device = bench.device()
    assert device.online
    assert device.flow == udp()
    assert bench.store.bindings[CAMERA].remote == ("192.0.2.7", 5060)
    assert [type(event) for event in bench.events] == [DeviceOnline, DeviceRegistered]


def test_x_gb_ver_is_read_and_stands_in_every_answer(bench: Bench) -> None:
    for answer in (
        bench.send_register().answer,
        bench.register(password="wrong"),
        bench.register(expires="5"),
        bench.register(contact="*"),
        bench.register(),
        bench.register(expires="0"),
        bench.register("34020000001320000099"),
    ):
        assert answer.header("X-GB-Ver") == "3.0"


@pytest.mark.parametrize(
    ("header", "edition"),
    [
        ((), Edition.GB2016),
        (("X-GB-Ver: 1.0",), Edition.GB2011),
        (("X-GB-ver: 2.0",), Edition.GB2016),
        (("x-gb-ver: 3.0",), Edition.GB2022),
        (("X-GB-Ver: 9.9",), Edition.GB2022),
        (("X-GB-Ver: nonsense",), Edition.GB2016),
    ],
)
def test_row_54_x_gb_ver_decides_what_is_sent_to_the_device(
    bench: Bench, header: tuple[str, ...], edition: Edition
) -> None:
    bench.register(CAMERA, *header)
    assert bench.device().edition == edition


@pytest.mark.parametrize(
    ("expires", "contact", "granted"),
    [
        ("3600", "", "3600"),
        (None, "", "86400"),
        (None, f"<sip:{CAMERA}@192.0.2.7>;expires=1800", "1800"),
        ("7200", f"<sip:{CAMERA}@192.0.2.7>;expires=1800", "7200"),
        ("soon", "", "86400"),
        ("99999999999", "", "86400"),
        ("4294967295", "", "604800"),
        ("60", "", "60"),
        ("3600", None, "3600"),
    ],
)
def test_expires_granted(
    bench: Bench, expires: str | None, contact: str | None, granted: str
) -> None:
    answer = bench.register(expires=expires, contact=contact)
    assert (answer.status, answer.header("Expires")) == (200, granted)


def test_too_short_an_expiry_is_423_by_policy_and_account(make_bench: type[Bench]) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD, strict_expiry=True),
        DeviceAccount(device_id="34020000001320000002", password=PASSWORD),
        expiry=ExpiryPolicy(),
    )
    strict = bench.register(expires="300")
    assert (strict.status, strict.header("Min-Expires")) == (423, "3600")
    assert bench.register("34020000001320000002", expires="300").status == 200
    tolerant = bench.register("34020000001320000002", expires="30")
    assert (tolerant.status, tolerant.header("Min-Expires")) == (423, "60")
    assert not bench.device().online


@pytest.mark.parametrize("contact", ["", "*"])
def test_unregistering_with_expires_0(bench: Bench, contact: str) -> None:
    bench.register()
    bench.take_events()
    answer = bench.register(expires="0", contact=contact)
    assert (answer.status, answer.header("Expires")) == (200, "0")
    assert not bench.device().online
    assert bench.store.bindings == {}
    [event] = bench.take_events()
    assert isinstance(event, DeviceOffline)
    assert event.reason is OfflineReason.UNREGISTERED


def test_expires_0_in_the_contact_parameter_unregisters(bench: Bench) -> None:
    bench.register()
    bench.register(expires=None, contact=f"<sip:{CAMERA}@192.0.2.7:5060>;expires=0")
    assert not bench.device().online


@pytest.mark.parametrize(
    ("contact", "expires"),
    [("*", "3600"), ("*", None), (f"*, <sip:{CAMERA}@192.0.2.7>", "0")],
)
def test_a_wildcard_contact_needs_expires_0_and_no_other(
    bench: Bench, contact: str, expires: str | None
) -> None:
    assert bench.send_register(contact=contact, expires=expires).answer.status == 400


def test_unregistering_a_place_the_device_has_left_leaves_the_new_one(bench: Bench) -> None:
    """The old line's Expires 0 arrives after the device registered over another one."""
    bench.register(flow=udp(), call_id="old")
    bench.register(flow=tcp(7, "198.51.100.4"), call_id="new")
    late = bench.register(flow=udp(), call_id="old", expires="0")
    assert (late.status, late.header("Expires")) == (200, "0")
    assert bench.device().online
    assert bench.device().flow == tcp(7, "198.51.100.4")


@pytest.mark.parametrize(
    ("flow", "call_id", "contact"),
    [
        (tcp(7), "other", "<sip:any@198.51.100.4:1>"),
        (udp(), "new", "<sip:any@198.51.100.4:1>"),
        (udp(), "other", "*"),
        (udp(), "other", None),
        (udp(), "other", "<sip:c@198.51.100.4:5060>"),
    ],
)
def test_unregistering_from_elsewhere_counts_when_it_names_the_binding(
    bench: Bench, flow: Flow, call_id: str, contact: str | None
) -> None:
    bench.register(flow=tcp(7), call_id="new", contact="<sip:c@198.51.100.4:5060>")
    bench.register(flow=flow, call_id=call_id, contact=contact, expires="0")
    assert not bench.device().online


def test_unregistering_is_challenged_too(bench: Bench) -> None:
    bench.register()
    assert bench.send_register(expires="0").answer.status == 401
    assert bench.device().online


def test_refreshes_are_challenged_too(bench: Bench) -> None:
    bench.register()
    assert bench.send_register(call_id=CAMERA).answer.status == 401


def test_a_refresh_is_no_second_online_edge(bench: Bench) -> None:
    bench.register()
    bench.take_events()
    bench.register()
    [event] = bench.take_events()
    assert isinstance(event, DeviceRegistered)
    assert event.refreshed


def test_neither_contact_nor_expires_asks_for_the_binding(bench: Bench) -> None:
    bench.register(expires="1000")
    bench.advance(100)
    answer = bench.register(expires=None, contact=None)
    assert (answer.header("Contact"), answer.header("Expires")) == (
        f"<sip:{CAMERA}@192.0.2.7:5060>",
        "900",
    )


def test_the_newest_authenticated_register_wins_and_is_reported(bench: Bench) -> None:
    bench.register()
    bench.take_events()
    bench.register(flow=udp("198.51.100.9", 7000))
    moved = bench.take_events(DeviceMoved)
    assert [(e.old, e.new) for e in moved if isinstance(e, DeviceMoved)] == [
        ("UDP 192.0.2.7:5060", "UDP 198.51.100.9:7000")
    ]
    assert bench.device().flow == udp("198.51.100.9", 7000)


def test_a_known_call_id_never_skips_the_digest(bench: Bench) -> None:
    bench.register(call_id="known")
    intruder = bench.send_register(call_id="known", flow=udp("203.0.113.66"))
    assert intruder.answer.status == 401
    assert bench.device().flow == udp()


@pytest.mark.parametrize(
    ("flow", "cseq", "call_id", "expires"),
    [
        (udp(), 20, "", "0"),
        (udp(), 21, "", "0"),  # the digest covers neither CSeq nor Call-ID nor Expires
        (udp(), 1, "another", "0"),
        (udp(port=6666), 21, "", "3600"),  # a neighbour behind the same NAT, or a forged source
        (udp("203.0.113.66"), 21, "", "3600"),
    ],
)
def test_credentials_copied_from_the_wire_are_not_accepted_again(
    bench: Bench, flow: Flow, cseq: int, call_id: str, expires: str
) -> None:
    challenge = bench.send_register().answer.header("WWW-Authenticate")
    assert challenge is not None
    authorization = bench.credentials(challenge)
    assert bench.send_register(authorization=authorization, cseq=20).answer.status == 200
    replayed = bench.send_register(
        authorization=authorization, cseq=cseq, call_id=call_id, expires=expires, flow=flow
    ).answer
    assert replayed.status == 401
    assert (replayed.header("WWW-Authenticate") or "").endswith(",stale=true")
    assert bench.device().online
    assert bench.device().flow == udp()


def test_an_old_nonce_is_challenged_as_stale_and_not_counted(bench: Bench) -> None:
    challenge = bench.send_register().answer.header("WWW-Authenticate")
    assert challenge is not None
    authorization = bench.credentials(challenge)
    bench.advance(61)
    for _ in range(10):
        answer = bench.send_register(authorization=authorization).answer
        assert answer.status == 401
        assert (answer.header("WWW-Authenticate") or "").endswith(",stale=true")


def test_a_nonce_we_never_issued_is_never_accepted(bench: Bench) -> None:
    forged = bench.credentials('Digest realm="3402000000",nonce="mine",algorithm=MD5')
    assert bench.send_register(authorization=forged).answer.status == 401
    assert not bench.device().online


def test_a_nonce_of_another_device_is_not_accepted(make_bench: type[Bench]) -> None:
    other = "34020000001320000002"
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        DeviceAccount(device_id=other, password=PASSWORD),
    )
    challenge = bench.send_register(other).answer.header("WWW-Authenticate")
    assert challenge is not None
    answer = bench.send_register(authorization=bench.credentials(challenge)).answer
    assert answer.status == 401


def test_a_wrong_password_is_403_and_after_five_503(bench: Bench) -> None:
    statuses = [bench.register(password="guess").status for _ in range(6)]
    assert statuses == [403, 403, 403, 403, 403, 503]
    blocked = bench.register()
    assert (blocked.status, blocked.header("Retry-After")) == (503, "61")
    bench.advance(61)
    assert bench.register().status == 200


def test_a_made_up_nonce_tells_a_guesser_nothing_and_blocks_nobody(bench: Bench) -> None:
    """Anybody can forge the source address of a datagram; nobody gets the answer to it."""
    challenge = 'Digest realm="3402000000",nonce="mine",algorithm=MD5'
    for password in [*["guess"] * 9, PASSWORD]:
        forged = bench.credentials(challenge, password=password)
        answer = bench.send_register(authorization=forged).answer
        assert answer.status == 401
        assert (answer.header("WWW-Authenticate") or "").endswith(",stale=true")
    assert bench.register().status == 200


def test_made_up_nonces_run_into_the_limit_of_challenges(make_bench: type[Bench]) -> None:
    bench = make_bench(
        throttle=ThrottleSettings(challenges_burst=5, challenges_per_second=0.1),
    )
    forged = bench.credentials('Digest realm="3402000000",nonce="mine",algorithm=MD5')
    statuses = [bench.send_register(authorization=forged).answer.status for _ in range(7)]
    assert statuses == [401] * 5 + [503] * 2


def test_one_guesser_does_not_lock_out_its_neighbours(make_bench: type[Bench]) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        DeviceAccount(device_id="34020000001320000002", password=PASSWORD),
    )
    for _ in range(6):
        bench.register(password="guess")
    assert bench.register("34020000001320000002").status == 200


def test_row_71_unknown_ids_get_the_answers_of_known_ones(bench: Bench) -> None:
    unknown = "34020000001320000099"
    first_known, first_unknown = bench.send_register().answer, bench.send_register(unknown).answer
    assert first_known.status == first_unknown.status == 401
    known = [bench.register(password="guess") for _ in range(6)]
    strange = [bench.register(unknown, password="guess") for _ in range(6)]
    assert [a.status for a in known] == [a.status for a in strange]
    assert [a.headers for a in known] == [a.headers for a in strange]
    assert [a.reason for a in known] == [a.reason for a in strange]
    assert len(bench.registry) == 1


def test_row_71_unknown_ids_are_403_at_once_when_nothing_is_concealed(
    make_bench: type[Bench],
) -> None:
    bench = make_bench(
        authentication=AuthenticationSettings(realm="3402000000", conceal_unknown=False)
    )
    assert bench.send_register().answer.status == 403


def test_row_23_a_flood_of_refused_registers_is_answered_up_to_a_limit(
    make_bench: type[Bench],
) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        throttle=ThrottleSettings(refusals_burst=10, refusals_per_second=0.1),
    )
    answered = sum(len(bench.send_register(f"scan!{number}").answers) for number in range(1000))
    assert answered == 10
    assert bench.registrar.counters.ignored == 990
    assert bench.send_register("scan!").ignored  # and forgotten by the SIP core
    assert len(bench.take_events(RegistrationRefused)) == 10
    assert bench.register().status == 200  # an honest device behind the same address


def test_row_23_registers_without_credentials_run_into_503_then_silence(
    make_bench: type[Bench],
) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        throttle=ThrottleSettings(
            challenges_burst=5, challenges_per_second=0.1, refusals_burst=2, refusals_per_second=0.1
        ),
    )
    statuses = [[a.status for a in bench.send_register().answers] for _ in range(8)]
    assert statuses == [[401]] * 5 + [[503]] * 2 + [[]]


@pytest.mark.parametrize("device_id", ["scan!", "x" * 33, "1234%20"])
def test_impossible_ids_are_403(bench: Bench, device_id: str) -> None:
    assert bench.send_register(device_id).answer.status == 403


def test_strict_ids_are_20_digits(make_bench: type[Bench]) -> None:
    accounts = [DeviceAccount(device_id=i, password=PASSWORD) for i in ("camera1", CAMERA)]
    strict = make_bench(
        *accounts, authentication=AuthenticationSettings(realm="3402000000", strict_ids=True)
    )
    assert strict.register("camera1").status == 403
    assert strict.register(CAMERA).status == 200
    assert make_bench(*accounts).register("camera1").status == 200


def test_unknown_devices_are_denied_by_default(bench: Bench) -> None:
    unknown = "34020000001320000099"
    assert bench.register(unknown, password=PASSWORD).status == 403
    assert bench.registry.find(unknown) is None


def test_a_disabled_account_is_denied(make_bench: type[Bench]) -> None:
    bench = make_bench(DeviceAccount(device_id=CAMERA, password=PASSWORD, enabled=False))
    assert bench.register().status == 403


def test_the_common_password_creates_accounts_in_its_allow_list_only(
    make_bench: type[Bench],
) -> None:
    bench = make_bench(
        common=CommonPassword(password="common", prefixes=("3402000000132",), limit=2)
    )
    assert bench.register(CAMERA, password="guess").status == 403
    assert len(bench.registry) == 0  # nothing is created before the digest was right
    assert bench.register(CAMERA, password="common").status == 200
    assert bench.store.accounts[CAMERA].provisioned is False
    assert bench.register("44010000001320000001", password="common").status == 403
    assert bench.register("34020000001320000002", password="common").status == 200
    assert bench.register("34020000001320000003", password="common").status == 403  # the limit
    assert bench.register(CAMERA, password="common").status == 200


def test_an_own_password_excludes_the_common_one(make_bench: type[Bench]) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        common=CommonPassword(password="common", prefixes=("34",)),
    )
    assert bench.register(password="common").status == 403
    assert bench.register(password=PASSWORD).status == 200


def test_row_19_the_digest_username_may_differ_when_the_account_says_so(
    make_bench: type[Bench],
) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD, username="admin"),
        DeviceAccount(device_id="34020000001320000002", password=PASSWORD),
    )
    assert bench.register(username="admin").status == 200
    assert bench.register(username=CAMERA).status == 200
    assert bench.register("34020000001320000002", username="admin").status == 403


@pytest.mark.parametrize("host", ["3402000000", "198.51.100.10:5060", "34020000.spvmn.cn", "x"])
def test_row_14_host_parts_are_never_compared(bench: Bench, host: str) -> None:
    assert bench.register(from_host=host).status == 200


def test_row_15_a_route_header_is_accepted(bench: Bench) -> None:
    answer = bench.register(CAMERA, "Route: <sip:198.51.100.10:5060;lr>", from_host="192.0.2.1")
    assert answer.status == 200


def test_rows_16_and_27_requests_go_to_the_source_not_to_the_contact(bench: Bench) -> None:
    bench.register(contact=f"<sip:{CAMERA}@10.0.0.5:9999>", flow=udp("192.0.2.7", 41234))
    assert bench.device().flow == udp("192.0.2.7", 41234)


@pytest.mark.parametrize(
    ("account", "agent", "has_date"),
    [
        ({}, "Hikvision", True),
        ({}, "TP-LINK IPC", False),
        ({"send_date": True}, "TP-LINK IPC", True),
        ({"send_date": False}, "Hikvision", False),
    ],
)
def test_row_55_date_can_be_left_out_per_device_and_vendor(
    make_bench: type[Bench], account: dict[str, bool], agent: str, has_date: bool
) -> None:
    bench = make_bench(DeviceAccount(device_id=CAMERA, password=PASSWORD, **account))  # type: ignore[arg-type]
    answer = bench.register(CAMERA, f"User-Agent: {agent}")
    assert (answer.header("Date") is not None) == has_date


def test_row_43_max_forwards_is_not_needed(bench: Bench) -> None:
    assert bench.register(CAMERA).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (("Authorization: Basic abc",), 400),
        (('Authorization: Digest username="x"',), 400),
        (("Contact: <<>>",), 400),
    ],
)
def test_malformed_registers_are_400(bench: Bench, headers: tuple[str, ...], status: int) -> None:
    assert bench.send_register(CAMERA, *headers, contact=None).answer.status == status


def test_sha_256_and_qop_when_configured(make_bench: type[Bench]) -> None:
    bench = make_bench(
        DeviceAccount(device_id=CAMERA, password=PASSWORD),
        authentication=AuthenticationSettings(realm="3402000000", algorithm="SHA-256", qop=True),
    )
    challenge = bench.send_register().answer.header("WWW-Authenticate")
    assert challenge is not None
    assert challenge.endswith('algorithm=SHA-256,qop="auth"')
    assert bench.register().status == 200


def test_no_password_stands_in_a_repr(bench: Bench) -> None:
    bench.register()
    account = DeviceAccount(device_id=CAMERA, password="very secret")
    common = CommonPassword(password="very secret", prefixes=("34",))
    text = repr((account, common, bench.device(), bench.events))
    assert "secret" not in text
    assert PASSWORD not in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_id": ""},
        {"device_id": "a b"},
        {"password": ""},
        {"media_transport": "carrier pigeon"},
        {"edition": "4.0"},
        {"charset": "latin-1"},
        {"stream_selector": "?"},
        {"session_limit": 0},
    ],
)
def test_accounts_refuse_nonsense(wrong: dict[str, str | int]) -> None:
    values = {"device_id": CAMERA, "password": PASSWORD} | wrong
    with pytest.raises(ValueError, match="device"):
        DeviceAccount(**values)  # type: ignore[arg-type]


def test_what_a_scanner_calls_itself_is_fit_for_a_log(bench: Bench) -> None:
    bench.send_register("\x1b[2J" + "x" * 200)
    [event] = bench.take_events(RegistrationRefused)
    assert event.device_id.isprintable()
    assert len(event.device_id) <= 64


def test_a_success_wipes_out_the_failures_before_it(bench: Bench) -> None:
    for _ in range(3):
        statuses = [bench.register(password="typo").status for _ in range(4)]
        assert statuses == [403] * 4
        assert bench.register().status == 200


def test_a_refresh_from_another_place_is_a_new_registration(bench: Bench) -> None:
    bench.register(call_id="same")
    bench.register(call_id="same")
    bench.register(call_id="same", flow=udp(port=6000))
    events = bench.take_events(DeviceRegistered)
    assert [isinstance(e, DeviceRegistered) and e.refreshed for e in events] == [False, True, False]


@pytest.mark.parametrize(
    "contact", ["<sip:\u6444\u50cf\u673a@192.0.2.7>", "<sip:a\x1b[2Jb@192.0.2.7>"]
)
def test_a_contact_that_is_no_plain_text_is_not_repeated(bench: Bench, contact: str) -> None:
    answer = bench.register(contact=contact)
    assert (answer.status, answer.header("Contact")) == (200, None)
