from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sipserver.device.sessions.errors import PlayFailed, PlayStopped, ShuttingDown, UnknownSession
from sipserver.device.sessions.events import LiveEnded, LiveStarted
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.state import State

if TYPE_CHECKING:
    from tests.sipserver.device.sessions.conftest import FakeCall, World


def test_a_play_reaches_its_picture_and_ends_when_nobody_watches(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL, viewer="console")
        assert session.state is State.PLAYING
        assert session.view().requested_by == "console"
        started = asyncio.get_running_loop().time()
        await session.released()
        assert 30.0 <= asyncio.get_running_loop().time() - started < 30.2

    world.run(scenario())
    [view] = world.sessions.history()
    assert (view.ended_by, view.verdict, view.state) == (Ending.IDLE, None, State.ENDED)
    assert [type(event) for event in world.events if not hasattr(event, "habit")] == [
        LiveStarted,
        LiveEnded,
    ]
    assert world.stage_names() == [
        "queued", "invite_sent", "trying", "answered", "sdp_accepted", "first_packet",
        "ssrc_matched", "ps_locked", "parameter_sets", "key_frame", "ended",
    ]  # fmt: skip
    assert (world.caller.call.acks, world.caller.call.byes, world.caller.call.cancels) == (1, 1, 0)
    world.assert_nothing_is_held()


def test_stage_times_are_seconds_since_the_click(world: World) -> None:
    async def scenario() -> None:
        await (await world.sessions.play(world.DEVICE, world.CHANNEL)).released()

    world.run(scenario())
    [view] = world.sessions.history()
    times = {stage.stage.value: stage.seconds for stage in view.stages}
    assert times["trying"] == pytest.approx(0.01)
    assert times["answered"] == times["sdp_accepted"] == pytest.approx(0.05)
    assert times["key_frame"] == pytest.approx(0.1)
    assert view.started_at == pytest.approx(1_714_953_600.0 + 1000.0)


def test_many_callers_share_one_upstream_session(world: World) -> None:
    async def scenario() -> None:
        plays = [world.sessions.play(world.DEVICE, world.CHANNEL) for _ in range(20)]
        sessions = await asyncio.gather(*plays)
        assert len({id(session) for session in sessions}) == 1
        assert await world.sessions.play(world.DEVICE, world.CHANNEL) is sessions[0]
        assert len(world.caller.calls) == 1
        other = await world.sessions.play(world.DEVICE, world.CHANNEL, stream=1)
        assert other is not sessions[0]
        assert len(world.caller.calls) == 2
        await world.sessions.close()

    world.run(scenario())
    assert world.sessions.stats().joined == 20
    world.assert_nothing_is_held()


def test_a_caller_that_leaves_does_not_hurt_the_others(world: World) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        second = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(0.02)
        first.cancel()
        session = await second
        assert session.state is State.PLAYING
        assert first.cancelled()
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_the_last_caller_that_leaves_cancels_the_invite(world: World) -> None:
    async def scenario() -> None:
        play = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(0.02)
        play.cancel()
        await asyncio.sleep(0.001)
        assert world.sessions.stats().active == 0

    world.run(scenario())
    [view] = world.sessions.history()
    assert (view.ended_by, view.verdict) == (Ending.CALLER_LEFT, None)
    assert (world.caller.call.cancels, world.caller.call.byes) == (1, 0)
    world.assert_nothing_is_held()


def test_a_caller_that_leaves_before_the_first_step_leaves_nothing(world: World) -> None:
    async def scenario() -> None:
        session = world.sessions.open(world.DEVICE, world.CHANNEL)
        session.stop()
        await session.released()

    world.run(scenario())
    assert world.caller.calls == []
    world.assert_nothing_is_held()


def test_a_viewer_keeps_the_stream_and_its_leaving_starts_the_idle_time(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.node.report("viewer_first_byte", viewer=7)
        world.node.report("viewer_first_byte", viewer=8)
        assert session.viewers == 2
        await asyncio.sleep(3600)
        world.node.report("viewer_left", viewer=7)
        await asyncio.sleep(60)
        assert session.state is State.PLAYING
        world.node.report("viewer_left", viewer=8)
        await asyncio.sleep(29)
        assert session.state is State.PLAYING
        world.node.report("viewer_first_byte", viewer=9)
        await asyncio.sleep(60)
        world.node.report("viewer_left", viewer=9)
        await asyncio.sleep(31)
        assert session.view().state is State.ENDED

    world.run(scenario())
    world.assert_nothing_is_held()


def test_an_attachment_counts_as_a_viewer_until_it_is_detached(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        detach = session.attach()
        await asyncio.sleep(600)
        assert (session.state, session.viewers) == (State.PLAYING, 1)
        detach()
        detach()
        assert session.viewers == 0
        await session.released()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_stop_is_for_everybody_and_waits_for_the_leases(world: World) -> None:
    async def scenario() -> None:
        session = await world.sessions.play(world.DEVICE, world.CHANNEL)
        view = await world.sessions.stop(session.id)
        assert (view.state, view.ended_by) == (State.ENDED, Ending.STOPPED)
        world.assert_nothing_is_held()
        with pytest.raises(UnknownSession):
            await world.sessions.stop(session.id)
        assert world.sessions.view(session.id) == view
        with pytest.raises(UnknownSession):
            world.sessions.view("never")

    world.run(scenario())


def test_waiting_callers_of_a_stopped_play_are_told(world: World) -> None:
    async def scenario() -> None:
        play = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(0.02)
        [session] = world.sessions
        await world.sessions.stop(session.id)
        with pytest.raises(PlayStopped, match="stopped"):
            await play

    world.run(scenario())
    world.assert_nothing_is_held()


def test_a_play_during_the_release_waits_for_its_end(world: World) -> None:
    """Two INVITEs for one channel would be refused or end each other (quirk row 57)."""

    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.bye_takes = 2.0
        first.stop()
        play = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(1.9)
        assert len(world.caller.calls) == 1
        second = await play
        assert second is not first
        assert second.view().stages[1].seconds >= 2.0
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_a_play_given_up_during_a_release_does_not_let_the_next_one_through(world: World) -> None:
    """The third play must wait for the first one's BYE although the second is gone at once."""

    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.bye_takes = 2.0
        first.stop()
        second = world.sessions.open(world.DEVICE, world.CHANNEL)
        await asyncio.sleep(0.1)
        second.stop()
        await second.released()
        assert first.state is State.RELEASING
        third = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(1.5)
        assert len(world.caller.calls) == 1
        assert (await third).state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_a_play_after_a_cancel_waits_until_the_device_has_given_up_the_first(
    world: World,
) -> None:
    async def scenario() -> None:
        first = world.sessions.open(world.DEVICE, world.CHANNEL)
        await asyncio.sleep(0.02)  # 100 is there, 200 is not
        world.caller.call.cancel_takes = 1.0
        first.stop()
        second = asyncio.create_task(world.sessions.play(world.DEVICE, world.CHANNEL))
        await asyncio.sleep(0.9)
        assert len(world.caller.calls) == 1
        assert (await second).state is State.PLAYING
        await world.sessions.close()

    world.run(scenario())
    assert world.caller.calls[0].cancels == 1
    world.assert_nothing_is_held()


def test_a_cancelled_invite_of_a_device_that_says_nothing_is_not_waited_for(world: World) -> None:
    async def silent(call: FakeCall) -> None:
        call.cancel_takes = 30.0

    world.caller.device = silent

    async def scenario() -> None:
        session = world.sessions.open(world.DEVICE, world.CHANNEL)
        await asyncio.sleep(1)
        session.stop()
        before = asyncio.get_running_loop().time()
        await session.released()
        assert asyncio.get_running_loop().time() == before

    world.run(scenario())
    world.assert_nothing_is_held()


def test_an_offline_device_loses_its_sessions_and_no_others(world: World) -> None:
    async def scenario() -> None:
        mine = await world.sessions.play(world.DEVICE, world.CHANNEL)
        other = await world.sessions.play("34020000001320000002", world.CHANNEL)
        world.caller.calls[0].bye_takes = 100.0
        started = asyncio.get_running_loop().time()
        world.sessions.device_offline(world.DEVICE, "heartbeats missing")
        await mine.released()
        assert asyncio.get_running_loop().time() - started <= 1.0
        assert other.state is State.PLAYING
        assert mine.verdict is not None
        assert mine.verdict.code == "device_went_offline"
        assert "heartbeats missing" in mine.verdict.cause.en
        await world.sessions.close()

    world.run(scenario())
    world.assert_nothing_is_held()


def test_shutdown_says_bye_to_all_within_a_bounded_time(world: World) -> None:
    async def scenario() -> None:
        for number in range(5):
            await world.sessions.play(world.DEVICE, world.CHANNEL, stream=number)
        waiting = asyncio.create_task(world.sessions.play(world.DEVICE, "another"))
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        await world.sessions.close()
        assert asyncio.get_running_loop().time() - started < 1.0
        with pytest.raises(PlayStopped, match="shutdown"):
            await waiting
        with pytest.raises(ShuttingDown):
            world.sessions.open(world.DEVICE, world.CHANNEL)

    world.run(scenario())
    assert [call.byes for call in world.caller.calls[:5]] == [1] * 5
    world.assert_nothing_is_held()


def test_shutdown_abandons_what_does_not_answer(make_world: type[World]) -> None:
    world = make_world(offline_bye_timeout=60.0)

    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL)
        world.caller.call.bye_takes = 100.0
        started = asyncio.get_running_loop().time()
        await world.sessions.close()
        assert asyncio.get_running_loop().time() - started == pytest.approx(5.0)

    world.run(scenario())
    world.assert_nothing_is_held()


def test_the_history_is_bounded_and_counted(make_world: type[World]) -> None:
    world = make_world(history_size=3)
    world.targets.online = False

    async def scenario() -> None:
        for _ in range(5):
            with pytest.raises(PlayFailed):
                await world.sessions.play(world.DEVICE, world.CHANNEL)

    world.run(scenario())
    stats = world.sessions.stats()
    assert [view.id for view in world.sessions.history()] == ["s5", "s4", "s3"]
    assert (stats.forgotten, stats.verdicts, stats.endings) == (
        2,
        {"device_offline": 5},
        {"not_online": 5},
    )


def test_the_closing_of_the_event_loop_returns_the_leases(world: World) -> None:
    async def scenario() -> None:
        await world.sessions.play(world.DEVICE, world.CHANNEL)

    world.run(scenario())  # cancels what still runs
    world.assert_nothing_is_held()


def test_media_status_outside_the_dialog_is_matched_by_call_id_then_by_channel(
    world: World,
) -> None:
    async def scenario() -> None:
        first = await world.sessions.play(world.DEVICE, world.CHANNEL)
        second = await world.sessions.play(world.DEVICE, "34020000001310000002")
        assert not world.sessions.media_status(call_id="other", device_id="other")
        assert not world.sessions.media_status(
            call_id="", device_id=world.CHANNEL, sender_id="34020000001320000099"
        ), "a device must not end the play of another"
        assert not world.sessions.media_status(
            call_id="", device_id=world.CHANNEL, notify_type="999"
        ), "121 is the only value that is defined"
        assert world.sessions.media_status(call_id="call-2", device_id=world.CHANNEL)
        await second.released()
        assert first.state is State.PLAYING
        assert world.sessions.media_status(call_id="", device_id=world.CHANNEL)
        await first.released()

    world.run(scenario())
    assert {view.ended_by for view in world.sessions.history()} == {Ending.MEDIA_STATUS}
    assert [call.byes for call in world.caller.calls] == [1, 1]


def test_reports_of_an_earlier_stream_of_the_same_name_do_not_count(world: World) -> None:
    async def silent(call: FakeCall) -> None:
        call.answer()

    world.caller.device = silent

    async def scenario() -> None:
        session = world.sessions.open(world.DEVICE, world.CHANNEL)
        await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        now, loop.now = loop.time(), 999.0  # type: ignore[attr-defined]
        world.node.report(*world.PICTURE)
        loop.now = now  # type: ignore[attr-defined]
        assert session.state is State.AWAITING_MEDIA
        await session.released()

    world.run(scenario())
