"""Notifications of state: Keepalive and MediaStatus (GB/T 28181-2022 A.2.5.2, A.2.5.4)."""

from dataclasses import dataclass
from typing import Final, Self

from .edition import Edition
from .xml import ManscdpMessage, append, envelope, find_child, local_name, require_kind, serialize

END_OF_FILE: Final = "121"
"""The only NotifyType defined: sending of the history file has ended (A.2.5.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """The heartbeat (9.6)."""

    sn: int
    device_id: str
    status: str = "OK"  # or "ERROR"
    faulty: tuple[str, ...] = ()  # identifiers of sub-devices that are out of order

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        if message.plain_keepalive:
            return cls(sn=message.sn, device_id=message.device_id, status=message.plain_keepalive)
        require_kind(message, "Notify", "Keepalive")
        info = find_child(message.element, "Info")
        children = () if info is None else info
        faulty = (
            (child.text or "").strip()
            for child in children
            if local_name(child).lower() == "deviceid"
        )
        return cls(
            sn=message.sn,
            device_id=message.device_id,
            status=(message.text("Status") or "OK").upper(),
            faulty=tuple(device_id for device_id in faulty if device_id),
        )

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Notify", "Keepalive", self.sn, self.device_id)
        append(root, "Status", self.status)
        if self.faulty:
            info = append(root, "Info")
            for device_id in self.faulty:
                append(info, "DeviceID", device_id)
        return serialize(root, charset, edition)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStatus:
    """Sent by the media sender inside the INVITE dialog, by some devices outside of it."""

    sn: int
    device_id: str
    notify_type: str = END_OF_FILE

    @property
    def ended(self) -> bool:
        return self.notify_type == END_OF_FILE

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Notify", "MediaStatus")
        notify_type = message.text("NotifyType") or ""
        return cls(sn=message.sn, device_id=message.device_id, notify_type=notify_type)

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Notify", "MediaStatus", self.sn, self.device_id)
        append(root, "NotifyType", self.notify_type)
        return serialize(root, charset, edition)
