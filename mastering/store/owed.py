"""What is owed: what has still to follow from a change of the catalog, and the lease of whoever carries it out (docs/decisions/0036)."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Text, func, select, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.store.locks import LOCKED


class OwedWork(SQLModel, table=True):
    """Profiles to be mapped again, and then the queue to be matched again, as the transaction of a change left it. Gone when it is done.

    `apps`: whose users' profiles, as a document, those that are done left out. `step` and `cursor`: how far it has come. `takeovers`: how
    often it was taken from an owner whose lease had run out, or who was known to be dead.
    """

    __tablename__: ClassVar[Any] = "owed_work"
    id: str = Field(primary_key=True)
    actor: str = Field(sa_type=Text)
    apps: str = Field(default="[]", sa_type=Text)
    step: str
    cursor: str = ""
    attempts: int = 0
    owner: str | None = None
    lease_until: str | None = None
    fence: int = 0
    takeovers: int = 0
    created: str


def is_free(session: Session, now: str) -> bool:
    """Whether anything is owed that nobody works on."""
    return session.execute(select(1).select_from(OwedWork).where(_free(now)).limit(1)).first() is not None


def _free(now: str) -> ColumnElement[bool]:
    return col(OwedWork.lease_until).is_(None) | (col(OwedWork.lease_until) <= now)


def claim(session: Session, owner: str, now: str, until: str) -> OwedWork | None:
    """Take what has been owed longest and nobody works on: lease it until `until`, with a new fence. `None` if nothing is."""
    query = select(OwedWork).where(_free(now)).order_by(col(OwedWork.id)).limit(1).with_for_update(skip_locked=True, key_share=True)
    owed = session.execute(query).scalars().first()
    if owed is not None:
        owed.takeovers += owed.owner is not None
        owed.owner, owed.lease_until, owed.fence = owner, until, owed.fence + 1
        session.add(owed)
        session.flush()
    return owed


def locked(session: Session, owed_id: str) -> OwedWork | None:
    """One of them, locked; `None` when it is done."""
    return session.get(OwedWork, owed_id, with_for_update=LOCKED)


def free_leases(session: Session) -> None:
    """Take every lease away: only where no other process can hold one."""
    held = col(OwedWork.owner).is_not(None)
    session.execute(update(OwedWork).where(held).values(takeovers=col(OwedWork.takeovers) + 1, owner=None, lease_until=None))


def unfinished(session: Session) -> tuple[int, str | None]:
    """How much is owed, and since when the oldest of it."""
    count, oldest = session.execute(select(func.count(), func.min(col(OwedWork.created)))).one()
    return int(count), oldest
