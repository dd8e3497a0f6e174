"""What admins see of the queue to an app, and what they do about it (SPEC §10; docs/decisions/0041)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.errors import NotFound, WrongState
from mastering.ledger import Actor, Ledger
from mastering.rules.policy import PasswordSeed
from mastering.rules.tasks import TaskKind, TaskStatus, TaskTrigger, next_task_status
from mastering.store import catalog, deliveries, tables
from mastering.store import outbound as store
from mastering.store.engine import reading, writing
from mastering.store.locks import LOCKED
from mastering.store.outbound import OutboundTask, Wanted

_AT_ONCE = 1_000


class SyncState(StrEnum):
    """How an account stands in its app, in Okta's words."""

    DISABLED = "DISABLED"
    OUT_OF_SYNC = "OUT_OF_SYNC"
    SYNCING = "SYNCING"
    SYNCHRONIZED = "SYNCHRONIZED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Sync:
    """How one account stands: what is open, the last error, when the app was last brought up to date, and its id there."""

    state: SyncState
    waiting: int
    error: str | None
    synced: str | None
    scim_id: str | None


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits for an app, and what stops it."""

    waiting: int
    delivering: int
    dead: int
    oldest: str | None
    paused: str | None
    reason: str | None
    not_before: str | None


def page(engine: Engine, app_id: str, wanted: Wanted, after: int, limit: int) -> list[OutboundTask]:
    """The next tasks of an app in the order in which they were caused, and one more where there are more; raises `NotFound`."""
    with reading(engine) as session:
        _require_app(session, app_id)
        return store.page(session, app_id, wanted, after, limit + 1)


def read(engine: Engine, app_id: str, task_id: str) -> OutboundTask:
    """One task; raises `NotFound`."""
    with reading(engine) as session:
        _require_app(session, app_id)
        return _required(store.task(session, app_id, task_id), task_id)


def state(engine: Engine, app_id: str) -> QueueState:
    """What waits for an app; raises `NotFound`."""
    with reading(engine) as session:
        _require_app(session, app_id)
        counts, row = store.counts(session, app_id).get(app_id, store.Counts({}, None)), deliveries.queue(session, app_id)
        stopped = app_id in deliveries.stopped_apps(session)
    told = counts.by_status
    return QueueState(
        told.get(TaskStatus.PENDING, 0),
        told.get(TaskStatus.DELIVERING, 0),
        told.get(TaskStatus.DEAD, 0),
        counts.oldest,
        row.paused if stopped else None,
        row.reason if stopped else None,
        row.not_before,
    )


def syncs(engine: Engine, account_ids: Collection[str]) -> dict[str, Sync]:
    """How these accounts stand, of those that anything has gone out about."""
    with reading(engine) as session:
        links = store.links(session, account_ids)
        tasks: dict[str, list[OutboundTask]] = {}
        for task in store.unsettled(session, account_ids):
            tasks.setdefault(task.account_id, []).append(task)
    return {each: _sync(tasks.get(each, []), links.get(each)) for each in tasks.keys() | links.keys()}


def _sync(tasks: list[OutboundTask], link: store.OutboundLink | None) -> Sync:
    """A dead task is an error whatever else waits; one that failed and is tried again leaves the account behind."""
    error = next((task.error for task in reversed(tasks) if task.error), None)
    waiting = [task for task in tasks if task.status is not TaskStatus.DEAD]
    if len(waiting) < len(tasks):
        found = SyncState.ERROR
    elif error is not None:
        found = SyncState.OUT_OF_SYNC
    else:
        found = SyncState.SYNCING if waiting else SyncState.SYNCHRONIZED
    return Sync(found, len(waiting), error, link.synced if link else None, link.scim_id if link else None)


# -- retrying -----------------------------------------------------------------------------------------------------------------


def retry(engine: Engine, actor: Actor, now: datetime, app_id: str, task_id: str) -> OutboundTask:
    """Let a dead task have another ten attempts. Raises `NotFound`, and `WrongState` for one that is not dead or whose password is gone."""
    with writing(engine) as session:
        app = _require_app(session, app_id, lock=True)
        task = _required(store.task(session, app_id, task_id, lock=True), task_id)
        _revive(task, app, wire(now))
        session.add(task)
        _tell(session, now, actor, app, 1)
    return task


def retry_all(engine: Engine, actor: Actor, now: datetime, app_id: str) -> int:
    """Retry every dead task of an app, whose password is not gone; how many."""
    count, after = 0, 0
    while True:
        with writing(engine) as session:
            app = _require_app(session, app_id, lock=True)
            dead = store.dead(session, app_id, after, _AT_ONCE)
            alive = [task for task in dead if not _gone(task, app)]
            for task in alive:
                _revive(task, app, wire(now))
                session.add(task)
            if alive:
                _tell(session, now, actor, app, len(alive))
        if not dead:
            return count
        count, after = count + len(alive), dead[-1].seq or 0


def resume(engine: Engine, actor: Actor, now: datetime, app_id: str) -> None:
    """The app takes our credentials again: let its queue go on, if it was stopped."""
    with writing(engine) as session:
        app = _require_app(session, app_id, lock=True)
        if deliveries.resume(session, app_id):
            ledger = Ledger(session, now, actor)
            ledger.note(app, "provisioning.resumed", {})
            ledger.flush()
            session.add(app)


def _revive(task: OutboundTask, app: tables.App, at: str) -> None:
    if task.status is TaskStatus.DEAD and _gone(task, app):
        raise WrongState("The password that was to be pushed has been erased; set the user's password again")
    task.status, task.attempts, task.due = next_task_status(task.status, TaskTrigger.retry), 0, at


def _gone(task: OutboundTask, app: tables.App) -> bool:
    """Whether a password was to be pushed that nobody has any more; a random one is made when it is pushed."""
    random = catalog.provisioning_of(app).password.seed is PasswordSeed.RANDOM
    return task.kind is TaskKind.PASSWORD and task.secret is None and not random


def _tell(session: Session, now: datetime, actor: Actor, app: tables.App, count: int) -> None:
    ledger = Ledger(session, now, actor)
    ledger.note(app, "provisioning.retried", {"tasks": count})
    ledger.flush()
    session.add(app)


def _require_app(session: Session, app_id: str, *, lock: bool = False) -> tables.App:
    found = session.get(tables.App, app_id, with_for_update=LOCKED if lock else None)
    if found is None:
        raise NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
    return found


def _required(task: OutboundTask | None, task_id: str) -> OutboundTask:
    if task is None:
        raise NotFound(f"Not found: Resource not found: {task_id} (ProvisioningTask)")
    return task
