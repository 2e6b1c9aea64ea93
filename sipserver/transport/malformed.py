"""What could not be read is logged once per peer, so that somebody can look for the cause.

A flood from forged sources writes one line a second at most; all of it is counted elsewhere.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from sipserver.sip.errors import RemoteError
from sipserver.sip.flow import Flow

MAX_PEERS: Final = 1_024
"""Peers whose line was written; the oldest is forgotten."""
LINE_INTERVAL: Final = 1.0
"""Seconds between two lines, whoever the peers are."""
_HEAD_SIZE: Final = 4_096
_MAX_SHOWN: Final = 128
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*+:[ \t]*+([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(rb"^cseq[ \t]*+:[ \t]*+([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")

_log = logging.getLogger(__name__)


class MalformedLog:
    """Peer, reason, Call-ID and CSeq; never another header or a body."""

    def __init__(self) -> None:
        self._peers: dict[str, None] = {}
        self._silent_until = 0.0

    def note(self, data: bytes, flow: Flow, error: RemoteError, now: float) -> None:
        host, port = flow.remote
        if host in self._peers or now < self._silent_until:
            return
        if len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[host] = None
        self._silent_until = now + LINE_INTERVAL
        head = _END_OF_HEAD.split(data[:_HEAD_SIZE], 1)[0]
        _log.warning(
            "malformed SIP message from %s %s:%d: %s (Call-ID %s, CSeq %s); "
            "further ones of this peer are only counted",
            flow.transport,
            host,
            port,
            error.reason[:_MAX_SHOWN],
            _shown(_CALL_ID.search(head)),
            _shown(_CSEQ.search(head)),
        )


def _shown(found: re.Match[bytes] | None) -> str:
    if found is None:
        return "none"
    text = found[1][:_MAX_SHOWN].decode("ascii", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
