"""Device control: the request for a key frame (GB/T 28181-2022 A.2.3.1.7)."""

from dataclasses import dataclass
from typing import Self

from .edition import Edition
from .xml import ManscdpMessage, append, envelope, find_child, require_kind, serialize


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFrameRequest:
    """``IFrameCmd`` in 2022; 2016, and every device of 2016, spells it ``IFameCmd``."""

    sn: int
    device_id: str  # the channel

    @staticmethod
    def is_in(message: ManscdpMessage) -> bool:
        """Whether a DeviceControl asks for a key frame, in either spelling."""
        element = message.element
        found = (find_child(element, tag) for tag in ("IFrameCmd", "IFameCmd"))
        return any(child is not None for child in found)

    @classmethod
    def from_message(cls, message: ManscdpMessage) -> Self:
        require_kind(message, "Control", "DeviceControl")
        return cls(sn=message.sn, device_id=message.device_id)

    def to_bytes(self, charset: str = "gb18030", edition: Edition = Edition.GB2022) -> bytes:
        root = envelope("Control", "DeviceControl", self.sn, self.device_id)
        append(root, "IFrameCmd" if edition >= Edition.GB2022 else "IFameCmd", "Send")
        return serialize(root, charset, edition)
