"""What a schedule starts when its time has come, once however many processes look (SPEC §11; docs/decisions/0002, 0044).

The claim, the start and the history of both are one transaction: a process that dies in between has not had the firing, and another takes
it. Whoever changes policies is kept out meanwhile, so that what fires is what the policy says.

A firing that finds its app busy (docs/decisions/0045):

===========================  ========================================================================================
a FULL import                starts, and waits its turn behind whatever is under way, a held run included, which it
                             supersedes once it has arrived. It is skipped where another FULL import has yet to end
an INCREMENTAL import        is skipped while anything is under way or held: what it would have read is read by the
                             next one, and nothing piles up behind a run that waits for an admin
===========================  ========================================================================================

What was skipped is told in the app's history, once for as long as the reason stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.ledger import Actor, Ledger
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus
from mastering.store import catalog, connections, schedules
from mastering.store import runs as run_store
from mastering.store.documents import dump
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, share
from mastering.store.outage import is_outage
from mastering.store.schedules import Schedule
from mastering.store.tables import App, ImportRun

_log = structlog.get_logger("mastering.schedule")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a firing: the run that was started, or why none was, and which run was in the way."""

    started: str | None = None
    skipped: str | None = None
    blocked_by: str | None = None


Starter = Callable[[Session, Schedule, datetime], Outcome]
"""Starts what a kind of schedule is for, within the transaction that claims the firing. Whatever it raises gives the claim up."""


def fire_due(engine: Engine, now: datetime, starters: Mapping[str, Starter]) -> list[tuple[Schedule, Outcome]]:
    """Carry out whatever is due and of a kind that `starters` knows; what this process had, others apart."""
    with reading(engine) as session:
        due = [row for row in schedules.due(session, wire(now)) if row.kind in starters]
    had = []
    for row in due:
        outcome = _fire(engine, now, row, starters[row.kind])
        if outcome is not None:
            had.append((row, outcome))
            _log.info(
                "schedule fired", kind=row.kind, subject=row.subject, due=row.next_due, run_id=outcome.started, skipped=outcome.skipped
            )
    return had


def _fire(engine: Engine, now: datetime, row: Schedule, start: Starter) -> Outcome | None:
    """One firing, and no other's harm: where the database failed it is tried again, where the start itself did it waits for the next time."""
    try:
        return _claim_and_start(engine, now, row, start)
    except Exception as fault:  # noqa: BLE001 - whatever it is, other schedules go on
        if is_outage(fault):
            _log.warning("the database failed; the firing is tried again", kind=row.kind, subject=row.subject, exc_info=fault)
            return None
        _log.exception("a firing failed", kind=row.kind, subject=row.subject, due=row.next_due)
        return _claim_and_start(engine, now, row, lambda *_: Outcome(skipped="failed"))


def _claim_and_start(engine: Engine, now: datetime, row: Schedule, start: Starter) -> Outcome | None:
    """Claim a firing and start what it is for; `None` where it was somebody else's."""
    with writing(engine) as session:
        share(session, Lock.OPTIONS)
        if not schedules.claim(session, row, now):
            return None
        outcome = start(session, row, now)
        schedules.note_outcome(session, row, _text(outcome))
    return outcome


def schedule_actor(row: Schedule) -> Actor:
    """A schedule as the one who acts."""
    return Actor("schedule", f"{row.subject}.{row.kind}", f"{row.cron} {row.timezone}")


def _text(outcome: Outcome) -> str:
    return dump({"started": outcome.started} if outcome.started else {"skipped": outcome.skipped, "blockedBy": outcome.blocked_by})


# -- imports --------------------------------------------------------------------------------------------------------------

Pull = Callable[[Session, Actor, datetime, App, Mode], str]
"""Starts a pull of an app that is locked, within the transaction; the run's id."""


def import_starters(pull: Pull) -> dict[str, Starter]:
    """What the schedules of imports start."""

    def start(session: Session, row: Schedule, now: datetime) -> Outcome:
        return _start_import(session, row, now, pull)

    return {mode.value: start for mode in Mode}


def _start_import(session: Session, row: Schedule, now: datetime, pull: Pull) -> Outcome:
    mode, actor = Mode(row.kind), schedule_actor(row)
    app = catalog.app(session, row.subject, lock=True)
    if app is None:
        return Outcome(skipped="no_app")
    connection = connections.connection(session, app.id)
    if connection is None or not connection.enabled:
        return _skip(session, row, app, now, Outcome(skipped="no_connection" if connection is None else "connection_off"))
    in_the_way = blocking(mode, run_store.under_way(session, app.id))
    if in_the_way is not None:
        return _skip(session, row, app, now, Outcome(skipped="import_under_way", blocked_by=in_the_way))
    return Outcome(started=pull(session, actor, now, app, mode))


def blocking(mode: Mode, under_way: Sequence[ImportRun]) -> str | None:
    """The run, of those that are under way for an app, because of which a scheduled import does not start; the table above."""
    if mode is Mode.INCREMENTAL:
        return next((run.id for run in under_way), None)
    return next((run.id for run in under_way if run.mode is Mode.FULL and run.status is not RunStatus.HELD), None)


def _skip(session: Session, row: Schedule, app: App, now: datetime, outcome: Outcome) -> Outcome:
    """Tell that nothing was started, unless that was told the last time, in the same words."""
    if row.outcome != _text(outcome):
        ledger = Ledger(session, now, schedule_actor(row))
        told = {"kind": row.kind, "due": row.next_due, "reason": outcome.skipped, "blockedBy": outcome.blocked_by}
        ledger.note(app, "schedule.skipped", told)
        ledger.flush()
        session.add(app)
    return outcome
