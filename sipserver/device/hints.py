"""What looks wrong in a device's configuration, said once, with the remedy."""

from __future__ import annotations

import logging
from typing import Final

from sipserver.device.clock import Clock
from sipserver.device.device import Device
from sipserver.device.events import Publish, SignallingHint
from sipserver.device.registration import RegistrationWish
from sipserver.sip.message import Request

MOST_HINTS: Final = 10_000

_log = logging.getLogger(__name__)


class Hints:
    """Each hint once per device and value; the oldest are forgotten."""

    def __init__(self, server_id: str, publish: Publish, clock: Clock) -> None:
        self._server_id = server_id
        self._publish = publish
        self._clock = clock
        self._given: dict[tuple[str, str, str], None] = {}

    def registered(self, wish: RegistrationWish) -> None:
        """A Hikvision recorder keeps an old server ID until it is entered again."""
        asked, from_id = wish.server_id, _shown(wish.from_id)
        wrong = asked not in (self._server_id, wish.device_id)
        if wrong and len(asked) == 20 and asked.isalnum():
            self._give(
                wish.device_id,
                "server ID",
                asked,
                f"the device is set to the SIP server ID {asked}, this platform is "
                f"{self._server_id}: enter it again on the device and save",
            )
        if from_id and from_id != wish.device_id:
            self._give(
                wish.device_id,
                "From and To differ",
                from_id,
                f"the device registers {wish.device_id} but calls itself {from_id} in From: "
                "check its device ID and SIP user name",
            )

    def alias(self, device: Device, name: str) -> None:
        """A message came from its address under an ID that no account has."""
        name = _shown(name)
        self._give(
            device.device_id,
            "alias",
            name,
            f"the peer also calls itself {name}: its messages are taken as those of "
            f"{device.device_id}; add it to the aliases of the account",
        )

    def reported_id(self, device: Device, name: str) -> None:
        name = _shown(name)
        if name and name != device.device_id and name not in device.account.aliases:
            self._give(
                device.device_id,
                "heartbeat ID",
                name,
                f"the heartbeat of {device.device_id} names {name}: check the device ID",
            )

    def unreadable(self, device: Device, request: Request, reason: str) -> None:
        """A body of it is no MANSCDP. Said in the log too: nobody may be watching the events."""
        text = (
            f"{device.device_id} sends a body that cannot be read: {_shown(reason, 128)} "
            f"(Call-ID {_shown(request.call_id, 128)}, CSeq {request.cseq.number} "
            f"{request.cseq.method}); further ones are only counted"
        )
        if self._give(device.device_id, "body", "", text):
            _log.warning("%s", text)

    def _give(self, device_id: str, kind: str, value: str, text: str) -> bool:
        """Whether it is new."""
        key = (device_id, kind, value)
        if key in self._given:
            return False
        if len(self._given) >= MOST_HINTS:
            del self._given[next(iter(self._given))]
        self._given[key] = None
        self._publish(
            SignallingHint(device_id=device_id, at=self._clock.wall(), kind=kind, text=text)
        )
        return True


def _shown(name: str, longest: int = 32) -> str:
    """What a peer calls itself, fit for a terminal and a log."""
    name = name[:longest]
    if name.isprintable():
        return name
    return "".join(character if character.isprintable() else "?" for character in name)
