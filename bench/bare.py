"""The yardstick: the very rows that the import wrote, copied by bare bulk inserts into an empty database of the same schema."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import perf_counter
from typing import Any

from mastering.store.engine import open_database, writing

_TABLES = ("users", "app_users", "history")
_AT_ONCE = 10_000


def rate(source: Path, target: Path) -> float:
    """Users a second, each with its account and its history."""
    rows = {table: _read(source, table) for table in ("apps", *_TABLES)}
    engine = open_database(f"sqlite:///{target}")
    _insert(engine, "apps", *rows["apps"])
    started = perf_counter()
    for table in _TABLES:
        _insert(engine, table, *rows[table])
    took = perf_counter() - started
    engine.dispose()
    return len(rows["users"][1]) / took


def _read(source: Path, table: str) -> tuple[list[str], list[Any]]:
    with sqlite3.connect(source) as connection:
        cursor = connection.execute(f"SELECT * FROM {table}")
        return [column[0] for column in cursor.description], cursor.fetchall()


def _insert(engine: Any, table: str, columns: list[str], rows: list[Any]) -> None:
    names, marks = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
    for start in range(0, len(rows), _AT_ONCE):
        with writing(engine) as session:
            session.connection().exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows[start : start + _AT_ONCE])
