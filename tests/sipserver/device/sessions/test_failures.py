from __future__ import annotations

import pytest

from media_relay.errors import NodeClosed, NoPortLeft, NoSsrcLeft, PortInUse
from sipserver.device.errors import DeviceNotOnline, UnknownChannel, UnknownDevice
from sipserver.device.sessions.errors import LimitReached
from sipserver.device.sessions.facts import Ending
from sipserver.device.sessions.failures import MAX_DETAIL, Failure, clean, failure_of
from sipserver.device.sessions.invite import AnswerRefused
from sipserver.sip.errors import LocalError, TooManyTransactions
from sipserver.transport.errors import InviteCancelled, RequestTimedOut, TransportFailed


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (UnknownDevice("1"), Ending.UNKNOWN_CHANNEL),
        (UnknownChannel("1", "2"), Ending.UNKNOWN_CHANNEL),
        (DeviceNotOnline("1"), Ending.NOT_ONLINE),
        (NoSsrcLeft("all"), Ending.NO_SSRC),
        (NoPortLeft("all"), Ending.NO_PORT),
        (PortInUse("30000"), Ending.RECEIVER_FAILED),
        (NodeClosed(), Ending.RECEIVER_FAILED),
        (TimeoutError(), Ending.NO_ANSWER),
        (RequestTimedOut("INVITE"), Ending.NO_ANSWER),
        (TransportFailed("gone"), Ending.SIP_UNREACHABLE),
        (InviteCancelled("cancelled"), Ending.DIALOG_LOST),
        (TooManyTransactions("calls"), Ending.OVERLOADED),
        (LocalError("ACK"), Ending.INTERNAL),
        (ZeroDivisionError("x"), Ending.INTERNAL),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_to_ending(error: Exception, ending: Ending) -> None:
    assert failure_of(error, invite_timeout=15.0).ending is ending


def test_errors_that_know_more() -> None:
    refused = AnswerRefused(Ending.PRIVATE_STREAM, encoding="DAHUA\n")
    assert failure_of(refused, invite_timeout=1.0) == Failure(
        Ending.PRIVATE_STREAM, encoding="DAHUA"
    )
    limit = LimitReached(Ending.DEVICE_LIMIT, 4)
    assert failure_of(limit, invite_timeout=1.0) == Failure(Ending.DEVICE_LIMIT, limit=4)


def test_the_words_of_a_bug_stay_in_the_log() -> None:
    failure = failure_of(ZeroDivisionError("password=1"), invite_timeout=1.0)
    assert failure.detail == "ZeroDivisionError"


def test_a_peers_words_are_short_and_printable() -> None:
    assert clean("Not\r\n\x1b[31mFound ") == "Not   [31mFound"
    assert len(clean("x" * 1000)) == MAX_DETAIL
