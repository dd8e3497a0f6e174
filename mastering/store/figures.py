"""Figures for whoever watches over the service, from the database alone: so they are the same whichever process is asked.

They cost what counting costs: users by an index over their status, held users by a partial one, runs by reading the table of runs, of
which there are few.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import JSON, BigInteger, cast, func, select, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from mastering.rules.runs import RunStatus
from mastering.store.tables import AppUser, ImportRun, User

_AT_WORK = (RunStatus.PLANNING, RunStatus.APPLYING)


@dataclass(frozen=True, slots=True)
class Queue:
    """The runs that wait for a worker."""

    depth: int
    """Sealed, not begun, and not behind a held run of their app, which an admin has to decide about first."""
    oldest: str | None
    """When the first of them was sealed."""
    left: int
    """Begun, and in nobody's hands: no lease, or one that has run out."""
    unapplied: int
    """Rows of plans that are being applied which have not been applied, so that history does not tell of them yet."""


def users_by_status(session: Session) -> dict[str, int]:
    """How many users stand in each status."""
    query = select(col(User.status), func.count()).group_by(col(User.status))
    return {status.value: count for status, count in session.execute(query)}


def held_users(session: Session) -> int:
    """How many users an admin holds."""
    return int(session.execute(select(func.count()).select_from(User).where(col(User.held))).scalar_one())


def runs_by_status(session: Session) -> dict[str, int]:
    """How many import runs stand in each status."""
    query = select(col(ImportRun.status), func.count()).group_by(col(ImportRun.status))
    return {status.value: count for status, count in session.execute(query)}


def records_by_situation(session: Session) -> dict[str, int]:
    """How many rows of all plans that were made in earnest found what situation."""
    document = col(ImportRun.situations)
    embedded = session.get_bind().dialect.name == "sqlite"
    pairs = (func.json_each(document) if embedded else func.json_each_text(cast(document, JSON))).table_valued("key", "value")
    total = func.sum(cast(pairs.c.value, BigInteger))
    query = select(pairs.c.key, total).select_from(ImportRun).join(pairs, true()).where(~col(ImportRun.dry_run))
    return {situation: int(count) for situation, count in session.execute(query.group_by(pairs.c.key))}


def waiting(session: Session) -> int:
    """How many accounts wait for review."""
    query = select(func.count()).select_from(AppUser).where(col(AppUser.situation).is_not(None), ~col(AppUser.ignored))
    return int(session.execute(query).scalar_one())


def takeovers(session: Session) -> int:
    """How often a run was taken over from a worker that did not stir."""
    return int(session.execute(select(func.coalesce(func.sum(col(ImportRun.takeovers)), 0))).scalar_one())


def queue(session: Session, now: str) -> Queue:
    """The runs that wait for a worker at an instant."""
    holding = aliased(ImportRun)
    behind = select(1).where(col(holding.app_id) == col(ImportRun.app_id), col(holding.status) == RunStatus.HELD).exists()
    queued = (col(ImportRun.status) == RunStatus.QUEUED) & (col(ImportRun.dry_run) | ~behind)
    depth, oldest = session.execute(select(func.count(), func.min(col(ImportRun.sealed))).where(queued)).one()
    free = col(ImportRun.lease_until).is_(None) | (col(ImportRun.lease_until) <= now)
    left = session.execute(select(func.count()).where(col(ImportRun.status).in_(_AT_WORK), free)).scalar_one()
    rest = func.coalesce(func.sum(col(ImportRun.changes) - col(ImportRun.cursor)), 0)
    unapplied = session.execute(select(rest).where(col(ImportRun.status) == RunStatus.APPLYING)).scalar_one()
    return Queue(depth, oldest, left, int(unapplied))
