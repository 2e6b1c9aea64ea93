"""Catalogue items and the messages that carry them (GB/T 28181-2022 A.2.1.9, A.2.6.5, annex N)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from lxml import etree

from .edition import Edition
from .element import INFO, ITEM, ElementTable, element
from .repair import RECOVERED
from .values import decimal, integer, latitude, longitude, parental
from .xml import (
    ManscdpMessage,
    append,
    child_text,
    envelope,
    find_child,
    local_name,
    require_kind,
    serialize,
)

_STATUS: Final = {
    "ON": ("ON", None),
    "ONLINE": ("ON", None),
    "OK": ("ON", None),
    "OFF": ("OFF", None),
    "OFFLINE": ("OFF", None),
    "VLOST": ("OFF", "VLOST"),
    "DEFECT": ("OFF", "DEFECT"),
    "ERROR": ("OFF", "DEFECT"),
}
_ID_CHARACTERS: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

EVENTS: Final = ("ON", "OFF", "VLOST", "DEFECT", "DEL", "ADD", "UPDATE")
_G22: Final[Any] = {"since": Edition.GB2022}
_INFO16: Final[Any] = {"since": Edition.GB2016, "place": INFO}
_INFO16_ONLY: Final[Any] = {"since": Edition.GB2016, "until": Edition.GB2016, "place": INFO}
_INFO22: Final[Any] = {"since": Edition.GB2022, "place": INFO}
_OLD: Final[Any] = {"until": Edition.GB2016}


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogItem:
    """One device, channel or directory, in the peer's own words; fields in the schema's order.

    ``Password`` (A.2.1.9) is neither kept nor sent.
    """

    device_id: str = element("DeviceID", "")  # 20 digits; 2, 4, 6 or 8: a region (A.2.1.2)
    name: str = element("Name", "")
    manufacturer: str | None = element("Manufacturer", None)
    model: str | None = element("Model", None)
    owner: str | None = element("Owner", None, **_OLD)
    civil_code: str | None = element("CivilCode", None)  # 2, 4, 6 or 8 digits; vendors: 10, 20
    block: str | None = element("Block", None)  # police area, GA/T 380
    address: str | None = element("Address", None)
    parental: int | None = element("Parental", None, parental)  # 1 may have sub-devices, 0 none
    parent_id: str | None = element("ParentID", None)  # several are joined by "/"
    safety_way: int | None = element("SafetyWay", None, integer, **_OLD)
    register_way: int | None = element("RegisterWay", None, integer)
    security_level_code: str | None = element("SecurityLevelCode", None, **_G22)
    cert_num: str | None = element("CertNum", None, **_OLD)
    certifiable: int | None = element("Certifiable", None, integer, **_OLD)
    err_code: int | None = element("ErrCode", None, integer, **_OLD)
    end_time: str | None = element("EndTime", None, **_OLD)
    secrecy: int | None = element("Secrecy", None, integer)
    ip_address: str | None = element("IPAddress", None)
    port: int | None = element("Port", None, integer)
    status: str | None = element("Status", None)  # "ON", "OFF"; None: not said (regions, groups)
    longitude: float | None = element("Longitude", None, longitude)  # degrees, WGS-84
    latitude: float | None = element("Latitude", None, latitude)  # degrees, WGS-84
    business_group_id: str | None = element("BusinessGroupID", None, since=Edition.GB2016)
    ptz_type: str | None = element("PTZType", None, **_INFO16)
    position_type: int | None = element("PositionType", None, integer, **_INFO16_ONLY)
    photoelectric_imaging_type: str | None = element("PhotoelectricImagingType", None, **_INFO22)
    capture_position_type: str | None = element("CapturePositionType", None, **_INFO22)
    room_type: int | None = element("RoomType", None, integer, **_INFO16)
    use_type: int | None = element("UseType", None, integer, **_INFO16_ONLY)
    supply_light_type: int | None = element("SupplyLightType", None, integer, **_INFO16)
    direction_type: int | None = element("DirectionType", None, integer, **_INFO16)
    resolution: str | None = element("Resolution", None, **_INFO16)
    stream_number_list: str | None = element("StreamNumberList", None, **_INFO22)
    download_speed: str | None = element("DownloadSpeed", None, **_INFO16)
    svc_space_support_mode: int | None = element("SVCSpaceSupportMode", None, integer, **_INFO16)
    svc_time_support_mode: int | None = element("SVCTimeSupportMode", None, integer, **_INFO16)
    ssvc_ratio_support_list: str | None = element("SSVCRatioSupportList", None, **_INFO22)
    mobile_device_type: int | None = element("MobileDeviceType", None, integer, **_INFO22)
    horizontal_field_angle: float | None = element("HorizontalFieldAngle", None, decimal, **_INFO22)
    vertical_field_angle: float | None = element("VerticalFieldAngle", None, decimal, **_INFO22)
    max_view_distance: float | None = element("MaxViewDistance", None, decimal, **_INFO22)
    grassroots_code: str | None = element("GrassrootsCode", None, **_INFO22)
    point_type: int | None = element("PointType", None, integer, **_INFO22)
    point_common_name: str | None = element("PointCommonName", None, **_INFO22)
    mac: str | None = element("MAC", None, **_INFO22)
    function_type: str | None = element("FunctionType", None, **_INFO22)
    encode_type: str | None = element("EncodeType", None, **_INFO22)
    install_time: str | None = element("InstallTime", None, **_INFO22)
    management_unit: str | None = element("ManagementUnit", None, **_INFO22)
    contact_info: str | None = element("ContactInfo", None, **_INFO22)
    record_save_days: int | None = element("RecordSaveDays", None, integer, **_INFO22)
    industrial_classification: str | None = element("IndustrialClassification", None, **_INFO22)
    fault: str | None = None  # "VLOST" or "DEFECT" when the peer's Status said so; not written

    @property
    def online(self) -> bool:
        """An item that says nothing about itself is taken as on line."""
        return self.status != "OFF"

    @property
    def parent_ids(self) -> tuple[str, ...]:
        """The parents named, in order, without blanks and without "null" (not yet checked)."""
        if not self.parent_id:
            return ()
        parts = (part.strip() for part in self.parent_id.split("/"))
        return tuple(part for part in parts if part and part.lower() != "null")

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude and latitude; devices without a position send 0, 0."""
        if self.longitude is None or self.latitude is None:
            return None
        place = (self.longitude, self.latitude)
        return None if place == (0.0, 0.0) else place

    @classmethod
    def from_xml(cls, item: etree._Element) -> Self:
        """Read an item: any order, any namespace, ``Info`` elements at both places (A.2.1.9)."""
        values: dict[str, Any] = {}
        _TABLE.read(item, values)
        for child in item:
            if len(child) and local_name(child).lower() == "info":
                _TABLE.read(child, values)
        if "status" in values:
            values["status"], values["fault"] = _normal_status(values["status"])
        return cls(**values)

    def to_xml(
        self, parent: etree._Element, edition: Edition = Edition.GB2022, event: str | None = None
    ) -> None:
        """Append ``<Item>`` with the elements that the edition knows, in its order."""
        item = append(parent, "Item")
        if event is None:
            _TABLE.write(self, item, edition, ITEM)
        else:
            _write_event_item(self, item, edition, event)
        if edition < Edition.GB2016:
            return
        group_in_info = self._group_stands_in_info(edition)
        if group_in_info or _TABLE.has_any(self, edition, INFO):
            self._write_info(item, edition, group_in_info)

    def _group_stands_in_info(self, edition: Edition) -> bool:
        """2016 puts BusinessGroupID of a device into Info; of an organisation it stands above."""
        if self.business_group_id is None or edition != Edition.GB2016:
            return False
        return self.device_id[10:13] != "216"

    def _write_info(self, item: etree._Element, edition: Edition, group_in_info: bool) -> None:
        info = append(item, "Info")
        _TABLE.write(self, info, edition, INFO)
        group = find_child(item, "BusinessGroupID") if group_in_info else None
        if group is None:
            return
        later = [child for child in info if child.tag in _BEHIND_GROUP]
        info.insert(info.index(later[0]) if later else len(info), group)


_TABLE: Final = ElementTable(CatalogItem, {"Longtitude": "Longitude"})
_BEHIND_GROUP: Final = ("DownloadSpeed", "SVCSpaceSupportMode", "SVCTimeSupportMode")


def _normal_status(text: str) -> tuple[str, str | None]:
    """ON, ONLINE, OK / OFF, OFFLINE / ERROR, VLOST, DEFECT; anything else counts as on line."""
    return _STATUS.get(text.upper(), ("ON", None))


def _write_event_item(
    source: CatalogItem, item: etree._Element, edition: Edition, event: str
) -> None:
    append(item, "DeviceID", source.device_id)
    append(item, "Event", event)
    if event in ("ADD", "UPDATE"):
        whole = etree.Element("Item")
        _TABLE.write(source, whole, edition, ITEM)
        item.extend(list(whole)[1:])


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that cannot be used, kept aside."""

    reason: str
    device_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPage:
    """One Response of a catalogue query: a page of the answer (annex M)."""

    sn: int
    device_id: str  # the code that was asked for
    sum_num: int | None  # items of the whole answer; None: not said
    items: tuple[CatalogItem, ...] = ()
    bad_items: tuple[BadItem, ...] = ()
    empty_items: int = 0  # `<Item/>`: counted by the sender, nothing inside
    recovered: bool = False  # the XML was broken: items may be missing

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Response", "Catalog")
        items, bad, empty = _read_items(message.element)
        return cls(
            sn=message.sn,
            device_id=message.device_id,
            sum_num=_sum_num(message),
            items=tuple(items),
            bad_items=tuple(bad),
            empty_items=empty,
            recovered=_recovered(message),
        )

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Response", "Catalog", self.sn, self.device_id)
        count = len(self.items) if self.sum_num is None else self.sum_num
        append(root, "SumNum", str(count))
        if self.items:
            device_list = append(root, "DeviceList")
            device_list.set("Num", str(len(self.items)))
            for item in self.items:
                item.to_xml(device_list, edition)
        return serialize(root, charset, edition)


@dataclass(frozen=True, slots=True)
class CatalogChange:
    event: str  # one of EVENTS
    item: CatalogItem  # all of it for ADD and UPDATE, else the identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogNotify:
    """A catalogue NOTIFY: what changed, not what there is (GB/T 28181-2022 9.11, annex N)."""

    sn: int
    device_id: str  # the code that was subscribed to
    changes: tuple[CatalogChange, ...] = ()
    bad_items: tuple[BadItem, ...] = ()

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Notify", "Catalog")
        changes: list[CatalogChange] = []
        bad: list[BadItem] = []
        for element_ in _item_elements(message.element):
            found = _read_item(element_)
            if isinstance(found, BadItem):
                bad.append(found)
                continue
            event = (child_text(element_, "Event") or "UPDATE").upper()
            if event in EVENTS:
                changes.append(CatalogChange(event, found))
            else:
                bad.append(BadItem(f"unknown Event {event[:16]!r}", found.device_id, found.name))
        return cls(
            sn=message.sn,
            device_id=message.device_id,
            changes=tuple(changes),
            bad_items=tuple(bad),
        )

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Notify", "Catalog", self.sn, self.device_id)
        append(root, "SumNum", str(len(self.changes)))
        device_list = append(root, "DeviceList")
        device_list.set("Num", str(len(self.changes)))
        for change in self.changes:
            change.item.to_xml(device_list, edition, change.event)
        return serialize(root, charset, edition)


def _item_elements(root: etree._Element) -> Iterable[etree._Element]:
    """The items of all lists: some devices repeat the list element."""
    for child in root:
        if local_name(child).lower() == "devicelist":
            yield from child


def _read_items(root: etree._Element) -> tuple[list[CatalogItem], list[BadItem], int]:
    items: list[CatalogItem] = []
    bad: list[BadItem] = []
    empty = 0
    for element_ in _item_elements(root):
        if not len(element_):
            empty += 1
            continue
        found = _read_item(element_)
        if isinstance(found, BadItem):
            bad.append(found)
        else:
            items.append(found)
    return items, bad, empty


def _read_item(item: etree._Element) -> CatalogItem | BadItem:
    found = CatalogItem.from_xml(item)
    device_id = found.device_id
    if not device_id:
        return BadItem("no DeviceID", "", found.name[:64])
    if len(device_id) > 32 or not _ID_CHARACTERS.issuperset(device_id):
        return BadItem("DeviceID is not 1-32 digits or letters", device_id[:64], found.name[:64])
    return found


def _sum_num(message: ManscdpMessage) -> int | None:
    text = message.text("SumNum")
    value = integer(text) if text else None
    return value if value is not None and value >= 0 else None


def _recovered(message: ManscdpMessage) -> bool:
    return RECOVERED in message.repaired
