"""A request we want to send, before the endpoint gives it Via, tags and CSeq."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """Say what matters; empty and zero fields are filled in by the endpoint."""

    method: str
    uri: str
    """Request-URI, ``sip:34020000001320000001@192.0.2.7:5060``."""
    from_uri: str
    """``sip:ID@domain``; its user part is also the user of our Contact."""
    to_uri: str
    from_tag: str = ""
    to_tag: str = ""
    call_id: str = ""
    cseq: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers in order: Subject, Expires, X-GB-Ver, Authorization, Contact ..."""
    body: bytes = b""
    content_type: str = ""
