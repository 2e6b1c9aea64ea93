"""CmdType -> class. A command that nobody here knows is a value, not an error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .catalog import CatalogNotify, CatalogPage
from .control import KeyFrameRequest
from .information import DeviceInfo, DeviceStatus
from .notify import Keepalive, MediaStatus
from .query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from .xml import Kind, ManscdpMessage


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """Answered with 200 and counted: the SIP answer only says "received" (9.3-9.6)."""

    kind: Kind
    cmd_type: str
    sn: int
    device_id: str


Command = (
    CatalogNotify
    | CatalogPage
    | CatalogQuery
    | DeviceInfo
    | DeviceInfoQuery
    | DeviceStatus
    | DeviceStatusQuery
    | KeyFrameRequest
    | Keepalive
    | MediaStatus
    | UnknownCommand
)


def from_message(message: ManscdpMessage) -> Command:
    """The typed value of a parsed message."""
    reader = _READERS.get((message.kind, message.cmd_type), _unknown)
    return reader(message)


def _unknown(message: ManscdpMessage) -> UnknownCommand:
    return UnknownCommand(message.kind, message.cmd_type, message.sn, message.device_id)


def _device_control(message: ManscdpMessage) -> Command:
    if KeyFrameRequest.is_in(message):
        return KeyFrameRequest.from_message(message)
    return _unknown(message)


def _catalog_response(message: ManscdpMessage) -> Command:
    """2016 also answers SUBSCRIBE and NOTIFY with a Catalog Response that holds only Result."""
    if message.text("Result") is not None and message.text("SumNum") is None:
        return _unknown(message)
    return CatalogPage.from_message(message)


_READERS: Final[dict[tuple[str, str], Callable[[ManscdpMessage], Command]]] = {
    ("Control", "DeviceControl"): _device_control,
    ("Notify", "Catalog"): CatalogNotify.from_message,
    ("Notify", "Keepalive"): Keepalive.from_message,
    ("Notify", "MediaStatus"): MediaStatus.from_message,
    ("Query", "Catalog"): CatalogQuery.from_message,
    ("Query", "DeviceInfo"): DeviceInfoQuery.from_message,
    ("Query", "DeviceStatus"): DeviceStatusQuery.from_message,
    ("Response", "Catalog"): _catalog_response,
    ("Response", "DeviceInfo"): DeviceInfo.from_message,
    ("Response", "DeviceStatus"): DeviceStatus.from_message,
}
