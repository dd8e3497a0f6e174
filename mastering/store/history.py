"""Reading history, and keeping what the ledger writes.

Events are written last, just before their transaction is committed, and on PostgreSQL by one transaction at a time: so positions ascend in
the order of commits, and who has seen one has seen all before it. Plans ("has anybody acted since?"), whoever polls the log, and the order in
which rules are said to have been applied depend on this (docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, func, or_, select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from mastering.store import bulk, tables
from mastering.store.locks import Lock, hold
from mastering.store.looks import look_again
from mastering.store.people import slices

EVENT_COLUMNS = ("id", "subject", "seq", "at", "type", "run_id", "body", "values_json", "hash")
_WAITING = "history"
_PAGE = 2_000
_ENDINGS: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (tables.User, "00u", ("user.delete", "user.erase")),
    (tables.App, "0oa", ("app.delete",)),
)
"""Whose rows go: how their ids begin, and by which events they go."""
LAST_WORDS = frozenset(kind for _, _, kinds in _ENDINGS for kind in kinds)
"""The events with which the chain of one ends who is gone."""


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


def until(session: Session, subjects: Sequence[str], at: str, types: Sequence[str] | None = None) -> Iterator[tables.HistoryEvent]:
    """The events of these subjects up to an instant, chain after chain, each in its order; of these types alone if some are given."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.subject).in_(subjects), col(event.at) <= at).order_by(col(event.subject), col(event.seq))
    query = query if types is None else query.where(col(event.type).in_(types))
    yield from session.execute(query.execution_options(yield_per=_PAGE)).scalars()


def latest(session: Session, subjects: Collection[str], at: str) -> str:
    """The latest instant of these chains' events, if it is after `at`; else `at`. Mostly nothing at all is, and no chain is looked at."""
    when = col(tables.HistoryEvent.at)
    if (session.execute(select(func.max(when))).scalar() or "") <= at:
        return at
    later = select(func.max(when)).where(when > at)
    found = [session.execute(later.where(col(tables.HistoryEvent.subject).in_(part))).scalar() for part in slices(subjects)]
    return max([at, *(str(each) for each in found if each is not None)])


def last_position(session: Session, at: str) -> int:
    """The position of the last event that had been written at an instant; 0 before the first."""
    position = func.coalesce(func.max(col(tables.HistoryEvent.position)), 0)
    return int(session.execute(select(position).where(col(tables.HistoryEvent.at) <= at)).scalar_one())


def newest_first(session: Session, subject: str, before: int | None, limit: int) -> list[tables.HistoryEvent]:
    """The events of one subject that come before this number, newest first."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.subject) == subject).order_by(col(event.seq).desc()).limit(limit)
    return list(session.execute(query if before is None else query.where(col(event.seq) < before)).scalars())


def since(session: Session, subject: str, position: int) -> list[tables.HistoryEvent]:
    """The events of one subject that were written after a position, newest first."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.subject) == subject, col(event.position) > position).order_by(col(event.seq).desc())
    return list(session.execute(query).scalars())


class Ending(NamedTuple):
    """A chain with the wrong end: whose, at which number, and what is wrong."""

    subject: str
    seq: int
    fault: str


def every_chain(session: Session) -> Iterator[Row[Any]]:
    """All events there are, chain after chain, each in its order; a page at a time."""
    event = tables.HistoryEvent
    names = ("position", "id", "subject", "seq", "at", "type", "body", "values_json", "hash")
    key = (col(event.subject), col(event.seq))
    query = select(*(getattr(event, name) for name in names)).order_by(*key).limit(_PAGE)
    after: tuple[Any, ...] = ("", 0)
    seen: set[int] = set()  # at the place where a page ended; where somebody took the index away there may be several events at one
    while rows := session.execute(query.where(tuple_(*key) >= tuple_(*after))).all():
        fresh = [row for row in rows if row.position not in seen]
        if not fresh:
            return
        yield from fresh
        last = (rows[-1].subject, rows[-1].seq)
        seen = {row.position for row in rows if (row.subject, row.seq) == last} | (seen if last == after else set())
        after = last


def wrong_endings(session: Session) -> Iterator[Ending]:
    """The chains that do not end where the row of their subject says, and those whose subject has lost its row without a word."""
    subjects: tuple[Any, ...] = (tables.User, tables.AppUser, tables.App, tables.Org)
    for subject in subjects:
        yield from _cut(session, subject)
    for subject, kind, endings in _ENDINGS:
        yield from _orphans(session, subject, kind, endings)


def _cut(session: Session, subject: Any) -> Iterator[Ending]:
    last: Any = aliased(tables.HistoryEvent)
    more: Any = aliased(tables.HistoryEvent)
    ends_here = and_(last.subject == subject.id, last.seq == subject.history_seq)
    goes_on = and_(more.subject == subject.id, more.seq == subject.history_seq + 1)
    wrong = or_(and_(subject.history_seq > 0, or_(last.hash.is_(None), last.hash != subject.history_hash)), more.id.is_not(None))
    query = select(subject.id, subject.history_seq, last.hash, more.id).select_from(subject)
    query = query.outerjoin(last, ends_here).outerjoin(more, goes_on).where(wrong)
    for subject_id, seq, kept, beyond in session.execute(query.execution_options(yield_per=_PAGE)):
        if kept is None and seq > 0:
            yield Ending(subject_id, seq, "the end of the chain is missing: this is its last event, as the row of its subject says")
        elif beyond is not None:
            yield Ending(subject_id, seq + 1, "the chain goes on after its last event, as the row of its subject says")
        else:
            yield Ending(subject_id, seq, "the last event is another one than the row of its subject says")


def _orphans(session: Session, subject: Any, kind: str, endings: Sequence[str]) -> Iterator[Ending]:
    """Chains without a row that do not end with the deletion of their subject."""
    event = tables.HistoryEvent
    name, seq = col(event.subject), col(event.seq)
    ends = select(name.label("name"), func.max(seq).label("seq")).where(name.startswith(kind)).group_by(name).subquery()
    query = select(name, seq).join(ends, and_(name == ends.c.name, seq == ends.c.seq)).outerjoin(subject, subject.id == name)
    query = query.where(subject.id.is_(None), col(event.type).not_in(endings))
    for subject_id, last in session.execute(query.execution_options(yield_per=_PAGE)):
        yield Ending(subject_id, last, "the chain ends here without a deletion, and its subject is gone")


def before(session: Session, subjects: Collection[str], position: int) -> Iterator[tables.HistoryEvent]:
    """The events of these subjects up to a position, each chain in its order."""
    event = tables.HistoryEvent
    query = select(event).where(col(event.position) <= position).order_by(col(event.subject), col(event.seq))
    ordered = sorted(subjects)
    for start in range(0, len(ordered), _PAGE):
        yield from session.execute(query.where(col(event.subject).in_(ordered[start : start + _PAGE]))).scalars()


def planned_at(session: Session, app_id: str, run_id: str) -> int | None:
    """The position of the event that tells of a run's plan; `None` for one that told of none."""
    event = tables.HistoryEvent
    kinds = ("import.planned", "import.held")
    query = select(col(event.position)).where(col(event.subject) == app_id, col(event.run_id) == run_id, col(event.type).in_(kinds))
    return session.execute(query.order_by(col(event.position)).limit(1)).scalar()
