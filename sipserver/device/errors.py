"""Everything the device services may raise.

* :exc:`DeviceError`
    * :exc:`UnknownDevice`     -- no account has this ID (nor this alias)
    * :exc:`UnknownChannel`    -- the device has no such channel in its catalogue
    * :exc:`DeviceNotOnline`   -- there is no flow to send on
    * :exc:`DeviceBusy`        -- its queue of outgoing requests is full
    * :exc:`DeviceUnreachable` -- no SIP answer, or the connection broke
    * :exc:`DeviceRefused`     -- a SIP answer of 3xx to 6xx
    * :exc:`DeviceSilent`      -- the request was accepted, its business answer never came
"""


class DeviceError(Exception):
    """Base; ``device_id`` names the device, the text is fit for an operator."""

    def __init__(self, device_id: str, text: str) -> None:
        super().__init__(text)
        self.device_id = device_id


class UnknownDevice(DeviceError):
    def __init__(self, device_id: str) -> None:
        super().__init__(device_id, f"device {device_id} is not known here")


class UnknownChannel(DeviceError):
    def __init__(self, device_id: str, channel_id: str) -> None:
        super().__init__(device_id, f"device {device_id} has no channel {channel_id}")
        self.channel_id = channel_id


class DeviceNotOnline(DeviceError):
    def __init__(self, device_id: str) -> None:
        super().__init__(device_id, f"device {device_id} is offline")


class DeviceBusy(DeviceError):
    def __init__(self, device_id: str, waiting: int) -> None:
        super().__init__(device_id, f"{waiting} requests wait for device {device_id} already")


class DeviceUnreachable(DeviceError):
    def __init__(self, device_id: str, what: str, reason: str) -> None:
        super().__init__(device_id, f"device {device_id} did not answer {what}: {reason}")


class DeviceRefused(DeviceError):
    """``status`` and ``reason`` are the device's own."""

    def __init__(self, device_id: str, what: str, status: int, reason: str) -> None:
        super().__init__(
            device_id, f"device {device_id} refused {what}: {status} {reason}".rstrip()
        )
        self.status = status
        self.reason = reason


class DeviceSilent(DeviceError):
    def __init__(self, device_id: str, what: str, seconds: float) -> None:
        super().__init__(
            device_id,
            f"device {device_id} accepted {what} but sent no answer within {seconds:g} s",
        )
