"""Whether the server lives and is ready, with reasons."""

from collections.abc import Callable, Mapping

import msgspec

Check = Callable[[], str]
"""Empty: all is well; else one sentence for an operator. Must not wait."""


class ReasonView(msgspec.Struct, frozen=True):
    """One part that is not well."""

    part: str
    reason: str


class HealthView(msgspec.Struct, frozen=True):
    """``ok``, or what is missing."""

    status: str
    """``ok`` or ``not ready``."""
    reasons: list[ReasonView]
    checked: list[str]
    """The parts that were asked."""


def examine(checks: Mapping[str, Check]) -> HealthView:
    reasons = [
        ReasonView(part=part, reason=reason)
        for part, check in checks.items()
        if (reason := check())
    ]
    return HealthView(
        status="not ready" if reasons else "ok", reasons=reasons, checked=list(checks)
    )
