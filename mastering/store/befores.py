"""What runs overwrote of accounts while they were applied: kept as long as their plans, so that a run can be undone (SPEC §12)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar, cast

from sqlalchemy import CursorResult, Text, delete, select
from sqlmodel import Field, Session, SQLModel, col

from mastering.store import bulk, people, tables
from mastering.store.documents import load


class RunBefore(SQLModel, table=True):
    """What one run overwrote of one account. `was` may hold values of a person's app profile."""

    __tablename__: ClassVar[Any] = "run_befores"
    __table_args__ = ({"sqlite_with_rowid": False},)
    run_id: str = Field(primary_key=True, foreign_key="import_runs.id")
    account_id: str = Field(primary_key=True, index=True)
    was: str = Field(sa_type=Text)


def add(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Keep what was: run, account and document of each. Of an account that several rows of a run are about, the first has seen what was."""
    first = {(row[0], row[1]): row for row in reversed(rows)}
    for run_id in {row[0] for row in rows}:
        for account_id in of(session, run_id, [row[1] for row in rows if row[0] == run_id]):
            del first[run_id, account_id]
    bulk.insert(session, RunBefore, ("run_id", "account_id", "was"), list(first.values()))


def of(session: Session, run_id: str, account_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """What a run overwrote of these accounts, as far as it is still known."""
    query = select(col(RunBefore.account_id), col(RunBefore.was)).where(col(RunBefore.run_id) == run_id)
    return {
        row[0]: load(row[1])
        for part in people.slices(account_ids)
        for row in session.execute(query.where(col(RunBefore.account_id).in_(part)))
    }


def drop(session: Session, run_id: str) -> int:
    """Forget what a run overwrote; of how many accounts."""
    return cast("CursorResult[Any]", session.execute(delete(RunBefore).where(col(RunBefore.run_id) == run_id))).rowcount


def drop_of(session: Session, account_ids: Collection[str]) -> int:
    """Forget what any run overwrote of these accounts, whose person is erased; how many rows."""
    where = col(RunBefore.account_id).in_(account_ids)
    return cast("CursorResult[Any]", session.execute(delete(RunBefore).where(where))).rowcount


def subjects(session: Session, run_id: str, at_once: int) -> Iterator[list[str]]:
    """The people, and the accounts of nobody, that a run's events tell of; each once, in the order in which it came to them, in pieces."""
    event, known, after = tables.HistoryEvent, set[str](), 0
    query = select(col(event.position), col(event.subject)).where(col(event.run_id) == run_id)
    while rows := session.execute(query.where(col(event.position) > after).order_by(col(event.position)).limit(5 * at_once)).all():
        after = rows[-1][0]
        fresh = [row[1] for row in rows if row[1][:3] in {"00u", "0ua"}]
        found = [subject for subject in dict.fromkeys(fresh) if subject not in known]
        known.update(found)
        yield from (found[start : start + at_once] for start in range(0, len(found), at_once))
