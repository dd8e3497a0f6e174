"""One turn of a run: plan it, or apply its next batches (SPEC §§5.3-5.9).

A turn belongs to who holds the lease, and every transaction of a turn asks for it first (`lease`). Applying takes as many turns as it
needs: runs of other apps have theirs in between, so that a delta of three people does not wait for a snapshot of a million.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.connectors.importhook import About
from mastering.errors import WrongState
from mastering.imports import runs
from mastering.imports.applying import AT_ONCE, apply_batch
from mastering.imports.hooking import HookCaller
from mastering.imports.lease import Lease, StoppedError
from mastering.imports.planning import Planned, Planner
from mastering.imports.pulling import remember
from mastering.imports.repairing import RECONCILIATION, RepairPlanner
from mastering.imports.rows import PlanWriter
from mastering.imports.runs import starter
from mastering.imports.undoing import UNDO, UndoPlanner
from mastering.ledger import Actor, Ledger
from mastering.rematch import rematch_after
from mastering.rules.change import Terms
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus, RunTrigger, next_run_status
from mastering.rules.safeguard import HeldFor, Share, Verdict
from mastering.store import catalog, figures, tables, waiting
from mastering.store import hooks as hook_store
from mastering.store import imports as store
from mastering.store import runs as run_store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import LOCKED, Lock, share
from mastering.store.looks import OvertakenError
from mastering.store.tables import InlineHook
from mastering.terms import terms_of

TURN = timedelta(seconds=1)
"""How long a run is applied before others have their turn."""
_COLLISIONS = 6
_MANY = 10_000
"""Changes of one run that leave the tables other than the database knows them."""
_log = structlog.get_logger("mastering.worker")
_MOVES_PEOPLE = {
    "create",
    "link",
    "update",
    "release",
    "deactivate",
    "suspend",
    "unsuspend",
    "reactivate",
    "require_activation",
    "activate",
    "restore",
    "unlink",
}


@dataclass(frozen=True, slots=True)
class Outside:
    """What a turn needs of the world outside: who calls inline hooks, and whether the process has been told to stop."""

    hooks: HookCaller | None
    stopping: Callable[[], bool]


def take_turn(engine: Engine, owner: str, length: timedelta, outside: Outside) -> bool:
    """Claim the next run, for `length` from each sign of life, and do its next step; whether there was one.

    Where the process is to stop, the step is left where it can be taken up.
    """
    now = clock_now()
    with writing(engine) as session:
        run = run_store.claim(session, owner, wire(now), wire(now + length))
        if run is None:
            return False
        if run.status is RunStatus.PLANNING:  # whoever planned it died: a plan is made anew
            run.status = next_run_status(run.status, RunTrigger.requeue)
        if run.status is RunStatus.QUEUED:
            run.status = next_run_status(run.status, RunTrigger.plan)
        run.cursor = run.cursor if run.status is RunStatus.APPLYING else 0
        session.add(run)
    structlog.contextvars.bind_contextvars(run_id=run.id)  # the worker takes it away at the end of its turn
    _log.info("turn", app=run.app_id, status=run.status.value, fence=run.fence, takeovers=run.takeovers)
    lease = Lease(engine, run.id, owner, run.fence, length, outside.stopping)
    try:
        if run.status is RunStatus.PLANNING:
            _plan(lease, run, now, outside)
        else:
            _apply(lease, now + TURN)
    except StoppedError:
        lease.give_back()
    return True


def _plan(lease: Lease, run: tables.ImportRun, now: datetime, outside: Outside) -> None:
    terms, planned, hook, gave_up = _planned(lease, run, now, outside)
    with writing(lease.engine) as session:
        mine = lease.hold(session)
        _note_plan(session, mine, terms, planned)
        mine.hook = _hook_document(hook, planned, gave_up)
        hook_store.drop_calls(session, mine.id)
        mine.status = next_run_status(mine.status, _after_planning(mine, planned))
        mine.lease_until = None
        if catalog.org_safeguard(session).days_received_is_kept == 0:
            store.drop_chunks(session, mine.id)
        if mine.dry_run:
            mine.completed = mine.planned
        session.add(mine)
        _tell_planned(session, mine, now, planned)
        runs.give_way(session, now, mine)
        figures.add_plan(
            session, {figures.Told.situation: {} if mine.dry_run else planned.situations, figures.Told.hook: planned.hook or {}}
        )
    _log.info("run planned", status=mine.status.value, records=mine.records, changes=mine.changes, situations=planned.situations)


def _planned(lease: Lease, run: tables.ImportRun, now: datetime, outside: Outside) -> tuple[Terms, Planned, InlineHook | None, str | None]:
    """The plan. Where the app's hook has to be asked first, that is done between two plannings, while no transaction is open (`asking`)."""
    gave_up = None
    while True:
        writer = PlanWriter(lease)
        with reading(lease.engine) as session:
            terms = terms_of(session, run.app_id, run.mode, now)
            app = session.get_one(tables.App, run.app_id)
            hook = hook_store.active(session, terms.policy.hook_id)
            planned = _PLANNERS.get(run.source, Planner)(
                session, run, terms, writer, hook_store.terms_of_hook(hook) if hook else None
            ).plan()
        if planned is not None or hook is None:
            break
        if outside.hooks is None:
            raise WrongState("The app's import policy names an inline hook, and this process cannot call any")
        gave_up = outside.hooks.ask_all(lease, hook, _about(run, app, terms), outside.stopping) or gave_up
    if planned is None:
        raise WrongState("The run was not planned")
    return terms, planned, hook, gave_up


_PLANNERS: dict[str, type[Planner]] = {RECONCILIATION: RepairPlanner, UNDO: UndoPlanner}


def _about(run: tables.ImportRun, app: tables.App, terms: Terms) -> About:
    matching = terms.policy.matching
    chosen = (("USERNAME", matching.username), ("EMAIL", matching.email), ("CUSTOM", matching.attributes))
    policy = [word for word, on in (*chosen, ("FIRST_AND_LAST_NAME", matching.allow_partial)) if on]
    return About(run.id, run.dry_run, app.id, app.name, app.label, tuple(policy))


def _hook_document(hook: InlineHook | None, planned: Planned, gave_up: str | None) -> str | None:
    """What the run says of its hook: which it was, what came of asking, and why it was given up, if it was."""
    if hook is None or planned.hook is None:
        return None
    told = {"id": hook.id, "name": hook.name, "onFailure": hook.on_failure.value}
    return dump({**told, "asked": sum(planned.hook.values()), "outcomes": planned.hook, "gaveUp": gave_up})


def _after_planning(run: tables.ImportRun, planned: Planned) -> RunTrigger:
    if run.dry_run:
        return RunTrigger.show
    return RunTrigger.hold if planned.verdict.tripped else RunTrigger.apply


def _note_plan(session: Session, run: tables.ImportRun, terms: Terms, planned: Planned) -> None:
    run.policy = catalog.policy_text(terms.policy)
    run.plan_hash, run.changes, run.records = planned.plan_hash, planned.changes, planned.records
    run.situations, run.actions = dump(planned.situations), dump(planned.actions)
    run.as_of_event, run.planned = planned.as_of_event, wire(clock_now())
    run.planned_as_of, run.planned_now = planned.as_of_event, terms.at
    run.safeguard = dump({**verdict_document(planned.verdict), **_recurrence(session, run, planned.verdict)})


def _recurrence(session: Session, run: tables.ImportRun, verdict: Verdict) -> dict[str, str | None]:
    """Since when full runs of this app have been held for unidentified records, one after the other (SPEC §5.2)."""
    if verdict.reason is not HeldFor.unidentified_records:
        return {}
    before = run_store.snapshot_before(session, run)
    told = load(before.safeguard or "{}") if before else {}
    return {"recurringSince": told.get("recurringSince", run.planned)}


def verdict_document(verdict: Verdict) -> dict[str, object]:
    """The verdict as API.md shows it."""

    def share(of: Share) -> dict[str, object]:
        return {"unassigned": of.unassigned, "assigned": of.assigned, "percent": of.percent, "limit": of.limit}

    reason = verdict.reason.value if verdict.reason else None
    return {"tripped": verdict.tripped, "reason": reason, "app": share(verdict.app), "org": share(verdict.org)}


def _tell_planned(session: Session, run: tables.ImportRun, now: datetime, planned: Planned) -> None:
    if run.dry_run:
        return
    app = session.get_one(tables.App, run.app_id, with_for_update=LOCKED)
    ledger = Ledger(session, now, starter(run), run_id=run.id, plan_hash=planned.plan_hash)
    kind = "import.held" if planned.verdict.tripped else "import.planned"
    body = {"situations": planned.situations, "actions": planned.actions, "safeguard": verdict_document(planned.verdict)}
    ledger.note(app, kind, {**body, **({"hook": load(run.hook)} if run.hook else {})})
    ledger.flush()
    session.add(app)


def _apply(lease: Lease, until: datetime) -> None:
    """Batch after batch until the plan's last row, or until the turn is over and others wait for theirs."""
    while _apply_in_the_end(lease):
        lease.beat()
        if clock_now() >= until and _others_wait(lease):
            lease.give_back()
            return


def _others_wait(lease: Lease) -> bool:
    with reading(lease.engine) as session:
        return run_store.others_wait(session, lease.run_id, wire(clock_now()))


def _apply_in_the_end(lease: Lease) -> bool:
    """The next batch; again if somebody else was quicker with a login or an external id, or with a person whom one of its records matches.

    What others did is seen then, and decided upon. Each time fewer rows are taken, so that there is less time in which to be overtaken.
    """
    for collisions in range(_COLLISIONS):
        try:
            return _apply_next(lease, max(AT_ONCE >> 2 * collisions, 1))
        except (IntegrityError, OvertakenError) as fault:
            _log.info("batch overtaken", by=type(fault).__name__)
            lease.beat()
    return _apply_next(lease, 1)


def _apply_next(lease: Lease, at_once: int) -> bool:
    now = clock_now()
    with writing(lease.engine) as session:
        mine = lease.hold(session)
        share(session, Lock.OPTIONS)
        rows = store.changes(session, mine.id, mine.cursor, at_once)
        _require_whole(mine, [row.seq for row in rows])
        ledger = Ledger(session, now, _acting(mine), run_id=mine.id, plan_hash=mine.plan_hash)
        more = bool(rows)
        if rows:
            policy = catalog.policy_from(mine.policy or "{}")
            before = mine.cursor
            apply_batch(ledger, mine, rows, lambda: terms_of(session, mine.app_id, mine.mode, now, policy))
            if _is_much_more(before, mine.cursor):
                store.count_accounts(session)
        else:
            more = _queue_looks_again(session, ledger, mine, now)
        if not more:
            _complete(session, ledger, mine, now)
        session.add(mine)
    _log.info("batch applied" if more else "run completed", done=mine.cursor, changes=mine.changes)
    return more


def _is_much_more(before: int, now: int) -> bool:
    """Whether a run has come past its first 10,000 changes, or past four times as many as then: 40,000, 160,000 and so on."""
    steps = [((count // _MANY).bit_length() + 1) // 2 for count in (before, now)]
    return steps[0] < steps[1]


def _require_whole(run: tables.ImportRun, seqs: list[int]) -> None:
    """No row of a plan is passed over: the next ones follow the cursor without a gap, and only the last row has none after it."""
    last = run.cursor + len(seqs)
    if seqs != list(range(run.cursor + 1, last + 1)) or (not seqs and run.cursor < run.changes):
        raise WrongState("Rows of the plan are missing from the database")


def _queue_looks_again(session: Session, ledger: Ledger, run: tables.ImportRun, now: datetime) -> bool:
    """Match waiting rows again by what the run has changed; whether some are left to another transaction.

    A full run that moved nobody has placed its own app's rows itself. It has freed places and made claims all the same: whom it has not
    placed, because it knew nothing of them that can be used, is matched again by these.
    """
    alone = not store.others_acted(session, run.id, run.as_of_event)
    begun = run.mode is Mode.INCREMENTAL or run.queue_cursor is not None
    if begun or _MOVES_PEOPLE & load(run.actions).keys() or not alone or waiting.is_unplaced(session, run):
        run.queue_cursor = rematch_after(ledger, now, run, alone=alone)
    ledger.flush()
    return run.queue_cursor is not None


def _complete(session: Session, ledger: Ledger, run: tables.ImportRun, now: datetime) -> None:
    run.status = next_run_status(run.status, RunTrigger.complete)
    run.completed, run.lease_until = wire(now), None
    if run.changes >= _MANY:
        store.take_stock(session)
    app = session.get_one(tables.App, run.app_id, with_for_update=LOCKED)
    remember(session, run)
    ledger.note(app, "import.completed", {"situations": load(run.situations), "actions": load(run.actions)})
    ledger.flush()
    session.add(app)


def _acting(run: tables.ImportRun) -> Actor:
    """An import acts as its app and run; who started or approved it stands in the run and its history."""
    return Actor("import", run.app_id, run.id)
