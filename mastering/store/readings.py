"""What an app said of its users when a reconciliation read them: the table, and what the comparison asks of it (SPEC §12).

It is kept only until the reconciliation has come to its end: what differs stays as a difference, and what does not is nobody's business.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from sqlalchemy import Text, delete, exists, select
from sqlmodel import Field, Session, SQLModel, col

from mastering.store import bulk, people, tables
from mastering.store.outbound import OutboundLink


class ReadUser(SQLModel, table=True):
    """A user as the app has it. `active` is `None` where the app does not say, `profile` where what it says cannot be used."""

    __tablename__: ClassVar[Any] = "reconciliation_app_users"
    __table_args__ = ({"sqlite_with_rowid": False},)
    reconciliation_id: str = Field(primary_key=True, foreign_key="reconciliations.id")
    app_id: str = Field(primary_key=True)
    external_id: str = Field(primary_key=True)
    active: bool | None = None
    profile: str | None = Field(default=None, sa_type=Text)


COLUMNS = ("reconciliation_id", "app_id", "external_id", "active", "profile")


def add(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Keep a page of users, in the order of `COLUMNS`."""
    bulk.insert(session, ReadUser, COLUMNS, rows)


def drop(session: Session, reconciliation_id: str, app_id: str | None = None) -> None:
    """Forget what was read of an app, or of all."""
    query = delete(ReadUser).where(col(ReadUser.reconciliation_id) == reconciliation_id)
    session.execute(query if app_id is None else query.where(col(ReadUser.app_id) == app_id))


def of(session: Session, reconciliation_id: str, app_id: str, external_ids: Collection[str]) -> dict[str, ReadUser]:
    """Those of an app's users who go by these ids there."""
    query = select(ReadUser).where(col(ReadUser.reconciliation_id) == reconciliation_id, col(ReadUser.app_id) == app_id)
    return {
        row.external_id: row
        for part in people.slices(external_ids)
        for row in session.execute(query.where(col(ReadUser.external_id).in_(part))).scalars()
    }


def unknown(session: Session, reconciliation_id: str, app_id: str, after: str, limit: int) -> Sequence[ReadUser]:
    """The next of an app's users of whom no account is known here, by their id."""
    account, link = tables.AppUser, OutboundLink
    known = exists().where(col(account.app_id) == app_id, col(account.external_id) == col(ReadUser.external_id))
    linked = exists().where(col(link.app_id) == app_id, col(link.scim_id) == col(ReadUser.external_id))
    query = select(ReadUser).where(
        col(ReadUser.reconciliation_id) == reconciliation_id,
        col(ReadUser.app_id) == app_id,
        col(ReadUser.external_id) > after,
        ~known,
        ~linked,
    )
    return session.execute(query.order_by(col(ReadUser.external_id)).limit(limit)).scalars().all()


def forget_accounts(session: Session, account_ids: Collection[str]) -> None:
    """Forget what apps said of these accounts, whose values are erased."""
    account = tables.AppUser
    mine = exists().where(
        col(account.id).in_(account_ids), col(account.app_id) == col(ReadUser.app_id), col(account.external_id) == col(ReadUser.external_id)
    )
    session.execute(delete(ReadUser).where(mine), execution_options={"synchronize_session": False})
