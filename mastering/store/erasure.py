"""Taking a person's values out of the database, wherever they lie beside the person's own rows (SPEC §13).

History keeps every event and its hash and loses the values; plans and reports keep that there was a row, and lose what it said of the person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, delete, or_, select, update
from sqlmodel import Session, col

from mastering.rules.runs import ENDED
from mastering.rules.tasks import OPEN
from mastering.store import befores, readings
from mastering.store.outbound import OutboundLink, OutboundTask
from mastering.store.previews import PreviewRow
from mastering.store.reconciliations import Difference
from mastering.store.tables import AppUser, HistoryEvent, ImportRun, RunChange

Known = Collection[tuple[str, str]]
"""By what apps know a person: app and external id."""


def last_of(session: Session, subject: str) -> HistoryEvent | None:
    """The last event of a chain."""
    query = select(HistoryEvent).where(col(HistoryEvent.subject) == subject).order_by(col(HistoryEvent.seq).desc()).limit(1)
    return session.execute(query).scalar()


def without_a_row(session: Session, account_ids: Collection[str]) -> set[str]:
    """Those of these accounts that are gone, and so are nobody else's now."""
    there = session.execute(select(col(AppUser.id)).where(col(AppUser.id).in_(account_ids))).scalars()
    return set(account_ids) - set(there)


def values_of(session: Session, subjects: Collection[str]) -> int:
    """Erase the values of all events of these subjects; of how many."""
    event = HistoryEvent
    return _changed(
        session, update(event).where(col(event.subject).in_(subjects), col(event.values_json).is_not(None)).values(values_json=None)
    )


def unfinished_runs(session: Session, user_id: str, account_ids: Collection[str], known: Known) -> list[str]:
    """The runs that have not come to their end and whose plans name the person."""
    where = or_(*_about(RunChange, user_id, account_ids), *_known_as(known))
    query = select(col(ImportRun.id)).distinct().join(RunChange, col(RunChange.run_id) == col(ImportRun.id))
    return list(session.execute(query.where(col(ImportRun.status).not_in(ENDED), where)).scalars())


def plans_of(session: Session, user_id: str, account_ids: Collection[str], known: Known) -> int:
    """Empty the rows of plans that name the person, and forget what they overwrote of the person's accounts; how many. All plans are looked through, as the person was nobody yet in some of them."""
    where = or_(*_about(RunChange, user_id, account_ids), *_known_as(known))
    emptied = update(RunChange).where(where).values(external_id=None, login=None, detail=None, error=None, effect="{}")
    return _changed(session, emptied.execution_options(synchronize_session=False)) + befores.drop_of(session, account_ids)


def reports_of(session: Session, user_id: str, account_ids: Collection[str], known: Known) -> int:
    """Empty what reconciliations and previews reported of the person, and forget what is just being compared; how many rows.

    Of who was nobody yet, a report says only by what an app knows them.
    """
    readings.forget_accounts(session, account_ids)
    emptied = update(Difference).where(or_(*_about(Difference, user_id, account_ids), *_reported_as(Difference, known)))
    reported = _changed(session, emptied.values(external_id=None, login=None, detail="erased", expected="{}", actual="{}"))
    emptied = update(PreviewRow).where(or_(*_about(PreviewRow, user_id, account_ids), *_reported_as(PreviewRow, known)))
    nothing: dict[str, Any] = dict.fromkeys(("external_id", "login", "from_value", "to_value", "trigger", "reason"))
    return reported + _changed(session, emptied.values(**nothing, detail="erased", attributes="{}", candidates="[]"))


def undelivered(session: Session, user_id: str) -> list[str]:
    """The apps that are still to be told something of the person."""
    task = OutboundTask
    query = select(col(task.app_id)).distinct().where(col(task.user_id) == user_id, col(task.status).in_(OPEN)).order_by(col(task.app_id))
    return list(session.execute(query).scalars())


def tasks_of(session: Session, user_id: str, account_ids: Collection[str]) -> int:
    """Empty what apps were told of the person, and forget what they are known to have; how many rows."""
    task = OutboundTask
    emptied = update(task).where(col(task.user_id) == user_id).values(login=None, secret=None, error=None)
    return _changed(session, emptied) + _changed(session, delete(OutboundLink).where(col(OutboundLink.account_id).in_(account_ids)))


def empty_the_log(engine: Engine) -> bool:
    """On SQLite: write what was changed into the file itself, and empty its log, which still has what was there before; whether it could be.

    On PostgreSQL there is nothing to be done from here: what was there before goes with the next vacuum and the end of the log's retention.
    """
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        told = cursor.fetchone()
    finally:
        connection.close()
    return told is not None and told[0] == 0


def _about(table: Any, user_id: str, account_ids: Collection[str]) -> Iterable[ColumnElement[bool]]:
    yield table.user_id == user_id
    if account_ids:
        yield table.app_user_id.in_(account_ids)


def _known_as(known: Known) -> Iterable[ColumnElement[bool]]:
    for app_id in sorted({app_id for app_id, _ in known}):
        runs = select(col(ImportRun.id)).where(col(ImportRun.app_id) == app_id)
        names = [external_id for app, external_id in known if app == app_id]
        yield and_(col(RunChange.external_id).in_(names), col(RunChange.run_id).in_(runs))


def _reported_as(table: Any, known: Known) -> Iterable[ColumnElement[bool]]:
    for app_id in sorted({app_id for app_id, _ in known}):
        yield and_(table.app_id == app_id, table.external_id.in_([external_id for app, external_id in known if app == app_id]))


def _changed(session: Session, statement: Any) -> int:
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
