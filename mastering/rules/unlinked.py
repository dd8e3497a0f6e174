"""Planning one row of an account without a link: match, confirm, queue or withdraw (SPEC §§5.4, 6).

As with `linked`, each row is planned as if it were alone, on the facts before the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mastering.rules.change import PLACE_TAKEN, Change, Effect, Prepared, Terms, strip, wait_for
from mastering.rules.claims import Lost
from mastering.rules.consequences import facts_of, matches, note_facts, place_taken, unheeded, write_profile
from mastering.rules.decision import (
    FULL_POWERS,
    NO_POWERS,
    Action,
    Decision,
    Facts,
    Known,
    Powers,
    Rule,
    Situation,
    Word,
    assess,
    decide,
)
from mastering.rules.matching import Kind, Match
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState, Record


class Found(NamedTuple):
    """What correlation found for an unlinked record: the match, the users it names, and who holds the login it asks for."""

    match: Match
    users: Mapping[str, User]
    holder: str | None
    """The user who holds the record's login and will still hold it, as far as is known."""


_NEW_WORD = Word(present=True, active=True, same=False)
_NOBODY_YET = Facts(status=None, exact=False, pending_when_deactivated=False, held=False)
_UNDECIDED = Decision(Situation.UNMATCHED, Action.wait, Rule.needs_review)


def plan_unlinked(terms: Terms, prepared: Prepared, account: Account | None, found: Found) -> Change:
    """An active record without a link: match, confirm or queue (SPEC §6)."""
    candidates = found.match.user_ids
    user = found.users[candidates[0]] if len(candidates) == 1 else None
    obstacle = _obstacle(terms, found, user)
    match: Kind | Situation = found.match.kind
    if len(candidates) > 1:
        match = Situation.AMBIGUOUS
    elif obstacle is not None:
        match = Situation.CONFLICT
    known = Known(linked=False, released=False, waiting=True, account=account.account) if account else None
    situation = assess(_NEW_WORD, known, match)
    change = _new_row(prepared, account, candidates)
    if account is not None and account.ignored:
        change.decision = Decision(situation, Action.ignore, Rule.ignored)
        return change
    if user is None:
        change.decision = decide(terms.policy, NO_POWERS, situation, _NOBODY_YET)
    else:
        _decide_link(terms, change, prepared, user, situation, exact=found.match.kind is Kind.EXACT)
    if change.decision.action is Action.wait:
        wait_for(change, obstacle or situation.value.lower())
    elif change.decision.action is Action.create:
        change.effect["create"] = prepared.mapped
    if obstacle is not None or found.match.beaten:
        _note_rivals(change, found, obstacle)
    return change


def _note_rivals(change: Change, found: Found, obstacle: str | None) -> None:
    """Who else was considered, and what a conflict hides: how well its candidate matches, and who has the login (SPEC §13)."""
    told: dict[str, Any] = {"beaten": list(found.match.beaten)} if found.match.beaten else {}
    if obstacle is not None:
        told["match"] = found.match.kind.value
    if obstacle == Lost.login_taken.value:
        told["holder"] = found.holder
    change.effect["facts"] = {**change.effect.get("facts", {}), **told}


def _new_row(prepared: Prepared, account: Account | None, candidates: tuple[str, ...]) -> Change:
    record = prepared.record
    effect: Effect = {"account": AccountState.ACTIVE.value, "profile": prepared.merged, "digest": record.digest.hex()}
    return Change(
        record.external_id,
        record.line or None,
        _UNDECIDED,
        app_user_id=account.id if account else None,
        login=prepared.login,
        effect=effect,
        candidates=candidates,
    )


def _obstacle(terms: Terms, found: Found, user: User | None) -> str | None:
    if user is not None and place_taken(user, terms.app_id, None):
        return PLACE_TAKEN
    if found.holder is not None and (user is None or found.holder != user.id):
        return Lost.login_taken.value
    return None


def _decide_link(terms: Terms, change: Change, prepared: Prepared, user: User, situation: Situation, *, exact: bool) -> None:
    """Link first, then ask who has authority, then apply the return table (SPEC §§3, 6).

    `exact`: as correlation found it, by the profiles before the run; what the run's linked records make of the person is no matter.
    """
    mine = Link(terms.app_id, change.app_user_id or "new", AccountState.ACTIVE, released=False, seen_active=True)
    links = [mine, *(account.link for account in user.links if account.app_id != terms.app_id)]
    speaking = authority(links, terms.ranking)
    powers: Powers = FULL_POWERS if speaking is mine else NO_POWERS
    facts = facts_of(terms, user, exact=exact)
    change.decision = decide(terms.policy, powers, situation, facts)
    change.user_id, change.login, change.before = user.id, user.login, user.status
    change.authority = speaking.app_id if speaking else None
    if change.decision.action is not Action.link:
        return
    change.effect["link"] = user.id
    note_facts(change, facts, returning=True)
    write_profile(terms, change, user, prepared, links)
    asked = unheeded(terms.policy, change.decision, facts)
    if asked is not None:
        change.effect["unheeded"] = asked


def put_off(change: Change) -> Change:
    """The row of an unlinked record that would be confirmed, and is not to be just now: it waits, and the next run matches it again (SPEC §5.8)."""
    effect = change.effect.copy()
    strip(effect, "create", "link", "new", "old", "unheeded", "facts")
    situation = change.decision.situation
    waiting = replace(change, decision=Decision(situation, Action.wait, Rule.needs_review, to=change.before), effect=effect)
    wait_for(waiting, situation.value.lower())
    return waiting


def plan_review(terms: Terms, prepared: Prepared, account: Account, user: User) -> Change:
    """A reviewer's link: as a confirmed match, with the return that it is; whether it is exact the app's options say (SPEC §6)."""
    change = _new_row(prepared, account, (user.id,))
    confirmed = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)
    willing = replace(terms, policy=replace(terms.policy, confirmation=confirmed))
    _decide_link(willing, change, prepared, user, Situation.EXACT, exact=matches(terms, user, prepared))
    return change


def plan_unknown(record: Record, account: Account | None) -> Change:
    """An inactive record, or an absence, of an account that is not linked: not pulled in, or out of the queue (SPEC §5.4)."""
    waiting = account is not None and account.waits
    known = Known(linked=False, released=False, waiting=waiting, account=account.account) if account else None
    situation = assess(Word(present=True, active=False, same=False), known)
    change = Change(record.external_id, record.line or None, _standing(situation), app_user_id=account.id if account else None)
    if account is not None:
        change.effect = {"account": AccountState.INACTIVE.value, "digest": None}
        if waiting:
            change.effect["wait"] = None
    return change


def plan_withdrawal(account: Account) -> Change:
    """A waiting row that a full run did not carry leaves the queue. One that is ignored is not asked about; that it is gone is noted."""
    if account.ignored:
        gone = Decision(Situation.INACTIVE_UNKNOWN, Action.ignore, Rule.ignored)
        effect = Effect(account=AccountState.MISSING.value, digest=None)
        return Change(account.external_id, None, gone, app_user_id=account.id, effect=effect)
    change = Change(account.external_id, None, _standing(Situation.WITHDRAWN), app_user_id=account.id)
    change.effect = {"account": AccountState.MISSING.value, "digest": None, "wait": None}
    return change


def _standing(situation: Situation) -> Decision:
    action, rule = (Action.withdraw, Rule.left_the_queue) if situation is Situation.WITHDRAWN else (Action.none, Rule.not_pulled_in)
    return Decision(situation, action, rule)
