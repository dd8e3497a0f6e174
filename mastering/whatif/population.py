"""Who would change if wishes were saved: everybody with an account, held against the options before and after (SPEC §§3, 4, 7).

The profiles are those that saving maps again, by the same rules and with the same claims to logins; so the rows that are ON_SAVE are what
saving does, and a test saves and compares. Saving moves no status. What another option would mean for who stands as an account says is
told as a reconciliation would tell it: a repair would do it, nothing else.

One pass over everybody, a batch at a time. Only the logins that would move are kept, as saving itself keeps them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sqlmodel import Session

from mastering.reconcile.comparing import pasts_of
from mastering.remaster import LOST, losers
from mastering.rules.disagreement import ask_again
from mastering.rules.people import User
from mastering.rules.profile import Sources, Update, mastered, moved_login
from mastering.rules.ranking import authority
from mastering.rules.reconciliation import Past, status_drift
from mastering.store import people
from mastering.store import users as user_store
from mastering.whatif.rows import Foreseen, Kind, When
from mastering.whatif.world import Follows, World

_AT_ONCE = 1_000


@dataclass(slots=True)
class Population:
    """The walk over everybody."""

    session: Session
    before: World
    after: World
    follows: Follows
    old: Sources
    new: Sources
    at: str
    keys: frozenset[str]
    """Attributes that waiting records are matched by; none where nobody waits."""
    moves: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)
    """Users who would be found by something else."""

    def rows(self) -> Iterator[list[Foreseen]]:
        """What would be otherwise, batch by batch."""
        after = ""
        while ids := user_store.linked_ids(self.session, after, _AT_ONCE):
            users = people.users(self.session, ids)
            yield [row for user_id in ids if user_id in users for row in self._of(users[user_id])]
            after = ids[-1]
        yield from self._movers()

    def update(self, user: User) -> Update:
        """What saving would make of a profile: as the masters say, without a login that somebody else keeps."""
        if not self._remastered(user):
            return Update()
        update = mastered(self.new, user)
        why = self.lost.get(user.id)
        return Update(faults=(why,)) if why is not None and update.new else update

    def _of(self, user: User) -> Iterator[Foreseen]:
        yield from self._authority(user)
        update = self.update(user)
        login = None if update.faults else moved_login(user, update.new)
        if not update.faults and not self.keys.isdisjoint(update.new):
            self.renamed.add(user.id)
        if login is not None:
            self.moves[user.id] = login  # whether it is free is known when all have asked
        else:
            yield from _profile(user, update)
        if self.follows.ask_again:
            yield from self._words(user)
            yield from self._status(user)

    def _remastered(self, user: User) -> bool:
        scope = self.follows.remaster
        return scope is None or any(account.app_id in scope for account in user.links)

    def _movers(self) -> Iterator[list[Foreseen]]:
        holders = user_store.login_holders(self.session, set(self.moves.values()))
        self.lost = {user_id: LOST[why] for user_id, why in losers(self.moves, holders).items()}
        ids = list(self.moves)
        for start in range(0, len(ids), _AT_ONCE):
            users = people.users(self.session, ids[start : start + _AT_ONCE])
            yield [row for user in users.values() for row in _profile(user, self.update(user))]

    def _authority(self, user: User) -> Iterator[Foreseen]:
        links = [account.link for account in user.links]
        old, new = authority(links, self.before.ranking), authority(links, self.after.ranking)
        if (old.app_id if old else None) != (new.app_id if new else None):
            yield Foreseen(
                Kind.AUTHORITY,
                When.ON_SAVE,
                user.id,
                user.login,
                app_id=new.app_id if new else None,
                before=old.app_id if old else None,
                after=new.app_id if new else None,
            )

    def _words(self, user: User) -> Iterator[Foreseen]:
        """Words that stand unheeded: what stops them would be another thing, or nothing any more, which makes a finding (SPEC §3)."""
        for account in user.links:
            if account.unheeded is None:
                continue
            decision = ask_again(self.after.policies[account.app_id], self.after.ranking, user, account, self.at)
            if decision.reason == account.unheeded_reason or (decision.trigger is None and decision.reason is None):
                continue
            yield Foreseen(
                Kind.WORD,
                When.ON_SAVE,
                user.id,
                user.login,
                account.app_id,
                account.id,
                account.external_id,
                before=account.unheeded_reason,
                after=decision.reason,
                trigger=decision.trigger.value if decision.trigger else account.unheeded,
            )

    def _status(self, user: User) -> Iterator[Foreseen]:
        past: Past | None = None
        for account in user.links:
            new = status_drift(self.after.policies[account.app_id], self.after.ranking, user, account, self.at)
            if new is None or new.trigger is None:
                continue
            past = past or pasts_of(self.session, [user.id])[user.id]
            new = status_drift(self.after.policies[account.app_id], self.after.ranking, user, account, self.at, past)
            old = status_drift(self.before.policies[account.app_id], self.before.ranking, user, account, self.at, past)
            if new is None or new.trigger is None or (old is not None and old.trigger is new.trigger):
                continue
            yield Foreseen(
                Kind.STATUS,
                When.REPAIR,
                user.id,
                user.login,
                account.app_id,
                account.id,
                account.external_id,
                before=user.status.value,
                after=str(new.expected.get("status")),
                trigger=new.trigger.value,
                detail=new.detail,
            )


def _profile(user: User, update: Update) -> Iterator[Foreseen]:
    if update.faults:
        yield Foreseen(Kind.REJECTED, When.ON_SAVE, user.id, user.login, detail="; ".join(update.faults))
    elif update.new:
        attributes = {name: (user.profile.get(name), value) for name, value in update.new.items()}
        yield Foreseen(Kind.PROFILE, When.ON_SAVE, user.id, user.login, attributes=attributes)


def profiles_after(population: Population, ids: Collection[str]) -> dict[str, User]:
    """These users as saving would leave their profiles."""
    users = people.users(population.session, ids)
    for user in users.values():
        update = population.update(user)
        if update.new and not update.faults:
            user.profile = {**user.profile, **update.new}
            user.login = str(user.profile["login"])
    return users
