"""What people do to a preview: ask for one, read it, and, in time, forget it (decision 0055). A worker computes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.errors import Busy, Invalid, NotFound
from mastering.ids import new_id
from mastering.ledger import Actor
from mastering.rules.runs import RunStatus
from mastering.store import catalog, tables
from mastering.store import previews as store
from mastering.store.documents import dump
from mastering.store.engine import reading, writing
from mastering.whatif.again import is_kept
from mastering.whatif.world import Wishes, check

MOST_WAITING = 20
"""Previews that may wait for a worker at a time."""
_WISHES = msgspec.json.Decoder(Wishes)
_REPLAYED = (RunStatus.PLANNED, RunStatus.HELD, RunStatus.APPLYING, RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.SUPERSEDED)


def start(engine: Engine, actor: Actor, now: datetime, wishes: Wishes, asked: Any, *, run_id: str | None = None) -> store.Preview:
    """Ask for a preview of what is wished, `asked` being how; over a recorded run, if one is named.

    Raises what saving the wishes would raise, `NotFound` for a run that is not there, and `Busy` where too many wait.
    """
    with writing(engine) as session:
        check(session, wishes, now)
        if run_id is not None:
            require_replayable(session, run_id, wishes)
        if store.live(session) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} previews wait to be computed already; ask again a little later")
        row = store.Preview(
            id=new_id("prv"),
            run_id=run_id,
            wishes=dump(wishes),
            asked=dump(asked),
            status=store.PreviewStatus.QUEUED,
            started_by=dump(actor.document()),
            created=wire(now),
        )
        session.add(row)
    return row


def require_replayable(session: Session, run_id: str, wishes: Wishes) -> None:
    """Raises `NotFound`, or `Invalid` where the run cannot be replayed under these wishes, saying what can be done instead."""
    run = session.get(tables.ImportRun, run_id)
    if run is None:
        raise NotFound(f"Not found: Resource not found: {run_id} (ImportRun)")
    causes = []
    if run.status not in _REPLAYED or (session.get(tables.RunChange, (run_id, 1)) is None and run.changes):
        causes.append("runId: this run has no plan, or it is no longer kept (heldPlanRetentionDays)")
    if not is_kept(session, run):
        causes += _beyond_its_plan(run, wishes)
    if causes:
        raise Invalid("Api validation failed: runId", *causes)


def _beyond_its_plan(run: tables.ImportRun, wishes: Wishes) -> Iterator[str]:
    """What a run cannot be asked of which nothing is there but its plan."""
    gone = "what this run received is not kept (receivedRetentionDays), or nothing was sent for it"
    if wishes.mappings or wishes.attributes:
        yield f"runId: {gone}, so that it is replayed as it was mapped; for other mappings or attribute masters preview everybody"
    policy, planned = wishes.policies.get(run.app_id), catalog.policy_from(run.policy or "{}")
    if policy is not None and (policy.matching, policy.username) != (planned.matching, planned.username):
        yield f"runId: {gone}, so that it is replayed as it was matched; for other matching or usernames send its file again as a dry run"


def read(engine: Engine, preview_id: str) -> store.Preview:
    """A preview as it stands; raises `NotFound`."""
    with reading(engine) as session:
        return get(session, preview_id)


def page(engine: Engine, after: str | None, limit: int) -> Sequence[store.Preview]:
    """The next previews, newest first."""
    with reading(engine) as session:
        return store.page(session, after, limit)


def get(session: Session, preview_id: str) -> store.Preview:
    """A preview; raises `NotFound`."""
    row = session.get(store.Preview, preview_id)
    if row is None:
        raise NotFound(f"Not found: Resource not found: {preview_id} (Preview)")
    return row


def wishes_of(row: store.Preview) -> Wishes:
    """What a preview wishes."""
    return _WISHES.decode(row.wishes)


def forget(engine: Engine, before: str) -> int:
    """Forget the previews that ended before an instant, with the values that they hold of people; how many."""
    with reading(engine) as session:
        over = list(store.ended_before(session, before))
    for preview_id in over:
        gone = False
        while not gone:
            with writing(engine) as session:
                gone = store.forget(session, preview_id)
    return len(over)
