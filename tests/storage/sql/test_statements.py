from storage.sql.schema import channels, presence
from storage.sql.statements import append_sql, remove_sql, save_sql

KEY = ["device_id", "channel_id"]


def test_saving_inserts_or_replaces_by_key() -> None:
    assert save_sql(channels, KEY, ["item"]) == (
        "INSERT INTO channels (device_id, channel_id, item) VALUES (?, ?, ?)"
        " ON CONFLICT (device_id, channel_id) DO UPDATE SET item = excluded.item"
    )


def test_appending_names_its_columns() -> None:
    assert append_sql(presence, ["device_id", "at"]) == (
        "INSERT INTO presence (device_id, at) VALUES (?, ?)"
    )


def test_removing_is_by_the_whole_key() -> None:
    assert remove_sql(channels, KEY) == (
        "DELETE FROM channels WHERE channels.device_id = ? AND channels.channel_id = ?"
    )
