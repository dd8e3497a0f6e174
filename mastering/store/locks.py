"""What several processes on one PostgreSQL must not do at the same time. On SQLite there is one writer anyway, and none of this.

Locks are taken in one order, so that two who want the same do not wait for each other: run, options, users, accounts, app, history; many
of a kind by ascending id. Where it cannot be kept the database ends one of the two, which is an outage like any other (`outage`).
"""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, func, select
from sqlmodel import Session

LOCKED: Any = {"key_share": True}
"""For changing, while others may still insert rows that point here."""


class Lock(IntEnum):
    """What is locked without being a row. The numbers are the program's own among those of all who share the database."""

    MIGRATION = 7_265_001
    OPTIONS = 7_265_002
    """Ranks, policies, mappings, org options: whoever changes them waits until every batch that was decided by them is committed."""
    HISTORY = 7_265_003
    FIRST_START = 7_265_004
    CHECKPOINT = 7_265_005


def hold(connection: Connection, lock: Lock) -> None:
    """Be the only one, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(int(lock))))


def let_go_after(session: Session, idle: timedelta) -> None:
    """Have the database end this transaction if nothing is heard of it for so long: who was stopped in the middle must not keep its locks."""
    if session.get_bind().dialect.name == "postgresql":
        value = f"{int(idle.total_seconds() * 1000)}ms"
        session.execute(select(func.set_config("idle_in_transaction_session_timeout", value, True)))


def share(session: Session, lock: Lock) -> None:
    """Keep away whoever would be the only one, until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock_shared(int(lock))))
