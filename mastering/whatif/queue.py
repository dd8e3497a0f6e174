"""What the waiting records would come to if wishes were saved: at once, and with the next import of their app (SPEC §6).

Saving matches the whole queue again, against the profiles as it leaves them; nothing is confirmed by that. The next run of an app confirms
what the options of then confirm. Both are told: the first as saving does it, the second as the record would be planned without a word of
its own. As with saving, the queue of one app at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from mastering.rematch import moves, place_of
from mastering.rules.change import Change, Prepared, Terms, prepare_again
from mastering.rules.claims import Claims
from mastering.rules.decision import Action
from mastering.rules.matching import Crowd, Keys, correlate, keys_of_user
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation, Matching
from mastering.rules.stakes import give_up, stake
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found, plan_unlinked
from mastering.store import imports as store
from mastering.store import people, waiting
from mastering.whatif.population import Population, profiles_after
from mastering.whatif.rows import Foreseen, Kind, When
from mastering.whatif.world import World

_AT_ONCE = 1_000
_KEYS = frozenset({"login", "email", "firstName", "lastName"})


def key_attributes(session: Session, world: World) -> frozenset[str]:
    """The attributes of users that waiting records are matched by; none where nobody waits."""
    apps = waiting.apps(session)
    pairs = {pair.user for app_id in apps for pair in world.policies[app_id].matching.attributes}
    return _KEYS | pairs if apps else frozenset()


@dataclass(frozen=True, slots=True)
class Directory:
    """The people as they are, or as saving would leave them: then `renamed` are found by something else than they are now."""

    session: Session
    matching: Matching
    population: Population | None = None

    def find(self, ready: Collection[Prepared]) -> dict[str, Keys]:
        """Everybody whom these records could mean, by what they are compared by."""
        known = store.Directory(self.session, self.matching).find([prepared.keys for prepared in ready])
        if self.population is None:
            return known
        wanted = {way for prepared in ready for way in _ways(prepared.keys)}
        for user in self._renamed(self.population):
            keys = keys_of_user(self.matching, user.login, user.profile)
            if user.id in known or not wanted.isdisjoint(_ways(keys)):
                known[user.id] = keys
        return known

    def holders(self, logins: Collection[str]) -> dict[str, str]:
        """Who has these logins."""
        held = store.Directory(self.session, self.matching).holders(logins)
        if self.population is None:
            return held
        moving = self.population.moves.keys() - self.population.lost.keys()
        held = {login: user_id for login, user_id in held.items() if user_id not in moving}
        return held | {login: user_id for user_id in moving if (login := self.population.moves[user_id]) in logins}

    def users(self, ids: Collection[str]) -> Mapping[str, User]:
        """People by id."""
        return people.users(self.session, ids) if self.population is None else profiles_after(self.population, ids)

    def _renamed(self, population: Population) -> Iterator[User]:
        ids = sorted(population.renamed)
        for start in range(0, len(ids), _AT_ONCE):
            yield from profiles_after(population, ids[start : start + _AT_ONCE]).values()


def _ways(keys: Keys) -> set[object]:
    named = {("login", keys.login), ("email", keys.email), ("name", keys.name)}
    return {way for way in named if way[1] is not None} | ({keys.attributes} if keys.attributes and None not in keys.attributes else set())


def rows(session: Session, population: Population, now: datetime) -> Iterator[list[Foreseen]]:
    """What would become of the waiting records, app by app."""
    before, after = population.before, population.after
    for app_id in waiting.apps(session):
        accounts = [account for account in people.waiting_accounts(session, app_id) if account.waits]
        old, new = before.terms(app_id, now), after.terms(app_id, now)
        anew = Directory(session, new.policy.matching, population)
        planned = _planned(old, accounts, Directory(session, old.policy.matching))
        confirming = _planned(new, accounts, anew)
        asked = replace(new, policy=replace(new.policy, confirmation=Confirmation()))
        placed = _planned(asked, accounts, anew) if population.follows.rematch else {}
        yield [
            *(row for account in accounts if (row := _moved(account, placed.get(account.id)))),
            *(row for account in accounts if (row := _confirmed(account, planned.get(account.id), confirming.get(account.id)))),
        ]


def _planned(terms: Terms, accounts: Collection[Account], directory: Directory) -> dict[str, Change]:
    """The rows that these waiting records would have in a plan, each by its account's id; what cannot be used any more has none."""
    ready = [(account, prepared) for account in accounts if isinstance(prepared := prepare_again(terms, account), Prepared)]
    crowd = Crowd(directory.find([prepared for _, prepared in ready]))
    holders = directory.holders({fold_login(prepared.login) for _, prepared in ready})
    matches = [correlate(terms.policy.matching, prepared.keys, crowd.near(prepared.keys)) for _, prepared in ready]
    users = directory.users({user_id for match in matches for user_id in match.user_ids})
    claims, changes = Claims(), list[Change]()
    for number, ((account, prepared), match) in enumerate(zip(ready, matches, strict=True)):
        found = Found(match, users, holders.get(fold_login(prepared.login)))
        change = plan_unlinked(terms, prepared, account, found)
        stake(claims, number, change, prepared, found)
        changes.append(change)
    for number, lost in claims.losers().items():
        give_up(changes[number], lost)
    return {account.id: change for (account, _), change in zip(ready, changes, strict=True)}


def _moved(account: Account, change: Change | None) -> Foreseen | None:
    """Another place in the queue, which saving gives it."""
    if change is None or not moves(account, place_of(change), None):
        return None
    situation, reason, candidates = place_of(change)
    return _row(account, Kind.WAITING, When.ON_SAVE, account.situation, situation, reason, candidates)


def _confirmed(account: Account, old: Change | None, new: Change | None) -> Foreseen | None:
    """What the next import would do with it, where that is another thing than it would do now."""
    before, after = _done(old), _done(new)
    if new is None or before == after:
        return None
    row = _row(account, Kind.CONFIRMATION, When.NEXT_IMPORT, before[0], after[0], new.decision.reason, new.candidates)
    trigger = new.decision.trigger
    return replace(row, user_id=new.user_id, login=new.login, trigger=trigger.value if trigger else None)


def _done(change: Change | None) -> tuple[str, str | None, str | None]:
    if change is None:
        return Action.reject.value, None, None
    decision = change.decision
    return decision.action.value, change.effect.get("link"), decision.trigger.value if decision.trigger else None


def _row(
    account: Account, kind: Kind, when: When, before: str | None, after: str, reason: str | None, candidates: tuple[str, ...]
) -> Foreseen:
    return Foreseen(
        kind,
        when,
        app_id=account.app_id,
        account_id=account.id,
        external_id=account.external_id,
        before=before,
        after=after,
        reason=reason,
        candidates=candidates,
    )
