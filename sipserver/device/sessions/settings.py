"""What an operator may set about live view."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Live view: how long to wait for what, and how much at once. Times are in seconds."""

    invite_timeout: float = 15.0
    """From INVITE to its final answer, then CANCEL, 1..60. Default: field practice for devices is
    10 to 15 seconds."""

    first_packet_timeout: float = 15.0
    """From the answer to the first RTP packet, then BYE, 1..120. Default: as ZLMediaKit waits."""

    picture_timeout: float = 20.0
    """From the first packet to the first key frame, then BYE, 1..120. Default: the longest groups
    of pictures seen last 10 seconds."""

    silence_timeout: float = 15.0
    """Without any RTP packet while playing, then BYE (GB/T 28181-2022 annex K), 1..3600. Never
    less than the media node's own ``silence_seconds``. Default: practice is 10 to 15 seconds."""

    idle_timeout: float = 30.0
    """A session that nobody watches lives this long, 1..86400. Default: enough to reload a page."""

    key_frame_after: float = 2.0
    """No key frame this long after the first packet: ask the device for one (GB/T 28181-2022 9.3),
    0.5..60. Default: the usual group of pictures."""

    key_frame_requests: int = 3
    """Such requests per session at most, ``key_frame_after`` apart, 0..100."""

    audio_only_after: float = 3.0
    """Sound but no video this long after the first packet: the sound plays alone, 0.5..60."""

    reconnect_grace: float = 3.0
    """A device that closed its media connection may open it again within this time, 0..60."""

    bye_timeout: float = 5.0
    """The answer to our BYE is waited for at most so long, 0.1..32. The leases return anyway."""

    offline_bye_timeout: float = 1.0
    """The same when the device is offline or the platform stops, 0.1..32."""

    shutdown_timeout: float = 5.0
    """All sessions together get this long to say BYE when the platform stops, 0.1..60."""

    max_sessions: int = 10_000
    """Sessions at once, 1..10000. Default: the live SSRCs of a domain (2022 annex G)."""

    max_setups_per_device: int = 4
    """INVITEs in flight towards one device, 1..64; more wait their turn. Default: small devices
    choke on more."""

    history_size: int = 1_000
    """Plays kept in memory after their end, 1..100000; older ones are counted and forgotten."""
