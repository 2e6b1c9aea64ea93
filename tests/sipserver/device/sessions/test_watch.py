from __future__ import annotations

from dataclasses import dataclass

import pytest

from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.settings import LiveSettings
from sipserver.device.sessions.stages import Stage, StageLog
from sipserver.device.sessions.state import Input
from sipserver.device.sessions.watch import (
    MAX_QUIRKS,
    Action,
    Advance,
    End,
    MediaWatch,
    RequestKeyFrame,
)


@dataclass
class Report:
    kind: str
    at: float
    detail: str = ""
    viewer: int = 0


ACCEPTED = Advance(Input.ANSWER_ACCEPTED)
PACKET = Advance(Input.FIRST_PACKET)
PLAYABLE = Advance(Input.PLAYABLE)


class Bench:
    def __init__(self, settings: LiveSettings | None = None) -> None:
        self.stages = StageLog(now=0.0, wall_clock=0.0)
        self.watch = MediaWatch(settings or LiveSettings(), self.stages)

    def report(self, kind: str, at: float, detail: str = "", viewer: int = 0) -> list[Action]:
        self.watch.receive(Report(kind, at, detail, viewer))
        return self.taken()

    def answer(self, at: float) -> list[Action]:
        self.watch.receive_answer(at)
        return self.taken()

    def timer(self, now: float) -> list[Action]:
        self.watch.handle_timer(now)
        return self.taken()

    def taken(self) -> list[Action]:
        actions, self.watch.actions = self.watch.actions, []
        return actions


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def playing() -> Bench:
    bench = Bench()
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    bench.report("key_frame", 1.5)
    return bench


def test_packets_then_picture(bench: Bench) -> None:
    assert bench.answer(0.0) == [ACCEPTED]
    assert bench.watch.get_timer() == 15.0
    assert bench.report("first_packet", 1.0) == [PACKET]
    assert bench.report("first_packet", 1.1) == []
    assert bench.report("key_frame", 1.5) == [PLAYABLE]
    assert bench.report("key_frame", 1.6) == []
    assert bench.watch.get_timer() == 31.5  # idle: nobody watches yet


def test_media_that_overtakes_the_200_is_held_back(bench: Bench) -> None:
    for kind in ("connected", "first_packet", "ps_locked", "key_frame"):
        assert bench.report(kind, 0.5) == []
    assert bench.answer(1.0) == [ACCEPTED, PACKET, PLAYABLE]
    assert Stage.KEY_FRAME in bench.stages


def test_a_key_frame_alone_proves_packets(bench: Bench) -> None:
    bench.report("key_frame", 0.5)
    assert bench.answer(1.0) == [ACCEPTED, PACKET, PLAYABLE]
    other = Bench()
    other.answer(0.0)
    assert other.report("key_frame", 0.5) == [PACKET, PLAYABLE]


def test_no_first_packet(bench: Bench) -> None:
    bench.answer(2.0)
    assert bench.timer(16.9) == []
    assert bench.timer(17.0) == [End(Ending.NO_PACKET, waited=15.0)]
    assert bench.watch.get_timer() is None


def test_no_picture(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    seen: list[Action] = []
    while (now := bench.watch.get_timer()) is not None:
        seen += bench.timer(now)
    assert seen == [RequestKeyFrame()] * 3 + [End(Ending.NO_PICTURE, waited=20.0)]
    assert now is None


def test_quirk_42_first_frames_are_p_frames_so_a_key_frame_is_asked_for(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    assert bench.timer(2.9) == []
    assert bench.timer(3.0) == [RequestKeyFrame()]
    assert bench.report("key_frame", 3.1) == [PLAYABLE]
    assert bench.timer(5.0) == []
    assert bench.watch.key_frame_requests == 1


def test_key_frame_requests_can_be_switched_off() -> None:
    bench = Bench(LiveSettings(key_frame_requests=0))
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    assert bench.timer(10.0) == []


def test_sound_alone_plays_after_a_moment(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    bench.report("audio", 1.1)
    assert bench.timer(3.9) == [RequestKeyFrame()]
    assert bench.timer(4.0) == [PLAYABLE]


def test_sound_that_comes_late_plays_at_once(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    bench.timer(4.0)
    assert bench.report("audio", 6.0) == [PLAYABLE]


def test_sound_does_not_replace_a_picture_that_is_on_its_way(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 1.0)
    bench.report("parameter_sets", 1.1)
    bench.report("audio", 1.1)
    assert PLAYABLE not in bench.timer(4.0)


def test_silence_ends_a_running_stream_only(bench: Bench, playing: Bench) -> None:
    bench.answer(0.0)
    bench.report("silent", 10.0)
    assert bench.timer(14.9) == []
    playing.watch.hold(1, 1.5)
    assert playing.report("silent", 40.0) == []  # silent since 30.0
    assert playing.report("resumed", 42.0) == []
    assert playing.watch.get_timer() is None
    playing.report("silent", 60.0)
    assert playing.timer(65.0) == [End(Ending.SILENCE, waited=15.0)]


def test_a_connection_that_the_node_could_not_open(bench: Bench) -> None:
    bench.answer(0.0)
    assert bench.report("connect_failed", 6.0, "refused") == [End(Ending.CONNECT_FAILED, "refused")]


def test_a_closed_media_connection_may_come_back(playing: Bench) -> None:
    playing.watch.hold(1, 1.5)
    assert playing.report("disconnected", 10.0) == []
    assert playing.report("connected", 12.0) == []
    assert playing.watch.get_timer() is None
    playing.report("disconnected", 20.0)
    assert playing.timer(23.0) == [End(Ending.CONNECTION_CLOSED)]


@pytest.mark.parametrize("sign_of_life", ["first_packet", "resumed"])
def test_packets_prove_a_connection(playing: Bench, sign_of_life: str) -> None:
    playing.watch.hold(1, 1.5)
    playing.report("disconnected", 10.0)
    playing.report(sign_of_life, 11.0)
    assert playing.watch.get_timer() is None


def test_idle_time_runs_only_while_nobody_watches(playing: Bench) -> None:
    assert playing.watch.get_timer() == 31.5
    playing.report("viewer_first_byte", 5.0, viewer=1)
    assert playing.watch.get_timer() is None
    playing.report("viewer_first_byte", 6.0, viewer=1)  # counted once
    playing.watch.hold(1, 7.0)
    playing.report("viewer_left", 8.0, viewer=1)
    assert playing.watch.get_timer() is None
    playing.watch.hold(-1, 9.0)
    assert playing.timer(39.0) == [End(Ending.IDLE, waited=30.0)]


def test_quirks_are_kept_once_and_bounded(bench: Bench) -> None:
    for number in range(2 * MAX_QUIRKS):
        bench.report("quirk", 1.0, f"quirk {number % MAX_QUIRKS}")
        bench.report("quirk", 1.0, f"more {number}")
    assert len(bench.watch.quirks) == MAX_QUIRKS
    assert len(set(bench.watch.quirks)) == MAX_QUIRKS
    assert not bench.watch.encrypted
    bench.report("quirk", 2.0, "vendor_encrypted")
    assert bench.watch.encrypted


def test_news_that_nobody_here_knows_are_ignored(bench: Bench) -> None:
    assert bench.report("relay_failed", 1.0) == []


def test_two_timers_of_one_moment_end_the_session_once(bench: Bench) -> None:
    bench.answer(0.0)
    bench.report("first_packet", 0.0)
    ends = [action for action in bench.timer(100.0) if isinstance(action, End)]
    assert ends == [End(Ending.NO_PICTURE, waited=20.0)]
