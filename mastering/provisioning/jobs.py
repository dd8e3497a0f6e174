"""What a claimed task comes to by now: gathered for many tasks in one look at the database (SPEC §10).

A task says what happened; whom it concerns, what they are like and which switches are on is as it is when it is delivered. So of several
tasks of one person the first says all there is to say, and what follows finds nothing left to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from mastering.provisioning.calls import Job
from mastering.remaster import load_sources
from mastering.rules.mapping import CompiledMapping, Direction, MappingFailure, MappingRefused, compile_mapping
from mastering.rules.people import Account, User
from mastering.rules.policy import PasswordSeed, ProvisioningPolicy
from mastering.rules.profile import Sources, supplied
from mastering.rules.provisioning import USERNAME, Reads, is_allowed, may_create, reads_of, still_wanted, tells_attributes, wanted
from mastering.rules.record import AccountState
from mastering.rules.tasks import TaskKind
from mastering.store import deliveries, people
from mastering.store import outbound as store
from mastering.store.documents import load
from mastering.store.outbound import OutboundLink, OutboundTask


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A task that need not be delivered any more."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """A task that cannot be delivered as things are, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class _App:
    policy: ProvisioningPolicy
    mapping: CompiledMapping
    reads: Reads


def prepare(session: Session, tasks: Sequence[OutboundTask], now: datetime) -> dict[int, Job | Overtaken | Impossible]:
    """What each of these tasks comes to, by number."""
    users = people.users(session, {task.user_id for task in tasks})
    links = store.links(session, {task.account_id for task in tasks})
    followed = deliveries.followed(session, [task for task in tasks if task.kind is TaskKind.DEACTIVATE])
    sources = load_sources(session, now)
    apps = {app_id: _app(told, sources) for app_id, told in store.receivers(session).items()}
    found: dict[int, Job | Overtaken | Impossible] = {}
    for task in tasks:
        app, user, link = apps.get(task.app_id), users.get(task.user_id), links.get(task.account_id)
        if isinstance(app, _App):
            found[task.seq or 0] = _job(task, app, user, link, sources, followed=task.seq in followed)
        else:
            found[task.seq or 0] = app or Overtaken()
    return found


def _app(told: store.Receiver, sources: Sources) -> _App | Impossible:
    """An app that is told of people; one whose mapping does not fit the user schema any more keeps nobody else waiting."""
    try:
        return _App(told.policy, compile_mapping(told.rules, sources.schema, Direction.OUTBOUND), reads_of(told.rules))
    except MappingRefused as refused:
        return Impossible(f"the outbound mapping cannot be used: {'; '.join(refused.causes)}")


def _job(
    task: OutboundTask, app: _App, user: User | None, link: OutboundLink | None, sources: Sources, *, followed: bool
) -> Job | Overtaken | Impossible:
    account = next((each for each in user.links if each.id == task.account_id), None) if user else None
    wanted_now = user is not None and account is not None and wanted(user.status, assigned=not account.released)
    if not is_allowed(task.kind, app.policy) or not still_wanted(task.kind, wanted_now=wanted_now, followed=followed):
        return Overtaken()
    if user is None or account is None:
        names = (task.login,) if task.login else ()
        return Job(task.kind, task.user_id, link.scim_id if link else None, names, {}, {}, {})
    if task.kind is TaskKind.PASSWORD and task.secret is None and app.policy.password.seed is not PasswordSeed.RANDOM:
        return Overtaken()
    try:
        return _told(task, app, user, account, link, sources)
    except MappingFailure as failure:
        return Impossible(f"the outbound mapping of {failure.target} fails: {failure.message}")


def _told(task: OutboundTask, app: _App, user: User, account: Account, link: OutboundLink | None, sources: Sources) -> Job:
    heard = account.last_run_id is not None or link is not None
    created = _profile(app, user, sources, creating=True)
    profile = _profile(app, user, sources, creating=False) if tells_attributes(task.kind, app.policy) else {}
    forced = frozenset(load(task.names))
    profile |= {name: account.profile.get(name) for name in forced}
    mine = {name for name, said_by in supplied(sources, user).items() if said_by.account_id == account.id}
    left_out = frozenset(app.reads.echoed(mine) - forced) | ({USERNAME} if app.policy.exclude_username_updates else frozenset())
    known_name = account.profile.get(USERNAME) if heard else None
    names = dict.fromkeys(str(name) for name in (known_name, created.get(USERNAME)) if name)
    return Job(
        task.kind,
        user.id,
        link.scim_id if link else None,
        tuple(names),
        {**account.profile, **created} if heard else {**created, **account.profile},
        profile,
        account.profile if heard else {},
        left_out,
        forced,
        may_create(task.kind, app.policy),
        heard and account.account is not AccountState.ACTIVE,
    )


def _profile(app: _App, user: User, sources: Sources, *, creating: bool) -> dict[str, Any]:
    made: Mapping[str, Any] = app.mapping.apply(user.profile, creating=creating, now=sources.now)
    return {USERNAME: user.login, **made} if USERNAME not in app.mapping.targets else dict(made)
