"""What an operator may set about live view."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Times in seconds."""

    invite_timeout: float = 15.0
    """From INVITE to its final answer, then CANCEL. Field practice for devices is 10 to 15."""

    first_packet_timeout: float = 15.0
    """From the answer to the first RTP packet, then BYE. Media servers in the field wait 15."""

    picture_timeout: float = 20.0
    """From the first packet to the first key frame, then BYE. Longest GOPs seen are 10 s."""

    silence_timeout: float = 15.0
    """Without any RTP packet while playing, then BYE. 2022 annex K a); practice is 10 to 15."""

    node_silence: float = 10.0
    """Silence after which the media node reports it: its own setting ``silence``."""

    idle_timeout: float = 30.0
    """A session that nobody watches lives this long: long enough for a page reload."""

    key_frame_after: float = 2.0
    """No key frame this long after the first packet: ask the device for one. 9.3, A.2.3.1."""

    key_frame_requests: int = 3
    """At most so many requests per session, ``key_frame_after`` apart."""

    audio_only_after: float = 3.0
    """Sound but no video this long after the first packet: play the sound alone."""

    reconnect_grace: float = 3.0
    """A device that closed its media connection may open it again within this time."""

    bye_timeout: float = 5.0
    """Wait for the answer to our BYE at most so long; the leases are returned all the same."""

    offline_bye_timeout: float = 1.0
    """The same, when the device was just found offline or the platform stops."""

    shutdown_timeout: float = 5.0
    """All sessions together get this long to say BYE when the platform stops."""

    max_sessions: int = 10_000
    """In all. The last four digits of an SSRC allow 10,000 live streams per domain (annex G)."""

    max_setups_per_device: int = 4
    """INVITEs in flight towards one device; more wait their turn. Small devices choke on more."""

    history_size: int = 1_000
    """Plays kept for inspection after their end; older ones are counted and forgotten."""
