"""What a verdict consists of: its code, whose fault it is, and words in English and Chinese.

The words themselves are data: :mod:`advice_call` and :mod:`advice_media`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sipserver.device.sessions.facts import Facts


class Fault(StrEnum):
    """Where to look first."""

    REQUEST = "request"
    DEVICE = "device"
    NETWORK = "network"
    PLATFORM = "platform"


class VerdictCode(StrEnum):
    DEVICE_OFFLINE = "device_offline"
    UNKNOWN_CHANNEL = "unknown_channel"
    DEVICE_LIMIT = "device_limit"
    SESSION_LIMIT = "session_limit"
    OVERLOADED = "overloaded"
    NO_SSRC = "no_ssrc"
    NO_PORT = "no_port"
    RECEIVER_FAILED = "receiver_failed"
    SIP_UNREACHABLE = "sip_unreachable"
    NO_ANSWER = "no_answer"
    NO_FINAL_ANSWER = "no_final_answer"
    BAD_REQUEST = "bad_request"
    FORBIDDEN = "forbidden"
    CHANNEL_NOT_FOUND = "channel_not_found"
    LOWER_SIDE_SILENT = "lower_side_silent"
    UNSUPPORTED = "unsupported"
    CHANNEL_OFFLINE = "channel_offline"
    DEVICE_BUSY = "device_busy"
    DEVICE_CANCELLED = "device_cancelled"
    OFFER_REFUSED = "offer_refused"
    DEVICE_OVERLOADED = "device_overloaded"
    DEVICE_ERROR = "device_error"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    BAD_ANSWER = "bad_answer"
    PORT_REFUSED = "port_refused"
    PRIVATE_STREAM = "private_stream"
    DEVICE_BYE_AT_ONCE = "device_bye_at_once"
    DEVICE_BYE_BEFORE_PICTURE = "device_bye_before_picture"
    DEVICE_ENDED = "device_ended"
    DEVICE_WENT_OFFLINE = "device_went_offline"
    DIALOG_LOST = "dialog_lost"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_UNANSWERED = "connect_unanswered"
    DEVICE_DID_NOT_CONNECT = "device_did_not_connect"
    CONNECTED_BUT_SILENT = "connected_but_silent"
    CONNECTION_CLOSED = "connection_closed"
    NO_PACKET_UDP = "no_packet_udp"
    WRONG_SSRC = "wrong_ssrc"
    NO_PS = "no_ps"
    NO_PARAMETER_SETS = "no_parameter_sets"
    NO_KEY_FRAME = "no_key_frame"
    ENCRYPTED = "encrypted"
    MEDIA_LOST = "media_lost"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Text:
    en: str
    zh: str

    def fill(self, facts: Facts) -> Text:
        """Put the facts' numbers into ``{facts.…}``. A peer's words are values, never a format."""
        return Text(self.en.format(facts=facts), self.zh.format(facts=facts))


@dataclass(frozen=True, slots=True)
class Advice:
    fault: Fault
    cause: Text
    next_step: Text
