"""What a word about a person has for consequences beside the move: attributes, the next master, and what history is told (SPEC §§3, 4, 13).

The same whether the account was linked before (`linked`) or is being linked (`unlinked`). Link first, then ask who has authority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mastering.rules.change import Change, Prepared, Terms
from mastering.rules.decision import (
    FULL_POWERS,
    Decision,
    Facts,
    Reason,
    Situation,
    decide,
)
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.matching import is_exact, keys_of_user
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy
from mastering.rules.profile import mastered, mastered_by
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState


def place_taken(user: User, app_id: str, account_id: str | None) -> bool:
    """An active account alone stands in the way: one that is gone gives its place to who takes it (SPEC §6)."""
    others = (link for link in user.links if link.app_id == app_id and link.id != account_id)
    return any(other.account is AccountState.ACTIVE and not other.released for other in others)


def facts_of(terms: Terms, user: User, *, exact: bool) -> Facts:
    """What the reaction tables ask of a person; `exact`: whether the record matches them exactly (SPEC §7)."""
    return Facts(user.status, exact, user.pending_when_deactivated, user.held(terms.at))


def matches(terms: Terms, user: User, prepared: Prepared) -> bool:
    """Whether a record exactly matches a user's profile as it is before the record (SPEC §7)."""
    matching = terms.policy.matching
    return is_exact(matching, prepared.keys, keys_of_user(matching, user.login, user.profile))


def write_profile(terms: Terms, change: Change, user: User, prepared: Prepared | None, links: Sequence[Link]) -> None:
    """What the record says of the attributes that its account, the first of the links, masters; unless the user stays deactivated (SPEC §4)."""
    if prepared is None or (change.decision.to is Status.DEACTIVATED and not terms.org.update_deactivated_users):
        return
    mine = mastered_by(terms.sources, links, links[0].account_id)
    if not mine:
        return
    mapped = terms.mapping.apply(prepared.merged, creating=False, now=terms.now)
    mapped["login"] = prepared.login
    mapped.update(prepared.said)
    new = {name: value for name, value in mapped.items() if name in mine and user.profile.get(name) != value}
    if user.status is Status.DEACTIVATED and terms.sources.exceptions:
        new = {**_told_meanwhile(terms, change, user, links), **new}
    if new:
        change.effect["new"] = new
        change.effect["old"] = {name: user.profile.get(name) for name in new}


def _told_meanwhile(terms: Terms, change: Change, user: User, links: Sequence[Link]) -> Mapping[str, Value]:
    """Who leaves DEACTIVATED also gets what other masters said meanwhile of the attributes that are theirs (SPEC §4).

    Not the login in the step of a new link: what such a row claims is its own record's.
    """
    speaking = {link.account_id for link in links[1:]}
    mine, at = links[0], terms.at
    silent = Account(mine.account_id, mine.app_id, "", AccountState.INACTIVE, {}, created=at, last_updated=at, seen_active=mine.seen_active)
    others = [silent, *(other for other in user.links if other.id in speaking)]
    update = mastered(terms.sources, replace(user, status=change.decision.to or user.status, links=others))
    if update.faults:
        change.detail = f"another master's profile was rejected: {'; '.join(update.faults)}"
    if update.faults:
        return {}
    return {name: value for name, value in update.new.items() if name != "login" or "link" not in change.effect}


def write_successor(terms: Terms, change: Change, user: User) -> None:
    """The authority gives the user up: the next master's last imported profile is mapped at once (SPEC §§3, 4)."""
    links = [replace(account, released=True) if account.id == change.app_user_id else account for account in user.links]
    update = mastered(terms.sources, replace(user, links=links))
    speaking = authority([account.link for account in links], terms.ranking)
    if speaking is not None and (update.faults or update.new):
        change.effect["successor"] = speaking.account_id
    if update.faults:
        change.detail = f"the next master's profile was rejected: {'; '.join(update.faults)}"
    elif update.new:
        change.effect["new"] = dict(update.new)
        change.effect["old"] = {name: user.profile.get(name) for name in update.new}


def note_facts(change: Change, facts: Facts, *, returning: bool) -> None:
    """What the reaction tables were asked with beside the status: history shows why this cell and no other (SPEC §13)."""
    asked = {"exact": facts.exact, "pendingWhenDeactivated": facts.pending_when_deactivated} if returning else {}
    change.effect["facts"] = {"held": facts.held, **asked}


def unheeded(policy: ImportPolicy, decision: Decision, facts: Facts) -> tuple[str, str] | None:
    """What a word that was not followed asked for, and why not: the standing disagreement of SPEC §3."""
    if decision.reason not in set(Reason):
        return None
    if decision.reason == Reason.never_active:
        return Trigger.suspend.value, decision.reason
    willing = replace(policy, mastering=replace(policy.mastering, reactivate_suspended=True, reactivate_deactivated=True))
    word = Situation.CAME_BACK if decision.situation in {Situation.EXACT, Situation.PARTIAL} else decision.situation
    asked = decide(willing, FULL_POWERS, word, replace(facts, held=False)).trigger
    return (asked.value if asked else Trigger.suspend.value, str(decision.reason))
