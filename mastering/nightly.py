"""The reconciliation that comes by the clock: when, whether it repairs, and whether it reads the connected apps (SPEC §12).

It is a row among the schedules, of the org, and its kind says what it starts; so there is one at the most, and nothing else to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.cron import cron_fault
from mastering.errors import Invalid
from mastering.firing import Outcome, Starter, schedule_actor
from mastering.ledger import Actor, Ledger
from mastering.reconcile.passes import SCHEDULE, under_way, write
from mastering.rules.policy import Firing
from mastering.store import catalog, schedules
from mastering.store.catalog import ORG_ID
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold
from mastering.store.schedules import Schedule

Choice = tuple[bool, bool]
"""Whether it repairs, and whether it reads the apps."""

_KINDS: dict[str, Choice] = {
    "RECONCILE": (False, False),
    "RECONCILE_AND_REPAIR": (True, False),
    "RECONCILE_READING_APPS": (False, True),
    "RECONCILE_READING_APPS_AND_REPAIR": (True, True),
}


@dataclass(frozen=True, slots=True)
class Nightly:
    """When everybody is reconciled, whether that repairs, and the next time; without a firing it does not come by itself.

    `read_apps`: it holds the accounts against the users of all apps that are connected then, too.
    """

    firing: Firing | None
    repair: bool = False
    next: str | None = None
    read_apps: bool = False

    @property
    def choice(self) -> Choice:
        """What the kind of its schedule says."""
        return self.repair, self.read_apps


def read(engine: Engine) -> Nightly:
    """As it is set."""
    with reading(engine) as session:
        return _found(session)


def replace(engine: Engine, actor: Actor, now: datetime, wanted: Nightly) -> Nightly:
    """Set it; raises `Invalid` naming the field at fault."""
    fault = cron_fault(wanted.firing.cron, wanted.firing.timezone, now) if wanted.firing is not None else None
    if fault is not None:
        raise Invalid("Api validation failed: schedule", f"schedule.{fault}")
    with writing(engine) as session:
        hold(session.connection(), Lock.OPTIONS)
        org, before = catalog.org(session, lock=True), _found(session)
        for kind, choice in _KINDS.items():
            schedules.settle(session, ORG_ID, kind, wanted.firing if choice == wanted.choice else None, now)
        session.flush()
        after = _found(session)
        if (before.firing, before.choice) != (after.firing, after.choice):
            ledger = Ledger(session, now, actor)
            ledger.note(org, "org.reconciliation.update", {"old": _document(before), "new": _document(after)})
            ledger.flush()
            session.add(org)
    return after


def starters() -> dict[str, Starter]:
    """What the schedules of reconciliations start."""
    return dict.fromkeys(_KINDS, _start)


def _start(session: Session, row: Schedule, now: datetime) -> Outcome:
    """Nothing, where the last one has not come to its end: it would find the same."""
    before = under_way(session)
    if before is not None:
        return Outcome(skipped="reconciliation_under_way", blocked_by=before)
    repair, read_apps = _KINDS[row.kind]
    started = write(session, schedule_actor(row), now, app_id=None, repair=repair, read_apps=read_apps, source=SCHEDULE)
    return Outcome(started=started.id)


def _found(session: Session) -> Nightly:
    row = next((row for kind, row in schedules.of(session, ORG_ID).items() if kind in _KINDS), None)
    if row is None:
        return Nightly(None)
    repair, read_apps = _KINDS[row.kind]
    return Nightly(Firing(row.cron, row.timezone), repair, row.next_due, read_apps)


def _document(nightly: Nightly) -> dict[str, object]:
    firing = nightly.firing
    schedule = {"cron": firing.cron, "timezone": firing.timezone} if firing else None
    return {"schedule": schedule, "repair": nightly.repair, "readApps": nightly.read_apps}
