"""Pages of an app's accounts."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import Session, col

from mastering.rules.people import Account
from mastering.store import people, tables


def page(session: Session, app_id: str, after: str, limit: int) -> list[Account]:
    """The next accounts of an app, linked, waiting and ignored alike, ascending by id."""
    account = tables.AppUser
    query = select(col(account.id)).where(col(account.app_id) == app_id, col(account.id) > after).order_by(col(account.id)).limit(limit)
    ids = [row[0] for row in session.execute(query)]
    found = people.accounts(session, ids)
    return [found[each] for each in ids]
