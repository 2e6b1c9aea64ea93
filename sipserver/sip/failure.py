"""Why a request of ours gets no response."""

from __future__ import annotations

from enum import Enum


class Failure(Enum):
    """The words are for people."""

    TIMED_OUT = "no response"
    TRANSPORT = "the message could not be sent"
    CONNECTION_LOST = "the connection was lost"
