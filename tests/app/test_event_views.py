from api.events import EventView
from app.event_views import device_event_view, live_event_view
from sdp.gb import Transport
from sipserver.device.events import (
    ChannelsChanged,
    DeviceOffline,
    DeviceRegistered,
    OfflineReason,
)
from sipserver.device.sessions.events import LiveEnded, LiveStarted, SsrcHabitLearned
from sipserver.device.sessions.state import State
from sipserver.device.sessions.target import SsrcHabit
from sipserver.device.sessions.view import SessionView


def test_a_device_event_keeps_its_words() -> None:
    view = device_event_view(DeviceOffline(device_id="1", at=2.0, reason=OfflineReason.SILENT))
    expected = EventView(
        type="device_offline", at=2.0, device_id="1", data={"reason": "heartbeats missing"}
    )
    assert view == expected


def test_long_lists_become_their_length() -> None:
    event = ChannelsChanged(
        device_id="1", at=0.0, cause="sync", added=tuple("x" * 51), removed=("a",)
    )
    view = device_event_view(event)
    assert view is not None
    assert view.data["added"] == {"count": 51}
    assert view.data["removed"] == ["a"]


def test_a_refresh_is_no_news() -> None:
    event = DeviceRegistered(
        device_id="1", at=0.0, source="UDP x", expires=1, refreshed=True, edition="3.0"
    )
    assert device_event_view(event) is None


def session() -> SessionView:
    return SessionView(
        id="s",
        device_id="d",
        channel_id="c",
        stream=0,
        stream_name="d_c_0",
        state=State.PLAYING,
        stages=(),
        verdict=None,
        ended_by=None,
        viewers=1,
        waiting=0,
        requested_by="",
        transport=Transport.UDP,
        media_port=30000,
        ssrc="0200000001",
        sip_status=200,
        call_id="x",
        quirks=(),
        started_at=1.0,
    )


def test_sessions_start_and_end() -> None:
    started = live_event_view(LiveStarted(session(), 3.0))
    ended = live_event_view(LiveEnded(session(), 4.0))
    assert started is not None
    assert ended is not None
    assert (started.type, started.at, started.device_id) == ("session_started", 3.0, "d")
    assert (ended.type, ended.data["state"]) == ("session_ended", "playing")
    assert live_event_view(SsrcHabitLearned("d", SsrcHabit.OWN, 5.0)) is None
