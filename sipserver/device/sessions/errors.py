"""Everything ``sipserver.device.sessions`` may raise.

* :exc:`SessionError`
    * :exc:`PlayFailed`      -- a play came to nothing or ended; ``verdict`` says why and what to do
    * :exc:`PlayStopped`     -- it was stopped on purpose while the caller waited for the picture
    * :exc:`UnknownSession`  -- no session of that id is running
    * :exc:`LimitReached`    -- inside a setup only: callers see a :exc:`PlayFailed`
    * :exc:`ShuttingDown`    -- the platform stops and starts no play any more
    * :exc:`IllegalTransition` -- a bug of ours: an input that the state table does not know
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipserver.device.sessions.facts import Ending
    from sipserver.device.sessions.verdict import Verdict


class SessionError(Exception):
    """Base of every error of the live view."""


class PlayFailed(SessionError):
    """The play came to nothing; the verdict holds code, cause and next step in two languages."""

    def __init__(self, verdict: Verdict, session_id: str) -> None:
        super().__init__(f"{verdict.code.value}: {verdict.cause.en}")
        self.verdict = verdict
        self.session_id = session_id


class PlayStopped(SessionError):
    """Somebody stopped the session, or the platform stops, while the caller waited."""


class UnknownSession(SessionError):
    """No session of that id is running: it never existed or has ended."""


class LimitReached(SessionError):
    """The device or the platform carries no further session."""

    def __init__(self, ending: Ending, limit: int) -> None:
        super().__init__(f"{ending.value}: {limit}")
        self.ending = ending
        self.limit = limit


class ShuttingDown(SessionError):
    """The platform stops and starts no play any more."""


class IllegalTransition(SessionError):
    """The session table has no such transition. Never caught: a bug of ours."""
