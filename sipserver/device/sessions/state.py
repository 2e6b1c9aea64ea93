"""The life of a live session, as one table.

::

    QUEUED --admitted--> OPENING --invite sent--> INVITING --answer accepted--> AWAITING_MEDIA
    AWAITING_MEDIA --first packet--> BUFFERING --playable--> PLAYING
    any of them --end--> RELEASING --released--> ENDED

Media may overtake the 200 (quirk row 51: a device connects right after its answer, before our ACK);
:mod:`watch` notes the stage at once and holds the input back until the answer is accepted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sipserver.device.sessions.errors import IllegalTransition


class State(StrEnum):
    QUEUED = "queued"
    OPENING = "opening"  # SSRC, port and receiver are being taken
    INVITING = "inviting"
    AWAITING_MEDIA = "awaiting_media"  # answered and acknowledged, no packet yet
    BUFFERING = "buffering"  # packets, nothing that a viewer could start with yet
    PLAYING = "playing"
    RELEASING = "releasing"  # BYE or CANCEL, then every lease in reverse order
    ENDED = "ended"


class Input(StrEnum):
    ADMITTED = "admitted"
    INVITE_SENT = "invite_sent"
    ANSWER_ACCEPTED = "answer_accepted"
    FIRST_PACKET = "first_packet"
    PLAYABLE = "playable"
    END = "end"
    RELEASED = "released"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.QUEUED, Input.ADMITTED): State.OPENING,
    (State.OPENING, Input.INVITE_SENT): State.INVITING,
    (State.INVITING, Input.ANSWER_ACCEPTED): State.AWAITING_MEDIA,
    (State.AWAITING_MEDIA, Input.FIRST_PACKET): State.BUFFERING,
    (State.BUFFERING, Input.PLAYABLE): State.PLAYING,
    (State.QUEUED, Input.END): State.RELEASING,
    (State.OPENING, Input.END): State.RELEASING,
    (State.INVITING, Input.END): State.RELEASING,
    (State.AWAITING_MEDIA, Input.END): State.RELEASING,
    (State.BUFFERING, Input.END): State.RELEASING,
    (State.PLAYING, Input.END): State.RELEASING,
    (State.RELEASING, Input.RELEASED): State.ENDED,
}


def advance(state: State, event: Input) -> State:
    """The next state. :raises IllegalTransition: when the table has none"""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event.name} in state {state.name}") from None
