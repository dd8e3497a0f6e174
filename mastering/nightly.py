"""The reconciliation that comes by the clock: when, and whether it repairs (SPEC §12).

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

_REPORTS, _REPAIRS = "RECONCILE", "RECONCILE_AND_REPAIR"


@dataclass(frozen=True, slots=True)
class Nightly:
    """When everybody is reconciled, whether that repairs, and the next time; without a firing it does not come by itself."""

    firing: Firing | None
    repair: bool = False
    next: str | None = None


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
        for kind, repair in ((_REPORTS, False), (_REPAIRS, True)):
            schedules.settle(session, ORG_ID, kind, wanted.firing if repair is wanted.repair else None, now)
        session.flush()
        after = _found(session)
        if (before.firing, before.repair) != (after.firing, after.repair):
            ledger = Ledger(session, now, actor)
            ledger.note(org, "org.reconciliation.update", {"old": _document(before), "new": _document(after)})
            ledger.flush()
            session.add(org)
    return after


def starters() -> dict[str, Starter]:
    """What the schedules of reconciliations start."""
    return {_REPORTS: _start, _REPAIRS: _start}


def _start(session: Session, row: Schedule, now: datetime) -> Outcome:
    """Nothing, where the last one has not come to its end: it would find the same."""
    before = under_way(session)
    if before is not None:
        return Outcome(skipped="reconciliation_under_way", blocked_by=before)
    return Outcome(started=write(session, schedule_actor(row), now, app_id=None, repair=row.kind == _REPAIRS, source=SCHEDULE).id)


def _found(session: Session) -> Nightly:
    rows = schedules.of(session, ORG_ID)
    row = rows.get(_REPORTS) or rows.get(_REPAIRS)
    return Nightly(Firing(row.cron, row.timezone), row.kind == _REPAIRS, row.next_due) if row is not None else Nightly(None)


def _document(nightly: Nightly) -> dict[str, object]:
    firing = nightly.firing
    return {"schedule": {"cron": firing.cron, "timezone": firing.timezone} if firing else None, "repair": nightly.repair}
