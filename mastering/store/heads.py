"""The heads of accounts: as much of each as tells whether a line of an import says anything new. Asked through the driver, as every
record of every import asks.

A snapshot is held against all accounts of its app: `sweep` gives their digests. For the lines that are not among those, and for deltas,
`heads` looks up the accounts by their external ids. Who is absent is found by `known_accounts`, where anybody is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from sqlmodel import Session

from mastering.rules.record import AccountState, mark_of
from mastering.store import bulk
from mastering.store.people import slices

_SWEPT_AT_ONCE = 5_000


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
        if not self.linked or self.waiting or self.digest is None or self.account == AccountState.MISSING:
            return None
        return mark_of(self.digest, active=self.account == AccountState.ACTIVE)


_WAITS = "(situation IS NOT NULL AND NOT ignored)"
_IGNORED = "(ignored AND situation IS NOT NULL AND situation <> 'WITHDRAWN' AND (user_id IS NOT NULL OR account = 'ACTIVE'))"
_KNOWN = f"(user_id IS NOT NULL OR {_WAITS} OR {_IGNORED})"
_QUIET = f"(user_id IS NOT NULL AND NOT {_WAITS} AND account <> 'MISSING')"
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


def sweep(session: Session, app_id: str) -> Iterator[Sequence[tuple[bytes | None, bool, bool]]]:
    """Every account that `known_accounts` gives, in one sweep: digest, whether it is active, whether it waits.

    The digest is null where a line would say something new whatever it said. SQLite reads the accounts in the order in which they came,
    which is how they lie on the disk; PostgreSQL finds that by itself.
    """
    connection = session.connection()
    query = (
        f"SELECT CASE WHEN {_QUIET} THEN digest END, account = 'ACTIVE', {_WAITS} FROM app_users "
        f"WHERE app_id = {bulk.mark(connection)} AND {_KNOWN}"
    )
    if connection.dialect.name == "sqlite":
        cursor = connection.exec_driver_sql(f"{query} ORDER BY id", (app_id,)).cursor
        return iter(lambda: cursor.fetchmany(_SWEPT_AT_ONCE), [])
    return ([*map(tuple, rows)] for rows in connection.exec_driver_sql(query, (app_id,), {"yield_per": _SWEPT_AT_ONCE}).partitions())


def known_accounts(session: Session, app_id: str) -> Iterator[Head]:
    """Every account of an app that is linked, waits or is ignored, ascending by external id."""
    connection = session.connection()
    query = f"SELECT {_HEAD} FROM app_users WHERE app_id = {bulk.mark(connection)} AND {_KNOWN} ORDER BY external_id"
    return (Head._make(row) for row in connection.exec_driver_sql(query, (app_id,), {"yield_per": 5_000}))
