"""What the errors of the services mean to a client of the API: the one map."""

from collections.abc import Mapping
from typing import Final

from api.errors import (
    DEVICE_OFFLINE,
    DEVICE_REFUSED,
    DEVICE_SILENT,
    DEVICE_UNREACHABLE,
    OVERLOADED,
    SHUTTING_DOWN,
    UNKNOWN_CHANNEL,
    UNKNOWN_DEVICE,
    UNKNOWN_SESSION,
    Problem,
)
from sipserver.device import errors as device
from sipserver.device.sessions import errors as sessions

DOMAIN_ERRORS: Final[Mapping[type[Exception], Problem]] = {
    device.UnknownDevice: UNKNOWN_DEVICE,
    device.UnknownChannel: UNKNOWN_CHANNEL,
    device.DeviceNotOnline: DEVICE_OFFLINE,
    device.DeviceBusy: OVERLOADED,
    device.DeviceUnreachable: DEVICE_UNREACHABLE,
    device.DeviceRefused: DEVICE_REFUSED,
    device.DeviceSilent: DEVICE_SILENT,
    sessions.UnknownSession: UNKNOWN_SESSION,
    sessions.ShuttingDown: SHUTTING_DOWN,
}
