"""Questions about what has changed since an event, and the list of those it concerns in a database that is thrown away (decision 0058)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlmodel import Session, SQLModel, col

from mastering.rules.people import Account
from mastering.rules.runs import RunStatus
from mastering.store import befores, bulk, history, tables
from mastering.store.documents import load
from mastering.store.imports import CHANGE_COLUMNS, ChangeRow
from mastering.store.people import among, slices

_PAGE = 5_000
_ENDS = frozenset({"import.completed", "import.failed"})


def rows(session: Session, table: type[SQLModel], columns: tuple[str, ...]) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of a table as the driver has them, `columns` ending with its id, in pieces."""
    connection, after = session.connection(), ""
    names, mark = ", ".join(f'"{column}"' for column in columns), bulk.mark(connection)
    query = f"SELECT {names} FROM {table.__tablename__} WHERE id > {mark} ORDER BY id LIMIT {_PAGE}"
    while found := connection.exec_driver_sql(query, (after,)).cursor.fetchall():
        yield [tuple(row) for row in found]
        after = found[-1][-1]


def since(session: Session, position: int) -> Iterator[Sequence[Row[Any]]]:
    """The events after a position: whom each tells of, and its body, in pieces."""
    event = tables.HistoryEvent
    query = select(col(event.position), col(event.subject), col(event.body)).order_by(col(event.position)).limit(_PAGE)
    while found := session.execute(query.where(col(event.position) > position)).all():
        yield found
        position = found[-1].position


# -- what runs have overwritten ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overwriting:
    """A run that has written on accounts since: when it ended, and the accounts that it had written on before."""

    run_id: str
    ended: int
    before: frozenset[str]

    def was(self, session: Session, account_ids: Collection[str]) -> Mapping[str, dict[str, Any]]:
        """What it has overwritten of these accounts since."""
        return befores.of(session, self.run_id, [each for each in account_ids if each not in self.before])


def overwriting(session: Session, app_ids: Collection[str], position: int) -> list[Overwriting]:
    """The runs that have ended since a position, or are being applied, the last one first; those of an app write one after the other."""
    found = dict[str, int]()
    run = tables.ImportRun
    for run_id in session.execute(select(col(run.id)).where(col(run.status) == RunStatus.APPLYING)).scalars():
        found[run_id] = 1 << 62
    for app_id in app_ids:
        ends = (event for event in history.since(session, app_id, position) if event.type in _ENDS and event.run_id)
        found.update((event.run_id or "", event.position or 0) for event in ends)
    in_order = sorted(found.items(), key=lambda each: -each[1])
    return [Overwriting(run_id, ended, frozenset(_told_until(session, run_id, position))) for run_id, ended in in_order]


def _told_until(session: Session, run_id: str, position: int) -> Iterator[str]:
    """The accounts of which a run has told up to a position; none where it was only planned after that."""
    if (session.get_one(tables.ImportRun, run_id).planned_as_of or 0) >= position:
        return
    event = tables.HistoryEvent
    query = select(col(event.body)).where(col(event.run_id) == run_id, col(event.position) <= position)
    for body in session.execute(query, execution_options={"yield_per": _PAGE}).scalars():
        account = load(body).get("account")
        if account is not None:
            yield account["id"]


def overwritten(session: Session, run_id: str, at_once: int) -> Iterator[list[str]]:
    """The accounts of which a run has kept what they were, in pieces."""
    was, after = befores.RunBefore, ""
    query = select(col(was.account_id)).where(col(was.run_id) == run_id).order_by(col(was.account_id)).limit(at_once)
    while found := list(session.execute(query.where(col(was.account_id) > after)).scalars()):
        yield found
        after = found[-1]


def corrected(session: Session, accounts: Collection[tuple[Account, Any]], position: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The corrections of these accounts' app profiles by hand since a position: where, of which account, and what was before."""
    event = tables.HistoryEvent
    subjects = {account.id for account, _ in accounts} | {account.user_id for account, _ in accounts if account.user_id}
    query = select(col(event.position), col(event.body), col(event.values_json)).where(col(event.position) > position)
    for part in slices(subjects):
        for at, body, values in session.execute(query.where(among(session, col(event.subject), part))):
            changes = load(values).get("appAttributes") if values else None
            if changes:
                was = {name: change["old"] for name, change in changes.items() if change["old"] is not None}
                yield at, load(body)["account"]["id"], {"profile": was, "absent": [name for name in changes if name not in was]}


# -- the list ---------------------------------------------------------------------------------------------------------


def make_list(into: Session) -> None:
    """An empty list of people and accounts."""
    into.connection().exec_driver_sql("CREATE TABLE listed (id TEXT PRIMARY KEY) WITHOUT ROWID")


def list_ids(into: Session, ids: Collection[str]) -> None:
    """Put some on it; who is on it already is no more on it than before."""
    if ids:
        into.connection().exec_driver_sql("INSERT OR IGNORE INTO listed VALUES (?)", [(each,) for each in sorted(ids)])


def drop_listed(into: Session) -> None:
    """Take out the people and accounts on the list."""
    for table in ("users", "app_users"):
        into.connection().exec_driver_sql(f"DELETE FROM {table} WHERE id IN (SELECT id FROM listed)")


def listed(into: Session, kind: str, at_once: int) -> Iterator[list[str]]:
    """Those on the list whose ids begin so, ascending, in pieces."""
    after = kind
    query = "SELECT id FROM listed WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
    while found := [row[0] for row in into.connection().exec_driver_sql(query, (after, kind + "\x7f", at_once))]:
        yield found
        after = found[-1]


def there(into: Session, ids: Collection[str]) -> set[str]:
    """Those of these accounts that are in the directory."""
    account = tables.AppUser
    query = select(col(account.id))
    return {row[0] for part in slices(ids) for row in into.execute(query.where(among(into, col(account.id), part)))}


# -- plans beside each other ------------------------------------------------------------------------------------------


def set_aside(into: Session, run_id: str, name: str) -> None:
    """Keep a run's plan under another name, so that the run can be planned once more."""
    into.connection().exec_driver_sql("UPDATE run_changes SET run_id = ? WHERE run_id = ?", (name, run_id))


def by_record(into: Session, at_once: int) -> Iterator[ChangeRow]:
    """The rows of all plans there are, those of one record together."""
    into.connection().exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_scratch_rows ON run_changes (external_id, line)")
    row = tables.RunChange
    query = select(*(getattr(row, name) for name in CHANGE_COLUMNS)).order_by(col(row.external_id), col(row.line), col(row.seq))
    yield from into.execute(query, execution_options={"yield_per": at_once})
