"""The yardstick: the very rows that the import wrote, copied into an empty database of the same schema.

By bare bulk inserts of tuples on SQLite, by bare COPY on PostgreSQL, 10,000 rows to a transaction. Only the writing is timed, and memory
does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from sqlalchemy import Connection

from bench.databases import engine_of
from mastering.store.engine import reading, writing

_TABLES = ("users", "app_users", "status_spans", "history")
_AT_ONCE = 10_000


def rate(source: str, target: str) -> float:
    """Users a second, each with its account, its status and its history, from one address to another."""
    there, here = engine_of(source), engine_of(target)
    people, took = 0, 0.0
    with reading(there) as session:
        for table in ("apps", *_TABLES):
            found = session.connection().exec_driver_sql(f"SELECT * FROM {table}", execution_options={"stream_results": True})
            columns = list(found.keys())
            for rows in found.partitions(_AT_ONCE):
                plain = [tuple(row) for row in rows]
                started = perf_counter()
                with writing(here) as other:
                    _insert(other.connection(), table, columns, plain)
                took += (perf_counter() - started) if table in _TABLES else 0
                people += len(plain) if table == "users" else 0
    there.dispose()
    here.dispose()
    return people / took


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
