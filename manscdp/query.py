"""The queries of GB/T 28181-2022 A.2.4 that fill the catalogue and the device's page."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from .edition import Edition
from .values import date_time, date_time_text
from .xml import ManscdpMessage, append, envelope, require_kind, serialize


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlainQuery:
    """A query with nothing but the envelope."""

    cmd_type: ClassVar[str]
    sn: int
    device_id: str

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Query", cls.cmd_type)
        return cls(sn=message.sn, device_id=message.device_id)

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Query", self.cmd_type, self.sn, self.device_id)
        return serialize(root, charset, edition)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfoQuery(_PlainQuery):
    cmd_type: ClassVar[str] = "DeviceInfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatusQuery(_PlainQuery):
    cmd_type: ClassVar[str] = "DeviceStatus"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogQuery:
    """What lies below a device, area, system, group or organisation (A.2.4.2)."""

    cmd_type: ClassVar[str] = "Catalog"
    sn: int
    device_id: str
    start_time: datetime | None = None  # only devices added since; with zone
    end_time: datetime | None = None

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Query", "Catalog")
        return cls(
            sn=message.sn,
            device_id=message.device_id,
            start_time=date_time(message.text("StartTime") or ""),
            end_time=date_time(message.text("EndTime") or ""),
        )

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Query", "Catalog", self.sn, self.device_id)
        if self.start_time is not None:
            append(root, "StartTime", date_time_text(self.start_time))
        if self.end_time is not None:
            append(root, "EndTime", date_time_text(self.end_time))
        return serialize(root, charset, edition)
