from __future__ import annotations

import string
from dataclasses import fields, replace

import pytest

from sdp.gb import Transport
from sipserver.device.sessions.facts import WANTED, Ending, Facts
from sipserver.device.sessions.stages import Stage
from sipserver.device.sessions.verdict import ADVICE, RULES, Fault, Text, VerdictCode, judge

ANSWERED = {Stage.INVITE_SENT, Stage.ANSWERED, Stage.SDP_ACCEPTED}
PACKETS = ANSWERED | {Stage.FIRST_PACKET}
PS = PACKETS | {Stage.PS_LOCKED}
SETS = PS | {Stage.PARAMETER_SETS}
PICTURE = SETS | {Stage.KEY_FRAME}

TABLE = [
    # name, ending, stages, further facts, code
    ("device offline", Ending.NOT_ONLINE, set(), {}, "device_offline"),
    ("unknown channel", Ending.UNKNOWN_CHANNEL, set(), {}, "unknown_channel"),
    ("device limit", Ending.DEVICE_LIMIT, set(), {"session_limit": 4}, "device_limit"),
    ("session limit", Ending.SESSION_LIMIT, set(), {}, "session_limit"),
    ("overloaded", Ending.OVERLOADED, set(), {}, "overloaded"),
    ("no SSRC", Ending.NO_SSRC, set(), {}, "no_ssrc"),
    ("no port", Ending.NO_PORT, set(), {}, "no_port"),
    ("receiver", Ending.RECEIVER_FAILED, set(), {"detail": "port taken"}, "receiver_failed"),
    ("SIP path", Ending.SIP_UNREACHABLE, set(), {}, "sip_unreachable"),
    ("nothing at all", Ending.NO_ANSWER, {Stage.INVITE_SENT}, {"waited": 15}, "no_answer"),
    ("100, then nothing", Ending.NO_ANSWER, {Stage.TRYING}, {"waited": 15}, "no_final_answer"),
    ("180, then nothing", Ending.NO_ANSWER, {Stage.PROGRESS}, {"waited": 15}, "no_final_answer"),
    ("302", Ending.REJECTED, set(), {"sip_status": 302}, "redirected"),
    ("400", Ending.REJECTED, set(), {"sip_status": 400}, "bad_request"),
    ("401", Ending.REJECTED, set(), {"sip_status": 401}, "forbidden"),
    ("403", Ending.REJECTED, set(), {"sip_status": 403}, "forbidden"),
    ("404", Ending.REJECTED, set(), {"sip_status": 404}, "channel_not_found"),
    ("408", Ending.REJECTED, set(), {"sip_status": 408}, "lower_side_silent"),
    ("415", Ending.REJECTED, set(), {"sip_status": 415}, "unsupported"),
    ("433", Ending.REJECTED, set(), {"sip_status": 433}, "refused"),
    ("480", Ending.REJECTED, set(), {"sip_status": 480}, "channel_offline"),
    ("486", Ending.REJECTED, set(), {"sip_status": 486}, "device_busy"),
    ("487", Ending.REJECTED, set(), {"sip_status": 487}, "device_cancelled"),
    ("488", Ending.REJECTED, set(), {"sip_status": 488}, "offer_refused"),
    ("500", Ending.REJECTED, set(), {"sip_status": 500}, "device_error"),
    ("503", Ending.REJECTED, set(), {"sip_status": 503}, "device_overloaded"),
    ("504", Ending.REJECTED, set(), {"sip_status": 504}, "lower_side_silent"),
    ("600", Ending.REJECTED, set(), {"sip_status": 600}, "device_busy"),
    ("699", Ending.REJECTED, set(), {"sip_status": 699}, "refused"),
    ("no SDP", Ending.BAD_ANSWER, ANSWERED, {}, "bad_answer"),
    ("port 0", Ending.PORT_ZERO, ANSWERED, {}, "port_refused"),
    ("private", Ending.PRIVATE_STREAM, ANSWERED, {"encoding": "DAHUA"}, "private_stream"),
    ("BYE at once", Ending.DEVICE_BYE, ANSWERED, {}, "device_bye_at_once"),
    ("BYE early", Ending.DEVICE_BYE, PACKETS, {}, "device_bye_before_picture"),
    ("BYE in mid-play", Ending.DEVICE_BYE, PICTURE, {}, "device_ended"),
    ("121", Ending.MEDIA_STATUS, PICTURE, {}, "device_ended"),
    ("offline", Ending.DEVICE_OFFLINE, PICTURE, {}, "device_went_offline"),
    ("dialog lost", Ending.DIALOG_LOST, PICTURE, {}, "dialog_lost"),
    ("TCP refused", Ending.CONNECT_FAILED, ANSWERED, {}, "connect_refused"),
    ("no connection", Ending.NO_PACKET, ANSWERED, {"transport": "tcp-passive"},
     "device_did_not_connect"),
    ("no way to it", Ending.NO_PACKET, ANSWERED, {"transport": "tcp-active", "waited": 15},
     "connect_unanswered"),
    ("connected, silent", Ending.NO_PACKET, ANSWERED | {Stage.CONNECTED},
     {"transport": "tcp-passive"}, "connected_but_silent"),
    ("no packet", Ending.NO_PACKET, ANSWERED, {}, "no_packet_udp"),
    ("wrong SSRC", Ending.NO_PACKET, ANSWERED, {"stray_packets": 9}, "wrong_ssrc"),
    ("no PS", Ending.NO_PICTURE, PACKETS, {}, "no_ps"),
    ("no SPS", Ending.NO_PICTURE, PS, {}, "no_parameter_sets"),
    ("no key frame", Ending.NO_PICTURE, SETS, {}, "no_key_frame"),
    ("encrypted", Ending.NO_PICTURE, SETS, {"encrypted": True}, "encrypted"),
    ("TCP closed", Ending.CONNECTION_CLOSED, PICTURE, {}, "connection_closed"),
    ("silence", Ending.SILENCE, PICTURE, {"waited": 15}, "media_lost"),
    ("bug", Ending.INTERNAL, set(), {}, "internal"),
]  # fmt: skip


def facts_of(ending: Ending, stages: set[Stage], extra: dict[str, object]) -> Facts:
    known = {f.name for f in fields(Facts)}
    assert set(extra) <= known
    facts = Facts(ending=ending, stages=frozenset(stages))
    if "transport" in extra:
        extra = {**extra, "transport": Transport(str(extra["transport"]))}
    return replace(facts, **extra)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ending", "stages", "extra", "code"),
    [row[1:] for row in TABLE],
    ids=[str(row[0]) for row in TABLE],
)
def test_facts_to_verdict(
    ending: Ending, stages: set[Stage], extra: dict[str, object], code: str
) -> None:
    verdict = judge(facts_of(ending, stages, extra))
    assert verdict is not None
    assert verdict.code == code
    for text in (verdict.cause, verdict.next_step):
        assert "{" not in text.en + text.zh


def test_the_table_reaches_every_code() -> None:
    assert {row[4] for row in TABLE} == {code.value for code in VerdictCode}


def test_every_ending_is_wanted_or_has_a_rule() -> None:
    assert set(RULES) | WANTED == set(Ending)
    assert not set(RULES) & WANTED


@pytest.mark.parametrize("ending", sorted(WANTED))
def test_what_somebody_wanted_has_no_verdict(ending: Ending) -> None:
    assert judge(Facts(ending=ending)) is None


def test_every_code_has_its_words_in_both_languages() -> None:
    assert set(ADVICE) == set(VerdictCode)
    for advice in ADVICE.values():
        for text in (advice.cause, advice.next_step):
            assert text.en.isascii()
            assert text.en.endswith(".")
            assert text.zh.endswith("。")
            assert any("\u4e00" <= character <= "\u9fff" for character in text.zh)
            names = [
                {name for _, name, _, _ in string.Formatter().parse(words) if name}
                for words in (text.en, text.zh)
            ]
            assert names[0] == names[1], text.en


def test_numbers_of_the_facts_stand_in_the_words() -> None:
    verdict = judge(Facts(ending=Ending.NO_PACKET, media_port=30012, waited=15.0))
    assert verdict is not None
    assert verdict.fault is Fault.NETWORK
    assert verdict.cause.en == "The device answered, but no media packet came within 15 s."
    assert "30012" in verdict.next_step.en
    assert "30012" in verdict.next_step.zh


def test_a_peers_braces_are_words_and_no_format() -> None:
    evil = "{facts.__class__} {0}"
    verdict = judge(Facts(ending=Ending.REJECTED, sip_status=500, sip_reason=evil))
    assert verdict is not None
    assert evil in verdict.cause.en


def test_fill_leaves_plain_words_alone() -> None:
    text = Text("Play again.", "请重新播放。")
    assert text.fill(Facts(ending=Ending.IDLE)) == text
