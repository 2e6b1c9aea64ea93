"""What a device may do to a call, each ending with a verdict and with nothing held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.wire import read_sdp
from manscdp.notify import MediaStatus
from sdp.gb import Transport
from sdp.offer import parse_offer
from sdp.subject import Subject
from sipserver.device.sessions.errors import PlayFailed
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.live import LiveSessions
from sipserver.device.sessions.state import State
from sipserver.transport.errors import RequestTimedOut, TransportFailed

if TYPE_CHECKING:
    from sipserver.transport.incoming import IncomingRequest
    from tests.sipserver.device.sessions.conftest import FakeCall, World

Device = Callable[["FakeCall"], object]


def play_and_fail(world: World, *, lost: int = 0) -> PlayFailed:
    """Play, expect the failure, and see every lease come back but the test's own."""
    caught: list[PlayFailed] = []

    async def scenario() -> None:
        with pytest.raises(PlayFailed) as info:
            await world.sessions.play(world.DEVICE, world.CHANNEL)
        caught.append(info.value)
        for session in world.sessions:
            await session.released()

    world.run(scenario())
    assert sum(world.leases().values()) == lost
    return caught[0]


def scripted(world: World, device: Device, *, after: float = 0.05) -> None:
    async def run(call: FakeCall) -> None:
        await asyncio.sleep(after)
        device(call)

    world.caller.device = run


# ---------------------------------------------------------------- the request
def test_the_invite_carries_subject_ssrc_and_format(world: World) -> None:
    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL)
        await world.sessions.close()

    world.run(scenario())
    request = world.caller.call.request
    assert request.method == "INVITE"
    assert request.uri == f"sip:{world.CHANNEL}@192.0.2.7:5061"
    assert request.to_uri == f"sip:{world.CHANNEL}@3402000000"
    assert request.from_uri == "sip:34020000002000000001@3402000000"
    subject = Subject.parse(dict(request.headers)["Subject"])
    assert subject == Subject(world.CHANNEL, "0200000001", "34020000002000000001", "0")
    offer = parse_offer(request.body)
    assert (offer.ssrc, offer.port, offer.name) == (200000001, 30000, "Play")
    lines = request.body.decode().split("\r\n")
    assert [line[:2] for line in lines[-3:]] == ["y=", "f=", ""]
    assert "X-GB-Ver" not in dict(request.headers)


def test_an_invite_to_a_2022_device_says_so_and_names_the_stream(world: World) -> None:
    world.targets.change(edition="3.0")

    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL, stream=1)
        await world.sessions.close()

    world.run(scenario())
    request = world.caller.call.request
    assert dict(request.headers)["X-GB-Ver"] == "3.0"
    assert b"a=streamnumber:1\r\n" in request.body


@pytest.mark.parametrize("transport", list(Transport))
def test_the_media_transport_is_the_devices_or_the_callers(
    world: World, transport: Transport
) -> None:
    world.targets.change(transport=transport)

    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        assert session.view().transport is transport
        other = await world.sessions.play(
            world.DEVICE, world.CHANNEL, stream=1, transport=Transport.UDP
        )
        assert other.view().transport is Transport.UDP
        await world.sessions.close()

    world.run(scenario())
    assert parse_offer(world.caller.calls[0].request.body).transport is transport
    assert world.node.receivers[0].transport == transport
    world.assert_nothing_is_held()


def test_a_fresh_ssrc_for_each_invite(world: World) -> None:
    """Quirk row 8: a device that is called again at once still sends the old SSRC."""

    async def scenario() -> None:
        for _ in range(3):
            session = await world.sessions.play(world.DEVICE, world.CHANNEL)
            await world.sessions.stop(session.id)

    world.run(scenario())
    ssrcs = [parse_offer(call.request.body).ssrc for call in world.caller.calls]
    assert len(set(ssrcs)) == 3


def test_a_taken_port_is_passed_over(world: World) -> None:
    world.node.taken_ports = {30000, 30002}

    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        assert session.view().media_port == 30004
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


# --------------------------------------------------------------- before SIP
def test_offline_device(world: World) -> None:
    world.targets.online = False
    assert play_and_fail(world).verdict.code == "device_offline"
    assert world.caller.calls == []


def test_unknown_channel(world: World) -> None:
    world.CHANNEL = "unknown"
    assert play_and_fail(world).verdict.code == "unknown_channel"


def test_no_ssrc_left(world: World) -> None:
    async def use_up() -> None:
        for _ in range(world.ssrcs.available):
            world.ssrcs.lease()

    world.run(use_up())
    assert play_and_fail(world, lost=9999).verdict.code == "no_ssrc"


def test_no_port_left(world: World) -> None:
    async def use_up() -> None:
        for _ in range(world.ports.available):
            world.ports.lease()

    world.run(use_up())
    assert play_and_fail(world, lost=1000).verdict.code == "no_port"


def test_every_port_tried_is_taken(world: World) -> None:
    world.node.taken_ports = set(range(30000, 40000))
    assert play_and_fail(world).verdict.code == "receiver_failed"


def test_a_bug_of_ours_is_a_verdict_too(world: World) -> None:
    world.node.errors = [ZeroDivisionError("nobody expected this")]
    failure = play_and_fail(world)
    assert failure.verdict.code == "internal"
    assert "ZeroDivisionError" in failure.verdict.cause.en


def test_the_devices_session_limit(world: World) -> None:
    world.targets.change(session_limit=2)

    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, "1")
        second = await world.sessions.play(world.DEVICE, "2")
        detach = first.attach()
        second.attach()
        with pytest.raises(PlayFailed, match="carries its 2 allowed"):
            await world.sessions.play(world.DEVICE, "3")
        await world.sessions.play("another device", "3")
        detach()  # unwatched: it gives way before its idle time is over
        third = await world.sessions.play(world.DEVICE, "3")
        assert (first.ending, third.state) == (Ending.IDLE, State.PLAYING)
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_a_picture_that_was_just_delivered_does_not_give_way(world: World) -> None:
    """Its viewer has the play URL and has not opened it yet."""
    world.targets.change(session_limit=1)

    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, "1")
        with pytest.raises(PlayFailed, match="carries its 1 allowed"):
            await world.sessions.play(world.DEVICE, "2")
        world.node.report("viewer_first_byte", stream=first.stream_name, viewer=1)
        world.node.report("viewer_left", stream=first.stream_name, viewer=1)
        await world.sessions.play(world.DEVICE, "2")  # it came and has left
        assert first.ending is Ending.IDLE
        await asyncio.sleep(5)
        await world.sessions.play(world.DEVICE, "3")  # nobody came for the second
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_the_limit_waits_for_a_session_that_is_just_being_released(world: World) -> None:
    world.targets.change(session_limit=1)

    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, "1")
        first.attach()
        first.stop()
        assert (await world.sessions.play(world.DEVICE, "2")).state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_the_platforms_session_limit(make_world: type[World]) -> None:
    world = make_world(max_sessions=1)

    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, "1")
        with pytest.raises(PlayFailed, match="session_limit"):
            await world.sessions.play(world.DEVICE, "2")
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_setups_of_one_device_take_turns(make_world: type[World]) -> None:
    world = make_world(max_setups_per_device=2)

    async def scenario() -> None:
        plays = [
            asyncio.create_task(world.sessions.play(world.DEVICE, str(number)))
            for number in range(6)
        ]
        await asyncio.sleep(0.02)
        assert len(world.caller.calls) == 2
        other = world.sessions.open("another device", "1")
        await asyncio.sleep(0.02)
        assert len(world.caller.calls) == 3
        await asyncio.gather(*plays, other.ready())
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


# ------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, "redirected"),
        (404, "channel_not_found"),
        (480, "channel_offline"),
        (486, "device_busy"),
        (488, "offer_refused"),
        (503, "device_overloaded"),
        (603, "forbidden"),
    ],
)
def test_refused(world: World, status: int, code: str) -> None:
    scripted(world, lambda call: call.reject(status, "Because\r\n"))
    assert play_and_fail(world).verdict.code == code
    [view] = world.sessions.history()
    assert (view.sip_status, view.ended_by) == (status, Ending.REJECTED)
    assert (world.caller.call.acks, world.caller.call.byes) == (0, 0)


def test_no_answer_at_all_is_cancelled_after_15_s(world: World) -> None:
    scripted(world, lambda call: None)
    failure = play_and_fail(world)
    assert failure.verdict.code == "no_answer"
    assert "15 s" in failure.verdict.cause.en
    assert world.caller.call.cancels == 1


@pytest.mark.parametrize("status", [100, 101, 180, 181, 183])
def test_provisional_answers_are_noted_and_not_taken_for_the_answer(
    world: World, status: int
) -> None:
    scripted(world, lambda call: call.provisional(status))
    assert play_and_fail(world).verdict.code == "no_final_answer"
    assert ("trying" if status == 100 else "progress") in world.stage_names()


def test_signalling_that_cannot_be_sent(world: World) -> None:
    scripted(world, lambda call: call.fail(TransportFailed("connection closed")))
    failure = play_and_fail(world)
    assert failure.verdict.code == "sip_unreachable"
    assert "connection closed" in failure.verdict.cause.en


def test_an_invite_that_cannot_even_start(world: World) -> None:
    world.caller.error = TransportFailed("no such flow")
    assert play_and_fail(world).verdict.code == "sip_unreachable"


def test_timer_b_of_the_transaction(world: World) -> None:
    scripted(world, lambda call: call.fail(RequestTimedOut("Timer B")))
    assert play_and_fail(world).verdict.code == "no_answer"


# ------------------------------------------------------------------- answers
def test_an_answer_without_sdp_is_acknowledged_and_ended(world: World) -> None:
    scripted(world, lambda call: call.answer(b""))
    assert play_and_fail(world).verdict.code == "bad_answer"
    assert (world.caller.call.acks, world.caller.call.byes) == (1, 1)


def test_a_bye_that_meets_481_or_silence_is_a_success(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.bye_error = RequestTimedOut("BYE")
        await world.sessions.stop(session.id)
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.bye_takes = 1000.0
        started = asyncio.get_running_loop().time()
        await world.sessions.stop(session.id)
        assert asyncio.get_running_loop().time() - started == pytest.approx(5.0)

    world.run(scenario())
    world.assert_nothing_is_held()


# ----------------------------------------------------------- from the device
def test_bye_before_the_first_packet(world: World) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(0.01)
        call.hang_up()

    world.caller.device = device
    assert play_and_fail(world).verdict.code == "device_bye_at_once"
    assert world.caller.call.byes == 0  # it said BYE itself


def test_bye_before_the_200_was_read(world: World) -> None:
    def device(call: FakeCall) -> None:
        call.answer()
        call.hang_up()

    scripted(world, device)
    assert play_and_fail(world).verdict.code == "device_bye_at_once"


def test_bye_in_mid_play(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.node.report("viewer_first_byte", viewer=1)
        await asyncio.sleep(100)
        world.caller.call.hang_up()
        await session.released()
        assert session.verdict is not None
        assert session.verdict.code == "device_ended"

    world.run(scenario())
    assert world.caller.call.byes == 0
    world.assert_nothing_is_held()


def test_a_lost_dialog_ends_the_session(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.end("connection lost")
        await session.released()
        assert session.verdict is not None
        assert session.verdict.code == "dialog_lost"

    world.run(scenario())
    world.assert_nothing_is_held()


def test_media_status_inside_the_dialog_ends_with_our_bye(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        body = MediaStatus(sn=8, device_id=world.CHANNEL).to_bytes()
        assert world.caller.call.ask("MESSAGE", body).statuses == [200]
        await session.released()

    world.run(scenario())
    assert world.sessions.history()[0].ended_by is Ending.MEDIA_STATUS
    assert world.caller.call.byes == 1
    world.assert_nothing_is_held()


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("INFO", b"PLAY MANSRTSP/1.0\r\n", 200),
        ("OPTIONS", b"", 200),
        ("MESSAGE", b"<Notify><CmdType>Alarm</CmdType><SN>1</SN></Notify>", 200),
        ("MESSAGE", b"no XML", 200),
        ("UPDATE", b"", 405),
        ("INVITE", b"no SDP", 488),
    ],
)
def test_other_requests_inside_the_dialog_change_nothing(
    world: World, method: str, body: bytes, status: int
) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        assert world.caller.call.ask(method, body).statuses == [status]
        assert session.state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())


def test_an_alarm_inside_the_dialog_goes_to_the_router(world: World) -> None:
    passed: list[str] = []

    def router(incoming: IncomingRequest) -> None:
        passed.append(incoming.request.method)
        incoming.respond(403)

    world.sessions = LiveSessions(replace(world.around, pass_on=router))

    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL)
        body = b"<Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>1</DeviceID></Notify>"
        assert world.caller.call.ask("MESSAGE", body).statuses == [403]
        assert world.caller.call.ask("NOTIFY", body).statuses == [403]
        status = MediaStatus(sn=8, device_id=world.CHANNEL).to_bytes()
        assert world.caller.call.ask("MESSAGE", status).statuses == [200]
        await world.sessions.close()

    world.run(scenario())
    assert passed == ["MESSAGE", "NOTIFY"]


def test_a_lease_that_will_not_return_is_counted_and_stops_no_other(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.node.close_error = OSError("the kernel is out of sorts")
        await world.sessions.stop(session.id)

    world.run(scenario())
    assert world.leases() == dict.fromkeys(world.leases(), 0) | {"release failures": 1}
    assert world.caller.call.byes == 1


def test_a_reinvite_of_the_same_media_gets_our_side_of_it_any_other_488(world: World) -> None:
    """Our side has the one payload that was agreed: an answer adds none (RFC 3264 6.1)."""

    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        call = world.caller.call
        same = call.ask("INVITE", call.answer_body())
        sdp = read_sdp(same.body)
        assert (same.statuses, sdp.one("m")) == ([200], "video 30000 RTP/AVP 96")
        assert "recvonly" in sdp.attributes
        again = call.ask("INVITE")  # without an offer: the same again
        assert (again.statuses, again.body) == ([200], same.body)
        assert call.ask("INVITE", call.answer_body(port=20000)).statuses == [488]
        moved = call.answer_body(transport=Transport.TCP_PASSIVE)
        assert call.ask("INVITE", moved).statuses == [488]
        assert session.state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())


def test_a_reinvite_is_answered_with_the_transport_that_the_answer_chose(world: World) -> None:
    world.targets.change(transport=Transport.TCP_PASSIVE)

    async def device(call: FakeCall) -> None:
        call.answer(transport=Transport.UDP)
        await asyncio.sleep(0.1)
        world.node.report(*world.PICTURE)

    world.caller.device = device

    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL)
        call = world.caller.call
        answer = call.ask("INVITE", call.answer_body(transport=Transport.UDP))
        assert read_sdp(answer.body).one("m") == "video 30000 RTP/AVP 96"
        await world.sessions.close()

    world.run(scenario())


# --------------------------------------------------------------------- media
def test_a_way_to_the_device_that_swallows_everything_is_not_the_devices_fault(
    world: World,
) -> None:
    """TCP-active: the tries last longer than the wait for the first packet."""
    world.targets.change(transport=Transport.TCP_ACTIVE)
    scripted(world, lambda call: call.answer())
    verdict = play_and_fail(world).verdict
    assert verdict.code == "connect_unanswered"
    assert "15 s" in verdict.cause.en


def test_no_packet_names_the_port(world: World) -> None:
    scripted(world, lambda call: call.answer())
    failure = play_and_fail(world)
    assert failure.verdict.code == "no_packet_udp"
    assert "30000" in failure.verdict.next_step.zh
    assert world.caller.call.byes == 1


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        (("first_packet",), "no_ps"),
        (("first_packet", "ps_locked"), "no_parameter_sets"),
        (("first_packet", "ps_locked", "parameter_sets"), "no_key_frame"),
    ],
)
def test_no_picture(world: World, reports: tuple[str, ...], code: str) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(0.1)
        world.node.report(*reports)

    world.caller.device = device
    assert play_and_fail(world).verdict.code == code
    assert len(world.key_frames) == 3
    assert world.sessions.stats().key_frame_requests == 3


def test_silence_in_mid_play(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.node.report("silent")
        await session.released()
        assert session.verdict is not None
        assert session.verdict.code == "media_lost"

    world.run(scenario())
    assert world.caller.call.byes == 1
    world.assert_nothing_is_held()


def test_a_key_frame_request_that_fails_or_hangs_does_not_matter(world: World) -> None:
    hanging: list[object] = []

    async def ask(target: object) -> None:
        if not hanging:
            hanging.append(target)
            await asyncio.sleep(3600)
        raise TransportFailed("MESSAGE")

    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(0.1)
        world.node.report("first_packet")
        await asyncio.sleep(5)
        world.node.report("key_frame")

    object.__setattr__(world.around, "request_key_frame", ask)
    world.caller.device = device

    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        assert session.state is State.PLAYING
        await world.sessions.stop(session.id)

    world.run(scenario())
    world.assert_nothing_is_held()
