"""Taking tasks out of the queue to an app: who has which in hand, and what stops a queue as a whole (SPEC §10; docs/decisions/0040).

A task is claimed only when no earlier one of its account is open, so that an account's tasks are delivered one after the other. The claim has a
lease and a fence: whoever lost it meanwhile finds nothing `held`.

A queue is stopped where the app refused us, until its connection is changed or tried, and left alone where the app asked for that.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlmodel import Session, col

from mastering.rules.tasks import OPEN, TaskKind, TaskStatus
from mastering.store.connections import Connection
from mastering.store.locks import LOCKED
from mastering.store.outbound import OutboundQueue, OutboundTask
from mastering.store.people import slices
from mastering.store.tables import App, AppStatus

_open = col(OutboundTask.status).in_(OPEN)
_renewed = func.coalesce(col(Connection.last_updated) > func.coalesce(col(OutboundQueue.paused), col(OutboundQueue.not_before)), True)
"""The connection has been changed since, or nothing was said of the queue."""
_stopped = col(OutboundQueue.paused).is_not(None) & ~_renewed
"""Stopped, and the connection has not been changed since: new credentials, or switching it on, let the queue go on."""


# -- whose turn it is -------------------------------------------------------------------------------------------------


def apps_with_work(session: Session, now: str) -> list[str]:
    """The apps that can be called and whose queues are neither empty nor to be left alone, ascending by id."""
    queue, waits = OutboundQueue, select(1).where(col(OutboundTask.app_id) == col(App.id), _free(now))
    query = select(col(App.id)).join(Connection, col(Connection.app_id) == col(App.id)).outerjoin(queue, col(queue.app_id) == col(App.id))
    query = query.where(col(App.status) == AppStatus.ACTIVE, col(Connection.enabled), waits.correlate(App).exists(), ~_stopped)
    query = query.where(or_(col(queue.not_before).is_(None), col(queue.not_before) <= now, _renewed))
    return list(session.execute(query.order_by(col(App.id))).scalars())


def claim(session: Session, app_id: str, owner: str, now: str, until: str, limit: int) -> list[OutboundTask]:
    """Take the next tasks of an app into one's hands until `until`: due, in nobody's hands, and each the first of its account that is open."""
    task = OutboundTask
    earlier = task.__table__.alias("earlier")  # type: ignore[attr-defined]
    first = (
        ~select(1).where(earlier.c.account_id == col(task.account_id), earlier.c.seq < col(task.seq), earlier.c.status.in_(OPEN)).exists()
    )
    query = select(task).where(col(task.app_id) == app_id, _free(now), first).order_by(col(task.seq)).limit(limit)
    found = list(session.execute(query.with_for_update(skip_locked=True, key_share=True)).scalars())
    for each in found:
        each.status, each.owner, each.lease_until = TaskStatus.DELIVERING, owner, until
        each.fence += 1
        each.attempts += 1
        session.add(each)
    session.flush()
    return found


def _free(now: str) -> ColumnElement[bool]:
    """Open, due, and in nobody's hands: pending, or left by somebody whose lease has run out."""
    task = OutboundTask
    pending = and_(col(task.status) == TaskStatus.PENDING, col(task.due) <= now)
    left = and_(col(task.status) == TaskStatus.DELIVERING, col(task.lease_until) <= now)
    return and_(_open, or_(pending, left))


def extend(session: Session, owner: str, until: str) -> None:
    """Keep what one has in one's hands."""
    mine = (col(OutboundTask.owner) == owner) & (col(OutboundTask.status) == TaskStatus.DELIVERING)
    session.execute(update(OutboundTask).where(mine).values(lease_until=until))


def free_leases(session: Session) -> None:
    """Let go of every task: only where no other process can have any in its hands."""
    at_work = col(OutboundTask.status) == TaskStatus.DELIVERING
    session.execute(update(OutboundTask).where(at_work).values(status=TaskStatus.PENDING, owner=None, lease_until=None))


def held(session: Session, fences: dict[int, int], owner: str) -> dict[int, OutboundTask]:
    """Of these tasks, by number and the fence they were claimed with, the ones that are still in this owner's hands; locked."""
    found: dict[int, OutboundTask] = {}
    query = select(OutboundTask).where(col(OutboundTask.owner) == owner, col(OutboundTask.status) == TaskStatus.DELIVERING)
    numbers = sorted(fences)
    for start in range(0, len(numbers), 1_000):
        part = query.where(col(OutboundTask.seq).in_(numbers[start : start + 1_000])).order_by(col(OutboundTask.seq))
        for task in session.execute(part.with_for_update(key_share=True)).scalars():
            if task.seq is not None and fences[task.seq] == task.fence:
                found[task.seq] = task
    return found


def followed(session: Session, tasks: Collection[OutboundTask]) -> set[int]:
    """The numbers of those that a task stands behind which gives the account back: created, or active again."""
    task, found = OutboundTask, set()
    back = _open & col(task.kind).in_([TaskKind.CREATE, TaskKind.REACTIVATE])
    last: dict[str, int] = {}
    for part in slices({each.account_id for each in tasks}):
        query = select(col(task.account_id), func.max(col(task.seq))).where(back, col(task.account_id).in_(part))
        last.update((row[0], row[1]) for row in session.execute(query.group_by(col(task.account_id))))
    for each in tasks:
        if each.seq is not None and last.get(each.account_id, 0) > each.seq:
            found.add(each.seq)
    return found


def supersede_dead(session: Session, account_ids: Collection[str], at: str) -> None:
    """What died of these accounts has been made good by what was delivered since; passwords are not made good by anything but a password."""
    task = OutboundTask
    dead = (col(task.status) == TaskStatus.DEAD) & (col(task.kind) != TaskKind.PASSWORD)
    for part in slices(account_ids):
        query = update(task).where(dead, col(task.account_id).in_(part))
        session.execute(query.values(status=TaskStatus.SUPERSEDED, finished=at))


def forget_finished(session: Session, before: str) -> None:
    """Delete tasks that ended before an instant; what came of them stands in the history."""
    session.execute(delete(OutboundTask).where(col(OutboundTask.finished) < before))


# -- queues as a whole ------------------------------------------------------------------------------------------------


def queue(session: Session, app_id: str, *, lock: bool = False) -> OutboundQueue:
    """What concerns an app's queue as a whole; a new row, not yet kept, where nothing does."""
    query = select(OutboundQueue).where(col(OutboundQueue.app_id) == app_id)
    found = session.execute(query.with_for_update(key_share=True) if lock else query).scalar()
    return found or OutboundQueue(app_id=app_id)


def pause(session: Session, app_id: str, at: str, reason: str) -> bool:
    """Stop an app's queue until its connection is changed or tried after `at`; whether it was not stopped before."""
    session.get_one(App, app_id, with_for_update=LOCKED)  # two who stop the same queue come one after the other
    fresh = app_id not in stopped_apps(session)
    row = queue(session, app_id, lock=True)
    row.paused, row.reason = at, reason
    session.add(row)
    session.flush()
    return fresh and app_id in stopped_apps(session)


def leave_alone(session: Session, app_id: str, until: str) -> None:
    """Do not call an app before this instant."""
    session.get_one(App, app_id, with_for_update=LOCKED)
    row = queue(session, app_id, lock=True)
    row.not_before = max(row.not_before or "", until)
    session.add(row)
    session.flush()


def resume(session: Session, app_id: str) -> bool:
    """Let an app's queue go on at once; whether it was stopped."""
    row = queue(session, app_id, lock=True)
    was = row.paused is not None
    if was or row.not_before is not None:
        row.paused = row.reason = row.not_before = None
        session.add(row)
        session.flush()
    return was


def stopped_apps(session: Session) -> set[str]:
    """The apps whose queues are stopped."""
    query = select(col(OutboundQueue.app_id)).join(Connection, col(Connection.app_id) == col(OutboundQueue.app_id))
    return set(session.execute(query.where(_stopped)).scalars())
