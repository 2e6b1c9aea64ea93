"""The channels of every device, and what the operator set for them."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from manscdp.catalog import CatalogItem
from sipserver.device.channels import ChannelSettings
from storage.sql.database import Database
from storage.sql.schema import channel_settings, channels

log = logging.getLogger(__name__)
_FIELDS: Final = tuple(item.name for item in fields(CatalogItem))


def _save(table: Any, column: str) -> Any:
    statement = upsert(table)
    return statement.on_conflict_do_update(
        index_elements=["device_id", "channel_id"], set_={column: statement.excluded[column]}
    )


_SAVE_CHANNEL: Final = _save(channels, "item")
_SAVE_SETTINGS: Final = _save(channel_settings, "settings")
_REMOVE_CHANNEL: Final = delete(channels).where(
    channels.c.device_id == bindparam("device"), channels.c.channel_id == bindparam("channel")
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
                keys = [{"device": device_id, "channel": channel_id} for channel_id in removed]
                connection.execute(_REMOVE_CHANNEL, keys)
            if changed:
                connection.execute(_SAVE_CHANNEL, [_row(device_id, item) for item in changed])

        self._queue(self._database.writer.submit_work(write, len(changed) + len(removed)))

    def save_channel_settings(
        self, device_id: str, channel_id: str, settings: ChannelSettings
    ) -> None:
        row = {
            "device_id": device_id,
            "channel_id": channel_id,
            "settings": msgspec.json.encode(settings),
        }
        self._queue(self._database.writer.submit(_SAVE_SETTINGS, [row]))

    def remove_channels(self, device_id: str) -> None:
        def write(connection: Connection) -> None:
            for table in (channels, channel_settings):
                connection.execute(delete(table).where(table.c.device_id == device_id))

        self._queue(self._database.writer.submit_work(write, 1))

    def _queue(self, taken: bool) -> None:
        if not taken:
            log.warning("the write queue is full: a change of a catalogue was not stored")


def _row(device_id: str, item: CatalogItem) -> dict[str, Any]:
    """What the peer did not say is not stored: it is most of the 50 fields."""
    said = {name: value for name in _FIELDS if (value := getattr(item, name)) is not None}
    return {
        "device_id": device_id,
        "channel_id": item.device_id,
        "item": msgspec.json.encode(said),
    }
