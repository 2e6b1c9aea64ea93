"""Behaviour of real devices that live view must bear, one named test per row of the quirk table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sdp.gb import StreamSelector, Transport
from sdp.payload import recommended
from sipserver.device.sessions.errors import PlayFailed
from sipserver.device.sessions.events import SsrcHabitLearned
from sipserver.device.sessions.state import State
from sipserver.device.sessions.target import SdpProfile, SsrcHabit
from sipserver.device.sessions.view import SessionView

if TYPE_CHECKING:
    from tests.sipserver.device.sessions.conftest import FakeCall, World


def play_once(world: World, device: Any = None, **play: Any) -> SessionView:
    """Play until the picture, stop, and see every lease come back."""
    if device is not None:
        world.caller.device = device
    views: list[SessionView] = []

    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL, **play)
        assert session.state is State.PLAYING
        views.append(session.view())
        await world.sessions.stop(session.id)

    world.run(scenario())
    world.assert_nothing_is_held()
    return views[0]


def fail(world: World, device: Any) -> PlayFailed:
    with pytest.raises(PlayFailed) as info:
        play_once(world, device)
    return info.value


def habits(world: World) -> list[SsrcHabit]:
    return [event.habit for event in world.events if isinstance(event, SsrcHabitLearned)]


def answering(world: World, body: Any = None, *, reports: tuple[str, ...] = (), **changes: Any):  # type: ignore[no-untyped-def]
    async def device(call: FakeCall) -> None:
        await asyncio.sleep(0.05)
        call.answer(body(call) if body else None, **changes)
        await asyncio.sleep(0.05)
        world.node.report(*(reports or world.PICTURE))

    return device


def test_row_1_the_y_of_the_200_wins_and_is_set_before_the_ack(world: World) -> None:
    order: list[str] = []

    async def device(call: FakeCall) -> None:
        receiver = world.node.receiver
        receiver.expect = lambda ssrc: order.append(f"expect {ssrc}")  # type: ignore[method-assign]
        call.ack = lambda *_: order.append("ACK")  # type: ignore[method-assign]
        call.answer(ssrc=123)
        await asyncio.sleep(0.01)
        world.node.report(*world.PICTURE)

    play_once(world, device)
    assert order == ["expect 123", "ACK"]
    assert habits(world) == [SsrcHabit.OWN]


def test_row_2_an_ssrc_that_nobody_announced_is_adopted(world: World) -> None:
    reports = ("first_packet", "ssrc_adopted", "ps_locked", "parameter_sets", "key_frame")
    play_once(world, answering(world, reports=reports))
    assert "ssrc_adopted" in world.stage_names()
    assert habits(world) == [SsrcHabit.OWN]


def test_row_3_zero_is_an_ssrc(world: World) -> None:
    play_once(world, answering(world, ssrc=0))
    assert world.node.receiver.expected == [0]
    assert habits(world) == [SsrcHabit.ZERO]


def test_row_4_without_y_in_the_200_ours_stays(world: World) -> None:
    def body(call: FakeCall) -> bytes:
        return b"\r\n".join(
            line for line in call.answer_body().split(b"\r\n") if not line.startswith(b"y=")
        )

    play_once(world, answering(world, body))
    assert world.node.receiver.expected == []
    assert habits(world) == [SsrcHabit.OBEYS]


def test_row_6_nine_digits_are_a_number(world: World) -> None:
    def body(call: FakeCall) -> bytes:
        return call.answer_body().replace(b"y=0200000001", b"y=200000001")

    play_once(world, answering(world, body))
    assert habits(world) == [SsrcHabit.OBEYS]


def test_row_8_a_new_session_has_a_new_ssrc_and_port(world: World) -> None:
    first = play_once(world)
    second = play_once(world)
    assert first.ssrc != second.ssrc
    assert first.media_port != second.media_port


def test_row_42_a_key_frame_is_asked_for_in_the_devices_edition(world: World) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        world.node.report("first_packet", "ssrc_matched", "ps_locked")
        await asyncio.sleep(3)
        world.node.report("parameter_sets", "key_frame")

    play_once(world, device)
    [target] = world.key_frames
    assert target.edition == "2.0"


def test_row_43_a_private_stream_is_refused_with_its_name(world: World) -> None:
    failure = fail(world, answering(world, encoding="HIKVISION"))
    assert failure.verdict.code == "private_stream"
    assert "HIKVISION" in failure.verdict.cause.zh
    assert (world.caller.call.acks, world.caller.call.byes) == (1, 1)


def test_row_51_the_receiver_listens_before_the_invite_and_media_may_come_first(
    world: World,
) -> None:
    async def device(call: FakeCall) -> None:
        assert [receiver.transport for receiver in world.node.opened.values()] == ["tcp-passive"]
        world.node.report("connected", *world.PICTURE)
        await asyncio.sleep(0.2)
        call.answer()

    play_once(world, device, transport=Transport.TCP_PASSIVE)
    names = world.stage_names()
    assert names.index("key_frame") < names.index("answered")


def test_row_52_the_listener_is_not_reopened_for_another_ssrc(world: World) -> None:
    play_once(world, answering(world, ssrc=77), transport=Transport.TCP_PASSIVE)
    assert world.node.log == ["open tcp-passive", "close tcp-passive"]


@pytest.mark.parametrize(
    ("offered", "answered", "log"),
    [
        (
            Transport.TCP_PASSIVE,
            Transport.UDP,
            ["open tcp-passive", "close tcp-passive", "open udp", "close udp"],
        ),
        (
            Transport.UDP,
            Transport.TCP_PASSIVE,
            ["open udp", "close udp", "open tcp-passive", "close tcp-passive"],
        ),
    ],
)
def test_row_53_another_transport_in_the_answer_is_followed_on_the_same_port(
    world: World, offered: Transport, answered: Transport, log: list[str]
) -> None:
    view = play_once(world, answering(world, transport=answered), transport=offered)
    assert view.transport is answered
    assert {receiver.port for receiver in world.node.receivers} == {30000}
    assert world.node.log == log


def test_row_53_port_zero_is_a_refusal_and_gets_bye(world: World) -> None:
    failure = fail(world, answering(world, port=0))
    assert failure.verdict.code == "port_refused"
    assert (world.caller.call.acks, world.caller.call.byes) == (1, 1)


def test_row_54_an_unspecified_address_is_replaced_by_the_source_of_its_signalling(
    world: World,
) -> None:
    def body(call: FakeCall) -> bytes:
        return call.answer_body().replace(b"IP4 192.0.2.7", b"IP4 0.0.0.0")

    play_once(world, answering(world, body), transport=Transport.TCP_ACTIVE)
    assert world.node.receiver.connections == [("192.0.2.7", 15060)]


def test_row_55_a_device_gets_the_offer_it_understands(world: World) -> None:
    world.targets.change(
        sdp_profile=SdpProfile(payloads=(recommended("PS"),), with_format=False),
        selector=StreamSelector.STREAM_PROFILE,
    )
    play_once(world, stream=1)
    lines = world.caller.call.request.body.decode().split("\r\n")
    assert "m=video 30000 RTP/AVP 96" in lines
    assert "a=streamprofile:1" in lines
    assert lines[-2] == "y=0200000001"


def test_row_57_two_viewers_of_a_channel_are_one_call(world: World) -> None:
    async def scenario() -> None:
        first, second = await asyncio.gather(
            world.sessions.play(world.DEVICE, world.CHANNEL),
            world.sessions.play(world.DEVICE, world.CHANNEL),
        )
        assert first is second
        detach = [first.attach(), second.attach()]
        detach[0]()
        await asyncio.sleep(120)
        assert first.state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())
    assert (len(world.caller.calls), world.caller.call.byes) == (1, 1)


def test_row_63_a_vendors_encryption_is_named(world: World) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(0.1)
        world.node.report("first_packet", "ps_locked")
        world.node.report("quirk", detail="vendor_encrypted")

    failure = fail(world, device)
    assert failure.verdict.code == "encrypted"
    assert world.sessions.history()[0].quirks == ("vendor_encrypted",)


def test_signalling_quirk_69_tcp_active_connects_from_the_offered_port_after_the_ack(
    world: World,
) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(0.01)
        receiver = world.node.receiver
        assert call.acks == 1
        assert receiver.connections == [("192.0.2.7", 15060)]
        world.node.report("connected", *world.PICTURE)

    view = play_once(world, device, transport=Transport.TCP_ACTIVE)
    assert (view.transport, view.media_port) == (Transport.TCP_ACTIVE, 30000)


def test_annex_d_a_media_connection_that_could_not_be_opened_is_named(world: World) -> None:
    world.targets.change(transport=Transport.TCP_ACTIVE)

    async def device(call: FakeCall) -> None:
        call.answer()
        await asyncio.sleep(4)
        detail = "192.0.2.7:15060 (4 tries): connection refused"
        world.node.report("connect_failed", detail=detail)

    failure = fail(world, device)
    assert failure.verdict.code == "connect_refused"
    assert "192.0.2.7:15060 (4 tries)" in failure.verdict.cause.en


def test_row_10_packets_from_elsewhere_are_told_apart_from_no_packets(world: World) -> None:
    async def device(call: FakeCall) -> None:
        call.answer()
        world.node.receiver.wrong_ssrc = 40

    failure = fail(world, device)
    assert failure.verdict.code == "wrong_ssrc"
    assert "40 dropped" in failure.verdict.cause.en
