"""What can be exported, and its rows as a stream of bounded memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Select, column, func, select, table, text

from shop.runtime.errors import UserError

TIME_COLUMNS = ("received_at", "kafka_timestamp")
"""What a period limits: the first of these that a table has."""

# Rows in memory. Few, because a dead letter may be large.
ROWS_AT_ONCE = 100

# A reader that pauses for hours (a pager) must not make the server hang up.
_SESSION = text("SET net_write_timeout = 86400, @kpi_window = :window")


@dataclass(frozen=True)
class Relation:
    """A table or view that exists; ``key``: columns of its primary key, ``time``: the one that a period limits."""

    name: str
    is_view: bool
    key: tuple[str, ...]
    time: str | None


@dataclass(frozen=True)
class Period:
    """From ``since`` (inclusive) to ``until`` (exclusive); None: no limit."""

    since: datetime | None
    until: datetime | None


def find(connection: Connection, name: str) -> Relation:
    """The table or view of that name. Raises UserError that names those that exist, and DBAPIError."""
    kinds = {
        row.name: row.kind == "VIEW"
        for row in connection.execute(
            text(
                "SELECT table_name AS name, table_type AS kind FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'VIEW') ORDER BY kind, name"
            )
        )
    }
    if name not in kinds:
        there = f"there are {', '.join(kinds)}" if kinds else "there are none: load sql/ first"
        raise UserError(f"there is no table or view {name!r}; {there}" if name else f"name a table or view; {there}")
    if kinds[name]:
        return Relation(name, True, (), None)
    of_table = "FROM information_schema.{} WHERE table_schema = DATABASE() AND table_name = :name"
    columns = connection.execute(text(f"SELECT column_name {of_table.format('columns')}"), {"name": name}).scalars()
    there_are = set(columns)
    key = connection.execute(
        text(
            f"SELECT column_name {of_table.format('key_column_usage')} AND constraint_name = 'PRIMARY' "
            "ORDER BY ordinal_position"
        ),
        {"name": name},
    ).scalars()
    return Relation(name, False, tuple(key), next((one for one in TIME_COLUMNS if one in there_are), None))


def count(connection: Connection, source: Relation, period: Period) -> int:
    """How many rows there are as of now."""
    return int(connection.execute(_select(func.count(), source, period)).scalar_one())


@contextmanager
def stream(engine: Engine, source: Relation, period: Period, window: int) -> Iterator[CursorResult[Any]]:
    """The rows as of now, those of a table in the order of its primary key; at most ``ROWS_AT_ONCE`` are held.

    Where the caller leaves with an exception, the rest is not read. Raises DBAPIError.
    """
    with engine.connect().execution_options(yield_per=ROWS_AT_ONCE) as connection:
        connection.execute(_SESSION, {"window": window})
        rows = connection.execute(_select(text("*"), source, period).order_by(*map(column, source.key)))
        try:
            yield rows
        except BaseException:
            _cut_off(connection, rows)
            raise


def _select(what: Any, source: Relation, period: Period) -> Select[Any]:
    statement = select(what).select_from(table(source.name))
    if source.time and period.since:
        statement = statement.where(column(source.time) >= period.since)
    if source.time and period.until:
        statement = statement.where(column(source.time) < period.until)
    return statement


def _cut_off(connection: Connection, rows: CursorResult[Any]) -> None:
    """Hangs up. PyMySQL would read an unbuffered result to its end before it closes it, however long that takes."""
    result = getattr(rows.cursor, "_result", None)
    if result is not None:
        result.unbuffered_active = False
    connection.invalidate()
