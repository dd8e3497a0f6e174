"""Where sealed secrets are kept: every column that holds any."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlmodel import Session, col

from mastering.store.connections import Connection
from mastering.store.tables import InlineHook

_COLUMNS = (col(InlineHook.auth_value), col(Connection.secret))


def everything(session: Session) -> Iterator[str]:
    """All sealed secrets, as they are kept."""
    for column in _COLUMNS:
        yield from session.execute(select(column).where(column.is_not(None))).scalars()
