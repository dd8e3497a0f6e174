"""Users as they were at an instant, from history alone: one, all of a status, who mastered one, and how many there were (SPEC §13).

A user is the fold of the user's events up to the instant (`replay`), the options are those of today with what came later taken back
(`then`). Only which users a list is about is looked up: in the spans of statuses that the ledger keeps beside the history (`store.spans`).
Who is deleted by now is there as before, by id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.cases import replayed
from mastering.clock import wire
from mastering.errors import NotFound
from mastering.masters import Mastered, Masters, Voice, order, voice
from mastering.replay import replay
from mastering.rules.lifecycle import Status
from mastering.rules.people import User
from mastering.rules.ranking import authority
from mastering.rules.record import AccountState
from mastering.store import history, people, spans
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.then import Options, options_at


@dataclass(frozen=True, slots=True)
class Page:
    """Some users as they were, and the id after which the next ones begin, if there are more."""

    users: list[User]
    after: str | None


def read(engine: Engine, id_or_login: str, at: datetime) -> User:
    """A user as of an instant, deleted ones by id; raises `NotFound` for one who was not there then."""
    with reading(engine) as session:
        subject = people.user_id_of(session, id_or_login) or id_or_login
        user = replay(history.until(session, [subject], wire(at)))
    if user is None:
        raise not_there(id_or_login, at)
    return user


def page(engine: Engine, at: datetime, statuses: Collection[Status], after: str, limit: int) -> Page:
    """The next users who had one of these statuses at an instant, in the order of their ids."""
    with reading(engine) as session:
        ids = spans.page(session, wire(at), statuses, after, limit + 1)
        shown = ids[:limit]
        found = (replay(events) for _, events in groupby(history.until(session, shown, wire(at)), attrgetter("subject")))
        users = {user.id: user for user in found if user is not None and user.status in statuses}
    return Page([users[user_id] for user_id in shown if user_id in users], shown[-1] if len(ids) > limit else None)


def counts(engine: Engine, since: datetime, until: datetime, step: timedelta) -> Iterator[tuple[str, Mapping[Status, int]]]:
    """How many users had each status at `since`, and at every step from there up to `until`."""
    points = [wire(since + number * step) for number in range((until - since) // step + 1)]
    with reading(engine) as session:
        yield from zip(points, spans.counts(session, points), strict=True)


def masters(engine: Engine, id_or_login: str, at: datetime) -> Masters:
    """Who mastered a user at an instant, by the links, the ranks and the attribute masters of then; raises `NotFound`.

    Words that stood unheeded, and profiles that were refused, are in the user's history with their reasons and not told here again.
    """
    with reading(engine) as session:
        subject = people.user_id_of(session, id_or_login) or id_or_login
        user, seen = replayed(session, list(history.until(session, [subject], wire(at))))
        if user is None:
            raise not_there(id_or_login, at)
        user.links = [replace(account, seen_active=account.id in seen) for account in user.links]
        options = options_at(session, history.last_position(session, wire(at)))
        labels = _labels(session, {account.app_id for account in user.links}, wire(at))
    voices = (voice(labels[account.app_id], options.ranking, user, account) for account in user.links)
    return Masters(user, tuple(_no_way_out(each) for each in sorted(voices, key=order)), _attributes(options, user), ())


def not_there(id_or_login: str, at: datetime) -> NotFound:
    """There was no such user then."""
    return NotFound(f"Not found: Resource not found: {id_or_login} (User) at {wire(at)}")


def _no_way_out(told: Voice) -> Voice:
    return replace(told, way_out=None)  # what could have been done about it then


def _attributes(options: Options, user: User) -> dict[str, Mastered]:
    return {name: _mastered(options, user, name) for name in dict.fromkeys([*user.profile, *options.overrides])}


def _mastered(options: Options, user: User, name: str) -> Mastered:
    """Who mastered an attribute: a ranking of its own names nobody where the directory did."""
    own = options.overrides.get(name)
    link = authority([account.link for account in user.links], options.ranking if own is None else own)
    if own is None:
        why = "inherit_from_profile_master" if link else "no_profile_master"
    elif not own:
        why = "inherit_from_directory"
    else:
        why = "override" if link else "override_without_assignment"
    supplying = link is not None and link.account is AccountState.ACTIVE
    if link is not None and not supplying:
        why += "_last_values"
    return Mastered(user.profile.get(name), link.app_id if link else None, why, supplying)


def _labels(session: Session, app_ids: Collection[str], at: str) -> dict[str, str]:
    """What apps were called."""
    labels = dict.fromkeys(app_ids, "")
    for event in history.until(session, sorted(app_ids), at, ("app.create", "app.update")):
        body = load(event.body)
        label = body.get("label") or body.get("changes", {}).get("label", {}).get("new")
        labels[event.subject] = label or labels[event.subject]
    return {app_id: label or app_id for app_id, label in labels.items()}
