"""Upload sessions: which are open or at work, and how much has been loaded into one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select
from sqlmodel import Session, col

from mastering.rules.runs import RunStatus
from mastering.rules.sessions import AT_WORK, IDENTITY_SOURCE
from mastering.store.tables import ImportRun, RunChunk


def still_open(session: Session, app_id: str | None = None) -> Sequence[ImportRun]:
    """The sessions that take data, of one app or of all, locked for changing."""
    query = _sessions().where(col(ImportRun.status) == RunStatus.RECEIVING)
    if app_id is not None:
        query = query.where(col(ImportRun.app_id) == app_id)
    return session.execute(query.with_for_update()).scalars().all()


def active(session: Session, app_id: str) -> Sequence[ImportRun]:
    """An app's sessions that are open or started and not at their end, oldest first."""
    wanted = {RunStatus.RECEIVING, *AT_WORK}
    return session.execute(_sessions().where(col(ImportRun.app_id) == app_id, col(ImportRun.status).in_(wanted))).scalars().all()


def loads(session: Session, run_id: str) -> int:
    """How many requests have loaded data into an open session: each left one chunk."""
    return int(session.execute(select(func.count()).where(col(RunChunk.run_id) == run_id)).scalar_one())


def _sessions() -> Select[ImportRun]:
    return select(ImportRun).where(col(ImportRun.source) == IDENTITY_SOURCE).order_by(col(ImportRun.id))
