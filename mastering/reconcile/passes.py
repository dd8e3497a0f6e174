"""What people and schedules do to a reconciliation: ask for it, and read what it found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.connections import require_enabled
from mastering.errors import NotFound
from mastering.ids import new_id
from mastering.imports.runs import importable
from mastering.ledger import Actor, Ledger
from mastering.rules.reconciliation import PassStatus
from mastering.store import catalog
from mastering.store import connections as connection_store
from mastering.store import reconciliations as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.tables import AppStatus

ON_DEMAND = "ON_DEMAND"
SCHEDULE = "SCHEDULE"
_FORGET_AT_ONCE = 5_000


def start(
    engine: Engine,
    actor: Actor,
    now: datetime,
    *,
    app_id: str | None = None,
    repair: bool = False,
    read_apps: bool = False,
    source: str = ON_DEMAND,
) -> store.Reconciliation:
    """Ask for a reconciliation of everybody, or of one app's people; a worker carries it out.

    `read_apps`: hold the accounts against the users of their apps, too, of the one app or of all that are active and connected. Raises
    `NotFound`, and `Invalid` where the one app is inactive, or has no connection that is on.
    """
    with writing(engine) as session:
        return write(session, actor, now, app_id=app_id, repair=repair, read_apps=read_apps, source=source)


def write(
    session: Session, actor: Actor, now: datetime, *, app_id: str | None, repair: bool, source: str, read_apps: bool = False
) -> store.Reconciliation:
    """The same within a transaction."""
    org = catalog.org(session, lock=True)
    if app_id is not None and catalog.app(session, app_id) is None:
        raise NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
    wanted = _connected(session, app_id) if read_apps else []
    row = store.Reconciliation(
        id=new_id("rec"),
        app_id=app_id,
        repair=repair,
        read_apps=read_apps,
        readings=dump([{"appId": each} for each in wanted]),
        source=source,
        status=PassStatus.QUEUED,
        started_by=dump(actor.document()),
        created=wire(now),
    )
    session.add(row)
    ledger = Ledger(session, now, actor)
    told = {"reconciliation": row.id, "appId": app_id, "repair": repair, "source": source}
    ledger.note(org, "reconciliation.start", told | ({"readApps": wanted} if read_apps else {}))
    ledger.flush()
    session.add(org)
    return row


def _connected(session: Session, app_id: str | None) -> list[str]:
    """The apps whose users can be read."""
    if app_id is not None:
        require_enabled(session, importable(session, app_id))
        return [app_id]
    on = {row.app_id for row in connection_store.connections(session) if row.enabled}
    return [app.id for app in catalog.all_apps(session) if app.id in on and app.status is AppStatus.ACTIVE]


def under_way(session: Session) -> str | None:
    """The oldest reconciliation that has not come to its end."""
    return store.unfinished(session)


def forget(engine: Engine, before: str) -> int:
    """Forget what reconciliations found that ended before an instant; how many differences. They themselves and their counts stay."""
    forgotten = 0
    while True:
        with writing(engine) as session:
            gone = store.forget(session, before, _FORGET_AT_ONCE)
        forgotten += gone
        if gone < _FORGET_AT_ONCE:
            return forgotten


def read(engine: Engine, reconciliation_id: str) -> store.Reconciliation:
    """A reconciliation as it stands; raises `NotFound`."""
    with reading(engine) as session:
        return get(session, reconciliation_id)


def page(engine: Engine, after: str | None, limit: int) -> Sequence[store.Reconciliation]:
    """The next reconciliations, newest first."""
    with reading(engine) as session:
        return store.page(session, after, limit)


def get(session: Session, reconciliation_id: str) -> store.Reconciliation:
    """A reconciliation; raises `NotFound`."""
    row = session.get(store.Reconciliation, reconciliation_id)
    if row is None:
        raise NotFound(f"Not found: Resource not found: {reconciliation_id} (Reconciliation)")
    return row


def starter(row: store.Reconciliation) -> Actor:
    """Who asked for a reconciliation, as the one who acts in it."""
    document = load(row.started_by)
    return Actor(document["type"], document["id"], document["name"])
