"""REGISTER: verify, decide, answer, publish. GB/T 28181-2022 9.1 and signalling.md 3.7."""

from __future__ import annotations

from dataclasses import dataclass

from sipserver.device.accounts import is_device_id
from sipserver.device.authentication import Accepted, Authenticator, Challenge, Ignored, Refused
from sipserver.device.clock import Clock
from sipserver.device.device import Binding, Device, same_source, source_text
from sipserver.device.events import DeviceRegistered, Publish, RegistrationRefused
from sipserver.device.incoming import Incoming
from sipserver.device.presence import Presence
from sipserver.device.profiles import OWN_EDITION
from sipserver.device.registration import ExpiryPolicy, RegistrationWish, gb_date
from sipserver.device.registry import Registry
from sipserver.sip.errors import RemoteError
from sipserver.sip.flow import Flow

GB_VERSION = ("X-GB-Ver", OWN_EDITION.value)
"""Stands in every answer to a REGISTER, whatever its status (annex I)."""


@dataclass(slots=True)
class RegistrarCounters:
    """Answers since start."""

    accepted: int = 0
    unregistered: int = 0
    challenged: int = 0
    refused: int = 0
    ignored: int = 0
    """No answer was given at all."""


class Registrar:
    """One REGISTER at a time; all of its work is in memory, storage is told afterwards."""

    def __init__(
        self,
        authenticator: Authenticator,
        registry: Registry,
        presence: Presence,
        publish: Publish,
        clock: Clock,
        *,
        expiry: ExpiryPolicy | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._registry = registry
        self._presence = presence
        self._publish = publish
        self._clock = clock
        self._expiry = expiry or ExpiryPolicy()
        self.counters = RegistrarCounters()

    def receive(self, incoming: Incoming) -> RegistrationWish | None:
        """Answer it. Returns what it said once it is authentic, for the hints of the router."""
        try:
            wish = RegistrationWish.from_request(incoming.request)
        except RemoteError as error:
            if self._authenticator.may_refuse(incoming.flow.remote[0], incoming.received_at):
                self._refuse(incoming, "", Refused(error.status_hint, str(error)))
            else:
                self._ignore(incoming)
            return None
        now = incoming.received_at
        outcome = self._authenticator.check(wish, incoming.flow.remote[0], now)
        match outcome:
            case Accepted():
                return wish if self._accept(incoming, wish, outcome) else None
            case Challenge():
                self.counters.challenged += 1
                headers = (("WWW-Authenticate", outcome.header), GB_VERSION)
                incoming.respond(401, headers=headers)
            case Refused():
                self._refuse(incoming, wish.device_id, outcome)
            case Ignored():
                self._ignore(incoming)
        return None

    def _accept(self, incoming: Incoming, wish: RegistrationWish, outcome: Accepted) -> bool:
        account = outcome.account
        granted = self._expiry.grant(wish.expires, strict=account.strict_expiry)
        if granted is None:
            floor = self._expiry.floor(strict=account.strict_expiry)
            self._refuse(
                incoming,
                wish.device_id,
                Refused(423, f"asks for {wish.expires} s, at least {floor} s are granted"),
                ("Min-Expires", str(floor)),
            )
            return False
        device = self._registry.find(wish.device_id)
        if device is None or device.device_id != wish.device_id:
            device = self._registry.put_account(account)  # by the common password, first time
        if wish.is_query:
            self._answer_query(incoming, device)
        elif granted == 0:
            self._unregister(incoming, device, wish)
        else:
            self._register(incoming, device, wish, granted)
        return True

    def _register(
        self, incoming: Incoming, device: Device, wish: RegistrationWish, granted: int
    ) -> None:
        flow = incoming.flow
        wall = self._clock.wall()
        before = device.binding
        refreshed = (
            device.online
            and before is not None
            and before.call_id == wish.call_id
            and device.flow is not None
            and same_source(device.flow, flow)
        )
        binding = Binding(
            device_id=device.device_id,
            transport=flow.transport,
            local=flow.local,
            remote=flow.remote,
            contact=wish.contact,
            registered_at=wall,
            expires_at=wall + granted,
            gb_version=wish.gb_version,
            user_agent=wish.user_agent,
            call_id=wish.call_id,
        )
        device.binding = binding  # its User-Agent may decide about Date
        if before is None or before.user_agent != binding.user_agent:
            device.forget_profile()
        self._respond_ok(incoming, device, wish.contact, granted)
        self.counters.accepted += 1
        self._presence.registered(device, binding, flow)
        self._publish(
            DeviceRegistered(
                device_id=device.device_id,
                at=wall,
                source=source_text(flow),
                expires=granted,
                refreshed=refreshed,
                edition=device.edition.value,
            )
        )

    def _unregister(self, incoming: Incoming, device: Device, wish: RegistrationWish) -> None:
        self._respond_ok(incoming, device, wish.contact, 0)
        self.counters.unregistered += 1
        if not _is_of_another_binding(device, wish, incoming.flow):
            self._presence.unregistered(device)

    def _answer_query(self, incoming: Incoming, device: Device) -> None:
        """RFC 3261 10.3 step 8: the bindings there are, and nothing changes."""
        binding = device.binding
        left = max(0, int(binding.expires_at - self._clock.wall())) if binding else 0
        self._respond_ok(incoming, device, binding.contact if binding and left else "", left)

    def _respond_ok(self, incoming: Incoming, device: Device, contact: str, granted: int) -> None:
        headers = []
        if contact and contact != "*" and contact.isascii() and contact.isprintable():
            headers.append(("Contact", f"<{contact}>"))
        headers.append(("Expires", str(granted)))
        if device.send_date:
            headers.append(("Date", gb_date(self._clock.wall())))
        headers.append(GB_VERSION)
        incoming.respond(200, headers=headers)

    def _ignore(self, incoming: Incoming) -> None:
        self.counters.ignored += 1
        incoming.ignore()

    def _refuse(
        self,
        incoming: Incoming,
        device_id: str,
        refused: Refused,
        *headers: tuple[str, str],
    ) -> None:
        self.counters.refused += 1
        if refused.retry_after:
            headers = (*headers, ("Retry-After", str(refused.retry_after)))
        incoming.respond(refused.status, headers=(*headers, GB_VERSION))
        self._publish(
            RegistrationRefused(
                device_id=device_id if is_device_id(device_id) else ascii(device_id)[1:65],
                at=self._clock.wall(),
                source=source_text(incoming.flow),
                status=refused.status,
                reason=refused.detail,
            )
        )


def _is_of_another_binding(device: Device, wish: RegistrationWish, flow: Flow) -> bool:
    """An Expires 0 for a place the device has left: another Contact, Call-ID and source.

    RFC 3261 10.3 step 7 removes the binding that is named. Contacts of one registration differ in
    the field, so all three have to.
    """
    binding = device.binding
    return (
        device.online
        and device.flow is not None
        and not same_source(device.flow, flow)
        and binding is not None
        and wish.contact not in ("", "*", binding.contact)
        and wish.call_id != binding.call_id
    )
