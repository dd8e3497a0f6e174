"""Runs by their state: which is next, which is held, and the lease of whoever works on one (DESIGN.md, background work)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Select, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from mastering.rules.record import Mode
from mastering.rules.runs import PULL, RunStatus
from mastering.rules.sessions import IDENTITY_SOURCE
from mastering.store.tables import ImportRun

_WAITING = (RunStatus.QUEUED, RunStatus.PLANNING, RunStatus.APPLYING)
_IN_THE_WAY = (RunStatus.PLANNING, RunStatus.HELD, RunStatus.APPLYING)


def held(session: Session, app_id: str | None = None) -> Sequence[ImportRun]:
    """The held runs, of one app or of all, locked."""
    query = select(ImportRun).where(col(ImportRun.status) == RunStatus.HELD).order_by(col(ImportRun.id))
    if app_id is not None:
        query = query.where(col(ImportRun.app_id) == app_id)
    return session.execute(query.with_for_update(key_share=True)).scalars().all()


def claim(session: Session, owner: str, now: str, until: str) -> ImportRun | None:
    """Take the run that may go on and has waited longest for its turn: lease it until `until`, with a new fence. `None` if there is none.

    One run of an app at a time, in order of arrival; dry runs wait for nothing (SPEC §5, last paragraphs). Nobody works on a run without a
    lease, or whose lease has run out, or which the asking owner holds: an owner takes one turn at a time and has lost hold of that one.
    """
    earlier = aliased(ImportRun)
    blocked = (
        select(1)
        .where(
            col(earlier.app_id) == col(ImportRun.app_id),
            col(earlier.id) != col(ImportRun.id),
            col(earlier.dry_run).is_(False),
            col(earlier.status).in_(_IN_THE_WAY)
            | ((col(earlier.status) == RunStatus.QUEUED) & (col(earlier.arrival) < col(ImportRun.arrival))),
        )
        .exists()
    )
    free = col(ImportRun.lease_until).is_(None) | (col(ImportRun.lease_until) <= now) | (col(ImportRun.owner) == owner)
    query = (
        select(ImportRun)
        .where(col(ImportRun.status).in_(_WAITING), free, col(ImportRun.dry_run) | (col(ImportRun.status) != RunStatus.QUEUED) | ~blocked)
        .order_by(func.coalesce(col(ImportRun.lease_until), col(ImportRun.sealed)), col(ImportRun.id))
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
    )
    run = session.execute(query).scalars().first()
    if run is not None:
        run.takeovers += run.lease_until is not None and run.owner not in {None, owner}
        run.owner, run.lease_until, run.fence = owner, until, run.fence + 1
        session.add(run)
        session.flush()
    return run


def pull_waits(session: Session, now: str) -> bool:
    """Whether there is a pull that could be received. A look that writes nothing."""
    return session.execute(_free_pulls(now).limit(1)).first() is not None


def claim_pull(session: Session, owner: str, now: str, until: str) -> ImportRun | None:
    """Take the pull that has waited longest to be received: lease it until `until`, with a new fence. `None` if there is none.

    An app's pulls are received one after the other, so that a later one has read later: it would bring back what an earlier one saw.
    """
    query = _free_pulls(now).order_by(col(ImportRun.id)).limit(1).with_for_update(skip_locked=True, key_share=True)
    run = session.execute(query).scalars().first()
    if run is not None:
        run.takeovers += run.owner is not None
        run.owner, run.lease_until, run.fence = owner, until, run.fence + 1
        session.add(run)
        session.flush()
    return run


def _free_pulls(now: str) -> Select[ImportRun]:
    earlier = aliased(ImportRun)
    behind = (
        select(1)
        .where(
            col(earlier.app_id) == col(ImportRun.app_id),
            col(earlier.id) < col(ImportRun.id),
            col(earlier.status) == RunStatus.RECEIVING,
            col(earlier.source) == PULL,
        )
        .exists()
    )
    free = col(ImportRun.lease_until).is_(None) | (col(ImportRun.lease_until) <= now)
    return select(ImportRun).where(col(ImportRun.status) == RunStatus.RECEIVING, (col(ImportRun.source) == PULL), free, ~behind)


def under_way(session: Session, app_id: str) -> Sequence[ImportRun]:
    """The runs of an app in earnest that have arrived or are being fetched, and have not ended, oldest first. What clients still send counts not."""
    fetched = (col(ImportRun.status) == RunStatus.RECEIVING) & (col(ImportRun.source) == PULL)
    not_ended = col(ImportRun.status).in_((RunStatus.QUEUED, *_IN_THE_WAY)) | fetched
    query = select(ImportRun).where(col(ImportRun.app_id) == app_id, col(ImportRun.dry_run).is_(False), not_ended)
    return session.execute(query.order_by(col(ImportRun.id))).scalars().all()


def undos_of(session: Session, run_id: str) -> Sequence[ImportRun]:
    """The runs that undo another, and have done so or are about to."""
    mine = (col(ImportRun.origin) == run_id) & (col(ImportRun.source) == "UNDO") & col(ImportRun.dry_run).is_(False)
    gone = (RunStatus.CANCELLED, RunStatus.SUPERSEDED)
    applied = (col(ImportRun.status) != RunStatus.FAILED) | (col(ImportRun.cursor) > 0)
    return session.execute(select(ImportRun).where(mine, col(ImportRun.status).not_in(gone), applied)).scalars().all()


def others_wait(session: Session, run_id: str, now: str) -> bool:
    """Whether there is a run that nobody works on, and that does not wait for this very one."""
    mine = select(col(ImportRun.app_id)).where(col(ImportRun.id) == run_id).scalar_subquery()
    free = col(ImportRun.lease_until).is_(None) | (col(ImportRun.lease_until) <= now)
    elsewhere = (col(ImportRun.app_id) != mine) | (col(ImportRun.dry_run) & (col(ImportRun.id) != run_id))
    return session.execute(select(1).where(col(ImportRun.status).in_(_WAITING), free, elsewhere).limit(1)).first() is not None


def blocker(session: Session, run: ImportRun) -> str | None:
    """The run that a queued run waits for: the one of its app that is at work or held, else the one that arrived before it.

    A pull waits for one of its app that is received before it.
    """
    if run.status is RunStatus.RECEIVING and run.source == PULL:
        same = (col(ImportRun.app_id) == run.app_id) & (col(ImportRun.id) < run.id) & (col(ImportRun.source) == PULL)
        query = select(col(ImportRun.id)).where(same, col(ImportRun.status) == RunStatus.RECEIVING).order_by(col(ImportRun.id)).limit(1)
        return session.execute(query).scalar()
    if run.status is not RunStatus.QUEUED or run.dry_run:
        return None
    query = (
        select(col(ImportRun.id))
        .where(
            col(ImportRun.app_id) == run.app_id,
            col(ImportRun.id) != run.id,
            col(ImportRun.dry_run).is_(False),
            col(ImportRun.status).in_(_IN_THE_WAY) | ((col(ImportRun.status) == RunStatus.QUEUED) & (col(ImportRun.arrival) < run.arrival)),
        )
        .order_by(col(ImportRun.arrival))
        .limit(1)
    )
    return session.execute(query).scalar()


def snapshot_before(session: Session, run: ImportRun) -> ImportRun | None:
    """The last full run of the same app before this one that was planned in earnest."""
    query = _snapshots(run).where(col(ImportRun.arrival) < run.arrival, col(ImportRun.planned).is_not(None))
    return session.execute(query.order_by(col(ImportRun.arrival).desc()).limit(1)).scalar()


def snapshot_after(session: Session, run: ImportRun) -> ImportRun | None:
    """The next full run of the same app that waits for its turn behind this one."""
    query = _snapshots(run).where(col(ImportRun.arrival) > run.arrival, col(ImportRun.status) == RunStatus.QUEUED)
    return session.execute(query.order_by(col(ImportRun.arrival)).limit(1)).scalar()


def _snapshots(run: ImportRun) -> Select[ImportRun]:
    same_app = col(ImportRun.app_id) == run.app_id
    return select(ImportRun).where(same_app, col(ImportRun.mode) == Mode.FULL, col(ImportRun.dry_run).is_(False))


def receiving(session: Session, stalled: str | None = None) -> Sequence[ImportRun]:
    """Runs whose body is still coming in, locked; of those, if an instant is given, the ones of which nothing was heard in time.

    An upload session is open between requests and needs no process; it ends by its own clock. A pull is begun anew by whoever claims it.
    """
    here = (col(ImportRun.status) == RunStatus.RECEIVING) & col(ImportRun.source).not_in((IDENTITY_SOURCE, PULL))
    query = select(ImportRun).where(here).order_by(col(ImportRun.id))
    if stalled is not None:
        query = query.where(col(ImportRun.lease_until) < stalled)
    return session.execute(query.with_for_update(skip_locked=stalled is not None, key_share=True)).scalars().all()


def receives_on(session: Session, run_id: str, until: str) -> bool:
    """Note that a run still receives, and leave it alone until `until`; whether it does."""
    query = update(ImportRun).where(col(ImportRun.id) == run_id, col(ImportRun.status) == RunStatus.RECEIVING).values(lease_until=until)
    return cast("CursorResult[Any]", session.execute(query)).rowcount == 1


def page(session: Session, app_id: str | None, app_ids: Sequence[str] | None, after: str | None, limit: int) -> Sequence[ImportRun]:
    """Runs, newest first, of one app or of those named; `after` is the last id of the page before."""
    query = select(ImportRun).order_by(col(ImportRun.id).desc()).limit(limit)
    if app_id is not None:
        query = query.where(col(ImportRun.app_id) == app_id)
    if app_ids is not None:
        query = query.where(col(ImportRun.app_id).in_(app_ids))
    if after is not None:
        query = query.where(col(ImportRun.id) < after)
    return session.execute(query).scalars().all()


def leased_by(session: Session, owner: str) -> Sequence[str]:
    """The runs that a worker holds."""
    query = select(col(ImportRun.id)).where(col(ImportRun.owner) == owner, col(ImportRun.lease_until).is_not(None))
    return session.execute(query).scalars().all()


def free_leases(session: Session) -> None:
    """Take every lease away, and the runs from their owners: only where no other process can hold one."""
    at_work = (
        col(ImportRun.status).in_((RunStatus.RECEIVING, *_WAITING))
        & col(ImportRun.lease_until).is_not(None)
        & col(ImportRun.owner).is_not(None)
    )
    session.execute(update(ImportRun).where(at_work).values(takeovers=col(ImportRun.takeovers) + 1))
    session.execute(update(ImportRun).values(lease_until=None))
