"""What an attacker needs no password for: nothing escapes, nothing stays, nothing takes long."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from sipserver.sip.endpoint import Endpoint
from sipserver.sip.flow import Flow
from sipserver.sip.framing import StreamFramer
from sipserver.sip.message import MAX_LINE_SIZE
from sipserver.sip.writer import mark_via

Build = Callable[..., bytes]

BROKEN_VIAS = [
    'Via: SIP/2.0/UDP a;x="never closed, b\r\n',
    "Via: SIP/2.0/UDP a, <b\r\n",
    "Via: " + "SIP/2.0/UDP a," * 200 + "SIP/2.0/UDP b\r\n",
]


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE", "BYE", "CANCEL", "REFER"])
@pytest.mark.parametrize("line", BROKEN_VIAS)
def test_a_broken_second_via_is_dropped_and_leaves_no_transaction(
    method: str, line: str, endpoint: Endpoint, udp_flow: Flow, device_request: Build
) -> None:
    """An answer repeats every Via, so none can be written: the request is garbage as a whole."""
    endpoint.receive_datagram(device_request(method, headers=line), udp_flow, now=0.0)
    assert endpoint.next_event() is None
    assert endpoint.data_to_send() == []
    assert endpoint.stats().server_transactions == 0
    assert endpoint.stats().malformed == 1


@pytest.mark.parametrize(
    "via",
    [
        b'SIP/2.0/UDP h;branch=z9hG4bKx;rport="' + b" " * MAX_LINE_SIZE + b',"',
        b"SIP/2.0/UDP h" + b";rport" * 1000 + b"=" + b" " * MAX_LINE_SIZE + b'"',
        b"SIP/2.0/UDP h;received" + b" " * MAX_LINE_SIZE + b"x",
        b"SIP/2.0/UDP h" + b"; " * (MAX_LINE_SIZE // 2) + b"rport",
    ],
)
def test_marking_a_hostile_via_takes_linear_time(via: bytes, udp_flow: Flow) -> None:
    started = process_time()
    mark_via(via, udp_flow)
    assert process_time() - started < 0.1  # a quadratic expression needs seconds


@pytest.mark.parametrize("noise", [b"\r\n", b"\r", b"\r\n\r", b"\r\n\0", b"jaK\0\r\n", b"jaK"])
def test_a_line_end_behind_a_message_is_no_unfinished_message(
    noise: bytes, wire: Callable[[str], bytes]
) -> None:
    """Devices that miscount their body by its last line end must not run into the time limit."""
    framer = StreamFramer()
    framer.receive_data(wire("keepalive") + noise)
    assert framer.next_message() == wire("keepalive")
    assert framer.next_message() is None
    assert framer.pending == 0
    framer.receive_data(wire("keepalive") + b"MESS")
    assert framer.next_message() == wire("keepalive")
    assert framer.next_message() is None
    assert framer.pending == 4
