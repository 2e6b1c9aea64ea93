"""What the device services report, in the past tense.

``at`` is wall-clock time in seconds since 1970 (UTC), taken from the injected clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class OnlineReason(StrEnum):
    REGISTERED = "registered"
    RESTORED = "restored"
    """A valid request of a known device at its registered address, signalling.md 3.11."""
    RECONNECTED = "reconnected"
    """A new TCP connection from the registered address without a REGISTER."""


class OfflineReason(StrEnum):
    UNREGISTERED = "unregistered"
    EXPIRED = "registration expired"
    SILENT = "heartbeats missing"
    CONNECTION_LOST = "connection lost"
    REMOVED = "account removed or disabled"
    STOPPED = "platform stopped"
    """Only in the history: the platform does not know what comes after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    device_id: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistered(DeviceEvent):
    source: str
    """``UDP 192.0.2.7:5060``"""
    expires: int
    """Seconds granted."""
    refreshed: bool
    """The device was online under the same Call-ID and address before."""
    edition: str
    """What both sides understand: ``1.0``, ``1.1``, ``2.0`` or ``3.0``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMoved(DeviceEvent):
    """An authenticated REGISTER came from another place while the device was online."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRefused(DeviceEvent):
    source: str
    status: int
    reason: str
    """For the operator; the peer is told less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOnline(DeviceEvent):
    reason: OnlineReason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffline(DeviceEvent):
    reason: OfflineReason


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescribed(DeviceEvent):
    """The answer to a DeviceInfo query changed what is known of the device."""

    name: str
    manufacturer: str
    model: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealthChanged(DeviceEvent):
    """Keepalive ``Status`` or its list of faulty sub-devices changed (A.2.5.2)."""

    healthy: bool
    faulty: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingHint(DeviceEvent):
    """Something in a device's configuration looks wrong; ``text`` says what to do."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsChanged(DeviceEvent):
    """IDs of channels whose description or own state changed."""

    cause: str
    """``sync``, ``notify`` or ``unsolicited``."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    switched_on: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSynced(DeviceEvent):
    """A catalogue query ended with an answer, whole or in part."""

    complete: bool
    announced: int
    """``SumNum`` of the answer."""
    channels: int
    """Items in the directory afterwards."""
    refused: int
    """Items kept aside as bad."""
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSyncFailed(DeviceEvent):
    reason: str
    retry_in: float | None
    """Seconds; None when it waits for the next registration or request."""


Publish = Callable[[DeviceEvent], None]
"""Where events go. Called synchronously: a subscriber must not block."""

log = logging.getLogger(__name__)


class EventBus:
    """Hands each event to every subscriber, in order of subscription."""

    def __init__(self) -> None:
        self._subscribers: list[Publish] = []

    def subscribe(self, subscriber: Publish) -> Callable[[], None]:
        """Returns what ends the subscription."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def publish(self, event: DeviceEvent) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception:  # one subscriber's bug must not keep a device from its answer
                log.exception("a subscriber failed at %s", type(event).__name__)
