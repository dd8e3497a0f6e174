"""The heads of accounts: as much of each as tells whether a line of an import says anything new. Asked through the driver, as every
record of every import asks.

A snapshot is held against all accounts of its app: `sweep` gives their digests. For the lines that are not among those, and for deltas,
`heads` looks up the accounts by their external ids. Who is absent is found by `known_accounts`, where anybody is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sqlmodel import Session

from mastering.rules.record import MARK, AccountState, mark_of, marks_in
from mastering.store import bulk
from mastering.store.people import slices

_SWEPT_AT_ONCE = 5_000
_PAGES_AT_ONCE = 16_384
"""Pages of PostgreSQL's table whose marks are one value: some 300,000 accounts, and by far not as much as a value may have."""


class Head(NamedTuple):
    """As much of a known account as tells whether a record changes anything. A tuple, as a run reads one for every account."""

    external_id: str
    linked: bool
    waiting: bool
    released: bool
    account: str
    digest: bytes | None
    linked_at: str | None
    created: str
    ignored: bool
    """A reviewer ignores it, and when last heard of it was active."""

    @property
    def mark(self) -> bytes | None:
        """The mark of the line that would say nothing new of it, if any would: as `quiet` gives it."""
        if not self.linked or self.waiting or self.digest is None or len(self.digest) + 1 != MARK or self.account == AccountState.MISSING:
            return None
        return mark_of(self.digest, active=self.account == AccountState.ACTIVE)


_WAITS = "(situation IS NOT NULL AND NOT ignored)"
_IGNORED = "(ignored AND situation IS NOT NULL AND situation <> 'WITHDRAWN' AND (user_id IS NOT NULL OR account = 'ACTIVE'))"
_KNOWN = f"(user_id IS NOT NULL OR {_WAITS} OR {_IGNORED})"
_QUIET = f"(user_id IS NOT NULL AND NOT {_WAITS} AND account <> 'MISSING' AND length(digest) = {MARK - 1})"
"""Of whom there is a mark. The digest of what we have told an app ourselves is longer, and of no line."""
_HEAD = f"external_id, user_id IS NOT NULL, {_WAITS}, released, account, digest, linked_at, created, {_IGNORED}"


def heads(session: Session, app_id: str, external_ids: Collection[str]) -> dict[str, Head]:
    """The heads of an app's accounts by external id. Asked through the driver: it is the one question every record asks."""
    connection, found = session.connection(), dict[str, Head]()
    mark, values = bulk.mark(connection), tuple[Any, ...]()
    for part in slices(external_ids):
        among, values = f"= ANY({mark})", (app_id, part)  # one value, however many ids: they are neither parsed nor planned one by one
        if connection.dialect.name == "sqlite":
            among, values = f"IN ({', '.join([mark] * len(part))})", (app_id, *part)
        query = f"SELECT {_HEAD} FROM app_users WHERE app_id = {mark} AND external_id {among}"
        found.update({row[0]: Head._make(row) for row in connection.exec_driver_sql(query, values).cursor.fetchall()})
    return found


class Swept(NamedTuple):
    """Some of an app's accounts in one: the marks of the lines that would say nothing new of them, how many they are, and how many wait."""

    marks: Collection[bytes]
    accounts: int
    waiting: int


def sweep(session: Session, app_id: str) -> Iterator[Swept]:
    """Every account that `known_accounts` gives, in one sweep. An account of which any line would say something new has no mark.

    PostgreSQL puts the marks together itself, and sends one value for many pages of the table in place of a row for every account, which took
    longer to send and to take apart than to find. SQLite has no such thing for bytes; it reads the accounts in the order in which they came,
    which is how they lie on the disk.
    """
    return _sweep_rows(session, app_id) if session.get_bind().dialect.name == "sqlite" else _sweep_pages(session, app_id)


def _sweep_rows(session: Session, app_id: str) -> Iterator[Swept]:
    query = (
        f"SELECT CASE WHEN {_QUIET} THEN digest END, account = 'ACTIVE', {_WAITS} FROM app_users WHERE app_id = ? AND {_KNOWN} ORDER BY id"
    )
    cursor = session.connection().exec_driver_sql(query, (app_id,)).cursor
    for rows in iter(lambda: cursor.fetchmany(_SWEPT_AT_ONCE), []):
        marks = [mark_of(digest, active=active) for digest, active, _ in rows if digest is not None]
        yield Swept(marks, len(rows), sum([waits for _, _, waits in rows]))


def _sweep_pages(session: Session, app_id: str) -> Iterator[Swept]:
    connection = session.connection()
    end = "CASE WHEN account = 'ACTIVE' THEN '+'::bytea ELSE '-'::bytea END"
    query = (
        f"SELECT string_agg(digest || {end}, ''::bytea) FILTER (WHERE {_QUIET}), count(*), count(*) FILTER (WHERE {_WAITS}) "
        f"FROM app_users WHERE app_id = %s AND {_KNOWN} AND ctid >= %s::tid AND ctid < %s::tid"
    )
    size = "SELECT pg_relation_size('app_users') / current_setting('block_size')::integer"
    for start in range(0, connection.exec_driver_sql(size).scalar_one(), _PAGES_AT_ONCE):
        values = (app_id, f"({start},0)", f"({start + _PAGES_AT_ONCE},0)")
        ((marks, accounts, waiting),) = bulk.fetch(session, query, values)
        yield Swept(marks_in(marks or b""), accounts, waiting)


def known_accounts(session: Session, app_id: str) -> Iterator[Head]:
    """Every account of an app that is linked, waits or is ignored, ascending by external id."""
    connection = session.connection()
    query = f"SELECT {_HEAD} FROM app_users WHERE app_id = {bulk.mark(connection)} AND {_KNOWN} ORDER BY external_id"
    return (Head._make(row) for row in connection.exec_driver_sql(query, (app_id,), {"yield_per": 5_000}))
