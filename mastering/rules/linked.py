"""Planning one row of an account that is linked: a record or its absence, and what is known, to a change (SPEC §§5.2-5.5).

Each row is planned as if it were alone, on the facts before the run; what rows want from each other is settled by `stakes`. Nothing here
reads a clock or a database: the walk in `mastering.imports` gathers the facts.
"""

from __future__ import annotations

from dataclasses import replace

from mastering.rules.change import PLACE_TAKEN, Change, Prepared, Terms, prepare, wait_for
from mastering.rules.consequences import facts_of, matches, note_facts, place_taken, unheeded, write_profile, write_successor
from mastering.rules.decision import (
    FULL_POWERS,
    NO_POWERS,
    Action,
    Decision,
    Facts,
    Known,
    Rule,
    Situation,
    Word,
    assess,
    decide,
)
from mastering.rules.lifecycle import Status
from mastering.rules.people import WITHDRAWN, Account, User
from mastering.rules.profile import mastered_by
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState, Record, Unusable


def invalid(unusable: Unusable, account: Account | None = None, user: User | None = None) -> Change:
    """The row of a record that cannot be used: reported with its line and reason, and never counted as missing (SPEC §5.2)."""
    decision = Decision(Situation.INVALID, Action.reject, Rule.record_invalid, to=user.status if user else None, reason=unusable.reason)
    return Change(
        unusable.external_id,
        unusable.line,
        decision,
        user_id=user.id if user else None,
        app_user_id=account.id if account else None,
        login=user.login if user else None,
        before=user.status if user else None,
        detail=unusable.detail,
        effect={"digest": None} if account is not None and account.digest is not None else {},
    )


def plan_absence(terms: Terms, account: Account, user: User) -> Change:
    """A linked account that a full run did not carry."""
    return _plan_word(terms, account, user, None, Word(present=False, active=False, same=True))


def plan_linked(terms: Terms, record: Record, account: Account, user: User) -> Change | None:
    """A record of a linked account; `None` where nothing is to be written or said (UNCHANGED)."""
    active = record.says_active(terms.mode, account.said)
    prepared = prepare(terms, record, account.profile)
    if isinstance(prepared, Unusable):
        return plan_leaver(terms, prepared, account, user) if record.active is False else invalid(prepared, account, user)
    word = Word(present=True, active=active, same=prepared.merged == account.profile and account.digest is not None)
    change = _plan_word(terms, account, user, prepared, word)
    same_digest = account.digest == record.digest
    return None if change.decision.situation is Situation.UNCHANGED and same_digest else change


def plan_return(terms: Terms, account: Account, user: User) -> Change | None:
    """The return of a linked account that waits, once more as its last record told it."""
    return plan_linked(terms, Record(0, account.external_id, True, account.profile, account.digest or b""), account, user)


def plan_leaver(terms: Terms, unusable: Unusable, account: Account, user: User) -> Change:
    """A record that cannot be used, of a linked account, and says `active: false`: the profile is rejected, the leaver still leaves (SPEC §5.2)."""
    change = _plan_word(terms, account, user, None, Word(present=True, active=False, same=True))
    change.line, change.detail = unusable.line, f"the profile was rejected: {unusable.detail}"
    change.effect["digest"] = None
    return change


def _plan_word(terms: Terms, account: Account, user: User, prepared: Prepared | None, word: Word) -> Change:
    known = Known(linked=True, released=account.released, waiting=account.waits, account=account.account)
    situation = assess(word, known)
    if situation is Situation.CAME_BACK and (account.ignored or (account.released and place_taken(user, account.app_id, account.id))):
        return _kept_out(account, user, prepared)
    links = _links_after(user, account, _state_after(word, account.account), returning=situation is Situation.CAME_BACK)
    speaking = authority(links, terms.ranking)
    powers = FULL_POWERS if speaking is not None and speaking.account_id == account.id else NO_POWERS
    facts = facts_of(terms, user, exact=prepared is not None and matches(terms, user, prepared))
    decision = decide(terms.policy, powers, situation, facts, released=account.released)
    change = Change(
        account.external_id,
        (prepared.record.line or None) if prepared else None,
        decision,
        user_id=user.id,
        app_user_id=account.id,
        login=user.login,
        before=user.status,
        authority=speaking.app_id if speaking else None,
    )
    if word.present:
        change.effect["active"] = word.active
    _write_account(change, account, links[0].account, prepared)
    if word.active and situation is not Situation.UNCHANGED:
        write_profile(terms, change, user, prepared, links)
    elif decision.action is Action.release and mastered_by(terms.sources, [other.link for other in user.links], account.id):
        write_successor(terms, change, user)
    if situation in _STATUS_WORDS:
        note_facts(change, facts, returning=situation is Situation.CAME_BACK)
        _note_unheeded(terms, change, account, facts)
        change.unassigns = _ends_assignment(account, user) and situation is not Situation.CAME_BACK
    _name_action(change)
    return change


def still(terms: Terms, change: Change, account: Account, user: User) -> Change:
    """A row of a linked account that moves nobody and stands whatever became of its user, telling of the user as he is by now (SPEC §13)."""
    told = replace(change, before=user.status)
    returning = change.decision.situation is Situation.CONFLICT
    if change.authority is not None or change.decision.situation is Situation.CHANGED:
        state = AccountState.ACTIVE if returning else account.account
        speaking = authority(_links_after(user, account, state, returning=returning), terms.ranking)
        told.authority = speaking.app_id if speaking else None
    return told


_STATUS_WORDS = frozenset({Situation.WENT_INACTIVE, Situation.WENT_MISSING, Situation.CAME_BACK})


def _kept_out(account: Account, user: User, prepared: Prepared | None) -> Change:
    """An account came back, and may not: another of the same app has its place, or a reviewer ignores it. Its profile is stored (SPEC §3)."""
    change = Change(
        account.external_id,
        (prepared.record.line or None) if prepared else None,
        Decision(Situation.CAME_BACK, Action.ignore, Rule.ignored, to=user.status),
        user_id=user.id,
        app_user_id=account.id,
        login=user.login,
        before=user.status,
        effect={"active": True, "digest": None},
        candidates=(user.id,),
    )
    if prepared is not None and prepared.merged != account.profile:
        change.effect["profile"] = prepared.merged
    if not account.ignored:
        change.decision = Decision(Situation.CONFLICT, Action.wait, Rule.needs_review, to=user.status)
        wait_for(change, PLACE_TAKEN)
    elif account.situation == WITHDRAWN:
        change.effect["wait"] = {"situation": Situation.CONFLICT.value, "reason": PLACE_TAKEN, "candidates": [user.id]}
    return change


def _state_after(word: Word, before: AccountState) -> AccountState:
    if not word.present:
        return AccountState.MISSING if before is AccountState.ACTIVE else before
    return AccountState.ACTIVE if word.active else AccountState.INACTIVE


def _links_after(user: User, account: Account, state: AccountState, *, returning: bool) -> list[Link]:
    """The user's links once this account, the first of them, is as the record says: link first, then ask who has authority (SPEC §3)."""
    released = account.released and not returning
    mine = Link(account.app_id, account.id, state, released, account.seen_active or state is AccountState.ACTIVE)
    others = [other for other in user.links if other.id != account.id and (released or other.app_id != account.app_id)]
    return [mine, *(other.link for other in others)]


def _write_account(change: Change, account: Account, state: AccountState, prepared: Prepared | None) -> None:
    effect = change.effect
    if state is not account.account:
        effect["account"] = state.value
    if prepared is not None:
        if prepared.merged != account.profile:
            effect["profile"] = prepared.merged
        if prepared.record.digest != account.digest:
            effect["digest"] = prepared.record.digest.hex()
    elif account.digest is not None and state is not account.account:
        effect["digest"] = None
    if change.decision.action is Action.release:
        effect["release"] = True
    if change.decision.situation is Situation.CAME_BACK and (account.released or account.waits):
        effect["relink"] = True
    if change.decision.situation is Situation.WITHDRAWN:
        effect["wait"] = None
    elif account.ignored and account.said is AccountState.ACTIVE and state is not AccountState.ACTIVE:
        effect["wait"] = {"situation": WITHDRAWN, "reason": None, "candidates": list(account.candidates)}


def _note_unheeded(terms: Terms, change: Change, account: Account, facts: Facts) -> None:
    asked = unheeded(terms.policy, change.decision, facts)
    if asked is not None or account.unheeded is not None:
        change.effect["unheeded"] = asked


def _ends_assignment(account: Account, user: User) -> bool:
    active = account.account is AccountState.ACTIVE and account.seen_active and not account.released
    return active and user.status is not Status.DEACTIVATED


def _name_action(change: Change) -> None:
    """CHANGED says *update* only if the user changes; a return without a move says it too where it maps a profile."""
    decision, updates = change.decision, "new" in change.effect
    if decision.action is Action.update and not updates:
        change.decision = replace(decision, action=Action.none)
    elif decision.action is Action.none and updates:
        change.decision = replace(decision, action=Action.update)
