"""One turn of a reconciliation: its next batches, each in one transaction with its differences and the cursor (DESIGN.md, background work).

It is leased and fenced like an import run and carried on by the same workers, when no import waits. A turn lasts a second, so that an
import that comes meanwhile waits no longer than that. Who takes it over goes on behind the last committed batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.imports import runs
from mastering.imports.repairing import RECONCILIATION
from mastering.ledger import Ledger
from mastering.reconcile.claims import Claim, LostError
from mastering.reconcile.comparing import PARTS, Batch, Part
from mastering.reconcile.connected import compare
from mastering.reconcile.passes import starter
from mastering.rules.reconciliation import Difference, PassStatus, PassTrigger, next_pass_status
from mastering.rules.record import Mode
from mastering.store import bulk, catalog, readings
from mastering.store import reconciliations as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import LOCKED
from mastering.store.outage import is_outage
from mastering.store.tables import App, AppStatus

TURN = timedelta(seconds=1)
"""How long a reconciliation goes on before imports have their turn."""
_log = structlog.get_logger("mastering.worker")


def take_turn(engine: Engine, owner: str, length: timedelta, stopping: Callable[[], bool]) -> bool:
    """Claim the next reconciliation and carry it on for a second; whether there was one. One that cannot go on fails with a sentence."""
    now = clock_now()
    with reading(engine) as session:
        if not store.waits(session, wire(now)):
            return False
    with writing(engine) as session:
        row = store.claim(session, owner, wire(now), wire(now + length))
        if row is None:
            return False
        if row.status is PassStatus.QUEUED:
            row.status = next_pass_status(row.status, PassTrigger.compare)
    claim = Claim(engine, row.id, owner, row.fence, length)
    try:
        _carry_on(claim, row, now + TURN, stopping)
    except LostError:
        _log.warning("reconciliation lost", reconciliation_id=row.id)
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("reconciliation failed", reconciliation_id=row.id)
        _fail(claim, f"The reconciliation could not go on: {type(fault).__name__}; the server's log has the details")
    return True


def _carry_on(claim: Claim, row: store.Reconciliation, until: datetime, stopping: Callable[[], bool]) -> None:
    """Batch after batch until the last part is done, the turn is over, or the worker is to stop."""
    part, cursor = row.part, row.cursor
    parts: tuple[Part, ...] = (*PARTS, partial(compare, row.id, load(row.readings))) if row.read_apps else PARTS
    while part < len(parts):
        now = clock_now()
        if now >= until or stopping():
            claim.give_back()
            return
        with reading(claim.engine) as session:
            batch = parts[part](session, now, row.app_id, cursor)
        part, cursor = (part, batch.cursor) if batch.cursor is not None else (part + 1, "")
        with writing(claim.engine) as session:
            mine = claim.hold(session)
            _keep(session, mine, batch, part, cursor)
            mine.reading = part == len(PARTS) and cursor == "" and row.read_apps
        if mine.reading:  # what can be compared without calling anybody is; the worker's turn comes again when the apps have been read
            claim.give_back()
            return
    _complete(claim)


def _keep(session: Session, row: store.Reconciliation, batch: Batch, part: int, cursor: str) -> None:
    store.add_differences(session, [_row(row.id, row.found + number, batch, *found) for number, found in enumerate(batch.found, 1)])
    counts = Counter(load(row.counts))
    for difference, _ in batch.found:
        counts[difference.kind.value] += 1
        counts["repairable" if batch.repairs(difference) else "respected" if difference.respected else "reported"] += 1
    row.counts, row.found = dump(dict(sorted(counts.items()))), row.found + len(batch.found)
    row.users, row.accounts, row.events = row.users + batch.users, row.accounts + batch.accounts, row.events + batch.events
    row.part, row.cursor = part, cursor


def _row(reconciliation_id: str, seq: int, batch: Batch, difference: Difference, finding_id: str | None) -> bulk.Row:
    return (
        reconciliation_id,
        seq,
        difference.kind.value,
        difference.cause.value,
        difference.detail,
        difference.app_id,
        difference.user_id,
        difference.account_id,
        difference.external_id,
        difference.login,
        dump(difference.expected),
        dump(difference.actual),
        difference.trigger.value if difference.trigger else None,
        batch.repairs(difference),
        difference.event_id,
        finding_id,
    )


def _complete(claim: Claim) -> None:
    now = clock_now()
    with writing(claim.engine) as session:
        row = claim.hold(session)
        row.status = next_pass_status(row.status, PassTrigger.complete)
        if row.repair:
            row.runs = dump(_repair(session, row, now))
        _end(session, row, now, "reconciliation.completed")


def _repair(session: Session, row: store.Reconciliation, now: datetime) -> list[str]:
    """A run for each app by whose word something would be repaired, and that takes imports; their ids. Each plans, and asks its safeguards."""
    begun = []
    for app_id in store.apps_to_repair(session, row.id):
        app = session.get_one(App, app_id, with_for_update=LOCKED)
        if app.status is AppStatus.ACTIVE:
            order = runs.Order(Mode.INCREMENTAL, RECONCILIATION, origin=row.id)
            begun.append(runs.begin_of_itself(session, starter(row), now, app, order).id)
    return begun


def _fail(claim: Claim, error: str) -> None:
    now = clock_now()
    with writing(claim.engine) as session:
        row = claim.hold(session)
        row.status, row.error = next_pass_status(row.status, PassTrigger.fail), error
        _end(session, row, now, "reconciliation.failed")


def _end(session: Session, row: store.Reconciliation, now: datetime, kind: str) -> None:
    row.completed, row.lease_until, row.reading = wire(now), None, False
    readings.drop(session, row.id)
    org = catalog.org(session, lock=True)
    ledger = Ledger(session, now, starter(row))
    told = {"reconciliation": row.id, "runs": load(row.runs), "users": row.users, "found": row.found, "counts": load(row.counts)}
    ledger.note(org, kind, told | ({"error": row.error} if row.error else {}))
    ledger.flush()
    session.add_all([org, row])
