"""Which users: pages of the directory, and the ids that a walk over many users goes through.

Everything here is keyset: a page is asked for by the id it starts after, so that the thousandth costs what the first does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlmodel import Session, col

from mastering.rules.filters import Node
from mastering.rules.lifecycle import Status
from mastering.rules.people import Hold, User
from mastering.rules.schema import Schema
from mastering.rules.text import fold_login, fold_name
from mastering.store import people, tables
from mastering.store.documents import load
from mastering.store.search import BY_ID, Cursor, Sort, begins, look


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users a list asks for, every part that is given must hold; and in which order."""

    starts_with: str | None = None
    """The first name, last name or e-mail address begins so."""
    not_status: Status | None = None
    filter: Node | None = None
    sort: Sort = BY_ID


def page(session: Session, wanted: Wanted, schema: Schema, after: Cursor | None, limit: int) -> list[tuple[User, Cursor]]:
    """The next users, each with the cursor that goes on after them. Raises `NotIndexed`."""
    narrow = [_begins(wanted.starts_with)] if wanted.starts_with else []
    leave_out = false() if wanted.not_status is None else col(tables.User.status) == wanted.not_status
    found = look(session, schema, narrow, leave_out, wanted.filter, wanted.sort, after, limit)
    users = people.users(session, [user_id for user_id, _ in found])
    return [(users[user_id], Cursor(value, user_id)) for user_id, value in found]


def login_holders(session: Session, login_keys: Collection[str]) -> dict[str, str]:
    """Who has these logins: login key → user id."""
    query = select(col(tables.User.login_key), col(tables.User.id))
    found: dict[str, str] = {}
    for part in people.slices(login_keys):
        found.update((row[0], row[1]) for row in session.execute(query.where(col(tables.User.login_key).in_(part))))
    return found


def linked_ids(session: Session, after: str, limit: int, app_id: str | None = None) -> list[str]:
    """The next ids of users with an account, of one app or of any."""
    user_id = col(tables.AppUser.user_id)
    query = select(user_id).distinct().where(user_id > after)
    if app_id is not None:
        query = query.where(col(tables.AppUser.app_id) == app_id)
    return [row[0] for row in session.execute(query.order_by(user_id).limit(limit))]


def is_many(session: Session, app_ids: Collection[str] | None, many: int) -> bool:
    """Whether more accounts than so many have a user, in these apps or in all."""
    linked = select(1).where(col(tables.AppUser.user_id).is_not(None))
    if app_ids is not None:
        linked = linked.where(col(tables.AppUser.app_id).in_(app_ids))
    return int(session.execute(select(func.count()).select_from(linked.limit(many + 1).subquery())).scalar_one()) > many


def unheeded_ids(session: Session, app_id: str | None = None) -> list[str]:
    """The ids of users of whom some master's word was not followed, of one app or of any."""
    user_id = col(tables.AppUser.user_id)
    query = select(user_id).distinct().where(user_id.is_not(None), col(tables.AppUser.unheeded).is_not(None))
    if app_id is not None:
        query = query.where(col(tables.AppUser.app_id) == app_id)
    return [row[0] for row in session.execute(query.order_by(user_id))]


def profiles(session: Session, at_once: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every user's id and profile, ascending by id, read in pieces."""
    user_id = col(tables.User.id)
    after = ""
    while rows := session.execute(select(user_id, col(tables.User.profile)).where(user_id > after).order_by(user_id).limit(at_once)).all():
        yield from ((row[0], load(row[1])) for row in rows)
        after = rows[-1][0]


def ids_with_attributes(session: Session, names: Collection[str], at_once: int) -> Iterator[list[str]]:
    """The ids of users whose profiles say something of these attributes, null included; ascending, in pieces."""
    user_id, profile = col(tables.User.id), col(tables.User.profile)
    said = or_(*(profile.contains(f'"{name}":', autoescape=True) for name in names))
    after = ""
    while rows := session.execute(select(user_id, profile).where(said, user_id > after).order_by(user_id).limit(at_once)).all():
        found = [row[0] for row in rows if not load(row[1]).keys().isdisjoint(names)]
        if found:
            yield found
        after = rows[-1][0]


def ids_with_ended_holds(session: Session, at: str, limit: int) -> list[str]:
    """The ids of users whose hold has ended by `at`, the longest ended first."""
    held, until = col(tables.User.held), col(tables.User.hold_until)
    query = select(col(tables.User.id)).where(held, until <= at).order_by(until).limit(limit)
    return [row[0] for row in session.execute(query)]


def holds(session: Session, ids: Collection[str], at: str) -> dict[str, Hold]:
    """The holds in force at an instant, of these users."""
    user = tables.User
    query = select(col(user.id), col(user.hold_reason), col(user.hold_until), col(user.hold_since), col(user.hold_by)).where(col(user.held))
    found = {row[0]: Hold(*row[1:]) for part in people.slices(ids) for row in session.execute(query.where(col(user.id).in_(part)))}
    return {user_id: hold for user_id, hold in found.items() if hold.binds(at)}


def _begins(text: str) -> ColumnElement[bool]:
    name, login = fold_name(text), fold_login(text)
    return or_(
        begins(col(tables.User.search_first_name), name),
        begins(col(tables.User.search_last_name), name),
        begins(col(tables.User.email_key), login),
    )
