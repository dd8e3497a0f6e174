"""The queue of what goes out to apps, and what is known of their accounts (SPEC §10; docs/decisions/0040).

Tasks are numbered in the order in which they were caused: whoever causes one for a person has that person's row locked until the number is
committed. How they are taken out again is told in `deliveries`.

None of these rows refers to a person's or an account's row: a leaver who has been deleted here still has to be shut out there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import BigInteger, Index, Integer, Text, delete, func, select, text, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.rules.mapping import MappingRule
from mastering.rules.policy import ProvisioningPolicy
from mastering.rules.provisioning import sends_anything
from mastering.rules.tasks import OPEN, TaskKind, TaskStatus
from mastering.store import bulk, catalog
from mastering.store.connections import Connection
from mastering.store.people import slices
from mastering.store.tables import App, _enum

_OPEN = text("status IN ('PENDING', 'DELIVERING')")
_COLUMNS = ("id", "app_id", "account_id", "user_id", "kind", "status", "names", "secret", "attempts", "due", "fence", "created")


class OutboundTask(SQLModel, table=True):
    """One thing to tell an app about one account. `names`: app attributes to send whatever is known. `login`: kept for who has been deleted."""

    __tablename__: ClassVar[Any] = "outbound_tasks"
    __table_args__ = (
        Index("ux_outbound_tasks_id", "id", unique=True),
        Index("ix_outbound_tasks_app", "app_id", "seq"),
        Index("ix_outbound_tasks_open", "app_id", "seq", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_outbound_tasks_account", "account_id", "seq"),
        Index("ix_outbound_tasks_status", "app_id", "status", "seq"),
        Index(
            "ix_outbound_tasks_finished",
            "finished",
            sqlite_where=text("finished IS NOT NULL"),
            postgresql_where=text("finished IS NOT NULL"),
        ),
    )
    seq: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    id: str
    app_id: str = Field(foreign_key="apps.id")
    account_id: str
    user_id: str
    kind: TaskKind = Field(sa_type=_enum(TaskKind))
    status: TaskStatus = Field(sa_type=_enum(TaskStatus))
    names: str = Field(default="[]", sa_type=Text)
    login: str | None = None
    secret: str | None = Field(default=None, sa_type=Text)
    attempts: int = 0
    due: str
    owner: str | None = None
    lease_until: str | None = None
    fence: int = 0
    error: str | None = Field(default=None, sa_type=Text)
    created: str
    finished: str | None = None


class OutboundLink(SQLModel, table=True):
    """The account as the app's own SCIM server calls it, and when the app was last brought up to date."""

    __tablename__: ClassVar[Any] = "outbound_links"
    __table_args__ = (Index("ix_outbound_links_app", "app_id", "scim_id"),)
    account_id: str = Field(primary_key=True)
    app_id: str = Field(foreign_key="apps.id")
    scim_id: str
    synced: str


class OutboundQueue(SQLModel, table=True):
    """What concerns an app's whole queue: since when it is paused and why, and until when the app asked to be left alone."""

    __tablename__: ClassVar[Any] = "outbound_queues"
    app_id: str = Field(primary_key=True, foreign_key="apps.id")
    paused: str | None = None
    reason: str | None = Field(default=None, sa_type=Text)
    not_before: str | None = None


def overdue(session: Session, app_id: str | None, before: str, after: int, limit: int) -> Sequence[OutboundTask]:
    """The next tasks that were given up, or are still to be delivered though caused before an instant, in their order."""
    late = col(OutboundTask.status).in_(OPEN) & (col(OutboundTask.created) < before)
    query = select(OutboundTask).where((col(OutboundTask.status) == TaskStatus.DEAD) | late, col(OutboundTask.seq) > after)
    query = query if app_id is None else query.where(col(OutboundTask.app_id) == app_id)
    return session.execute(query.order_by(col(OutboundTask.seq)).limit(limit)).scalars().all()


_open = col(OutboundTask.status).in_(OPEN)


# -- who is told of anything ------------------------------------------------------------------------------------------


class Receiver(NamedTuple):
    """An app that something goes out to."""

    policy: ProvisioningPolicy
    rules: tuple[MappingRule, ...]


def receivers(session: Session) -> dict[str, Receiver]:
    """The apps with a connection and any switch of what goes out on, by id."""
    query = select(App).join(Connection, col(Connection.app_id) == col(App.id)).where(col(App.provisioning) != "{}")
    told = session.execute(query).scalars()
    found = {app.id: catalog.provisioning_of(app) for app in told}
    return {app_id: Receiver(policy, catalog.outbound_rules(session, app_id)) for app_id, policy in found.items() if sends_anything(policy)}


class Standing(NamedTuple):
    """What there is about an account: open tasks, one among them that creates it, and whether the app has been told of it before."""

    open: bool
    creating: bool
    told: bool


def standings(session: Session, account_ids: Collection[str]) -> dict[str, Standing]:
    """What there is about these accounts; those of which there is nothing are left out."""
    creating: dict[str, bool] = {}
    told: set[str] = set()
    for part in slices(account_ids):
        kinds = select(col(OutboundTask.account_id), col(OutboundTask.kind)).where(_open, col(OutboundTask.account_id).in_(part))
        for account_id, kind in session.execute(kinds):
            creating[account_id] = creating.get(account_id, False) or kind is TaskKind.CREATE
        told.update(session.execute(select(col(OutboundLink.account_id)).where(col(OutboundLink.account_id).in_(part))).scalars())
    return {each: Standing(each in creating, creating.get(each, False), each in told) for each in creating.keys() | told}


# -- putting in -------------------------------------------------------------------------------------------------------


class NewTask(NamedTuple):
    """A task to be."""

    id: str
    app_id: str
    account_id: str
    user_id: str
    kind: TaskKind
    names: str = "[]"
    secret: str | None = None


def add(session: Session, tasks: Sequence[NewTask], at: str) -> None:
    """Put tasks into the queue, in this order. The caller has their people's rows locked."""
    pending = TaskStatus.PENDING.value
    rows = [
        (task.id, task.app_id, task.account_id, task.user_id, task.kind.value, pending, task.names, task.secret, 0, at, 0, at)
        for task in tasks
    ]
    bulk.insert(session, OutboundTask, _COLUMNS, rows)


def forget_passwords(session: Session, account_ids: Collection[str], at: str) -> None:
    """A newer password takes the place of those that wait, or died waiting: they are erased. One that is on its way is followed by the new one."""
    task = OutboundTask
    left = col(task.status).in_([TaskStatus.PENDING, TaskStatus.DEAD]) & (col(task.kind) == TaskKind.PASSWORD)
    for part in slices(account_ids):
        query = update(task).where(left, col(task.account_id).in_(part))
        session.execute(query.values(status=TaskStatus.SUPERSEDED, secret=None, finished=at, error=None))


def keep_login(session: Session, user_id: str, login: str) -> None:
    """Remember by what name a person who is being deleted is found in the apps that are still to be told."""
    session.execute(
        update(OutboundTask)
        .where(_open | (col(OutboundTask.status) == TaskStatus.DEAD), col(OutboundTask.user_id) == user_id)
        .values(login=login)
    )


# -- accounts --------------------------------------------------------------------------------------------------------


def links(session: Session, account_ids: Collection[str]) -> dict[str, OutboundLink]:
    """What the apps call these accounts, by account id."""
    query = select(OutboundLink)
    return {
        link.account_id: link
        for part in slices(account_ids)
        for link in session.execute(query.where(col(OutboundLink.account_id).in_(part))).scalars()
    }


def linked_elsewhere(session: Session, app_id: str, scim_id: str, account_id: str) -> bool:
    """Whether another account of the app goes by this id there."""
    link = OutboundLink
    query = select(1).where(col(link.app_id) == app_id, col(link.scim_id) == scim_id, col(link.account_id) != account_id)
    return session.execute(query.limit(1)).first() is not None


def keep_links(session: Session, app_id: str, wanted: dict[str, str], at: str) -> None:
    """Remember what an app calls these accounts, and that it is up to date."""
    known = links(session, wanted.keys())
    fresh = [(each, app_id, scim_id, at) for each, scim_id in wanted.items() if each not in known]
    bulk.insert(session, OutboundLink, ("account_id", "app_id", "scim_id", "synced"), fresh)
    rows = [(scim_id, at, each) for each, scim_id in wanted.items() if each in known]
    bulk.update(session, OutboundLink, ("scim_id", "synced"), rows, keys=("account_id",))


def forget_links(session: Session, account_ids: Collection[str]) -> None:
    """Forget accounts that nobody is told of any more."""
    for part in slices(account_ids):
        session.execute(delete(OutboundLink).where(col(OutboundLink.account_id).in_(part)))


def forget_app(session: Session, app_id: str) -> None:
    """Delete all of an app that is being deleted."""
    for table in (OutboundTask, OutboundLink, OutboundQueue):
        session.execute(delete(table).where(col(table.app_id) == app_id))


# -- looking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of an app's tasks are asked for: every part that is given must hold."""

    statuses: frozenset[TaskStatus] = frozenset()
    kinds: frozenset[TaskKind] = frozenset()
    user_id: str | None = None


def page(session: Session, app_id: str, wanted: Wanted, after: int, limit: int) -> list[OutboundTask]:
    """The next tasks of an app in the order in which they were caused; `after` is the last number of the page before."""
    task = OutboundTask
    query = select(task).where(col(task.app_id) == app_id, col(task.seq) > after)
    if wanted.statuses:
        query = query.where(col(task.status).in_(wanted.statuses))
    if wanted.kinds:
        query = query.where(col(task.kind).in_(wanted.kinds))
    if wanted.user_id is not None:
        query = query.where(col(task.user_id) == wanted.user_id)
    return list(session.execute(query.order_by(col(task.seq)).limit(limit)).scalars())


def task(session: Session, app_id: str, task_id: str, *, lock: bool = False) -> OutboundTask | None:
    """One task of an app."""
    query = select(OutboundTask).where(col(OutboundTask.id) == task_id, col(OutboundTask.app_id) == app_id)
    found: OutboundTask | None = session.execute(query.with_for_update(key_share=True) if lock else query).scalar()
    return found


def dead(session: Session, app_id: str, after: int, limit: int) -> list[OutboundTask]:
    """The next dead tasks of an app, locked, in their order."""
    dead_ones = (col(OutboundTask.app_id) == app_id) & (col(OutboundTask.status) == TaskStatus.DEAD) & (col(OutboundTask.seq) > after)
    query = select(OutboundTask).where(dead_ones).order_by(col(OutboundTask.seq)).limit(limit)
    return list(session.execute(query.with_for_update(key_share=True)).scalars())


def unsettled(session: Session, account_ids: Collection[str]) -> Iterator[OutboundTask]:
    """The tasks of these accounts that are open or dead, in order."""
    query = select(OutboundTask).where(_open | (col(OutboundTask.status) == TaskStatus.DEAD)).order_by(col(OutboundTask.seq))
    for part in slices(account_ids):
        yield from session.execute(query.where(col(OutboundTask.account_id).in_(part))).scalars()


class Counts(NamedTuple):
    """What waits for one app: tasks by status, and since when the first of them has waited."""

    by_status: dict[TaskStatus, int]
    oldest: str | None


def counts(session: Session, app_id: str | None = None) -> dict[str, Counts]:
    """What is open and dead, app by app; of one app if it is given."""
    task = OutboundTask
    alive = _open | (col(task.status) == TaskStatus.DEAD)
    query = select(col(task.app_id), col(task.status), func.count(), func.min(col(task.created))).where(alive)
    query = query.where(col(task.app_id) == app_id) if app_id is not None else query
    found: dict[str, dict[TaskStatus, tuple[int, str]]] = {}
    for app, status, count, oldest in session.execute(query.group_by(col(task.app_id), col(task.status))):
        found.setdefault(app, {})[TaskStatus(status)] = (count, oldest)
    return {
        app: Counts(
            {status: count for status, (count, _) in parts.items()},
            min((oldest for status, (_, oldest) in parts.items() if status in OPEN), default=None),
        )
        for app, parts in found.items()
    }
