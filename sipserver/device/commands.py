"""CmdType -> handler: the table that services extend, and the handlers of this package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from manscdp.catalog import CatalogNotify, CatalogPage
from manscdp.information import DeviceInfo, DeviceStatus
from manscdp.notify import Keepalive
from manscdp.registry import from_message
from manscdp.xml import Kind, ManscdpMessage
from sipserver.device.channels import ChannelDirectory
from sipserver.device.device import Device
from sipserver.device.incoming import Incoming
from sipserver.device.presence import Presence
from sipserver.device.queries import PageFate, QueryEngine
from sipserver.device.registry import Registry

Handler = Callable[[Device, ManscdpMessage, Incoming], None]
"""Called after the SIP answer, which only says "received" (9.3 to 9.6). Must not block."""

MOST_UNKNOWN: Final = 100


class CommandTable:
    """Who handles what. An unknown command is counted by its name, never an error."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[Kind, str], Handler] = {}
        self.unknown: Counter[str] = Counter()
        """``Notify SensorCatalog`` -> how often; of the first hundred names."""

    def add(self, kind: Kind, cmd_type: str, handler: Handler) -> None:
        """A command has one handler: the later one takes its place."""
        self._handlers[kind, cmd_type] = handler

    def knows(self, message: ManscdpMessage) -> bool:
        return (message.kind, message.cmd_type) in self._handlers

    def handle(self, device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        handler = self._handlers.get((message.kind, message.cmd_type))
        if handler is not None:
            handler(device, message, incoming)
            return
        name = f"{message.kind} {message.cmd_type[:40]}"
        if name in self.unknown or len(self.unknown) < MOST_UNKNOWN:
            self.unknown[name] += 1


class DeviceCommands:
    """Keepalive, and the answers and notifications that keep catalogue and details true."""

    def __init__(
        self,
        presence: Presence,
        registry: Registry,
        queries: QueryEngine,
        directory: ChannelDirectory,
    ) -> None:
        self._presence = presence
        self._registry = registry
        self._queries = queries
        self._directory = directory

    def join(self, table: CommandTable) -> None:
        table.add("Notify", "Keepalive", self._keepalive)
        table.add("Notify", "Catalog", self._catalog_notify)
        table.add("Response", "Catalog", self._catalog_response)
        table.add("Response", "DeviceInfo", self._answer)
        table.add("Response", "DeviceStatus", self._answer)

    def remember_charset(self, device: Device, message: ManscdpMessage) -> None:
        if message.charset_certain and message.charset != device.details.charset:
            details = replace(device.details, charset=message.charset)
            self._registry.describe(device, details)

    def _keepalive(self, device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        if message.plain_keepalive == "OK":
            self._presence.keepalive(device, incoming.received_at)
            return
        heartbeat = Keepalive.from_message(message)
        self._presence.keepalive(
            device,
            incoming.received_at,
            healthy=heartbeat.status != "ERROR",
            faulty=heartbeat.faulty,
        )

    def _answer(self, device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        answer = from_message(message)
        if isinstance(answer, DeviceInfo | DeviceStatus):
            self._queries.receive_answer(device, answer)

    def _catalog_response(
        self, device: Device, message: ManscdpMessage, incoming: Incoming
    ) -> None:
        page = from_message(message)
        if not isinstance(page, CatalogPage):
            return  # the acknowledgement of 2016, only a Result
        if incoming.request.method == "MESSAGE":
            fate = self._queries.receive_page(device, page)
        else:
            fate = PageFate.UNSOLICITED  # 2011 notifies with root Response
        if fate in (PageFate.LATE, PageFate.UNSOLICITED):
            self._directory.merge(device.device_id, page.items, page.bad_items)

    def _catalog_notify(self, device: Device, message: ManscdpMessage, incoming: Incoming) -> None:
        notify = from_message(message)
        if isinstance(notify, CatalogNotify):
            self._directory.apply(
                device.device_id,
                notify.changes,
                notify.bad_items,
                trust_states=device.account.trust_state_notifications,
            )
