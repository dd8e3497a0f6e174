"""Writing many rows at once (DESIGN.md, measured): plain tuples through the driver, no ORM, no RETURNING.

Statements are composed from the tables' own column names, values are always bound. `In` lists are expanded by SQLAlchemy Core.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection
from sqlmodel import Session, SQLModel

Row = tuple[Any, ...]


def insert(session: Session, table: type[SQLModel], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert `rows`, each a tuple in the order of `columns`; JSON and instants already as text."""
    if rows:
        connection = session.connection()
        connection.exec_driver_sql(_insert(str(table.__tablename__), columns, mark(connection)), list(rows))


def update(session: Session, table: type[SQLModel], columns: tuple[str, ...], rows: Sequence[Row], keys: tuple[str, ...] = ("id",)) -> None:
    """Update `columns` of the rows named by `keys`; each tuple holds the new values and then the key."""
    if rows:
        connection = session.connection()
        connection.exec_driver_sql(_update(str(table.__tablename__), columns, keys, mark(connection)), list(rows))


def mark(connection: Connection) -> str:
    """How the driver marks a bound value."""
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


@cache
def _insert(table: str, columns: tuple[str, ...], sign: str) -> str:
    return f"INSERT INTO {table} ({_names(columns)}) VALUES ({', '.join([sign] * len(columns))})"


@cache
def _update(table: str, columns: tuple[str, ...], keys: tuple[str, ...], sign: str) -> str:
    assignments = ", ".join(f'"{column}" = {sign}' for column in columns)
    return f"UPDATE {table} SET {assignments} WHERE " + " AND ".join(f'"{key}" = {sign}' for key in keys)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
