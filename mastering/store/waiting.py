"""Waiting rows, found by what they wait for: so that one person who changes concerns a few of them and not the whole queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete, or_, select
from sqlmodel import Session, col

from mastering.rules.claims import Lost
from mastering.store import bulk, tables
from mastering.store.documents import load
from mastering.store.people import among, slices

_COLUMNS = ("app_id", "way", "account_id")


def write(session: Session, ways: Mapping[str, tuple[str, Collection[str]]]) -> None:
    """Keep the ways to these accounts in the place of those before: account id → app id and ways, none for one that waits no more."""
    for part in slices(ways):
        session.execute(delete(tables.WaitingWay).where(col(tables.WaitingWay.account_id).in_(part)))
    rows = [(app_id, way, account_id) for account_id, (app_id, texts) in ways.items() for way in set(texts)]
    bulk.insert(session, tables.WaitingWay, _COLUMNS, rows)


def near(session: Session, app_id: str, ways: Collection[str]) -> set[str]:
    """The ids of an app's waiting accounts to which one of these ways leads."""
    way = tables.WaitingWay
    query = select(col(way.account_id)).where(col(way.app_id) == app_id)
    return {row[0] for part in slices(ways) for row in session.execute(query.where(among(session, col(way.way), part)))}


def apps(session: Session) -> list[str]:
    """The ids of the apps that have somebody in the queue, ascending."""
    account, app = tables.AppUser, tables.App
    somebody = select(1).where(col(account.app_id) == col(app.id), col(account.situation).is_not(None)).exists()
    return list(session.execute(select(col(app.id)).where(somebody).order_by(col(app.id))).scalars())


def next_ids(session: Session, after: str, limit: int) -> list[str]:
    """The ids of the next accounts in the queue that have no user, of every app, ignored ones included, ascending."""
    account = tables.AppUser
    query = select(col(account.id)).where(col(account.situation).is_not(None), col(account.user_id).is_(None), col(account.id) > after)
    return list(session.execute(query.order_by(col(account.id)).limit(limit)).scalars())


def apps_of(session: Session, account_ids: Collection[str]) -> dict[str, str]:
    """Whose accounts these are: account id → app id."""
    query = select(col(tables.AppUser.id), col(tables.AppUser.app_id))
    return {row[0]: row[1] for part in slices(account_ids) for row in session.execute(query.where(col(tables.AppUser.id).in_(part)))}


def kept_by_claims(session: Session, run: tables.ImportRun) -> set[str]:
    """The ids of the waiting accounts of a run's app that an earlier run's claims keep where they are: this one had no records of them."""
    account = tables.AppUser
    query = select(col(account.id)).where(
        col(account.app_id) == run.app_id,
        col(account.situation).is_not(None),
        col(account.reason).in_([Lost.login_claimed_twice.value, Lost.user_claimed_twice.value]),
        col(account.last_run_id).is_distinct_from(run.id),
    )
    return {row[0] for row in session.execute(query)}


def is_unplaced(session: Session, run: tables.ImportRun) -> bool:
    """Whether somebody waits in a full run's app of whom its records said nothing, or nothing that can be used, and who is asked about.

    Whoever the run has placed has its id and the digest of a record. The others came after the snapshot, or had a record that was rejected.
    """
    account = tables.AppUser
    somebody = select(col(account.id)).where(
        col(account.app_id) == run.app_id,
        col(account.situation).is_not(None),
        col(account.user_id).is_(None),
        col(account.ignored).is_(False),
        or_(col(account.last_run_id).is_distinct_from(run.id), col(account.digest).is_(None)),
    )
    return session.execute(somebody.limit(1)).first() is not None


def told_by(session: Session, run: tables.ImportRun, most: int) -> tuple[set[str], set[str]] | None:
    """Whom a run's events tell of, and the logins that it took from them; `None` if there are more events than `most`."""
    event = tables.HistoryEvent
    query = select(col(event.subject), col(event.values_json)).where(col(event.run_id) == run.id).limit(most + 1)
    found = session.execute(query).all()
    if len(found) > most:
        return None
    changes = [load(values).get("attributes", {}).get("login", {}) for _, values in found if values]
    return {subject for subject, _ in found}, {change["old"] for change in changes if change.get("old")}
