"""What is known of a play that is over: the input of the verdict, plain values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sdp.gb import Transport
from sipserver.device.sessions.stages import Stage


class Ending(StrEnum):
    """What ended the session; the first one counts."""

    # wanted
    STOPPED = "stopped"
    IDLE = "idle"  # nobody watched for the idle time
    CALLER_LEFT = "caller_left"  # every caller gave up before there was a picture
    SHUTDOWN = "shutdown"
    # before the INVITE
    NOT_ONLINE = "not_online"
    UNKNOWN_CHANNEL = "unknown_channel"
    DEVICE_LIMIT = "device_limit"
    SESSION_LIMIT = "session_limit"
    OVERLOADED = "overloaded"  # the SIP core has too many calls or requests open
    NO_SSRC = "no_ssrc"
    NO_PORT = "no_port"
    RECEIVER_FAILED = "receiver_failed"
    # signalling
    SIP_UNREACHABLE = "sip_unreachable"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"  # sip_status says how
    BAD_ANSWER = "bad_answer"
    PORT_ZERO = "port_zero"
    PRIVATE_STREAM = "private_stream"
    DEVICE_BYE = "device_bye"
    DIALOG_LOST = "dialog_lost"
    MEDIA_STATUS = "media_status"  # NotifyType 121: the device has sent everything
    DEVICE_OFFLINE = "device_offline"
    # media
    CONNECT_FAILED = "connect_failed"
    CONNECTION_CLOSED = "connection_closed"
    NO_PACKET = "no_packet"
    NO_PICTURE = "no_picture"
    SILENCE = "silence"
    # ours
    INTERNAL = "internal"


WANTED = frozenset({Ending.STOPPED, Ending.IDLE, Ending.CALLER_LEFT, Ending.SHUTDOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    ending: Ending
    stages: frozenset[Stage] = frozenset()
    transport: Transport = Transport.UDP
    sip_status: int = 0
    sip_reason: str = ""
    detail: str = ""  # the error's own words
    media_port: int = 0  # ours
    waited: float = 0.0  # seconds, of the time-out that fired
    session_limit: int = 0
    stray_packets: int = 0  # dropped by the media node: another SSRC or another source
    encrypted: bool = False
    encoding: str = ""  # rtpmap name of the answer
