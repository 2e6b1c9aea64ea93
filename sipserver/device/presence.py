"""Who is online: every edge, its reason, and whether a message comes from whom it says.

::

    OFFLINE -> ONLINE    REGISTER accepted | known device heard at its registered address
    ONLINE  -> OFFLINE   unregistered | registration expired | heartbeats missing |
                         connection lost | account removed
"""

from __future__ import annotations

from dataclasses import dataclass

from sipserver.device.clock import Clock
from sipserver.device.device import Binding, Device, same_source, source_text
from sipserver.device.events import (
    DeviceHealthChanged,
    DeviceMoved,
    DeviceOffline,
    DeviceOnline,
    OfflineReason,
    OnlineReason,
    Publish,
)
from sipserver.device.liveness import Liveness
from sipserver.device.registry import Registry
from sipserver.sip.flow import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceSettings:
    tolerant: bool = True
    """A known device that is heard at its registered address is online again without a REGISTER
    (wvp ``gbDeviceOnline = 1``), and a TCP device may come over a new connection from the same
    host. False: only a REGISTER brings it online or to another connection."""


class Presence:
    """Edges and the identity check; :class:`Registry` holds the state."""

    def __init__(
        self,
        registry: Registry,
        liveness: Liveness,
        publish: Publish,
        clock: Clock,
        settings: PresenceSettings | None = None,
    ) -> None:
        self._registry = registry
        self._liveness = liveness
        self._publish = publish
        self._clock = clock
        self._tolerant = (settings or PresenceSettings()).tolerant

    def registered(self, device: Device, binding: Binding, flow: Flow) -> None:
        """An authenticated REGISTER was accepted: the newest one wins."""
        old = device.flow
        self._registry.place(device, flow)
        self._registry.bind(device, binding)
        now = self._clock.monotonic()
        self._watch(device, now, expires_at=now + binding.expires_at - binding.registered_at)
        if old is not None and not same_source(old, flow):
            self._moved(device, old, flow)
        self._online(device, OnlineReason.REGISTERED)

    def unregistered(self, device: Device) -> None:
        self._registry.bind(device, None)
        self.take_offline(device, OfflineReason.UNREGISTERED)
        self._liveness.forget(device.device_id)

    def admit(self, device: Device, flow: Flow, now: float) -> bool:
        """May this request be believed to come from ``device``? It is liveness if so.

        Signalling.md 3.11. False: answer 403, which makes a device register again.
        """
        if device.flow is not None and same_source(device.flow, flow):
            self._liveness.heard(device.device_id, now)
            return True
        if not device.account.enabled or device.binding is None:
            return False
        if device.online:
            return self._admit_elsewhere(device, flow, now)
        return self._tolerant and self._restore(device, device.binding, flow, now)

    def keepalive(
        self, device: Device, now: float, *, healthy: bool = True, faulty: tuple[str, ...] = ()
    ) -> None:
        """After :meth:`admit`: the rhythm, and what the device says of its own health."""
        self._liveness.keepalive(device.device_id, now)
        if healthy != device.healthy or faulty != device.faulty:
            device.healthy, device.faulty = healthy, faulty
            self._publish(
                DeviceHealthChanged(
                    device_id=device.device_id,
                    at=self._clock.wall(),
                    healthy=healthy,
                    faulty=faulty,
                )
            )

    def connection_lost(self, flow: Flow) -> None:
        """All devices of that TCP connection, and no other, are offline (22, 9.1.1 f)."""
        for device in self._registry.all_at(flow):
            self._liveness.pause(device.device_id)
            self.take_offline(device, OfflineReason.CONNECTION_LOST)

    def handle_timer(self, now: float) -> None:
        for silence in self._liveness.expire(now):
            device = self._registry.find(silence.device_id)
            if device is not None:
                self.take_offline(device, silence.reason)

    def get_timer(self) -> float | None:
        return self._liveness.next_deadline()

    def account_changed(self, device: Device) -> None:
        """Heartbeat settings or ``enabled`` may be others now."""
        if not device.account.enabled:
            self._liveness.forget(device.device_id)
            self.take_offline(device, OfflineReason.REMOVED)
        elif device.online:
            now = self._clock.monotonic()
            self._watch(device, now, expires_at=self._remaining(device.binding, now))

    def removed(self, device: Device) -> None:
        self._liveness.forget(device.device_id)
        self.take_offline(device, OfflineReason.REMOVED)

    def take_offline(self, device: Device, reason: OfflineReason) -> None:
        if not device.online:
            return
        device.online = False
        device.online_since = None
        self._registry.unplace(device)
        self._publish(
            DeviceOffline(device_id=device.device_id, at=self._clock.wall(), reason=reason)
        )

    def _admit_elsewhere(self, device: Device, flow: Flow, now: float) -> bool:
        """Online, but the source is another one: only TCP from the same host is believed."""
        known = device.flow
        if known is None or not flow.connection or flow.remote[0] != known.remote[0]:
            return False
        if known.connection:  # its old connection is dead, nobody has told us yet
            if not self._tolerant:
                return False
            self._registry.place(device, flow)
            self._moved(device, known, flow)
        # else: a UDP device that sends what exceeds the MTU by TCP (RFC 3261 section 18.1.1)
        self._liveness.heard(device.device_id, now)
        return True

    def _restore(self, device: Device, binding: Binding, flow: Flow, now: float) -> bool:
        if flow.transport != binding.transport or flow.remote[0] != binding.remote[0]:
            return False
        if not flow.connection and flow.remote != binding.remote:
            return False
        self._registry.place(device, flow)
        self._watch(device, now, expires_at=self._remaining(binding, now), resumed=True)
        reconnected = bool(flow.connection) and flow.remote != binding.remote
        self._online(device, OnlineReason.RECONNECTED if reconnected else OnlineReason.RESTORED)
        return True

    def _remaining(self, binding: Binding | None, now: float) -> float | None:
        """When the registration ends; None when it is over and heartbeats alone decide."""
        if binding is None:
            return None
        left = binding.expires_at - self._clock.wall()
        return now + left if left > 0.0 else None

    def _watch(
        self, device: Device, now: float, *, expires_at: float | None, resumed: bool = False
    ) -> None:
        self._liveness.watch(
            device.device_id,
            now,
            expires_at=expires_at,
            interval=device.account.heartbeat_interval,
            misses=device.account.heartbeat_misses,
            resumed=resumed,
        )

    def _online(self, device: Device, reason: OnlineReason) -> None:
        if device.online:
            return
        device.online = True
        device.online_since = self._clock.wall()
        self._publish(
            DeviceOnline(device_id=device.device_id, at=device.online_since, reason=reason)
        )

    def _moved(self, device: Device, old: Flow, new: Flow) -> None:
        self._publish(
            DeviceMoved(
                device_id=device.device_id,
                at=self._clock.wall(),
                old=source_text(old),
                new=source_text(new),
            )
        )
