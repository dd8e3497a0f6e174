"""Planning one row: a record (or its absence) and what is known, to a change that names everything it would do (SPEC §§5.2-5.5).

Each row is planned as if it were alone, on the facts before the run; what rows want from each other is settled by `claims`, and a row
that lost is planned again by `give_up`. Nothing here reads a clock or a database: the walk in `mastering.imports` gathers the facts.

A change's `effect` is what applying it writes, and nothing else is written:

=============  ===============================================================================================
``active``     what the record of a linked account said, for deciding again
``account``    the account's new state, where it changes
``profile``    the app profile after the merge, where it changes
``digest``     the digest to remember, as hex; null where the record's effect was not complete
``new, old``   attributes of the user that get a value, and what they had
``create``     the whole profile of a user to be created
``link``       the user to link the account to
``relink``     a released account gets its say back
``release``    the account loses its say
``wait``       situation, reason and candidates of a row that waits for review; null for one that leaves the queue
``unheeded``   a word that was heard and not followed: the trigger it asked for, and why it was not fired
``successor``  the next master's account, whose profile is mapped as ``new``; without that, its next record is looked at again
``facts``      what the reaction tables saw of the person, or what stands in the way of a match, for the history
``undo``       what an undo restores beside status and attributes (`undo`)
``conflict``   why an undo leaves a row alone: by what was changed since, what the run left and what is now
``hook``       what the import inline hook said of the record, or how it failed (`hooked`)
=============  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

from mastering.rules.claims import Claims, Lost
from mastering.rules.decision import (
    FULL_POWERS,
    NO_POWERS,
    Action,
    Decision,
    Facts,
    Known,
    Powers,
    Reason,
    Rule,
    Situation,
    Word,
    assess,
    decide,
)
from mastering.rules.expressions import ExpressionFailure, Value
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.mapping import CompiledMapping, MappingFailure, UsernameFailure, UsernameOf
from mastering.rules.matching import Keys, Kind, Match, is_exact, keys_of_record, keys_of_user
from mastering.rules.people import WITHDRAWN, Account, User
from mastering.rules.policy import Confirmation, ImportPolicy, OrgSafeguard
from mastering.rules.profile import Sources, mastered, mastered_by
from mastering.rules.ranking import Link, authority
from mastering.rules.record import AccountState, Mode, Record, Unusable, merge
from mastering.rules.schema import Schema, faults
from mastering.rules.text import fold_login

PLACE_TAKEN = "place_taken"
"""Why a record waits whose person has an active account of the same app."""


class Effect(TypedDict, total=False):
    """What applying a change writes; see the table above."""

    active: bool
    account: str
    profile: dict[str, Value]
    digest: str | None
    new: dict[str, Value]
    old: dict[str, Value]
    create: dict[str, Value]
    link: str
    relink: bool
    release: bool
    wait: dict[str, Any] | None
    unheeded: tuple[str, str] | None
    successor: str
    facts: dict[str, Any]
    hook: dict[str, Any]
    undo: dict[str, Any]
    conflict: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what a plan is made: the app's policy and mapping, the ranking and the org's options of one moment."""

    app_id: str
    mode: Mode
    policy: ImportPolicy
    mapping: CompiledMapping
    username: UsernameOf
    schema: Schema
    sources: Sources
    org: OrgSafeguard
    now: datetime
    at: str

    @property
    def ranking(self) -> Sequence[str]:
        """The enabled masters, best first."""
        return self.sources.ranking


class Prepared(NamedTuple):
    """A usable record: its app profile after the merge, the user profile it maps to (login included) and the keys to match it by."""

    record: Record
    merged: dict[str, Value]
    mapped: dict[str, Value]
    login: str
    keys: Keys
    said: Mapping[str, Value] = MappingProxyType({})
    """Attributes of the user that the import hook gave a value of its own, over what is mapped (SPEC §8)."""


@dataclass(slots=True)
class Change:
    """One row of a plan."""

    external_id: str | None
    line: int | None
    decision: Decision
    user_id: str | None = None
    app_user_id: str | None = None
    login: str | None = None
    before: Status | None = None
    authority: str | None = None
    effect: Effect = field(default_factory=Effect)
    candidates: tuple[str, ...] = ()
    detail: str | None = None
    unassigns: bool = False
    """The change would end an active assignment of a user who is not deactivated: what the safeguards count (SPEC §8)."""


def prepare(terms: Terms, record: Record, known: Mapping[str, Value]) -> Prepared | Unusable:
    """Merge, map and name a record (SPEC §5.2); what cannot be used comes back as `Unusable` with every fault in its detail."""
    merged = merge(known, record.profile)
    try:
        mapped = terms.mapping.apply(merged, creating=True, now=terms.now)
        login = terms.username(merged, mapped)
    except MappingFailure as failure:
        return Unusable(record.line, "failing_expression", f"{failure.target}: {failure.message}", record.external_id)
    except UsernameFailure as failure:
        found = "; ".join(f"{fault.field}: {fault.message}" for fault in faults(terms.schema, mapped) if fault.field != "login")
        return Unusable(record.line, failure.reason, f"login: {failure.message}" + (f"; {found}" if found else ""), record.external_id)
    except ExpressionFailure as failure:
        return Unusable(record.line, "failing_expression", str(failure), record.external_id)
    mapped["login"] = login
    found = "; ".join(f"{fault.field}: {fault.message}" for fault in faults(terms.schema, mapped))
    if found:
        return Unusable(record.line, "invalid_profile", found, record.external_id)
    return Prepared(record, merged, mapped, login, keys_of_record(terms.policy.matching, login, mapped, merged))


def prepare_again(terms: Terms, account: Account) -> Prepared | Unusable:
    """The last record of a known account, prepared once more from its stored profile, under the terms of now."""
    return prepare(terms, Record(0, account.external_id, True, account.profile, account.digest or b""), account.profile)


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
        return _leaver(terms, prepared, account, user) if record.active is False else invalid(prepared, account, user)
    word = Word(present=True, active=active, same=prepared.merged == account.profile and account.digest is not None)
    change = _plan_word(terms, account, user, prepared, word)
    same_digest = account.digest == record.digest
    return None if change.decision.situation is Situation.UNCHANGED and same_digest else change


def plan_return(terms: Terms, account: Account, user: User) -> Change | None:
    """The return of a linked account that waits, once more as its last record told it."""
    return plan_linked(terms, Record(0, account.external_id, True, account.profile, account.digest or b""), account, user)


def _leaver(terms: Terms, unusable: Unusable, account: Account, user: User) -> Change:
    """For a linked account an external id and `active: false` are enough: the profile is rejected, the leaver still leaves (SPEC §5.2)."""
    change = _plan_word(terms, account, user, None, Word(present=True, active=False, same=True))
    change.line, change.detail = unusable.line, f"the profile was rejected: {unusable.detail}"
    change.effect["digest"] = None
    return change


def plan_leaver(terms: Terms, unusable: Unusable, account: Account, user: User) -> Change:
    """A row too broken to be a record, that still names a linked account and says `active: false`."""
    return _leaver(terms, unusable, account, user)


def _plan_word(terms: Terms, account: Account, user: User, prepared: Prepared | None, word: Word) -> Change:
    known = Known(linked=True, released=account.released, waiting=account.waits, account=account.account)
    situation = assess(word, known)
    if situation is Situation.CAME_BACK and (account.ignored or (account.released and _place_taken(user, account.app_id, account.id))):
        return _kept_out(account, user, prepared)
    links = _links_after(user, account, _state_after(word, account.account), returning=situation is Situation.CAME_BACK)
    speaking = authority(links, terms.ranking)
    powers = FULL_POWERS if speaking is not None and speaking.account_id == account.id else NO_POWERS
    facts = _facts(terms, user, exact=prepared is not None and _matches(terms, user, prepared))
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
        _write_profile(terms, change, user, prepared, links)
    elif decision.action is Action.release and mastered_by(terms.sources, [other.link for other in user.links], account.id):
        _write_successor(terms, change, user)
    if situation in _STATUS_WORDS:
        _note_facts(change, facts, returning=situation is Situation.CAME_BACK)
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
        _wait(change, PLACE_TAKEN)
    elif account.situation == WITHDRAWN:
        change.effect["wait"] = {"situation": Situation.CONFLICT.value, "reason": PLACE_TAKEN, "candidates": [user.id]}
    return change


def _place_taken(user: User, app_id: str, account_id: str | None) -> bool:
    """An active account alone stands in the way: one that is gone gives its place to who takes it (SPEC §6)."""
    others = (link for link in user.links if link.app_id == app_id and link.id != account_id)
    return any(other.account is AccountState.ACTIVE and not other.released for other in others)


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


def _facts(terms: Terms, user: User, *, exact: bool) -> Facts:
    return Facts(user.status, exact, user.pending_when_deactivated, user.held(terms.at))


def _matches(terms: Terms, user: User, prepared: Prepared) -> bool:
    """Whether a record exactly matches a user's profile as it is before the record (SPEC §7)."""
    matching = terms.policy.matching
    return is_exact(matching, prepared.keys, keys_of_user(matching, user.login, user.profile))


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


def _write_profile(terms: Terms, change: Change, user: User, prepared: Prepared | None, links: Sequence[Link]) -> None:
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


def _write_successor(terms: Terms, change: Change, user: User) -> None:
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


def _note_facts(change: Change, facts: Facts, *, returning: bool) -> None:
    """What the reaction tables were asked with beside the status: history shows why this cell and no other (SPEC §13)."""
    asked = {"exact": facts.exact, "pendingWhenDeactivated": facts.pending_when_deactivated} if returning else {}
    change.effect["facts"] = {"held": facts.held, **asked}


def _note_unheeded(terms: Terms, change: Change, account: Account, facts: Facts) -> None:
    asked = unheeded(terms.policy, change.decision, facts)
    if asked is not None or account.unheeded is not None:
        change.effect["unheeded"] = asked


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
        _wait(change, obstacle or situation.value.lower())
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
    if user is not None and _place_taken(user, terms.app_id, None):
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
    facts = _facts(terms, user, exact=exact)
    change.decision = decide(terms.policy, powers, situation, facts)
    change.user_id, change.login, change.before = user.id, user.login, user.status
    change.authority = speaking.app_id if speaking else None
    if change.decision.action is not Action.link:
        return
    change.effect["link"] = user.id
    _note_facts(change, facts, returning=True)
    _write_profile(terms, change, user, prepared, links)
    asked = unheeded(terms.policy, change.decision, facts)
    if asked is not None:
        change.effect["unheeded"] = asked


def stake(claims: Claims, row: int, change: Change, prepared: Prepared, found: Found) -> None:
    """Every unlinked, active record claims its login and the one user it matches; waiting ones included, ignored ones not (SPEC §4)."""
    if change.decision.action is Action.ignore:
        return
    matched = found.match.user_ids
    mine = len(matched) == 1 and found.holder == matched[0]
    blocked = change.decision.situation in {Situation.CONFLICT, Situation.AMBIGUOUS}
    claims.arrive(row, fold_login(prepared.login), None if mine or blocked else found.holder)
    if len(matched) == 1:
        claims.want(row, matched[0], found.match.kind)


def _wait(change: Change, reason: str) -> None:
    situation = change.decision.situation
    change.decision = replace(change.decision, reason=reason)
    change.effect["wait"] = {"situation": situation.value, "reason": reason, "candidates": list(change.candidates)}


def put_off(change: Change) -> Change:
    """The row of an unlinked record that would be confirmed, and is not to be just now: it waits, and the next run matches it again (SPEC §5.8)."""
    effect = change.effect.copy()
    for name in ("create", "link", "new", "old", "unheeded", "facts"):
        effect.pop(name, None)  # type: ignore[misc]
    situation = change.decision.situation
    waiting = replace(change, decision=Decision(situation, Action.wait, Rule.needs_review, to=change.before), effect=effect)
    _wait(waiting, situation.value.lower())
    return waiting


def plan_review(terms: Terms, prepared: Prepared, account: Account, user: User) -> Change:
    """A reviewer's link: as a confirmed match, with the return that it is; whether it is exact the app's options say (SPEC §6)."""
    change = _new_row(prepared, account, (user.id,))
    confirmed = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)
    willing = replace(terms, policy=replace(terms.policy, confirmation=confirmed))
    _decide_link(willing, change, prepared, user, Situation.EXACT, exact=_matches(terms, user, prepared))
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


def give_up(change: Change, lost: Lost) -> Change:
    """The row of a claim that was lost: an unlinked record waits as CONFLICT, a linked one loses its profile update or its return.

    Who is AMBIGUOUS stays so: that comes before what records want from each other (SPEC §5.4).
    """
    effect = change.effect
    if change.decision.situation is Situation.AMBIGUOUS:
        return change
    if lost is Lost.several_returns or "create" in effect or "link" in effect or "wait" in effect:
        for name in ("create", "link", "new", "old", "unheeded", "relink"):
            effect.pop(name, None)  # type: ignore[misc]
        if change.decision.situation in {Situation.EXACT, Situation.PARTIAL}:
            effect["facts"] = {**effect.get("facts", {}), "match": change.decision.situation.value}
        if lost is Lost.several_returns:
            effect.pop("account", None)
            effect["digest"] = None
        change.candidates = change.candidates or ((change.user_id,) if change.user_id else ())
        change.decision = Decision(Situation.CONFLICT, Action.wait, Rule.needs_review, to=change.before)
        _wait(change, lost.value)
        return change
    effect.pop("new", None)
    effect.pop("old", None)
    effect["digest"] = None
    change.detail = f"login: {_LOST_LOGIN[lost]}"
    if change.decision.action is Action.update:
        change.decision = replace(change.decision, action=Action.reject, reason=lost.value)
    return change


_LOST_LOGIN = {
    Lost.login_claimed_twice: "several records of this run ask for the same login; the update was rejected",
    Lost.login_taken: "another user holds this login; the update was rejected",
    Lost.user_claimed_twice: "several records of this run match the same user",
    Lost.several_returns: "several accounts of this app come back for the same user",
}


def new_login(change: Change, user: User) -> str | None:
    """The key of the login that a row would move its linked user to; `None` where the login stays (SPEC §4)."""
    new = change.effect.get("new", {}).get("login")
    if not isinstance(new, str) or fold_login(new) == fold_login(user.login):
        return None
    return fold_login(new)
