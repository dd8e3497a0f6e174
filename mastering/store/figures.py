"""Counts for whoever watches over the service."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlmodel import Session, col

from mastering.store.tables import AppUser, ImportRun, User


def users_by_status(session: Session) -> dict[str, int]:
    """How many users stand in each status."""
    query = select(col(User.status), func.count()).group_by(col(User.status))
    return {status.value: count for status, count in session.execute(query)}


def runs_by_status(session: Session) -> dict[str, int]:
    """How many import runs stand in each status."""
    query = select(col(ImportRun.status), func.count()).group_by(col(ImportRun.status))
    return {status.value: count for status, count in session.execute(query)}


def waiting(session: Session) -> int:
    """How many accounts wait for review."""
    query = select(func.count()).select_from(AppUser).where(col(AppUser.situation).is_not(None), ~col(AppUser.ignored))
    return int(session.execute(query).scalar_one())
