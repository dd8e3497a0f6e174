"""What the import walk asks of the database: chunks of received lines, counts, people by their keys, and the rows of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import count
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Row, delete, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from mastering.rules.lifecycle import Status
from mastering.rules.matching import Keys, keys_of_user, way_to_user, ways_of
from mastering.rules.policy import Matching
from mastering.rules.record import AccountState
from mastering.rules.runs import ENDED
from mastering.store import bulk, tables
from mastering.store.documents import load
from mastering.store.looks import told_since
from mastering.store.people import among, slices

CHANGE_COLUMNS = (
    "run_id",
    "seq",
    "external_id",
    "line",
    "situation",
    "action",
    "user_id",
    "app_user_id",
    "login",
    "from_status",
    "to_status",
    "trigger",
    "rule",
    "reason",
    "detail",
    "authority",
    "effect",
    "bundle",
)

_MARKS_AT_ONCE = 16
"""Pieces whose marks are read together: of 80,000 lines, a megabyte and a half."""


def add_chunk(session: Session, run_id: str, seq: int, lines: int, payload: bytes, marks: bytes | None = None) -> None:
    """Keep a piece of what a run receives, with the marks of its lines one after the other."""
    columns = ("run_id", "seq", "lines", "marks", "payload")
    bulk.insert(session, tables.RunChunk, columns, [(run_id, seq, lines, marks, payload)])


def chunk_marks(session: Session, run_id: str, *, marked: bool) -> Iterator[tuple[int, bytes | None]]:
    """Of every piece of what a run received how many lines it has and, where `marked`, their marks, if it was kept with any."""
    mark, shown = bulk.mark(session.connection()), "marks" if marked else "NULL"
    query = f"SELECT lines, {shown} FROM run_chunks WHERE run_id = {mark} AND seq >= {mark} AND seq < {mark} ORDER BY seq"
    for start in count(0, _MARKS_AT_ONCE):
        found = bulk.fetch(session, query, (run_id, start, start + _MARKS_AT_ONCE))
        yield from ((lines, marks) for lines, marks in found)
        if len(found) < _MARKS_AT_ONCE:
            return


def chunk(session: Session, run_id: str, seq: int) -> bytes | None:
    """One piece of what a run received; `None` after the last."""
    where = (col(tables.RunChunk.run_id) == run_id) & (col(tables.RunChunk.seq) == seq)
    return session.execute(select(col(tables.RunChunk.payload)).where(where)).scalar()


def drop_chunks(session: Session, run_id: str) -> None:
    """Forget what a run received, and what a hook said of it; its plan and history stay."""
    session.execute(delete(tables.HookCall).where(col(tables.HookCall.run_id) == run_id))
    session.execute(delete(tables.RunChunk).where(col(tables.RunChunk.run_id) == run_id))


def active_assignments(session: Session) -> Counter[str]:
    """Active assignments per active app, deactivated users left out: what the safeguards divide by (SPEC §8)."""
    account, user, app = tables.AppUser, tables.User, tables.App
    counted = (
        select(col(account.app_id), func.count())
        .where(
            col(account.account) == AccountState.ACTIVE,
            ~col(account.released),
            col(account.seen_active),
            col(account.user_id).is_not(None),
            col(account.app_id).in_(select(col(app.id)).where(col(app.status) == tables.AppStatus.ACTIVE)),
        )
        .group_by(col(account.app_id))
    )
    gone = counted.join(user, col(user.id) == col(account.user_id)).where(col(user.status) == Status.DEACTIVATED)
    found = Counter({app_id: count for app_id, count in session.execute(counted)})  # noqa: C416 - a Row is not a pair to the type checker
    found.subtract({app_id: count for app_id, count in session.execute(gone)})  # noqa: C416
    return found


def take_stock(session: Session) -> None:
    """The tables that a run writes have changed much: see `bulk.take_stock`."""
    bulk.take_stock(session, *(str(table.__tablename__) for table in (tables.User, tables.AppUser, tables.HistoryEvent)))


def count_accounts(session: Session) -> None:
    """In the course of a run: until PostgreSQL looks at the accounts it believes that an app has a handful of them, and reads all that the run
    has made by now to find those of the next batch (see `bulk.take_stock`).
    """
    bulk.take_stock(session, str(tables.AppUser.__tablename__))


def last_event(session: Session) -> int:
    """The position of the newest event of history: whatever is asked after this sees all that it tells of."""
    return int(session.execute(select(func.max(col(tables.HistoryEvent.position)))).scalar() or 0)


def others_acted(session: Session, run_id: str, since: int) -> bool:
    """Whether anybody but this run has changed anything since that position: every change leaves an event. What others' runs are at is none."""
    return session.execute(select(1).where(_by_others(run_id, since), ~_of_no_concern()).limit(1)).first() is not None


def _of_no_concern(event: type[tables.HistoryEvent] = tables.HistoryEvent) -> ColumnElement[bool]:
    """Of an event, that no row of any plan was decided on what it tells."""
    return or_(*(col(event.type).startswith(kind) for kind in ("import.", "token.", "hook.", "provisioning.")))


def _by_others(run_id: str, since: int) -> ColumnElement[bool]:
    return told_since(since) & _of_others(run_id)


def _of_others(run_id: str, event: type[tables.HistoryEvent] = tables.HistoryEvent) -> ColumnElement[bool]:
    return col(event.run_id).is_(None) | (col(event.run_id) != run_id)


def changed_by_others(session: Session, run_id: str, since: int, subjects: Collection[str]) -> set[str]:
    """Those of these people and accounts of whom somebody but this run has told anything since that position."""
    event = tables.HistoryEvent
    query = select(col(event.subject)).distinct().where(_by_others(run_id, since))
    return {row[0] for part in slices(subjects) for row in session.execute(query.where(among(session, col(event.subject), part)))}


def options_changed(session: Session, run_id: str, since: int) -> bool:
    """Whether anybody has changed what concerns everyone since that position: an app, its policy or mapping, the ranking, the org's options.

    Their few events are found by whose they are, before it is asked when they were written: PostgreSQL left to choose reads what others' imports
    have told of people since, all of it for every batch.
    """
    event = tables.HistoryEvent
    everyone = [each for ids in (select(col(tables.App.id)), select(col(tables.Org.id))) for each in session.execute(ids).scalars()]
    theirs = (
        select(event).where(among(session, col(event.subject), everyone)).cte("theirs").prefix_with("MATERIALIZED", dialect="postgresql")
    )
    told = aliased(event, theirs)
    query = select(1).where(col(told.position) > since, _of_others(run_id, told), ~_of_no_concern(told)).limit(1)
    return session.execute(query).first() is not None


# -- finding people -------------------------------------------------------------------------------------------------


class Directory:
    """The users as they were before the run, found by the keys that matching compares."""

    def __init__(self, session: Session, matching: Matching) -> None:
        self._session = session
        self._matching = matching
        self._by_attributes: dict[tuple[str | None, ...], list[str]] | None = None
        self._attributes: dict[str, tuple[str | None, ...]] = {}

    def find(self, wanted: Collection[Keys]) -> dict[str, Keys]:
        """Every user to whom one of the keys may lead. Deactivated users are candidates too (SPEC §6)."""
        matching = self._matching
        found: dict[str, Keys] = {}
        if matching.attributes:
            index = self._attribute_index()
            ids = {user_id for keys in wanted if None not in keys.attributes for user_id in index.get(keys.attributes, ())}
            found.update(self._rows(col(tables.User.id), ids))
        elif matching.username:
            found.update(self._rows(col(tables.User.login_key), {keys.login for keys in wanted if keys.login}))
        elif matching.email:
            found.update(self._rows(col(tables.User.email_key), {keys.email for keys in wanted if keys.email}))
        if matching.allow_partial:
            found.update(self._rows(col(tables.User.name_key), {keys.name for keys in wanted if keys.name}))
        return found

    def lead_to(self, wanted: Collection[Keys], user_ids: Collection[str]) -> bool:
        """Whether one of these keys leads to one of these users, as they are now, or asks for the login of one."""
        matching, user = self._matching, tables.User
        if not wanted:
            return False
        if matching.attributes:
            ways = {way for keys in wanted for way in ways_of(matching, keys)}
            return not ways.isdisjoint(self.ways(user_ids))
        compared: dict[str, Any] = {"login": col(user.login_key)}
        if matching.email:
            compared["email"] = col(user.email_key)
        if matching.allow_partial:
            compared["name"] = col(user.name_key)
        led = [{getattr(keys, name) for keys in wanted} - {None} for name in compared]
        query = select(*compared.values())
        theirs = (self._session.execute(query.where(among(self._session, col(user.id), part))).all() for part in slices(user_ids))
        return any(not keys.isdisjoint(column) for rows in theirs for keys, column in zip(led, zip(*rows, strict=True), strict=False))

    def ways(self, user_ids: Collection[str]) -> set[str]:
        """By what rows are found that these users, as they are now, concern: those who are no more are found by having been there."""
        keys = self._keys_now if self._matching.attributes else partial(self._rows, col(tables.User.id))
        led = {way for _, of_user in keys(user_ids) for way in ways_of(self._matching, of_user)}
        return led.union(map(way_to_user, user_ids))

    def holders(self, login_keys: Collection[str]) -> dict[str, str]:
        """Who has these logins: login key → user id."""
        query = select(col(tables.User.login_key), col(tables.User.id))
        return {
            row[0]: row[1]
            for part in slices(login_keys)
            for row in self._session.execute(query.where(among(self._session, col(tables.User.login_key), part)))
        }

    def _rows(self, column: Any, values: Collection[str]) -> Iterator[tuple[str, Keys]]:
        user = tables.User
        query = select(col(user.id), col(user.login_key), col(user.email_key), col(user.name_key))
        for part in slices(values):
            for user_id, login, email, name in self._session.execute(query.where(among(self._session, column, part))):
                yield user_id, Keys(login, email, name, self._attributes.get(user_id, ()))

    def _keys_now(self, user_ids: Collection[str]) -> Iterator[tuple[str, Keys]]:
        """The keys of these users with the attributes of the third option, which their profiles alone have."""
        query = select(col(tables.User.id), col(tables.User.login), col(tables.User.profile))
        for part in slices(user_ids):
            for user_id, login, profile in self._session.execute(query.where(among(self._session, col(tables.User.id), part))):
                yield user_id, keys_of_user(self._matching, login, load(profile))

    def _attribute_index(self) -> dict[tuple[str | None, ...], list[str]]:
        """Users by the attributes of the third option: one pass over the directory, made when it is first asked for."""
        if self._by_attributes is None:
            self._by_attributes = {}
            query = select(col(tables.User.id), col(tables.User.login), col(tables.User.profile))
            for user_id, login, profile in self._session.execute(query, execution_options={"yield_per": 5_000}):
                values = keys_of_user(self._matching, login, load(profile)).attributes
                if None not in values:
                    self._by_attributes.setdefault(values, []).append(user_id)
                    self._attributes[user_id] = values
        return self._by_attributes


# -- rows of a plan -------------------------------------------------------------------------------------------------


def add_changes(session: Session, rows: list[bulk.Row]) -> None:
    """Write rows of a plan, in the order of `CHANGE_COLUMNS`."""
    bulk.insert(session, tables.RunChange, CHANGE_COLUMNS, rows)


def rewrite_changes(session: Session, rows: list[bulk.Row]) -> None:
    """Replace rows of a plan that is not finished yet."""
    values = [(*row[2:], row[0], row[1]) for row in rows]
    bulk.update(session, tables.RunChange, CHANGE_COLUMNS[2:], values, keys=("run_id", "seq"))


def drop_changes(session: Session, run_id: str, at_most: int | None = None) -> int:
    """Forget a plan, or its first rows; how many."""
    change = tables.RunChange
    where = col(change.run_id) == run_id
    if at_most is not None:
        first = select(col(change.seq)).where(where).order_by(col(change.seq)).limit(at_most)
        where = where & col(change.seq).in_(first)
    return cast("CursorResult[Any]", session.execute(delete(change).where(where))).rowcount


def plans_of_ended(session: Session, before: str) -> Iterator[str]:
    """The runs that ended before an instant and still have their plans. One seek for each run that has one; run ids ascend with time."""
    change, run = tables.RunChange, tables.ImportRun
    next_one = select(func.min(col(change.run_id)))
    run_id = session.execute(next_one).scalar()
    while run_id is not None:
        found = session.get_one(run, run_id)
        if found.created >= before:
            return
        if found.status in ENDED and (found.completed or found.created) < before:
            yield run_id
        run_id = session.execute(next_one.where(col(change.run_id) > run_id)).scalar()


_CHANGES = tables.RunChange.__table__.c  # type: ignore[attr-defined]
ChangeRow = Row[Any]
"""A row of a plan as it is read: plain columns by the names of `tables.RunChange`."""


def changes(session: Session, run_id: str, after: int, limit: int) -> Sequence[ChangeRow]:
    """The next rows of a plan, as many as have the next `limit` numbers; rows of one bundle come together, whatever the limit.

    They are asked for by both ends of their numbers, not by the first one and how many: PostgreSQL, which knows nothing of a plan just written,
    would fetch and sort all that is left of it for every batch.
    """
    seq = _CHANGES.seq
    mine, behind = _CHANGES.run_id == run_id, seq > after
    first = select(func.min(seq)).where(mine, behind).scalar_subquery()
    rows = _read_changes(session, mine, behind, seq < first + limit)
    if rows and rows[-1].bundle is not None:
        rows += _read_changes(session, mine, seq > rows[-1].seq, _CHANGES.bundle == rows[-1].bundle)
    return rows


def _read_changes(session: Session, *where: ColumnElement[bool]) -> list[ChangeRow]:
    query = select(*(_CHANGES[name] for name in CHANGE_COLUMNS)).where(*where)
    return sorted(session.connection().execute(query), key=attrgetter("seq"))


def changes_by_seq(session: Session, run_id: str, seqs: Collection[int]) -> Iterator[ChangeRow]:
    """Rows of a plan by their numbers."""
    ordered = sorted(seqs)
    for start in range(0, len(ordered), 1_000):
        part = ordered[start : start + 1_000]
        yield from _read_changes(session, _CHANGES.run_id == run_id, _CHANGES.seq.in_(part))


def mark_changes(session: Session, run_id: str, marks: list[tuple[int, str, str]]) -> None:
    """Note what became of rows that were not applied as planned: number, state, error."""
    rows = [(state, error, run_id, seq) for seq, state, error in marks]
    bulk.update(session, tables.RunChange, ("state", "error"), rows, keys=("run_id", "seq"))


def change_page(
    session: Session, run_id: str, after: int, limit: int, *, situation: str | None, action: str | None, user_id: str | None
) -> Sequence[tables.RunChange]:
    """Rows of a plan for reading, ascending, filtered by what API.md lets one filter by."""
    change = tables.RunChange
    query = select(change).where(col(change.run_id) == run_id, col(change.seq) > after)
    for column, wanted in ((change.situation, situation), (change.action, action), (change.user_id, user_id)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    return session.execute(query.order_by(col(change.seq)).limit(limit)).scalars().all()
