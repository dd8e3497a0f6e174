"""Where sealed secrets are kept: every column that holds any, and the passwords that wait in the queue of pushes."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select, update
from sqlmodel import Session, col

from mastering.store.connections import Connection
from mastering.store.outbound import OutboundTask
from mastering.store.tables import InlineHook

_COLUMNS = (col(InlineHook.auth_value), col(Connection.secret), col(OutboundTask.secret))


def everything(session: Session) -> Iterator[str]:
    """All sealed secrets, as they are kept."""
    for column in _COLUMNS:
        yield from session.execute(select(column).where(column.is_not(None))).scalars()


def waiting_passwords(session: Session) -> list[OutboundTask]:
    """The tasks that a password waits in."""
    query = select(OutboundTask).where(col(OutboundTask.secret).is_not(None)).order_by(col(OutboundTask.seq))
    return list(session.execute(query).scalars())


def replace_password(session: Session, task: OutboundTask, sealed: str) -> None:
    """Keep a password that waits under another seal, unless it has been delivered, and so erased, meanwhile."""
    same = (col(OutboundTask.seq) == task.seq) & (col(OutboundTask.secret) == task.secret)
    session.execute(update(OutboundTask).where(same).values(secret=sealed))
