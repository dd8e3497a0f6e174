"""Writing many rows at once (DESIGN.md, measured): one contract, two ways, no ORM and no RETURNING on either.

==========  ==================================================================  =====================================================
            inserting                                                           updating
==========  ==================================================================  =====================================================
SQLite      tuples through the driver                                           the same
PostgreSQL  COPY into the table                                                 COPY into a temporary table, then UPDATE … FROM it
==========  ==================================================================  =====================================================

So on PostgreSQL the number of statements does not depend on the number of rows. A few rows are not worth a temporary table and go through
the driver on either. Statements are composed from the tables' own column names, values are always bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

Row = tuple[Any, ...]
T = TypeVar("T")

FEW = 4
"""Rows up to this number are sent to PostgreSQL one by one, each in a statement of its own. The driver's way of sending them all at once would
leave the database without a timer for a transaction that is left alone (`locks.let_go_after`)."""


def _as_it_is(row: Any) -> Row:
    return row  # type: ignore[no-any-return]


def insert(
    session: Session, table: type[SQLModel], columns: tuple[str, ...], things: Sequence[T], row_of: Callable[[T], Row] = _as_it_is
) -> None:
    """Insert a row for each thing, a tuple in the order of `columns`; JSON and instants already as text.

    PostgreSQL is sent the rows as `row_of` makes them: it works on the first ones while the next are made.
    """
    if not things:
        return
    connection, name = session.connection(), str(table.__tablename__)
    if _copies(connection, things):
        _copy(connection, name, columns, map(row_of, things))
        return
    rows = list(map(row_of, things))
    if connection.dialect.name == "sqlite" and len(rows) > FEW:
        _insert_by_column(connection, name, columns, rows)
    else:
        _send(connection, _insert(name, columns, (mark(connection),) * len(columns)), rows)


def update(session: Session, table: type[SQLModel], columns: tuple[str, ...], rows: Sequence[Row], keys: tuple[str, ...] = ("id",)) -> None:
    """Update `columns` of the rows named by `keys`; each tuple holds the new values and then the key."""
    if not rows:
        return
    connection, name = session.connection(), str(table.__tablename__)
    if _copies(connection, rows):
        beside, *make, set_from = _update_from(name, columns, keys)
        for statement in make:
            connection.exec_driver_sql(statement)
        _copy(connection, beside, (*columns, *keys), rows)
        connection.exec_driver_sql(set_from)
    else:
        _send(connection, _update(name, columns, keys, mark(connection)), rows)


def mark(connection: Connection) -> str:
    """How the driver marks a bound value."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


def _copies(connection: Connection, rows: Sequence[Any]) -> bool:
    return connection.dialect.name == "postgresql" and len(rows) > FEW


def _send(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(statement, list(rows))
    else:
        for row in rows:
            connection.exec_driver_sql(statement, row)


def _insert_by_column(connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert with what all rows say alike, null, true, false or no bytes, in the statement: the driver binds a text in half the time of a null."""
    by_column = list(zip(*rows, strict=True))
    words = tuple(_literal(values) for values in by_column)
    bound = [values for values, word in zip(by_column, words, strict=True) if word == "?"]
    connection.exec_driver_sql(_insert(table, columns, words), list(zip(*bound, strict=True)))


def _literal(values: tuple[Any, ...]) -> str:
    first = values[0]
    plain = first is None or first is True or first is False or first == b""
    return _LITERALS[first] if plain and values.count(first) == len(values) else "?"


_LITERALS = {None: "NULL", True: "1", False: "0", b"": "x''"}


def _copy(connection: Connection, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    """Stream rows into a table."""
    statement = f"COPY {table} ({_names(columns)}) FROM STDIN"
    with _through_the_driver(connection, statement) as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def fetch(session: Session, statement: str, values: Row) -> list[Row]:
    """The rows of a question with the driver's marks that is answered with long values of bytes.

    PostgreSQL sends them as they are. What is asked in the usual way it writes out as text, two digits to a byte, to be read again.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return [tuple(row) for row in connection.exec_driver_sql(statement, values)]
    with _through_the_driver(connection, statement, binary=True) as cursor:
        rows: list[Row] = cursor.execute(statement, values).fetchall()
        return rows


@contextmanager
def _through_the_driver(connection: Connection, statement: str, **how: Any) -> Iterator[Any]:
    """A cursor of psycopg's own. What it raises is raised as SQLAlchemy's own, as everywhere else."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor(**how) as cursor:
            yield cursor
    except connection.dialect.loaded_dbapi.Error as fault:
        raise DBAPIError.instance(
            statement, (), fault, connection.dialect.loaded_dbapi.Error, hide_parameters=True, dialect=connection.dialect
        ) from fault


@cache
def _insert(table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({_names(columns)}) VALUES ({', '.join(values)})"


@cache
def _update(table: str, columns: tuple[str, ...], keys: tuple[str, ...], sign: str) -> str:
    assignments = ", ".join(f'"{column}" = {sign}' for column in columns)
    return f"UPDATE {table} SET {assignments} WHERE " + " AND ".join(f'"{key}" = {sign}' for key in keys)


@cache
def _update_from(table: str, columns: tuple[str, ...], keys: tuple[str, ...]) -> tuple[str, ...]:
    """A temporary table's name, how it is made and emptied, and how the rows in it update the table.

    It belongs to the connection and is kept for the next batch; who rolls back loses it, and so it is asked for every time.
    """
    beside = f"bulk_{table}_{sha256(repr((columns, keys)).encode()).hexdigest()[:12]}"
    make = f"CREATE TEMPORARY TABLE IF NOT EXISTS {beside} ON COMMIT DELETE ROWS AS SELECT {_names((*columns, *keys))} FROM {table} LIMIT 0"
    assignments = ", ".join(f'"{column}" = beside."{column}"' for column in columns)
    where = " AND ".join(f'{table}."{key}" = beside."{key}"' for key in keys)
    return beside, make, f"TRUNCATE {beside}", f"UPDATE {table} SET {assignments} FROM {beside} AS beside WHERE {where}"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def take_stock(session: Session, *names: str) -> None:
    """Tell PostgreSQL what these tables hold by now: after thousands of new rows it would plan by what they held before, until it looks by
    itself. It looks at a tenth of the rows that it looks at then, which is enough to tell a small table from a large one, and takes a tenth of
    a second, and not one and more, of a run that people wait for. SQLite plans by the indexes alone.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL default_statistics_target = 10")
        connection.exec_driver_sql(f"ANALYZE {', '.join(names)}")
        connection.exec_driver_sql("SET LOCAL default_statistics_target = DEFAULT")
