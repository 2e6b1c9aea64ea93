"""The tables. Migrations bring a database here; a test compares the two.

Times are seconds since 1970 (UTC) as floats, codes are text, and what a peer said in full is kept
as JSON beside the columns that are searched.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("device_id", String(32), primary_key=True),
    Column("settings", LargeBinary, nullable=False),  # the account as JSON, password included
    Column("updated_at", Float, nullable=False),
)

bindings: Final = Table(
    "bindings",
    metadata,
    Column("device_id", String(32), primary_key=True),
    Column("state", LargeBinary, nullable=False),  # the registration as JSON
    Column("updated_at", Float, nullable=False),
)

details: Final = Table(
    "details",
    metadata,
    Column("device_id", String(32), primary_key=True),
    Column("state", LargeBinary, nullable=False),  # what the device said of itself, as JSON
    Column("updated_at", Float, nullable=False),
)

channels: Final = Table(
    "channels",
    metadata,
    Column("id", Integer, primary_key=True),  # keeps the order of the peer's list
    Column("device_id", String(32), nullable=False),
    Column("channel_id", String(32), nullable=False),
    Column("item", LargeBinary, nullable=False),  # the catalogue item as JSON, in its own words
    UniqueConstraint("device_id", "channel_id"),
)

channel_settings: Final = Table(
    "channel_settings",
    metadata,
    Column("device_id", String(32), primary_key=True),
    Column("channel_id", String(32), primary_key=True),
    Column("settings", LargeBinary, nullable=False),  # what the operator set, as JSON
)

presence: Final = Table(
    "presence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("device_id", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "device_id", "id"),
    Index(None, "at"),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("device_id", String(32), nullable=False),
    Column("channel_id", String(32), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("detail", LargeBinary, nullable=False),  # stages, verdict and counters as JSON
    Index(None, "channel_id", "started_at"),
    Index(None, "started_at"),
    Index(None, "ended_at"),
)

users: Final = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("password_changed_at", Float, nullable=False),
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Single values, such as the revision of the accounts."""
