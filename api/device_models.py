"""The JSON shapes of devices and their accounts."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.models import Limit, Offset, Search
from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Device, source_text

DeviceId = Annotated[str, Meta(min_length=1, max_length=32, pattern="^[0-9A-Za-z]+$")]
Password = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=256)]
MediaTransport = Literal["udp", "tcp-passive", "tcp-active"]
GbEdition = Literal["1.0", "1.1", "2.0", "3.0"]
Charset = Literal["gb18030", "utf-8"]
Selector = Literal["standard", "streamprofile", "streammode", "stream", "none"]
Interval = Annotated[float, Meta(ge=1, le=86_400)]
SessionLimit = Annotated[int, Meta(ge=1, le=1_000)]
Misses = Annotated[int, Meta(ge=1, le=100)]


class DeviceView(msgspec.Struct, frozen=True):
    """A device as the platform sees it now."""

    device_id: str
    name: str
    """The operator's name, else the device's own."""
    online: bool
    online_since: float | None
    """Seconds since 1970, UTC."""
    enabled: bool
    provisioned: bool
    """False: the common password created it."""
    address: str | None
    """``UDP 192.0.2.7:5060``: where it registered from."""
    registered_at: float | None
    expires_at: float | None
    edition: str
    """``1.0``, ``1.1``, ``2.0`` or ``3.0``: what both sides understand, annex I."""
    manufacturer: str
    model: str
    firmware: str
    user_agent: str
    charset: str | None
    healthy: bool
    faulty: list[str]
    """Sub-devices that its last keepalive called faulty."""
    channels: int
    """Nodes in its catalogue here."""
    channels_online: int
    media_transport: str


class AccountView(msgspec.Struct, frozen=True):
    """What the operator set for a device. The password is never shown."""

    device_id: str
    username: str | None
    name: str
    enabled: bool
    provisioned: bool
    aliases: list[str]
    send_date: bool | None
    strict_expiry: bool | None
    edition: str | None
    charset: str | None
    heartbeat_interval: float | None
    heartbeat_misses: int | None
    media_transport: str
    media_address: str | None
    stream_selector: str | None
    session_limit: int | None
    trust_state_notifications: bool


class DeviceDetail(msgspec.Struct, frozen=True):
    """A device and its account."""

    device: DeviceView
    account: AccountView


class NewDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device that may register. Only ID and password are needed; null means: the default."""

    device_id: DeviceId
    password: Password
    username: Text | None = None
    name: Text = ""
    enabled: bool = True
    aliases: Annotated[list[DeviceId], Meta(max_length=16)] = []
    send_date: bool | None = None
    strict_expiry: bool | None = None
    edition: GbEdition | None = None
    charset: Charset | None = None
    heartbeat_interval: Interval | None = None
    heartbeat_misses: Misses | None = None
    media_transport: MediaTransport = "udp"
    media_address: Text | None = None
    stream_selector: Selector | None = None
    session_limit: SessionLimit | None = None
    """Live sessions the device can carry at once."""
    trust_state_notifications: bool = True


class DeviceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change; fields that are left out stay as they are."""

    password: Password | UnsetType = UNSET
    username: Text | UnsetType | None = UNSET
    name: Text | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    aliases: Annotated[list[DeviceId], Meta(max_length=16)] | UnsetType = UNSET
    send_date: bool | UnsetType | None = UNSET
    strict_expiry: bool | UnsetType | None = UNSET
    edition: GbEdition | UnsetType | None = UNSET
    charset: Charset | UnsetType | None = UNSET
    heartbeat_interval: Interval | UnsetType | None = UNSET
    heartbeat_misses: Misses | UnsetType | None = UNSET
    media_transport: MediaTransport | UnsetType = UNSET
    media_address: Text | UnsetType | None = UNSET
    stream_selector: Selector | UnsetType | None = UNSET
    session_limit: SessionLimit | UnsetType | None = UNSET
    trust_state_notifications: bool | UnsetType = UNSET


class DevicesQuery(msgspec.Struct, frozen=True):
    online: bool | None = None
    search: Search = ""
    offset: Offset = 0
    limit: Limit = 100


class SyncView(msgspec.Struct, frozen=True):
    """How a catalogue synchronisation ended."""

    complete: bool
    announced: int
    """What the device said it would send."""
    channels: int
    """Channels of the device now."""
    refused: int
    """Items kept aside as bad."""
    seconds: float
    detail: str


class InformationView(msgspec.Struct, frozen=True):
    """The device's own answer, element by element, as it named them."""

    values: dict[str, Any]


def device_view(device: Device, channels: int, channels_online: int) -> DeviceView:
    account, details, binding = device.account, device.details, device.binding
    return DeviceView(
        device_id=device.device_id,
        name=account.name or details.name,
        online=device.online,
        online_since=device.online_since,
        enabled=account.enabled,
        provisioned=account.provisioned,
        address=source_text(device.flow) if device.flow is not None else None,
        registered_at=binding.registered_at if binding is not None else None,
        expires_at=binding.expires_at if binding is not None else None,
        edition=device.edition.value,
        manufacturer=details.manufacturer,
        model=details.model,
        firmware=details.firmware,
        user_agent=binding.user_agent if binding is not None else "",
        charset=account.charset or details.charset,
        healthy=device.healthy,
        faulty=list(device.faulty),
        channels=channels,
        channels_online=channels_online,
        media_transport=account.media_transport,
    )


def account_view(account: DeviceAccount) -> AccountView:
    values = {name: getattr(account, name) for name in AccountView.__struct_fields__}
    values["aliases"] = list(account.aliases)
    return AccountView(**values)


def account_of(new: NewDevice) -> DeviceAccount:
    """:raises ValueError: with what is wrong with it"""
    values = {name: getattr(new, name) for name in NewDevice.__struct_fields__}
    values["aliases"] = tuple(new.aliases)
    return DeviceAccount(**values)


def changes_of(change: DeviceChange) -> dict[str, Any]:
    """Only what was given."""
    given = {name: getattr(change, name) for name in DeviceChange.__struct_fields__}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    if "aliases" in changes:
        changes["aliases"] = tuple(changes["aliases"])
    return changes
