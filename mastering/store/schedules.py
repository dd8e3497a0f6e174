"""Schedules: what fires when, and who has taken a firing (SPEC §11; docs/decisions/0044).

A row is one thing that happens by the clock: a kind of thing, and the subject that it happens to. It is there exactly as long as it may
fire. `next_due` is the instant of its next firing, and the claim: whoever moves it on has the firing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from sqlalchemy import CursorResult, Text, delete, select, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.clock import wire
from mastering.cron import next_firing
from mastering.rules.policy import Firing


class Schedule(SQLModel, table=True):
    """One schedule. `kind` is a word of `mastering.firing`, which knows what it starts; `outcome` says what came of the last firing."""

    __tablename__: ClassVar[Any] = "schedules"
    subject: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    cron: str
    timezone: str
    next_due: str | None = Field(default=None, index=True)
    last_due: str | None = None
    outcome: str | None = Field(default=None, sa_type=Text)


def of(session: Session, subject: str) -> dict[str, Schedule]:
    """What fires for a subject, by kind."""
    query = select(Schedule).where(col(Schedule.subject) == subject)
    return {row.kind: row for row in session.execute(query).scalars()}


def all_of_kinds(session: Session, kinds: Sequence[str]) -> list[Schedule]:
    """Every schedule of these kinds."""
    return list(session.execute(select(Schedule).where(col(Schedule.kind).in_(kinds))).scalars())


def all_of(session: Session, subject: str | None) -> list[Schedule]:
    """Every schedule, or those of one subject, in the order of their keys."""
    query = select(Schedule).order_by(col(Schedule.subject), col(Schedule.kind))
    return list(session.execute(query if subject is None else query.where(col(Schedule.subject) == subject)).scalars())


def due(session: Session, at: str) -> list[Schedule]:
    """What has to fire, FULL imports first, as they make deltas of the same moment needless; of a kind those that have waited longest first."""
    query = select(Schedule).where(col(Schedule.next_due) <= at)
    return list(session.execute(query.order_by(col(Schedule.kind), col(Schedule.next_due), col(Schedule.subject))).scalars())


def settle(session: Session, subject: str, kind: str, wanted: Firing | None, now: datetime) -> None:
    """Have a subject fire as wanted, or not any more. One that fires so already keeps its next firing, a missed one included."""
    row = session.get(Schedule, (subject, kind))
    if wanted is None:
        if row is not None:
            session.delete(row)
    elif row is None or (row.cron, row.timezone) != (wanted.cron, wanted.timezone):
        row = row or Schedule(subject=subject, kind=kind, cron="", timezone="")
        row.cron, row.timezone, row.outcome = wanted.cron, wanted.timezone, None
        row.next_due = _after(wanted.cron, wanted.timezone, now)
        session.add(row)


def claim(session: Session, row: Schedule, now: datetime) -> bool:
    """Take the firing that a schedule was read with, and set the next one after `now`, however many were missed; whether it was to be had."""
    same = (
        col(Schedule.subject) == row.subject,
        col(Schedule.kind) == row.kind,
        col(Schedule.cron) == row.cron,
        col(Schedule.timezone) == row.timezone,
        col(Schedule.next_due) == row.next_due,
    )
    moved = update(Schedule).where(*same).values(next_due=_after(row.cron, row.timezone, now), last_due=row.next_due)
    return cast("CursorResult[Any]", session.execute(moved)).rowcount == 1


def note_outcome(session: Session, row: Schedule, outcome: str) -> None:
    """Keep what came of the firing that was claimed."""
    mine = (col(Schedule.subject) == row.subject, col(Schedule.kind) == row.kind)
    session.execute(update(Schedule).where(*mine).values(outcome=outcome))


def forget(session: Session, subject: str) -> None:
    """Nothing fires for a subject any more, of whatever kind."""
    session.execute(delete(Schedule).where(col(Schedule.subject) == subject))


def _after(cron: str, timezone: str, now: datetime) -> str | None:
    following = next_firing(cron, timezone, now)
    return None if following is None else wire(following)
