"""Why an account waits for a reviewer just now, why each candidate lost, and what would confirm it (SPEC §§6, 13).

The record is prepared once more from what is kept of it, and whoever could be meant is looked for under every way of matching, not only
under the one that the app's policy chooses: so that it can be said whom another option would have found.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.errors import NotFound
from mastering.rules.change import PLACE_TAKEN, Prepared, Terms, prepare_again
from mastering.rules.claims import Lost
from mastering.rules.decision import Situation
from mastering.rules.matching import Keys, Kind, correlate, keys_of_user, way_to_login, way_to_user
from mastering.rules.neighbours import Alternative, Flip, Knob
from mastering.rules.people import Account, User
from mastering.rules.policy import Matching
from mastering.rules.ranking import Link
from mastering.rules.record import AccountState, Mode
from mastering.rules.text import fold_login
from mastering.rules.why import Case, Judged, judge
from mastering.rules.why_waiting import Arrival, Person, Placed, place, ways_out
from mastering.store import imports as store
from mastering.store import people, waiting
from mastering.store.engine import reading
from mastering.terms import terms_of

MOST_PEOPLE = 200
"""People that are looked at for one record: a common name may be thousands'."""
_MOST_RIVALS = 20


@dataclass(frozen=True, slots=True)
class Considered:
    """Somebody whom the record could mean: how well it matches under the policy of now, by what it agrees, and what stands in the way."""

    user: User
    kind: Kind
    agrees: tuple[str, ...]
    lost: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Why an account waits. `placed` is where the rules put it now; `None` where its last record is invalid by now, and `fault` says why."""

    account: Account
    considered: tuple[Considered, ...] = ()
    rivals: tuple[Account, ...] = ()
    """Other records of the app that claim the same login or the same person."""
    placed: Placed | None = None
    ways_out: tuple[Alternative[Placed] | Alternative[Judged], ...] = ()
    fault: str | None = None
    cut: bool = False
    """There are more people of this name than are looked at."""


def explain_waiting(engine: Engine, now: datetime, account_id: str) -> Waits:
    """Why one account waits for review; raises `NotFound` where it does not."""
    with reading(engine) as session:
        account = people.accounts(session, [account_id]).get(account_id)
        if account is None or account.situation is None:
            raise NotFound(f"Not found: Resource not found: {account_id} (AppUser waiting for review)")
        terms = terms_of(session, account.app_id, Mode.INCREMENTAL, now)
        prepared = prepare_again(terms, account)
        if not isinstance(prepared, Prepared):
            return Waits(account, fault=prepared.detail)
        if account.user_id is not None:
            return _kept_out(session, terms, account, account.user_id)
        return _arrived(session, terms, account, prepared)


def _arrived(session: Session, terms: Terms, account: Account, prepared: Prepared) -> Waits:
    users, cut = _everybody(session, terms.policy.matching, prepared, account.candidates)
    holder = store.Directory(session, terms.policy.matching).holders([fold_login(prepared.login)]).get(fold_login(prepared.login))
    met = tuple(_met(terms, user) for user in users.values())
    claim = Lost(account.reason) if account.reason in {Lost.login_claimed_twice, Lost.user_claimed_twice} else None
    arrival = Arrival(account.app_id, terms.policy, tuple(terms.ranking), prepared.keys, met, holder, claim)
    placed = place(arrival)
    considered = [_considered(arrival, placed, users[each.user_id], each.keys) for each in met]
    rivals = _rivals(session, account, prepared, placed)
    return Waits(account, tuple(considered), rivals, placed, tuple(ways_out(arrival)), cut=cut)


def _everybody(session: Session, matching: Matching, prepared: Prepared, candidates: Collection[str]) -> tuple[dict[str, User], bool]:
    """Whoever shares a login, an address, a name or the chosen attributes with a record; and whether there are more."""
    asked = [matching, Matching(username=True), Matching(username=False, email=True), Matching(username=False, allow_partial=True)]
    found = dict.fromkeys(candidates)
    for each in asked:
        keys = prepared.keys if each is matching else prepared.keys._replace(attributes=())
        found |= dict.fromkeys(sorted(store.Directory(session, each).find([keys])))
    ids = list(found)[:MOST_PEOPLE]
    users = people.users(session, ids)
    return {user_id: users[user_id] for user_id in ids if user_id in users}, len(found) > len(ids)


def _met(terms: Terms, user: User) -> Person:
    app_id = terms.app_id
    placed = any(link.app_id == app_id and link.account is AccountState.ACTIVE and not link.released for link in user.links)
    others = tuple(link.link for link in user.links if link.app_id != app_id)
    keys = keys_of_user(terms.policy.matching, user.login, user.profile)
    return Person(user.id, keys, user.status, user.pending_when_deactivated, user.held(terms.at), others, placed)


def _considered(arrival: Arrival, placed: Placed, user: User, keys: Keys) -> Considered:
    kind = correlate(arrival.policy.matching, arrival.record, [(user.id, keys)]).kind
    agrees = tuple(name for name in ("login", "email", "name", "attributes") if _agrees(arrival.record, keys, name))
    if user.id in placed.candidates:
        lost = placed.reason or "not_confirmed"
        return Considered(user, kind, agrees, "not_confirmed" if lost in {"exact", "partial"} else lost)
    if kind is Kind.PARTIAL:
        return Considered(user, kind, agrees, "exact_beats_partial")
    return Considered(user, kind, agrees, "no_match_but_has_the_login" if user.id == arrival.holder else "no_match")


def _agrees(record: Keys, user: Keys, name: str) -> bool:
    mine, theirs = getattr(record, name), getattr(user, name)
    return mine is not None and mine != () and None not in (mine if isinstance(mine, tuple) else (mine,)) and mine == theirs


def _rivals(session: Session, account: Account, prepared: Prepared, placed: Placed) -> tuple[Account, ...]:
    ways = {way_to_login(fold_login(prepared.login)), *map(way_to_user, placed.candidates)}
    ids = sorted(waiting.near(session, account.app_id, ways) - {account.id})[:_MOST_RIVALS]
    found = people.accounts(session, ids)
    return tuple(found[each] for each in ids if each in found and found[each].waits)


def _kept_out(session: Session, terms: Terms, account: Account, user_id: str) -> Waits:
    """A return that waits: with its place free, the account would have its say back, and the status what follows from that."""
    user = people.users(session, [user_id])[user_id]
    keys = keys_of_user(terms.policy.matching, user.login, user.profile)
    considered = Considered(user, Kind.NONE, (), account.reason or PLACE_TAKEN)
    prepared = prepare_again(terms, account)
    exact = isinstance(prepared, Prepared) and correlate(terms.policy.matching, prepared.keys, [(user_id, keys)]).kind is Kind.EXACT
    others = [link.link for link in user.links if link.id != account.id and link.app_id != account.app_id]
    mine = replace(account.link, account=AccountState.ACTIVE, released=False, seen_active=True)
    case = Case(
        terms.policy,
        tuple(terms.ranking),
        Situation.CAME_BACK,
        (mine, *others),
        user.status,
        exact=exact,
        pending_when_deactivated=user.pending_when_deactivated,
        held=user.held(terms.at),
        released=account.released,
    )
    flips = tuple(Flip(Knob.place, account.app_id, was=True, would=False, user_id=user_id) for _ in _in_the_way(user, account))
    return Waits(account, (considered,), ways_out=(Alternative(flips, judge(case), 4),) if flips else ())


def _in_the_way(user: User, account: Account) -> list[Link]:
    mine = [link.link for link in user.links if link.app_id == account.app_id and link.id != account.id]
    return [link for link in mine if link.account is AccountState.ACTIVE and not link.released]
