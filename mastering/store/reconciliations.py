"""Reconciliations and what they found: the tables, and what the walk and the readers ask of them (SPEC §12).

A reconciliation is leased like an import run: owner, lease and fence stand on its row, its cursor moves with each batch of differences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, cast

from sqlalchemy import CursorResult, Enum, Index, Text, delete, or_, select, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.rules.people import Account
from mastering.rules.reconciliation import PassStatus
from mastering.store import bulk, people, tables

_LIVE = (PassStatus.QUEUED, PassStatus.COMPARING)


class Reconciliation(SQLModel, table=True):
    """One comparison of everybody, or of one app's people, with what the rules expect. `part` and `cursor`: how far it is."""

    __tablename__: ClassVar[Any] = "reconciliations"
    __table_args__ = (Index("ix_reconciliations_status", "status", "id"),)
    id: str = Field(primary_key=True)
    app_id: str | None = None
    repair: bool = False
    source: str
    status: PassStatus = Field(
        sa_type=cast("Any", Enum(PassStatus, native_enum=False, create_constraint=True, name="passstatus", length=32))
    )
    users: int = 0
    accounts: int = 0
    events: int = 0
    found: int = 0
    counts: str = Field(default="{}", sa_type=Text)
    runs: str = Field(default="[]", sa_type=Text)
    error: str | None = None
    started_by: str = Field(sa_type=Text)
    created: str
    completed: str | None = None
    read_apps: bool = False
    reading: bool = False
    """Whether it is the reader's turn, and not the worker's."""
    readings: str = Field(default="[]", sa_type=Text)
    """The apps that are read, in their order, and what has come of each."""
    part: int = 0
    cursor: str = ""
    owner: str | None = None
    lease_until: str | None = None
    fence: int = 0


class Difference(SQLModel, table=True):
    """One thing that is not as the rules expect. `expected` and `actual` may hold values of a person's profile."""

    __tablename__: ClassVar[Any] = "reconciliation_differences"
    __table_args__ = (
        Index("ix_reconciliation_differences_user", "user_id"),
        {"sqlite_with_rowid": False},
    )
    reconciliation_id: str = Field(primary_key=True, foreign_key="reconciliations.id")
    seq: int = Field(primary_key=True)
    kind: str
    cause: str
    detail: str = Field(sa_type=Text)
    app_id: str | None = None
    user_id: str | None = None
    app_user_id: str | None = None
    external_id: str | None = None
    login: str | None = None
    expected: str = Field(default="{}", sa_type=Text)
    actual: str = Field(default="{}", sa_type=Text)
    trigger: str | None = None
    repairable: bool = False
    event_id: str | None = None
    finding_id: str | None = None


DIFFERENCE_COLUMNS = (
    "reconciliation_id",
    "seq",
    "kind",
    "cause",
    "detail",
    "app_id",
    "user_id",
    "app_user_id",
    "external_id",
    "login",
    "expected",
    "actual",
    "trigger",
    "repairable",
    "event_id",
    "finding_id",
)


# -- reconciliations --------------------------------------------------------------------------------------------------


def claim(session: Session, owner: str, now: str, until: str, *, reading: bool = False) -> Reconciliation | None:
    """Take the reconciliation that may go on and was asked for first, and lease it with a new fence; `None` if there is none.

    `reading`: of those whose apps are to be read, and else of the others.
    """
    free = col(Reconciliation.lease_until).is_(None) | (col(Reconciliation.lease_until) <= now) | (col(Reconciliation.owner) == owner)
    query = select(Reconciliation).where(col(Reconciliation.status).in_(_LIVE), free, col(Reconciliation.reading).is_(reading))
    query = query.order_by(col(Reconciliation.id)).limit(1)
    found = session.execute(query.with_for_update(skip_locked=True)).scalars().first()
    if found is not None:
        found.owner, found.lease_until, found.fence = owner, until, found.fence + 1
        session.add(found)
    return found


def waits(session: Session, now: str, *, reading: bool = False) -> bool:
    """Whether there is a reconciliation to go on with. One look at an index, so that who has nothing to do need not write."""
    free = col(Reconciliation.lease_until).is_(None) | (col(Reconciliation.lease_until) <= now)
    query = select(1).where(col(Reconciliation.status).in_(_LIVE), free, col(Reconciliation.reading).is_(reading))
    return session.execute(query.limit(1)).first() is not None


def unfinished(session: Session) -> str | None:
    """The oldest reconciliation that has not come to its end."""
    query = select(col(Reconciliation.id)).where(col(Reconciliation.status).in_(_LIVE)).order_by(col(Reconciliation.id)).limit(1)
    return session.execute(query).scalar()


def free_leases(session: Session) -> None:
    """Take every lease away: only where no other process can hold one."""
    session.execute(update(Reconciliation).where(col(Reconciliation.status).in_(_LIVE)).values(lease_until=None, owner=None))


def page(session: Session, after: str | None, limit: int) -> Sequence[Reconciliation]:
    """Reconciliations, newest first; `after` is the last id of the page before."""
    query = select(Reconciliation).order_by(col(Reconciliation.id).desc()).limit(limit)
    return session.execute(query if after is None else query.where(col(Reconciliation.id) < after)).scalars().all()


# -- differences ------------------------------------------------------------------------------------------------------


def add_differences(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Write differences, in the order of `DIFFERENCE_COLUMNS`."""
    bulk.insert(session, Difference, DIFFERENCE_COLUMNS, rows)


def difference_page(
    session: Session,
    reconciliation_id: str,
    after: int,
    limit: int,
    *,
    kind: str | None = None,
    app_id: str | None = None,
    user_id: str | None = None,
    repairable: bool | None = None,
) -> Sequence[Difference]:
    """The next differences of a reconciliation, in the order in which they were found, filtered by what is given."""
    query = select(Difference).where(col(Difference.reconciliation_id) == reconciliation_id, col(Difference.seq) > after)
    for column, wanted in (
        (Difference.kind, kind),
        (Difference.app_id, app_id),
        (Difference.user_id, user_id),
        (Difference.repairable, repairable),
    ):
        if wanted is not None:
            query = query.where(col(cast("Any", column)) == wanted)
    return session.execute(query.order_by(col(Difference.seq)).limit(limit)).scalars().all()


def apps_to_repair(session: Session, reconciliation_id: str) -> list[str]:
    """The apps by whose word something would be repaired, ascending."""
    query = (
        select(col(Difference.app_id)).distinct().where(col(Difference.reconciliation_id) == reconciliation_id, col(Difference.repairable))
    )
    return sorted(row[0] for row in session.execute(query) if row[0] is not None)


def accounts_to_repair(session: Session, reconciliation_id: str, app_id: str, after: int, limit: int) -> list[tuple[int, str, str | None]]:
    """The next repairable differences of one app that concern somebody: number, account, user."""
    query = (
        select(col(Difference.seq), col(Difference.app_user_id), col(Difference.user_id))
        .where(
            col(Difference.reconciliation_id) == reconciliation_id,
            col(Difference.app_id) == app_id,
            col(Difference.repairable),
            col(Difference.seq) > after,
            col(Difference.app_user_id).is_not(None),
        )
        .order_by(col(Difference.seq))
        .limit(limit)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def forget(session: Session, before: str, at_most: int) -> int:
    """Forget differences of reconciliations that ended before an instant; how many. The reconciliations and their counts stay."""
    ended = select(col(Reconciliation.id)).where(col(Reconciliation.completed) < before)
    first = (
        select(col(Difference.reconciliation_id), col(Difference.seq)).where(col(Difference.reconciliation_id).in_(ended)).limit(at_most)
    )
    rows = session.execute(first).all()
    for reconciliation_id in {row[0] for row in rows}:
        last = max(row[1] for row in rows if row[0] == reconciliation_id)
        session.execute(delete(Difference).where(col(Difference.reconciliation_id) == reconciliation_id, col(Difference.seq) <= last))
    return len(rows)


# -- what is compared -------------------------------------------------------------------------------------------------


def user_ids(session: Session, after: str, limit: int) -> list[str]:
    """The next ids of users, in the order of the key."""
    query = select(col(tables.User.id)).where(col(tables.User.id) > after).order_by(col(tables.User.id)).limit(limit)
    return [row[0] for row in session.execute(query)]


def accounts_apart(session: Session, app_id: str | None, after: str, limit: int) -> list[Account]:
    """The next accounts that wait, or that have a history of their own, in the order of the key."""
    account = tables.AppUser
    own = (col(account.history_seq) > 0) | (col(account.situation).is_not(None) & col(account.user_id).is_(None))
    query = select(col(account.id)).where(own, col(account.id) > after).order_by(col(account.id)).limit(limit)
    ids = [row[0] for row in session.execute(query if app_id is None else query.where(col(account.app_id) == app_id))]
    found = people.accounts(session, ids)
    return [found[each] for each in ids]


class Event(NamedTuple):
    """An event as a chain is checked by it; it has the attributes of `tables.HistoryEvent` that this needs."""

    id: str
    subject: str
    seq: int
    at: str
    type: str
    body: str
    values_json: str | None
    hash: bytes
    run_id: str | None


_EVENT = tuple(getattr(tables.HistoryEvent, name) for name in Event._fields)


def chains(session: Session, subjects: Collection[str]) -> Iterator[Event]:
    """The events of these subjects, chain by chain, each from its first event; read in pieces, however long they are."""
    event = tables.HistoryEvent
    for part in people.slices(subjects):
        query = select(*_EVENT).where(col(event.subject).in_(part)).order_by(col(event.subject), col(event.seq))
        for row in session.execute(query, execution_options={"yield_per": 2_000}):
            yield Event._make(row)


def events_at(session: Session, moments: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The first event of each of these subjects at each of these instants: (subject, instant) → the event."""
    event, found = tables.HistoryEvent, dict[tuple[str, str], str]()
    for part in people.slices({subject for subject, _ in moments}):
        query = select(col(event.subject), col(event.at), col(event.id)).where(col(event.subject).in_(part)).order_by(col(event.seq))
        for row in session.execute(query.where(col(event.at).in_({at for _, at in moments})), execution_options={"yield_per": 2_000}):
            found.setdefault((row[0], row[1]), row[2])
    return found


def last_told(session: Session, subject: str, kinds: Collection[str], naming: str = "") -> str | None:
    """The last event of a chain that is of one of these types and has this text in its body; the chain's first where there is none."""
    event = tables.HistoryEvent
    query = select(col(event.id)).where(col(event.subject) == subject)
    wanted = query.where(col(event.type).in_(kinds), col(event.body).contains(naming, autoescape=True)).order_by(col(event.seq).desc())
    return session.execute(wanted.limit(1)).scalar() or session.execute(query.order_by(col(event.seq)).limit(1)).scalar()


def chains_without_a_row(session: Session, after: str, limit: int) -> tuple[str | None, list[str]]:
    """Of the next so many chains of people and apps those whose row is gone; and behind which the next begin, `None` at the end."""
    name = col(tables.HistoryEvent.subject)
    query = select(name).where(name > after, or_(name.startswith("00u"), name.startswith("0oa"))).distinct().order_by(name).limit(limit)
    subjects = list(session.execute(query).scalars())
    there: set[str] = set()
    for table in (tables.User, tables.App):
        for part in people.slices(subjects):
            there.update(session.execute(select(col(table.id)).where(col(table.id).in_(part))).scalars())
    return (subjects[-1] if subjects else None), [subject for subject in subjects if subject not in there]


def findings(session: Session, user_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """The last finding made of each account of these users: (account, trigger) → the finding."""
    query = select(col(tables.Finding.app_user_id), col(tables.Finding.trigger), col(tables.Finding.id))
    return {
        (row[0], row[1]): row[2]
        for part in people.slices(user_ids)
        for row in session.execute(query.where(col(tables.Finding.user_id).in_(part)).order_by(col(tables.Finding.id)))
    }


def heads_apart(session: Session) -> list[tuple[str, int, bytes]]:
    """The chains of the apps and of the org: subject, number and hash of the last event."""
    rows: list[tuple[str, int, bytes]] = []
    for table in (tables.App, tables.Org):
        rows += [tuple(row) for row in session.execute(select(col(table.id), col(table.history_seq), col(table.history_hash)))]
    return rows


def forget_person(session: Session, user_id: str) -> int:
    """Forget what reconciliations found of a person whose values are erased; how many rows."""
    return cast("CursorResult[Any]", session.execute(delete(Difference).where(col(Difference.user_id) == user_id))).rowcount
