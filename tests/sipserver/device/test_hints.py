from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipserver.device.clock import Clock
from sipserver.device.events import DeviceEvent, SignallingHint
from sipserver.device.hints import Hints
from sipserver.device.registration import RegistrationWish
from sipserver.sip.flow import Flow

if TYPE_CHECKING:
    from tests.sipserver.device.conftest import Bench

CAMERA = "34020000001320000001"
SERVER = "34020000002000000001"


@pytest.mark.parametrize(
    ("server", "sender", "kinds"),
    [
        (SERVER, CAMERA, []),
        ("34020000002000000009", CAMERA, ["server ID"]),
        (SERVER, "34020000001320000002", ["From and To differ"]),
        ("192.0.2.1", "", []),
    ],
)
def test_row_56_mismatches_of_ids_are_told_once(
    bench: Bench, server: str, sender: str, kinds: list[str]
) -> None:
    given: list[DeviceEvent] = []
    hints = Hints(SERVER, given.append, Clock(lambda: 0.0, lambda: 0.0))
    request = bench.incoming(
        f"""REGISTER sip:{server}@3402000000 SIP/2.0
        From: <sip:{sender}@3402000000>;tag=1
        To: <sip:{CAMERA}@3402000000>
        Call-ID: 1
        CSeq: 1 REGISTER""",
        Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.7", 5060)),
    ).request
    wish = RegistrationWish.from_request(request)
    hints.registered(wish)
    hints.registered(wish)
    assert [hint.kind for hint in given if isinstance(hint, SignallingHint)] == kinds


def test_a_name_from_the_wire_is_fit_for_a_terminal(bench: Bench) -> None:
    given: list[DeviceEvent] = []
    hints = Hints(SERVER, given.append, Clock(lambda: 0.0, lambda: 0.0))
    bench.register()
    hints.alias(bench.device(), "\x1b]0;title\x07" + "x" * 100)
    [hint] = given
    assert isinstance(hint, SignallingHint)
    assert hint.text.isprintable()
    assert "x" * 40 not in hint.text
