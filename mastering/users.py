"""What admins do to users: create, correct, move, delete (SPEC §§2, 4).

Each walk is one transaction: load the user, ask the rules, change through the ledger, settle what follows. What is refused changes
nothing, a hold that came with it included. An admin's word goes through the same lifecycle machine as everybody's; what only masters may
do (reactivate, require_activation) is not offered here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine

from mastering.acts import LOGIN_TAKEN, again_if_overtaken, changing, find, heed, see, settle
from mastering.errors import AttributeMastered, IllegalMove, Invalid, NotFound
from mastering.holds import Terms, hold_from
from mastering.ledger import Actor, Ledger, Why
from mastering.outgoing import Seal
from mastering.remaster import load_sources
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.mapping import normalise
from mastering.rules.people import User
from mastering.rules.profile import supplied
from mastering.rules.schema import Schema, faults
from mastering.rules.text import fold_login
from mastering.store import catalog, people
from mastering.store import history as history_store
from mastering.store import users as store
from mastering.store.engine import reading
from mastering.store.search import INDEXED, LOOK_THROUGH, Cursor, NotIndexed
from mastering.store.tables import HistoryEvent

Check = Callable[[User], None]
"""Looks at a user before anything is changed, and raises what stands against it: `If-Match`."""


class Act(StrEnum):
    """What an admin asks of a user's lifecycle. `reactivate` sends a pending user's activation again and moves nobody."""

    activate = "activate"
    deactivate = "deactivate"
    suspend = "suspend"
    unsuspend = "unsuspend"
    reactivate = "reactivate"


_CANNOT = {
    Act.suspend: "Cannot suspend a user that is not active",
    Act.unsuspend: "Cannot unsuspend a user that is not suspended",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some users, and where the next ones begin, if there are more."""

    users: list[User]
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Events:
    """Some events, and whether there are more after the last."""

    events: list[HistoryEvent]
    more: bool


def anything(_: User) -> None:
    """The check that finds nothing wrong."""


# -- reading --------------------------------------------------------------------------------------------------------------


def read(engine: Engine, id_or_login: str) -> User:
    """A user with all links; raises `NotFound`."""
    with reading(engine) as session:
        return see(session, id_or_login)


def schema(engine: Engine) -> Schema:
    """The org's user schema: what users can be searched by."""
    with reading(engine) as session:
        return catalog.schema(session)


def page(engine: Engine, wanted: store.Wanted, after: Cursor | None, limit: int) -> Page:
    """The next users of a list, in its order. Raises `Invalid` for a search that would have to look at too many (docs/decisions/0023)."""
    with reading(engine) as session:
        try:
            found = store.page(session, wanted, catalog.schema(session), after, limit + 1)
        except NotIndexed as lacking:
            raise _too_many(lacking) from lacking
    shown = found[:limit]
    return Page([user for user, _ in shown], shown[-1][1] if len(found) > limit else None)


def _too_many(lacking: NotIndexed) -> Invalid:
    where = "sortBy" if lacking.position is None else f"search: at character {lacking.position + 1}"
    known = ", ".join(INDEXED)
    cause = (
        f"{where}: {lacking.name} has no index, and more than {LOOK_THROUGH} users would have to be looked at; "
        f"narrow the search by one that has, joined by and: status, {known}"
    )
    return Invalid("The list of users cannot be searched so", cause)


def history(engine: Engine, id_or_login: str, before: int | None, limit: int) -> Events:
    """The events of a user before this number, newest first, deleted users included by id; raises `NotFound` where there never was one."""
    with reading(engine) as session:
        subject = people.user_id_of(session, id_or_login) or id_or_login
        found = history_store.newest_first(session, subject, before, limit + 1)
    if not found and before is None:
        raise NotFound(f"Not found: Resource not found: {id_or_login} (User)")
    return Events(found[:limit], len(found) > limit)


# -- writing --------------------------------------------------------------------------------------------------------------


@again_if_overtaken
def create(
    engine: Engine, actor: Actor, now: datetime, profile: Mapping[str, Any], *, activate: bool, password: Seal | None = None
) -> User:
    """A new user, pending or active; raises `Invalid` with one cause per fault. `password` seals the one that was given, if one was."""
    with changing(engine, now, actor) as ledger:
        wanted = _clean(profile)
        _refuse_faults(catalog.schema(ledger.session), wanted)
        _refuse_taken_login(ledger, wanted)
        user = ledger.create(wanted)
        if activate:
            ledger.move(user, Trigger.activate)
        if password is not None:
            ledger.set_password(user, password)
        settle(ledger, user, now)
    return user


@again_if_overtaken
def update(
    engine: Engine,
    actor: Actor,
    now: datetime,
    id_or_login: str,
    profile: Mapping[str, Any],
    *,
    replace: bool,
    check: Check = anything,
    password: Seal | None = None,
) -> User:
    """Correct a profile: merge what is given, null clearing; or replace, clearing what is not given. `password` as in `create`.

    Raises `NotFound`, `AttributeMastered` where a master supplies what would change, `Invalid`, and what `check` raises.
    """
    with changing(engine, now, actor) as ledger:
        user = find(ledger, id_or_login)
        check(user)
        changes = _changes(user, _clean(profile), replace=replace)
        if changes:
            sources = load_sources(ledger.session, now)
            _refuse_mastered(changes, supplied(sources, user).keys())
            _refuse_faults(sources.schema, {**user.profile, **changes})
            _refuse_taken_login(ledger, changes, user)
            ledger.change_profile(user, changes)
        if password is not None:
            ledger.set_password(user, password)
        if changes or password is not None:
            settle(ledger, user, now)
    return user


@again_if_overtaken
def act(
    engine: Engine,
    actor: Actor,
    now: datetime,
    id_or_login: str,
    wanted: Act,
    *,
    reason: str | None = None,
    hold: Terms | None = None,
    check: Check = anything,
) -> User:
    """Move a user's status by hand, and set a hold in the same breath if one is given (SPEC §§2, 7).

    Raises `NotFound`, `IllegalMove`, and `Invalid` for suspending who is not active and for a hold that cannot be.
    """
    with changing(engine, now, actor) as ledger:
        user = find(ledger, id_or_login)
        check(user)
        before = user.status
        why = Why(reason=reason)
        _move(ledger, user, wanted, why)
        if hold is not None:
            ledger.set_hold(user, hold_from(hold, actor, now), why)
        if before is Status.DEACTIVATED:
            settle(ledger, user, now, remapped=True)
        else:
            heed(ledger, user)
    return user


@again_if_overtaken
def remove(engine: Engine, actor: Actor, now: datetime, id_or_login: str, *, check: Check = anything) -> None:
    """Deactivate a user; delete one who is deactivated already. The history stays."""
    with changing(engine, now, actor) as ledger:
        user = find(ledger, id_or_login)
        check(user)
        if user.status is Status.DEACTIVATED:
            ledger.delete(user)
            settle(ledger, user, now)
        else:
            ledger.move(user, Trigger.deactivate)
            heed(ledger, user)


def _move(ledger: Ledger, user: User, wanted: Act, why: Why) -> None:
    if wanted is Act.reactivate:
        if user.status is not Status.PENDING_ACTIVATION:
            raise IllegalMove(f"This operation is not allowed in the user's current status: reactivate of a user who is {user.status}")
        return
    try:
        ledger.move(user, Trigger(wanted.value), why)
    except IllegalMove as refused:
        if wanted in _CANNOT:
            raise Invalid(f"Api validation failed: {wanted}User", _CANNOT[wanted]) from refused
        raise


# -- what a profile may be ------------------------------------------------------------------------------------------------


def _clean(profile: Mapping[str, Any]) -> dict[str, Value]:
    """What was given, with empty texts as nulls and no blanks around the login."""
    login = profile.get("login")
    return normalise({**profile, "login": login.strip()} if isinstance(login, str) else dict(profile))


def _changes(user: User, wanted: dict[str, Value], *, replace: bool) -> dict[str, Value]:
    whole = {**dict.fromkeys(user.profile), **wanted} if replace else wanted
    return {name: value for name, value in whole.items() if user.profile.get(name) != value}


def _refuse_mastered(changes: Mapping[str, Value], read_only: Any) -> None:
    owned = sorted(changes.keys() & read_only)
    if owned:
        causes = [f"{name}: is supplied by a profile master and is read-only" for name in owned]
        raise AttributeMastered("Operation failed because user profile is mastered under another system", *causes)


def _refuse_faults(schema: Schema, profile: Mapping[str, Value]) -> None:
    found = faults(schema, profile)
    if found:
        raise Invalid(f"Api validation failed: {found[0].field}", *(f"{fault.field}: {fault.message}" for fault in found))


def _refuse_taken_login(ledger: Ledger, profile: Mapping[str, Value], user: User | None = None) -> None:
    """Refuse a login that somebody else has, deactivated users included (SPEC §4)."""
    login = profile.get("login")
    if not isinstance(login, str):
        return
    holder = store.login_holders(ledger.session, [fold_login(login)]).get(fold_login(login))
    if holder is not None and (user is None or holder != user.id):
        raise Invalid("Api validation failed: login", LOGIN_TAKEN)
