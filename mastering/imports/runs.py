"""What people and clients do to a run: start it, seal it, give it up, approve it, cancel it (SPEC §§5, 8).

A run takes its place in the queue when it is sealed, not when it was begun: only then is it a snapshot. A newer FULL run supersedes a
held one at that moment. A dry run waits for nothing, supersedes nothing and remembers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.errors import Invalid, NotFound, PlanChanged, WrongState
from mastering.ids import new_id
from mastering.imports.spool import LEASE
from mastering.ledger import Actor, Ledger
from mastering.rules.record import Mode
from mastering.rules.runs import ENDED, PULL, RunStatus, RunTrigger, next_run_status
from mastering.rules.sessions import IDENTITY_SOURCE
from mastering.store import befores, tables
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import LOCKED

_FORGET_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asks of an import (API.md, starting an import)."""

    mode: Mode
    source: str = "PUSH"
    dry_run: bool = False
    allow_empty: bool = False
    expected_count: int | None = None
    snapshot_at: str | None = None
    origin: str | None = None
    """What the run came from, if nobody sent records for it."""


def start(engine: Engine, actor: Actor, now: datetime, app_id: str, order: Order) -> str:
    """Begin to receive an import of an active app; the new run's id. Raises `NotFound` or `Invalid`."""
    if order.snapshot_at is not None and order.snapshot_at > wire(now):
        raise Invalid("Import refused", "snapshotAt: lies in the future")
    with writing(engine) as session:
        return begin(session, actor, now, importable(session, app_id, lock=True), order).id


def importable(session: Session, app_id: str, *, lock: bool = False) -> tables.App:
    """An app that takes imports; raises `NotFound`, or `Invalid` where it is inactive."""
    app = session.get(tables.App, app_id, with_for_update=LOCKED if lock else None)
    if app is None:
        raise NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
    if app.status is not tables.AppStatus.ACTIVE:
        raise Invalid("Import refused", f"app: {app.label} is inactive; activate it before importing")
    return app


def begin(session: Session, actor: Actor, now: datetime, app: tables.App, order: Order) -> tables.ImportRun:
    """A new run of an app that is locked, of which nothing has come yet."""
    run = tables.ImportRun(
        id=new_id("imp"),
        app_id=app.id,
        mode=order.mode,
        source=order.source,
        status=RunStatus.RECEIVING,
        dry_run=order.dry_run,
        allow_empty=order.allow_empty,
        expected_count=order.expected_count,
        snapshot_at=order.snapshot_at,
        origin=order.origin,
        started_by=dump(actor.document()),
        created=wire(now),
        lease_until=wire(now + LEASE) if order.source not in {IDENTITY_SOURCE, PULL} else None,
    )
    session.add(run)
    told = {"mode": order.mode.value, "source": order.source, "dryRun": order.dry_run, **({"origin": order.origin} if order.origin else {})}
    tell(session, app, actor, now, run.id, "import.start", told)
    return run


def begin_of_itself(session: Session, actor: Actor, now: datetime, app: tables.App, order: Order) -> tables.ImportRun:
    """A run of an app that is locked for which no records are awaited: it takes its place in the queue at once."""
    run = begin(session, actor, now, app, order)
    session.flush()
    enqueue(session, actor, now, run, 0)
    return run


def seal(engine: Engine, actor: Actor, now: datetime, run_id: str, count: int) -> None:
    """The body ended properly: the run is a snapshot and takes its place in the queue (SPEC §5.1). A wrong count fails it."""
    with writing(engine) as session:
        run = get(session, run_id, lock=True)
        if run.expected_count is not None and run.expected_count != count:
            told = f"expectedCount: {run.expected_count} records were announced, {count} came; nothing was changed"
            fail(session, actor, now, run, told)
            return
        enqueue(session, actor, now, run, count)


def enqueue(session: Session, actor: Actor, now: datetime, run: tables.ImportRun, count: int) -> tables.App:
    """Give a run that has arrived whole its place in the queue of its app; the app, locked."""
    takes_over = run.mode is Mode.FULL and not run.dry_run
    if takes_over:
        run_store.held(session, run.app_id)  # runs are locked before their app
    app = _app(session, run)
    app.arrivals += 1
    run.arrival, run.records, run.sealed, run.lease_until = app.arrivals, count, wire(now), None
    run.status = next_run_status(run.status, RunTrigger.seal)
    tell(session, app, actor, now, run.id, "import.sealed", {"records": count})
    if takes_over:
        _supersede(session, app, actor, now, run)
    session.add_all([run, app])
    return app


def _supersede(session: Session, app: tables.App, actor: Actor, now: datetime, newer: tables.ImportRun) -> None:
    for held in run_store.held(session, app.id):
        held.status = next_run_status(held.status, RunTrigger.supersede)
        held.superseded_by, held.completed = newer.id, wire(now)
        session.add(held)
        tell(session, app, actor, now, held.id, "import.superseded", {"supersededBy": newer.id})


def give_way(session: Session, now: datetime, run: tables.ImportRun) -> None:
    """A run that is held while a newer snapshot of its app waits already is superseded at once, as it would have been a moment later."""
    newer = run_store.snapshot_after(session, run) if run.status is RunStatus.HELD else None
    if newer is not None:
        _supersede(session, _app(session, run), starter(newer), now, newer)


def give_up(engine: Engine, actor: Actor, now: datetime, run_id: str, error: str, *, owner: str | None = None) -> None:
    """A run that cannot go on fails, with a sentence that says why; with `owner`, only while it is that worker's.

    What was received is forgotten, and so is half a plan. Batches that were applied before stay: the sentence says how far they went.
    """
    with writing(engine) as session:
        run = get(session, run_id, lock=True)
        if run.status in ENDED or owner not in {None, run.owner}:
            return
        if run.status is RunStatus.APPLYING:
            error += f". {run.cursor} of the plan's {run.changes} changes had been made and stay; the next import goes on from there"
        if run.status is RunStatus.PLANNING:
            store.drop_changes(session, run_id)
        fail(session, actor, now, run, error)


def fail_stalled(engine: Engine, actor: Actor, now: datetime, *, all_of_them: bool = False) -> int:
    """Fail the runs of whose body nothing was heard in time, or all that receive, if their receivers are known to be dead; how many."""
    with writing(engine) as session:
        stalled = run_store.receiving(session, None if all_of_them else wire(now))
        for run in stalled:
            fail(session, actor, now, run, "The upload was interrupted; nothing was changed. Send the import again")
    return len(stalled)


def fail(session: Session, actor: Actor, now: datetime, run: tables.ImportRun, error: str) -> None:
    """A locked run fails, with a sentence that says why; what was received is forgotten, unless there is a plan of it."""
    run.status = next_run_status(run.status, RunTrigger.fail)
    run.error, run.completed, run.lease_until = error, wire(now), None
    _let_go(session, run)
    session.add(run)
    tell(session, _app(session, run), actor, now, run.id, "import.failed", {"error": error})


def approve(engine: Engine, actor: Actor, now: datetime, run_id: str, plan_hash: str) -> None:
    """Let a held plan be applied as it was reviewed; who approves quotes its hash. Raises `WrongState` or `PlanChanged` (SPEC §8)."""
    with writing(engine) as session:
        run = get(session, run_id, lock=True)
        to = next_run_status(run.status, RunTrigger.apply) if run.status is RunStatus.HELD else None
        if to is None:
            raise WrongState(f"Only a held import run can be approved; this one is {run.status.value}")
        if plan_hash != run.plan_hash:
            raise PlanChanged("The plan hash quoted is not the hash of this run's plan; read the plan again before approving it")
        run.status, run.approved_by = to, dump(actor.document())
        session.add(run)
        tell(session, _app(session, run), actor, now, run_id, "import.approved", {"planHash": plan_hash})


def cancel(engine: Engine, actor: Actor, now: datetime, run_id: str) -> None:
    """Give up a held or waiting run, an open upload session, or a pull; nothing of it is applied (SPEC §8). Raises `WrongState`."""
    with writing(engine) as session:
        run = get(session, run_id, lock=True)
        try:
            call_off(session, actor, now, run)
        except WrongState as refused:
            raise WrongState(f"Only a held or waiting import run can be cancelled; this one is {run.status.value}") from refused


def call_off(session: Session, actor: Actor, now: datetime, run: tables.ImportRun) -> None:
    """Give up a locked run. Of those that are still received only a session or a pull can be: of another upload the rest would come all the same."""
    can_close = run.source in {IDENTITY_SOURCE, PULL} and run.status is RunStatus.RECEIVING
    run.status = next_run_status(run.status, RunTrigger.close if can_close else RunTrigger.cancel)
    run.completed = wire(now)
    _let_go(session, run)
    session.add(run)
    tell(session, _app(session, run), actor, now, run.id, "import.cancelled", {})


def _let_go(session: Session, run: tables.ImportRun) -> None:
    """Of a run that ends without a plan nothing that it received is kept."""
    if run.planned is None:
        store.drop_chunks(session, run.id)


def cancel_expired(engine: Engine, now: datetime, actor: Actor, before: str) -> int:
    """Cancel runs that have been held since before an instant; how many (API.md, heldPlanRetentionDays)."""
    with writing(engine) as session:
        expired = [run for run in run_store.held(session) if (run.planned or run.created) < before]
        for run in expired:
            call_off(session, actor, now, run)
    return len(expired)


def forget_plans(engine: Engine, before: str) -> int:
    """Forget the plans of runs that ended before an instant; how many rows. The runs, their counts and their history stay (decision 0015)."""
    forgotten = 0
    with reading(engine) as session:
        over = list(store.plans_of_ended(session, before))
    for run_id in over:
        while True:
            with writing(engine) as session:
                gone = store.drop_changes(session, run_id, at_most=_FORGET_AT_ONCE)
            forgotten += gone
            if gone < _FORGET_AT_ONCE:
                break
        with writing(engine) as session:
            befores.drop(session, run_id)
    return forgotten


def get(session: Session, run_id: str, *, lock: bool = False) -> tables.ImportRun:
    """A run, locked if it is to be changed; raises `NotFound`."""
    run = session.get(tables.ImportRun, run_id, with_for_update=LOCKED if lock else None)
    if run is None:
        raise NotFound(f"Not found: Resource not found: {run_id} (ImportRun)")
    return run


def _app(session: Session, run: tables.ImportRun) -> tables.App:
    """The run's app, locked: its history is about to be written on."""
    return session.get_one(tables.App, run.app_id, with_for_update=LOCKED)


def tell(session: Session, app: tables.App, actor: Actor, now: datetime, run_id: str, kind: str, body: dict[str, Any]) -> None:
    """Write about a run into the history of its app, which is locked."""
    ledger = Ledger(session, now, actor, run_id=run_id)
    ledger.note(app, kind, body)
    ledger.flush()
    session.add(app)


def starter(run: tables.ImportRun) -> Actor:
    """Who started a run, as the one who acts in it."""
    document = load(run.started_by)
    return Actor(document["type"], document["id"], document["name"])
