from __future__ import annotations

from itertools import product

import pytest

from sipserver.device.sessions.errors import IllegalTransition
from sipserver.device.sessions.state import TRANSITIONS, Input, State, advance

LIVING = [state for state in State if state not in (State.RELEASING, State.ENDED)]


def test_the_straight_way() -> None:
    inputs = [
        Input.ADMITTED,
        Input.INVITE_SENT,
        Input.ANSWER_ACCEPTED,
        Input.FIRST_PACKET,
        Input.PLAYABLE,
        Input.END,
        Input.RELEASED,
    ]
    state = State.QUEUED
    seen = [state]
    for event in inputs:
        state = advance(state, event)
        seen.append(state)
    assert seen == list(State)


@pytest.mark.parametrize("state", LIVING)
def test_every_living_state_can_end(state: State) -> None:
    assert advance(state, Input.END) is State.RELEASING


@pytest.mark.parametrize(("state", "event"), sorted(set(product(State, Input)) - set(TRANSITIONS)))
def test_what_is_not_in_the_table_is_a_bug(state: State, event: Input) -> None:
    with pytest.raises(IllegalTransition, match=f"{event.name} in state {state.name}"):
        advance(state, event)
