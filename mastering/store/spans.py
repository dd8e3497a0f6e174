"""Who had which status from when until when: an index over the history, for questions about everybody at an instant (SPEC §13).

The ledger writes it in the transaction of the event, one row for each status that lasted; it says nothing that the history does not, and
`rebuild` makes it anew from there. Who was deleted is in it until then. What a user was otherwise is read from the user's chain.

A list is walked by status and user, so that a page begins where the one before it ended; of a status one looks at those who ever had it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from sqlalchemy import Enum, String, func, select, text, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.rules.lifecycle import Status
from mastering.store import bulk
from mastering.store.people import slices

FOREVER = "9999-12-31T23:59:59.999Z"
"""Until when a status lasts that nobody has ended."""

_in_bytes: Any = String().with_variant(String(collation="C"), "postgresql")
_status: Any = Enum(Status, native_enum=False, create_constraint=True, name="status", length=32)


class StatusSpan(SQLModel, table=True):
    """A status that a user had, from `since` until just before `until`; `seq` is the event of the user's chain by which it was there."""

    __tablename__: ClassVar[Any] = "status_spans"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)
    status: Status = Field(primary_key=True, sa_type=_status)
    user_id: str = Field(primary_key=True, sa_type=_in_bytes)
    seq: int = Field(primary_key=True)
    since: str
    until: str = FOREVER


_COLUMNS = ("status", "user_id", "seq", "since", "until")

Moved = tuple[Status | None, Status | None, int]
"""The status before, the status now, and the number of the last event; `None` is nobody."""


def keep(session: Session, at: str, moved: Mapping[str, Moved]) -> None:
    """Write whose status has become another one at an instant."""
    changed = {user_id: each for user_id, each in moved.items() if each[0] is not each[1]}
    span = StatusSpan
    for status in Status:
        left = [user_id for user_id, (before, _, _) in changed.items() if before is status]
        for part in slices(left):
            ended = update(span).where(col(span.status) == status, col(span.user_id).in_(part), col(span.until) == FOREVER)
            session.execute(ended.values(until=at))
    rows = [(now.value, user_id, seq, at, FOREVER) for user_id, (_, now, seq) in changed.items() if now is not None]
    bulk.insert(session, span, _COLUMNS, rows)


def page(session: Session, at: str, statuses: Collection[Status], after: str, limit: int) -> list[str]:
    """The ids of the next users who had one of these statuses at an instant, in the order of their bytes."""
    span = StatusSpan
    found: list[str] = []
    for status in statuses:
        query = select(col(span.user_id)).where(col(span.status) == status, col(span.user_id) > after)
        query = query.where(col(span.since) <= at, col(span.until) > at).order_by(col(span.user_id)).limit(limit)
        found += session.execute(query).scalars()
    return sorted(set(found))[:limit]


def counts(session: Session, points: list[str]) -> Iterator[dict[Status, int]]:
    """How many users had each status at each of these ascending instants. It looks at all that ever was once, however many the points."""
    begun, ended = _by_instant(session, StatusSpan.since, points[-1]), _by_instant(session, StatusSpan.until, points[-1])
    now = dict.fromkeys(Status, 0)
    coming, going = next(begun, None), next(ended, None)
    for point in points:
        while coming is not None and coming[0] <= point:
            now[coming[1]] += coming[2]
            coming = next(begun, None)
        while going is not None and going[0] <= point:
            now[going[1]] -= going[2]
            going = next(ended, None)
        yield dict(now)


def _by_instant(session: Session, column: Any, last: str) -> Iterator[tuple[str, Status, int]]:
    at = col(column)
    query = select(at, col(StatusSpan.status), func.count()).where(at <= last).group_by(at, col(StatusSpan.status)).order_by(at)
    for row in session.execute(query.execution_options(yield_per=1_000)):
        yield row[0], row[1], row[2]


def rebuild(session: Session) -> None:
    """Make all of it anew from the history."""
    session.execute(text("DELETE FROM status_spans"))
    session.execute(text(from_history(session.get_bind().dialect.name)))


def from_history(dialect: str) -> str:
    """The statement that reads every span from the events that move a user: each lasts until the next one."""
    told = "body::json ->> '{}'" if dialect == "postgresql" else "json_extract(body, '$.{}')"
    return f"""
        INSERT INTO status_spans (status, user_id, seq, since, until)
        SELECT status, user_id, seq, since, until FROM (
            SELECT {told.format("to")} AS status, subject AS user_id, seq, at AS since,
                   coalesce(lead(at) OVER (PARTITION BY subject ORDER BY seq), '{FOREVER}') AS until
            FROM history
            WHERE type LIKE 'user.%' AND {told.format("trigger")} IS NOT NULL
        ) AS spans
        WHERE status <> 'deleted' AND since < until
    """
