from __future__ import annotations

from sdp.gb import Transport
from sipserver.device.sessions.facts import Ending, Facts
from sipserver.device.sessions.history import PlayHistory
from sipserver.device.sessions.state import State
from sipserver.device.sessions.verdict import judge
from sipserver.device.sessions.view import SessionView


def view(session_id: str, ending: Ending) -> SessionView:
    return SessionView(
        id=session_id,
        device_id="d",
        channel_id="c",
        stream=0,
        stream_name="d_c_0",
        state=State.ENDED,
        stages=(),
        verdict=judge(Facts(ending=ending)),
        ended_by=ending,
        viewers=0,
        waiting=0,
        requested_by="",
        transport=Transport.UDP,
        media_port=0,
        ssrc="",
        sip_status=0,
        call_id="",
        quirks=(),
        started_at=0.0,
    )


def test_bounded_newest_first_and_counted() -> None:
    history = PlayHistory(2)
    for number, ending in enumerate((Ending.IDLE, Ending.NO_SSRC, Ending.NO_SSRC)):
        history.add(view(str(number), ending))
    assert [one.id for one in history] == ["2", "1"]
    assert (len(history), history.forgotten) == (2, 1)
    assert history.endings == {"idle": 1, "no_ssrc": 2}
    assert history.verdicts == {"no_ssrc": 2}
    found = history.find("1")
    assert found is not None
    assert found.ended_by is Ending.NO_SSRC
    assert history.find("0") is None
