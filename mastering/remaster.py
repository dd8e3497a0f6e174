"""Mapping the masters' last imported profiles again (SPEC §§3, 4).

An import maps the record it brings. Everything else that changes what a master's profile says, or whose profile counts, comes here:
a new order of masters, one that is switched on or off, another mapping or username format, a released account, a user who leaves
DEACTIVATED. Statuses never move.

An update is all or nothing, and a login is given only if it is free once all updates of the walk are made: chains and swaps work, and
of several who ask for one login none gets it. Who is refused keeps the old profile, is told of in the history, and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from mastering.ledger import Ledger, Why, links_of
from mastering.rules.claims import Claims, Lost
from mastering.rules.decision import Rule
from mastering.rules.mapping import compile_mapping, compile_username
from mastering.rules.people import User
from mastering.rules.profile import Source, Sources, Update, mastered, moved_login, supplied
from mastering.rules.ranking import authority
from mastering.rules.schema import Schema
from mastering.rules.text import fold_login
from mastering.store import catalog, people, tables
from mastering.store import users as store

_AT_ONCE = 1_000
LOST = {
    Lost.login_claimed_twice: "login: several users would get the same login",
    Lost.login_taken: "login: another user holds this login",
}
"""Why a login is not given, as a fault of the whole update."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A user whose new profile was refused, and why; each fault names its attribute."""

    user_id: str
    login: str
    faults: tuple[str, ...]


@dataclass(slots=True)
class RemasterReport:
    """How many users' profiles changed, and whose were refused."""

    changed: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def load_sources(session: Session, now: datetime) -> Sources:
    """The masters and their mappings as this transaction sees them, ready for many users."""
    schema, ranking = catalog.schema(session), catalog.ranking(session)
    return Sources(
        ranking=ranking,
        apps={app_id: _source(session, app_id, schema) for app_id in ranking},
        schema=schema,
        update_deactivated=catalog.org_safeguard(session).update_deactivated_users,
        now=now,
    )


def _source(session: Session, app_id: str, schema: Schema) -> Source:
    username = catalog.policy_of(session.get_one(tables.App, app_id)).username
    mapping = compile_mapping(catalog.mapping_rules(session, app_id), schema)
    return Source(mapping, compile_username(username.format, username.expression))


def outlook(session: Session, sources: Sources, user: User) -> Update:
    """What the masters' profiles would change in a user's just now, nothing being written; a login that is somebody else's is a fault."""
    update = mastered(sources, user)
    login = None if update.faults else moved_login(user, update.new)
    if login is not None and store.login_holders(session, [login]):
        return Update(faults=(LOST[Lost.login_taken],))
    return update


def remap(ledger: Ledger, users: Collection[User], sources: Sources, *, refused: Mapping[str, Lost] | None = None) -> RemasterReport:
    """Map the masters' profiles onto these loaded users, each change and each refusal with its event. `refused` lost their logins already."""
    updates = {user.id: mastered(sources, user) for user in users}
    lost = {**_lost_logins(ledger, users, updates), **(refused or {})}
    report = RemasterReport()
    for user in users:
        update = updates[user.id]
        faults = (LOST[lost[user.id]],) if user.id in lost and update.new else update.faults
        if faults:
            _tell_refused(ledger, user, sources, faults)
            report.rejected.append(Rejected(user.id, user.login, faults))
        elif update.new:
            ledger.change_profile(user, update.new, _why(user, sources), kind="user.remaster")
            report.changed += 1
    return report


def remaster_batch(ledger: Ledger, now: datetime, ids: Collection[str], found: Survey) -> RemasterReport:
    """Map the profiles of these users of a survey again, by the options of this moment: whoever has changed them since is not overwritten."""
    ledger.load_users(ids)
    refused = {user_id: found.lost[user_id] for user_id in found.lost.keys() & ids}
    return remap(ledger, list(ledger.users.values()), load_sources(ledger.session, now), refused=refused)


@dataclass(slots=True)
class Survey:
    """Whose profile would change: those who can be written in any order, those whose logins depend on each other, and who lost a login."""

    plain: list[str] = field(default_factory=list)
    together: set[str] = field(default_factory=set)
    lost: dict[str, Lost] = field(default_factory=dict)

    def batches(self, after: str = "") -> Iterator[set[str]]:
        """The users of each transaction but the last, which is `together`'s; ascending by id, from behind one."""
        left = sorted(user_id for user_id in self.plain if user_id > after)
        for start in range(0, len(left), _AT_ONCE):
            yield set(left[start : start + _AT_ONCE])


def survey(session: Session, now: datetime, app_id: str | None, beat: Callable[[], None]) -> Survey:
    """Read every user with an account, or only those with one in this app: logins are given out knowing every claim.

    Nothing is kept of who has nothing to change. `beat` is called between two pages, as this takes long where there are many.
    """
    sources, found, moves, after = load_sources(session, now), Survey(), dict[str, str](), ""
    while ids := store.linked_ids(session, after, _AT_ONCE, app_id):
        for user in people.users(session, ids).values():
            update = mastered(sources, user)
            if not update.new and not update.faults:
                continue
            login = None if update.faults else moved_login(user, update.new)
            if login is None:
                found.plain.append(user.id)
            else:
                moves[user.id] = login
        after = ids[-1]
        beat()
    _give_logins(found, moves, store.login_holders(session, set(moves.values())))
    return found


def _give_logins(found: Survey, moves: Mapping[str, str], holders: Mapping[str, str]) -> None:
    found.lost = losers(moves, holders)
    for user_id, login in moves.items():
        if login in holders and user_id not in found.lost:
            found.together |= {user_id, holders[login]}
    found.plain += [user_id for user_id in moves if user_id not in found.together]


def losers(moves: Mapping[str, str], holders: Mapping[str, str]) -> dict[str, Lost]:
    """Who does not get the login asked for; `moves` is user id → login key."""
    claims = Claims()
    for row, (user_id, login) in enumerate(moves.items()):
        claims.move(row, user_id, login, holders.get(login))
    movers = list(moves)
    return {movers[row]: why for row, why in claims.losers().items()}


def _lost_logins(ledger: Ledger, users: Collection[User], updates: Mapping[str, Update]) -> dict[str, Lost]:
    """As `losers`, by what the database says and by what the ledger has changed since."""
    moves = {user.id: login for user in users if (login := moved_login(user, updates[user.id].new)) and not updates[user.id].faults}
    if not moves:
        return {}
    wanted = set(moves.values())
    holders = {login: holder for login, holder in store.login_holders(ledger.session, wanted).items() if holder not in ledger.users}
    holders |= {login: user.id for user in ledger.users.values() if (login := fold_login(user.login)) in wanted}
    return losers(moves, holders)


def _why(user: User, sources: Sources, reason: str | None = None) -> Why:
    speaking = authority(links_of(user), sources.ranking)
    return Why(rule=Rule.profile_mapped.value, reason=reason, authority=speaking.app_id if speaking else None)


def _tell_refused(ledger: Ledger, user: User, sources: Sources, faults: tuple[str, ...]) -> None:
    said_by = [ledger.account(account_id) for account_id in dict.fromkeys(link.account_id for link in supplied(sources, user).values())]
    for account in said_by:
        account.digest = None  # its next record is looked at again, though nothing changed in it
        ledger.touch(account)
    ledger.note_account(said_by[0], _why(user, sources, "profile_rejected"), "user.remaster.rejected", {"faults": list(faults)})
