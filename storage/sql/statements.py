"""Driver SQL of the hot writes, compiled once from the schema."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, insert
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as upsert

_DIALECT: Final = dialect(paramstyle="qmark")


def save_sql(table: Table, keys: Sequence[str], values: Sequence[str]) -> str:
    """Insert or replace by key; the parameters are the keys, then the values."""
    row: dict[str, Any] = {name: bindparam(name) for name in (*keys, *values)}
    statement = upsert(table).values(row)
    changed = {name: statement.excluded[name] for name in values}
    return _sql(statement.on_conflict_do_update(index_elements=keys, set_=changed), row)


def append_sql(table: Table, values: Sequence[str]) -> str:
    row: dict[str, Any] = {name: bindparam(name) for name in values}
    return _sql(insert(table).values(row), row)


def remove_sql(table: Table, keys: Sequence[str]) -> str:
    row: dict[str, Any] = {name: bindparam(f"key_{name}") for name in keys}
    return _sql(delete(table).where(*(table.c[name] == row[name] for name in keys)), row)


def _sql(statement: Any, row: dict[str, Any]) -> str:
    compiled = statement.compile(dialect=_DIALECT)
    order = [parameter.key for parameter in row.values()]
    if list(compiled.positiontup) != order:
        raise AssertionError(f"parameters in another order: {compiled.positiontup}")
    return str(compiled)
