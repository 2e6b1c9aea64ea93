"""What a device says about itself: the answers DeviceInfo and DeviceStatus (A.2.6.6, A.2.6.1)."""

from dataclasses import dataclass
from typing import Any, Final, Self

from .edition import Edition
from .element import ITEM, ElementTable, element
from .values import integer
from .xml import (
    ManscdpMessage,
    append,
    child_text,
    envelope,
    local_name,
    require_kind,
    serialize,
)


def _upper(text: str) -> str:
    return text.upper()


def _on_off(text: str) -> str | None:
    return text.upper() if text.upper() in ("ON", "OFF") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Fields in the order of the schema; devices send them in any (Hikvision: Result first)."""

    sn: int
    device_id: str
    device_name: str | None = element("DeviceName", None, since=Edition.GB2016)
    result: str | None = element("Result", None, _upper)  # "OK", "ERROR"; None: not said
    device_type: str | None = element("DeviceType", None, until=Edition.GB2011S)
    manufacturer: str | None = element("Manufacturer", None)
    model: str | None = element("Model", None)
    firmware: str | None = element("Firmware", None)
    channel: int | None = element("Channel", None, integer, since=Edition.GB2016)  # video inputs
    max_camera: int | None = element("MaxCamera", None, integer, until=Edition.GB2011S)
    max_alarm: int | None = element("MaxAlarm", None, integer, until=Edition.GB2011S)
    max_out: int | None = element("MaxOut", None, integer, until=Edition.GB2011S)
    reason: str | None = element("Reason", None)  # not in the standard; some devices add it

    @property
    def video_inputs(self) -> int | None:
        """``Channel``, or what the devices of the 2011 era called ``MaxCamera``."""
        return self.max_camera if self.channel is None else self.channel

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Response", "DeviceInfo")
        values: dict[str, Any] = {"sn": message.sn, "device_id": message.device_id}
        _INFO.read(message.element, values)
        return cls(**values)

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Response", "DeviceInfo", self.sn, self.device_id)
        _INFO.write(self, root, edition, ITEM)
        return serialize(root, charset, edition)


_INFO: Final = ElementTable(DeviceInfo)


@dataclass(frozen=True, slots=True)
class AlarmInputStatus:
    """One entry of ``Alarmstatus`` (the standard's own spelling)."""

    device_id: str
    duty_status: str  # "ONDUTY" armed, "OFFDUTY" disarmed, "ALARM"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    sn: int
    device_id: str
    result: str | None = element("Result", None, _upper)  # "OK", "ERROR"
    online: str | None = element("Online", None, _upper)  # "ONLINE", "OFFLINE"
    status: str | None = element("Status", None, _upper)  # "OK", "ERROR": works normally
    reason: str | None = element("Reason", None)
    encode: str | None = element("Encode", None, _on_off)
    record: str | None = element("Record", None, _on_off)
    device_time: str | None = element("DeviceTime", None)  # see manscdp.values.date_time
    alarm_status: tuple[AlarmInputStatus, ...] | None = None

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Response", "DeviceStatus")
        values: dict[str, Any] = {"sn": message.sn, "device_id": message.device_id}
        _STATUS.read(message.element, values)
        for child in message.element:
            if local_name(child).lower() == "alarmstatus":
                entries = (
                    AlarmInputStatus(
                        child_text(item, "DeviceID") or "",
                        (child_text(item, "DutyStatus") or "").upper(),
                    )
                    for item in child
                )
                values["alarm_status"] = tuple(e for e in entries if e.device_id)
        return cls(**values)

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Response", "DeviceStatus", self.sn, self.device_id)
        _STATUS.write(self, root, edition, ITEM)
        if self.alarm_status is not None:
            listed = append(root, "Alarmstatus")
            listed.set("Num", str(len(self.alarm_status)))
            for alarm_input in self.alarm_status:
                item = append(listed, "Item")
                append(item, "DeviceID", alarm_input.device_id)
                append(item, "DutyStatus", alarm_input.duty_status)
        return serialize(root, charset, edition)


_STATUS: Final = ElementTable(DeviceStatus)
