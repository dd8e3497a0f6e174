"""The yardstick: the very rows that the import wrote, copied into an empty database of the same schema.

By bare bulk inserts of tuples on SQLite, by bare COPY on PostgreSQL, 10,000 rows to a transaction. Only the writing is timed, and memory
does not grow with the rows.

The rows are kept in a file meanwhile, so that the database they come from can be gone when they are copied. Beside it the copy would write to
memory that the machine has not used before, where the import had what others had given back, and a virtual machine has to be given
such memory page by page: 20 microseconds a person, a third of what the copy takes.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import Connection

from bench.databases import engine_of
from mastering.store.engine import reading, writing

_TABLES = ("users", "app_users", "status_spans", "history")
_AT_ONCE = 10_000
_LENGTH = 8
"""Bytes that say how long the next batch is."""


def keep(source: str, file: Path) -> None:
    """Write the rows of a database to a file, deflated, batch by batch."""
    there = engine_of(source)
    with reading(there) as session, file.open("wb") as kept:
        for table in ("apps", *_TABLES):
            found = session.connection().exec_driver_sql(f"SELECT * FROM {table}", execution_options={"stream_results": True})
            columns = list(found.keys())
            for rows in found.partitions(_AT_ONCE):
                batch = zlib.compress(pickle.dumps((table, columns, [tuple(row) for row in rows])), 1)
                kept.write(len(batch).to_bytes(_LENGTH) + batch)
    there.dispose()


def rate(file: Path, target: str) -> float:
    """Users a second, each with its account, its status and its history, from such a file to an address."""
    here = engine_of(target)
    people, took = 0, 0.0
    for table, columns, rows in _batches(file):
        started = perf_counter()
        with writing(here) as session:
            _insert(session.connection(), table, columns, rows)
        took += (perf_counter() - started) if table in _TABLES else 0
        people += len(rows) if table == "users" else 0
    here.dispose()
    return people / took


def _batches(file: Path) -> Iterator[tuple[str, list[str], list[Any]]]:
    with file.open("rb") as kept:
        while length := kept.read(_LENGTH):
            yield pickle.loads(zlib.decompress(kept.read(int.from_bytes(length))))  # noqa: S301 - written by `keep`, a moment ago


def _insert(connection: Connection, table: str, columns: Sequence[str], rows: list[Any]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
