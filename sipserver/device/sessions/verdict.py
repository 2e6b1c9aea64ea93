"""Why a play failed: facts in, a code with cause and next step in English and Chinese out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sdp.gb import Transport
from sipserver.device.sessions.advice import Advice, Fault, Text, VerdictCode
from sipserver.device.sessions.advice_call import CALL_ADVICE
from sipserver.device.sessions.advice_media import MEDIA_ADVICE
from sipserver.device.sessions.facts import WANTED, Ending, Facts
from sipserver.device.sessions.stages import Stage

__all__ = ["Fault", "Text", "Verdict", "VerdictCode", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    code: VerdictCode
    fault: Fault
    cause: Text
    next_step: Text


ADVICE: Final[dict[VerdictCode, Advice]] = CALL_ADVICE | MEDIA_ADVICE

STATUS_CODES: Final[dict[int, VerdictCode]] = {
    400: VerdictCode.BAD_REQUEST,
    401: VerdictCode.FORBIDDEN,
    403: VerdictCode.FORBIDDEN,
    404: VerdictCode.CHANNEL_NOT_FOUND,
    406: VerdictCode.OFFER_REFUSED,
    407: VerdictCode.FORBIDDEN,
    408: VerdictCode.LOWER_SIDE_SILENT,
    410: VerdictCode.CHANNEL_NOT_FOUND,
    415: VerdictCode.UNSUPPORTED,
    480: VerdictCode.CHANNEL_OFFLINE,
    481: VerdictCode.DIALOG_LOST,
    484: VerdictCode.CHANNEL_NOT_FOUND,
    486: VerdictCode.DEVICE_BUSY,
    487: VerdictCode.DEVICE_CANCELLED,
    488: VerdictCode.OFFER_REFUSED,
    503: VerdictCode.DEVICE_OVERLOADED,
    504: VerdictCode.LOWER_SIDE_SILENT,
    600: VerdictCode.DEVICE_BUSY,
    603: VerdictCode.FORBIDDEN,
    604: VerdictCode.CHANNEL_NOT_FOUND,
    606: VerdictCode.OFFER_REFUSED,
}
"""486 and 488 are named by GB/T 28181-2022; the others are RFC 3261 section 21 and practice."""

STATUS_CLASSES: Final[dict[int, VerdictCode]] = {
    3: VerdictCode.REDIRECTED,
    4: VerdictCode.REFUSED,
    5: VerdictCode.DEVICE_ERROR,
    6: VerdictCode.REFUSED,
}


def _rejected(facts: Facts) -> VerdictCode:
    known = STATUS_CODES.get(facts.sip_status)
    return known or STATUS_CLASSES.get(facts.sip_status // 100, VerdictCode.REFUSED)


def _no_answer(facts: Facts) -> VerdictCode:
    if Stage.TRYING in facts.stages or Stage.PROGRESS in facts.stages:
        return VerdictCode.NO_FINAL_ANSWER
    return VerdictCode.NO_ANSWER


def _device_bye(facts: Facts) -> VerdictCode:
    if Stage.KEY_FRAME in facts.stages:
        return VerdictCode.DEVICE_ENDED
    if Stage.FIRST_PACKET in facts.stages:
        return VerdictCode.DEVICE_BYE_BEFORE_PICTURE
    return VerdictCode.DEVICE_BYE_AT_ONCE


def _no_packet(facts: Facts) -> VerdictCode:
    if facts.stray_packets:
        return VerdictCode.WRONG_SSRC
    if facts.transport is Transport.UDP:
        return VerdictCode.NO_PACKET_UDP
    if Stage.CONNECTED in facts.stages:
        return VerdictCode.CONNECTED_BUT_SILENT
    if facts.transport is Transport.TCP_ACTIVE:  # it is we who connect
        return VerdictCode.CONNECT_UNANSWERED
    return VerdictCode.DEVICE_DID_NOT_CONNECT


def _no_picture(facts: Facts) -> VerdictCode:
    if facts.encrypted:
        return VerdictCode.ENCRYPTED
    if Stage.PS_LOCKED not in facts.stages:
        return VerdictCode.NO_PS
    if Stage.PARAMETER_SETS not in facts.stages:
        return VerdictCode.NO_PARAMETER_SETS
    return VerdictCode.NO_KEY_FRAME


def _media_lost(facts: Facts) -> VerdictCode:
    if facts.ending is Ending.CONNECTION_CLOSED:
        return VerdictCode.CONNECTION_CLOSED
    return VerdictCode.MEDIA_LOST


RULES: Final[dict[Ending, VerdictCode | Callable[[Facts], VerdictCode]]] = {
    Ending.NOT_ONLINE: VerdictCode.DEVICE_OFFLINE,
    Ending.UNKNOWN_CHANNEL: VerdictCode.UNKNOWN_CHANNEL,
    Ending.DEVICE_LIMIT: VerdictCode.DEVICE_LIMIT,
    Ending.SESSION_LIMIT: VerdictCode.SESSION_LIMIT,
    Ending.OVERLOADED: VerdictCode.OVERLOADED,
    Ending.NO_SSRC: VerdictCode.NO_SSRC,
    Ending.NO_PORT: VerdictCode.NO_PORT,
    Ending.RECEIVER_FAILED: VerdictCode.RECEIVER_FAILED,
    Ending.SIP_UNREACHABLE: VerdictCode.SIP_UNREACHABLE,
    Ending.NO_ANSWER: _no_answer,
    Ending.REJECTED: _rejected,
    Ending.BAD_ANSWER: VerdictCode.BAD_ANSWER,
    Ending.PORT_ZERO: VerdictCode.PORT_REFUSED,
    Ending.PRIVATE_STREAM: VerdictCode.PRIVATE_STREAM,
    Ending.DEVICE_BYE: _device_bye,
    Ending.DIALOG_LOST: VerdictCode.DIALOG_LOST,
    Ending.MEDIA_STATUS: VerdictCode.DEVICE_ENDED,
    Ending.DEVICE_OFFLINE: VerdictCode.DEVICE_WENT_OFFLINE,
    Ending.CONNECT_FAILED: VerdictCode.CONNECT_REFUSED,
    Ending.CONNECTION_CLOSED: _media_lost,
    Ending.NO_PACKET: _no_packet,
    Ending.NO_PICTURE: _no_picture,
    Ending.SILENCE: _media_lost,
    Ending.INTERNAL: VerdictCode.INTERNAL,
}
"""Every ending that nobody wanted; what happened next to it is read from the stages."""


def judge(facts: Facts) -> Verdict | None:
    """The verdict on a play; ``None`` when it ended because somebody wanted it to."""
    if facts.ending in WANTED:
        return None
    rule = RULES[facts.ending]
    code = rule(facts) if callable(rule) else rule
    advice = ADVICE[code]
    return Verdict(code, advice.fault, advice.cause.fill(facts), advice.next_step.fill(facts))
