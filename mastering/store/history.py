"""Reading history; only the ledger writes it."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import Session, col

from mastering.store import tables


def chain(session: Session, subject: str) -> list[tables.HistoryEvent]:
    """All events of one subject, oldest first."""
    event = tables.HistoryEvent
    return list(session.execute(select(event).where(col(event.subject) == subject).order_by(col(event.seq))).scalars())


def newest_first(session: Session, subject: str, before: int | None, limit: int) -> list[tables.HistoryEvent]:
    """The events of one subject that come before this number, newest first."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.subject) == subject).order_by(col(event.seq).desc()).limit(limit)
    return list(session.execute(query if before is None else query.where(col(event.seq) < before)).scalars())
