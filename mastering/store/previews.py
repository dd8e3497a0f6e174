"""Previews and their rows: the tables, and what the worker and the readers ask of them (decision 0055).

A preview is leased like an import run. Its rows are written while it is computed; one that is taken over begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar, cast

from sqlalchemy import CursorResult, Enum, Index, Text, delete, select, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.store import bulk

_AT_ONCE = 5_000


class PreviewStatus(StrEnum):
    """Where a preview stands."""

    QUEUED = "QUEUED"
    COMPUTING = "COMPUTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


LIVE = (PreviewStatus.QUEUED, PreviewStatus.COMPUTING)


class Preview(SQLModel, table=True):
    """One preview: what is wished, over a recorded run or over everybody, and what came of it."""

    __tablename__: ClassVar[Any] = "previews"
    __table_args__ = (Index("ix_previews_status", "status", "id"),)
    id: str = Field(primary_key=True)
    run_id: str | None = None
    wishes: str = Field(sa_type=Text)
    asked: str = Field(sa_type=Text)
    status: PreviewStatus = Field(
        sa_type=cast("Any", Enum(PreviewStatus, native_enum=False, create_constraint=True, name="previewstatus", length=32))
    )
    found: int = 0
    counts: str = Field(default="{}", sa_type=Text)
    verdict: str | None = Field(default=None, sa_type=Text)
    error: str | None = None
    started_by: str = Field(sa_type=Text)
    created: str
    completed: str | None = None
    owner: str | None = None
    lease_until: str | None = None
    fence: int = 0


class PreviewRow(SQLModel, table=True):
    """Somebody or something that would be otherwise. May hold values of a person's profile, and is forgotten with its preview."""

    __tablename__: ClassVar[Any] = "preview_rows"
    __table_args__ = (Index("ix_preview_rows_user", "user_id"), {"sqlite_with_rowid": False})
    preview_id: str = Field(primary_key=True, foreign_key="previews.id")
    seq: int = Field(primary_key=True)
    kind: str
    effect: str
    user_id: str | None = None
    login: str | None = None
    app_id: str | None = None
    app_user_id: str | None = None
    external_id: str | None = None
    from_value: str | None = None
    to_value: str | None = None
    trigger: str | None = None
    reason: str | None = None
    attributes: str = Field(default="{}", sa_type=Text)
    candidates: str = Field(default="[]", sa_type=Text)
    detail: str | None = Field(default=None, sa_type=Text)


ROW_COLUMNS = (
    "preview_id",
    "seq",
    "kind",
    "effect",
    "user_id",
    "login",
    "app_id",
    "app_user_id",
    "external_id",
    "from_value",
    "to_value",
    "trigger",
    "reason",
    "attributes",
    "candidates",
    "detail",
)


def claim(session: Session, owner: str, now: str, until: str) -> Preview | None:
    """Take the preview that was asked for first and that nobody works on, with a new fence; `None` if there is none."""
    free = col(Preview.lease_until).is_(None) | (col(Preview.lease_until) <= now) | (col(Preview.owner) == owner)
    query = select(Preview).where(col(Preview.status).in_(LIVE), free).order_by(col(Preview.id)).limit(1)
    found = session.execute(query.with_for_update(skip_locked=True)).scalars().first()
    if found is not None:
        found.owner, found.lease_until, found.fence = owner, until, found.fence + 1
        session.add(found)
    return found


def waits(session: Session, now: str) -> bool:
    """Whether there is a preview to compute."""
    free = col(Preview.lease_until).is_(None) | (col(Preview.lease_until) <= now)
    return session.execute(select(1).where(col(Preview.status).in_(LIVE), free).limit(1)).first() is not None


def free_leases(session: Session) -> None:
    """Take every lease away: only where no other process can hold one."""
    session.execute(update(Preview).where(col(Preview.status).in_(LIVE)).values(lease_until=None, owner=None))


def live(session: Session) -> int:
    """How many previews are not computed yet."""
    return len(session.execute(select(col(Preview.id)).where(col(Preview.status).in_(LIVE))).all())


def page(session: Session, after: str | None, limit: int) -> Sequence[Preview]:
    """Previews, newest first; `after` is the last id of the page before."""
    query = select(Preview).order_by(col(Preview.id).desc()).limit(limit)
    return session.execute(query if after is None else query.where(col(Preview.id) < after)).scalars().all()


def add_rows(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Write rows, in the order of `ROW_COLUMNS`."""
    bulk.insert(session, PreviewRow, ROW_COLUMNS, rows)


def drop_rows(session: Session, preview_id: str) -> None:
    """Forget the rows of a preview that is computed anew."""
    session.execute(delete(PreviewRow).where(col(PreviewRow.preview_id) == preview_id))


def row_page(
    session: Session,
    preview_id: str,
    after: int,
    limit: int,
    *,
    kind: str | None,
    effect: str | None,
    user_id: str | None,
    app_id: str | None,
) -> Sequence[PreviewRow]:
    """The next rows in their order, filtered by what is given."""
    row = PreviewRow
    query = select(row).where(col(row.preview_id) == preview_id, col(row.seq) > after)
    for column, wanted in ((row.kind, kind), (row.effect, effect), (row.user_id, user_id), (row.app_id, app_id)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    return session.execute(query.order_by(col(row.seq)).limit(limit)).scalars().all()


def ended_before(session: Session, before: str) -> Iterator[str]:
    """The previews that ended before an instant, oldest first."""
    ended = col(Preview.status).not_in(LIVE)
    query = select(col(Preview.id)).where(ended, col(Preview.created) < before).order_by(col(Preview.id)).limit(100)
    yield from session.execute(query).scalars()


def forget(session: Session, preview_id: str) -> bool:
    """Forget some rows of a preview, and with the last ones the preview itself; whether it is gone."""
    row = PreviewRow
    first = select(col(row.seq)).where(col(row.preview_id) == preview_id).order_by(col(row.seq)).limit(_AT_ONCE)
    gone = cast(
        "CursorResult[Any]", session.execute(delete(row).where(col(row.preview_id) == preview_id, col(row.seq).in_(first)))
    ).rowcount
    if gone < _AT_ONCE:
        session.execute(delete(Preview).where(col(Preview.id) == preview_id))
    return gone < _AT_ONCE
