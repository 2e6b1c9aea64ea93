"""The channels of every device, and what the operator set for them."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, select

from manscdp.catalog import CatalogItem
from sipserver.device.channels import ChannelSettings
from storage.sql.database import Database
from storage.sql.schema import channel_settings, channels
from storage.sql.statements import remove_sql, save_sql
from storage.sql.writer import KeyedTable

log = logging.getLogger(__name__)
_FIELDS: Final = tuple(item.name for item in fields(CatalogItem))


_KEY: Final = ["device_id", "channel_id"]
_SAVE_CHANNEL: Final = save_sql(channels, _KEY, ["item"])
_REMOVE_CHANNEL: Final = remove_sql(channels, _KEY)
_SETTINGS: Final = KeyedTable(
    save_sql=save_sql(channel_settings, _KEY, ["settings"]),
    remove_sql=remove_sql(channel_settings, _KEY),
    row=lambda key, settings: (*key, msgspec.json.encode(settings)),
    key=lambda key: key,
)


class SqlChannelStore:
    """A ``ChannelStore`` of :mod:`sipserver.device.channels`: loads block, saves are queued."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_channels(self) -> Iterable[tuple[str, CatalogItem]]:
        query = select(channels.c.device_id, channels.c.item).order_by(channels.c.id)
        decoder = msgspec.json.Decoder(CatalogItem)
        rows = self._database.read_blocking(lambda connection: connection.execute(query).all())
        for device_id, data in rows:
            try:
                yield device_id, decoder.decode(data)
            except msgspec.DecodeError as error:
                log.error("a stored channel of device %s is not readable: %s", device_id, error)

    def load_channel_settings(self) -> Iterable[tuple[str, str, ChannelSettings]]:
        query = select(channel_settings)
        rows = self._database.read_blocking(lambda connection: connection.execute(query).all())
        for device_id, channel_id, data in rows:
            try:
                yield device_id, channel_id, msgspec.json.decode(data, type=ChannelSettings)
            except msgspec.DecodeError as error:
                log.error("stored settings of channel %s are not readable: %s", channel_id, error)

    def save_channels(
        self, device_id: str, changed: Sequence[CatalogItem], removed: Sequence[str]
    ) -> None:
        def write(connection: Connection) -> None:
            """On the writer's thread: encoding 20,000 items would hold the event loop."""
            if removed:
                keys = [(device_id, channel_id) for channel_id in removed]
                connection.exec_driver_sql(_REMOVE_CHANNEL, keys)
            if changed:
                rows = [_row(device_id, item) for item in changed]
                connection.exec_driver_sql(_SAVE_CHANNEL, rows)

        self._queue(self._database.writer.submit(write, len(changed) + len(removed)))

    def save_channel_settings(
        self, device_id: str, channel_id: str, settings: ChannelSettings
    ) -> None:
        key = (device_id, channel_id)
        self._queue(self._database.writer.save(_SETTINGS, key, settings))

    def remove_channels(self, device_id: str) -> None:
        def write(connection: Connection) -> None:
            for table in (channels, channel_settings):
                connection.execute(delete(table).where(table.c.device_id == device_id))

        self._queue(self._database.writer.submit(write, 1))

    def _queue(self, taken: bool) -> None:
        if not taken:
            log.warning("the write queue is full: a change of a catalogue was not stored")


def _row(device_id: str, item: CatalogItem) -> tuple[str, str, bytes]:
    """What the peer did not say is not stored: it is most of the 50 fields."""
    said = {name: value for name in _FIELDS if (value := getattr(item, name)) is not None}
    return device_id, item.device_id, msgspec.json.encode(said)
