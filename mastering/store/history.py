"""Reading history, and keeping what the ledger writes.

Events are written last, just before their transaction is committed, and on PostgreSQL by one transaction at a time: so positions ascend in
the order of commits, and who has seen one has seen all before it. Plans ("has anybody acted since?"), whoever polls the log, and the order in
which rules are said to have been applied depend on this (docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import Session, col

from mastering.store import bulk, tables
from mastering.store.locks import Lock, hold
from mastering.store.looks import look_again

EVENT_COLUMNS = ("id", "subject", "seq", "at", "type", "run_id", "body", "values_json", "hash")
_WAITING = "history"


def add(session: Session, events: Sequence[bulk.Row]) -> None:
    """Have events written with this transaction, each in the order of `EVENT_COLUMNS`."""
    session.info.setdefault(_WAITING, []).extend(events)


def keep_history(session: Session) -> None:
    """Write the events of this transaction, which ends now; raises `OvertakenError` where it was decided on what is no more."""
    events = session.info.pop(_WAITING, None)
    if events:
        session.flush()  # everything else first: nobody waits for a row while others wait for the history
        hold(session.connection(), Lock.HISTORY)
        look_again(session)
        bulk.insert(session, tables.HistoryEvent, EVENT_COLUMNS, events)


def chain(session: Session, subject: str) -> list[tables.HistoryEvent]:
    """All events of one subject, oldest first."""
    event = tables.HistoryEvent
    return list(session.execute(select(event).where(col(event.subject) == subject).order_by(col(event.seq))).scalars())


def newest_first(session: Session, subject: str, before: int | None, limit: int) -> list[tables.HistoryEvent]:
    """The events of one subject that come before this number, newest first."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.subject) == subject).order_by(col(event.seq).desc()).limit(limit)
    return list(session.execute(query if before is None else query.where(col(event.seq) < before)).scalars())
