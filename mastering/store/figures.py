"""Figures for whoever watches over the service, from the database alone: so they are the same whichever process is asked.

They cost what counting costs: users and runs by an index over their status, held users and takeovers by a partial one. What the plans
found is not counted when it is asked for: every plan adds what it found to totals, in the transaction that makes it a run's (docs/decisions/0033).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import Field, Session, SQLModel, col

from mastering.rules.runs import RunStatus
from mastering.store.tables import AppUser, ImportRun, User

_AT_WORK = (RunStatus.PLANNING, RunStatus.APPLYING)


class Told(StrEnum):
    """What of a plan is added up."""

    situation = "situation"
    """Rows by what was found of them, without dry runs."""
    hook = "hook"
    """Records that an inline hook was asked about, by what came of it, dry runs included: the hook was asked all the same."""


class PlanTotal(SQLModel, table=True):
    """How often all plans together have had one outcome."""

    __tablename__: ClassVar[Any] = "plan_totals"
    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    rows: int = Field(sa_type=BigInteger)


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


def add_plan(session: Session, counts: Mapping[Told, Mapping[str, int]]) -> None:
    """Add what a plan found to the totals. It locks them until the transaction ends, so it is the last that the transaction does.

    One statement with the rows in their order: two plans that are made at the same time wait for each other, never both.
    """
    rows = [
        {"kind": kind, "name": name, "rows": count}
        for kind, found in sorted(counts.items())
        for name, count in sorted(found.items())
        if count
    ]
    if not rows:
        return
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    adding = insert(PlanTotal).values(rows)
    more = {"rows": col(PlanTotal.rows) + adding.excluded.rows}
    session.execute(adding.on_conflict_do_update(index_elements=["kind", "name"], set_=more))


def totals(session: Session, kind: Told) -> dict[str, int]:
    """What all plans together have found, by name."""
    query = select(col(PlanTotal.name), col(PlanTotal.rows)).where(col(PlanTotal.kind) == kind)
    return {name: int(count) for name, count in session.execute(query)}


def waiting(session: Session) -> int:
    """How many accounts wait for review."""
    query = select(func.count()).select_from(AppUser).where(col(AppUser.situation).is_not(None), ~col(AppUser.ignored))
    return int(session.execute(query).scalar_one())


def takeovers(session: Session) -> int:
    """How often a run was taken over from a worker that did not stir."""
    taken = col(ImportRun.takeovers) > literal_column("0")  # as the index says it: no bound value is known to be nought
    return int(session.execute(select(func.coalesce(func.sum(col(ImportRun.takeovers)), 0)).where(taken)).scalar_one())


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
