"""What a record means, and what is done about it (SPEC §§5.4, 6, 7).

Two functions and the tables they read::

    assess(what the run says, what is known, match) → Situation
    decide(policy, powers, situation, facts)        → Decision

`assess` looks at the account alone. `decide` looks at the person's status, and only through the tables below: `ON_LEAVING` for an
account that went inactive or missing, `ON_RETURN` for one that came back or was newly linked. A cell holds a trigger of the lifecycle,
a reason why nothing moves, or `None` where nothing was asked.

Rank never enters: a word without authority is decided with `NO_POWERS`, so that "only the highest master may suspend" is one line.
A decision is always a legal move; a test walks every combination.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from mastering.rules.lifecycle import NOBODY, Status, Trigger, next_status
from mastering.rules.matching import Kind
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, WhenDeactivated
from mastering.rules.record import AccountState


class Situation(StrEnum):
    """What a record, or its absence from a full run, means."""

    UNCHANGED = "UNCHANGED"
    CHANGED = "CHANGED"
    WENT_INACTIVE = "WENT_INACTIVE"
    WENT_MISSING = "WENT_MISSING"
    CAME_BACK = "CAME_BACK"
    UNMATCHED = "UNMATCHED"
    EXACT = "EXACT"
    PARTIAL = "PARTIAL"
    AMBIGUOUS = "AMBIGUOUS"
    CONFLICT = "CONFLICT"
    INACTIVE_UNKNOWN = "INACTIVE_UNKNOWN"
    WITHDRAWN = "WITHDRAWN"
    INVALID = "INVALID"
    UNDONE = "UNDONE"
    CHANGED_SINCE = "CHANGED_SINCE"


class Action(StrEnum):
    """What is done. Where a link also moves a status, the action is `link` and the trigger tells the move."""

    none = "none"
    create = "create"
    link = "link"
    update = "update"
    deactivate = "deactivate"
    suspend = "suspend"
    unsuspend = "unsuspend"
    reactivate = "reactivate"
    require_activation = "require_activation"
    release = "release"
    wait = "wait"
    withdraw = "withdraw"
    ignore = "ignore"
    reject = "reject"
    activate = "activate"
    restore = "restore"
    unlink = "unlink"


class Reason(StrEnum):
    """Why a word that was heard is not followed."""

    not_authority = "not_authority"
    held_by_admin = "held_by_admin"
    switch_off = "switch_off"
    never_active = "never_active"


class Rule(StrEnum):
    """The rule that fired: the option of the policy, or the paragraph of SPEC, that an auditor is pointed to."""

    account_unchanged = "account_unchanged"
    profile_mapped = "profile_mapped"
    when_deactivated = "when_deactivated"
    reactivate_suspended = "reactivate_suspended"
    reactivate_deactivated = "reactivate_deactivated"
    account_returned = "account_returned"
    auto_confirm_exact = "auto_confirm_exact"
    auto_confirm_partial = "auto_confirm_partial"
    auto_confirm_new = "auto_confirm_new"
    inline_hook = "inline_hook"
    needs_review = "needs_review"
    ignored = "ignored"
    not_pulled_in = "not_pulled_in"
    left_the_queue = "left_the_queue"
    record_invalid = "record_invalid"
    undone = "undone"


@dataclass(frozen=True, slots=True)
class Word:
    """What the run says of an account: whether there is a record, whether it says active, whether its content is the known one."""

    present: bool
    active: bool
    same: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an account: linked to a user or not, released, waiting for review, and its state."""

    linked: bool
    released: bool
    waiting: bool
    account: AccountState


@dataclass(frozen=True, slots=True)
class Facts:
    """What `decide` sees of the person."""

    status: Status | None
    """The user's status; `None` where there is no user yet."""
    exact: bool
    """The record exactly matches the user's profile as it was before the record."""
    pending_when_deactivated: bool
    """The user was PENDING_ACTIVATION when deactivated: nobody is activated by a detour."""
    held: bool
    """An admin hold is in force."""


@dataclass(frozen=True, slots=True)
class Powers:
    """What an app's word may do to the status of one user; without authority nothing."""

    authority: bool


FULL_POWERS = Powers(authority=True)
NO_POWERS = Powers(authority=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done: the action, the lifecycle trigger or none, where it leads, the rule that fired, and why not more."""

    situation: Situation
    action: Action
    rule: Rule
    trigger: Trigger | None = None
    activate: bool = False
    """A created user is activated in the same step."""
    to: Status | None = None
    reason: str | None = None


Outcome = Trigger | Reason | None

_P, _A, _S, _D = Status.PENDING_ACTIVATION, Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED
_W = WhenDeactivated

ON_LEAVING: dict[tuple[WhenDeactivated, Status], Outcome] = {
    (_W.DEACTIVATE, _P): Trigger.deactivate,
    (_W.DEACTIVATE, _A): Trigger.deactivate,
    (_W.DEACTIVATE, _S): Trigger.deactivate,
    (_W.DEACTIVATE, _D): None,
    (_W.SUSPEND, _P): Reason.never_active,
    (_W.SUSPEND, _A): Trigger.suspend,
    (_W.SUSPEND, _S): None,
    (_W.SUSPEND, _D): None,
    (_W.DO_NOTHING, _P): None,
    (_W.DO_NOTHING, _A): None,
    (_W.DO_NOTHING, _S): None,
    (_W.DO_NOTHING, _D): None,
}
"""(option, user's status) → outcome, when an account went inactive or missing (SPEC §7)."""


@dataclass(frozen=True, slots=True)
class Return:
    """A row's key of `ON_RETURN`."""

    status: Status
    switch: bool
    exact: bool
    pending_when_deactivated: bool


_BOTH = (True, False)
_OFF: dict[Return, Outcome] = {
    Return(status, switch=False, exact=exact, pending_when_deactivated=pending): Reason.switch_off
    for status in (_S, _D)
    for exact in _BOTH
    for pending in _BOTH
}
_NOT_GONE: dict[Return, Outcome] = {
    Return(status, switch, exact, pending): None for status in (_P, _A) for switch in _BOTH for exact in _BOTH for pending in _BOTH
}
ON_RETURN: dict[Return, Outcome] = {
    Return(_S, switch=True, exact=True, pending_when_deactivated=False): Trigger.unsuspend,
    Return(_S, switch=True, exact=True, pending_when_deactivated=True): Trigger.unsuspend,
    Return(_S, switch=True, exact=False, pending_when_deactivated=False): Trigger.require_activation,
    Return(_S, switch=True, exact=False, pending_when_deactivated=True): Trigger.require_activation,
    Return(_D, switch=True, exact=True, pending_when_deactivated=False): Trigger.reactivate,
    Return(_D, switch=True, exact=True, pending_when_deactivated=True): Trigger.require_activation,
    Return(_D, switch=True, exact=False, pending_when_deactivated=False): Trigger.require_activation,
    Return(_D, switch=True, exact=False, pending_when_deactivated=True): Trigger.require_activation,
    **_OFF,
    **_NOT_GONE,
}
"""(status, switch, exact match, pending when deactivated) → outcome, when an account came back or was newly linked (SPEC §7)."""


def assess(word: Word, known: Known | None, match: Kind | Situation | None = None) -> Situation:
    """The one situation of a record or an absence (SPEC §5.4).

    `match` is asked only of an active record without a link: a kind of match, or AMBIGUOUS or CONFLICT where several users or
    several records stand in the way.
    """
    if known is not None and known.linked:
        return _assess_linked(word, known)
    if not word.present or not word.active:
        return Situation.WITHDRAWN if known is not None and known.waiting else Situation.INACTIVE_UNKNOWN
    return _UNLINKED[match] if isinstance(match, Kind) else Situation(match or Situation.UNMATCHED)


_UNLINKED = {Kind.NONE: Situation.UNMATCHED, Kind.PARTIAL: Situation.PARTIAL, Kind.EXACT: Situation.EXACT}


def _assess_linked(word: Word, known: Known) -> Situation:
    was_active = known.account is AccountState.ACTIVE
    if known.waiting and not word.active:
        return Situation.WITHDRAWN
    if not word.present:
        return Situation.WENT_MISSING if was_active and not known.released else Situation.UNCHANGED
    if word.active != was_active:
        return Situation.CAME_BACK if word.active else Situation.WENT_INACTIVE
    marked_missing = known.account is AccountState.MISSING
    return Situation.UNCHANGED if word.same and not marked_missing else Situation.CHANGED


def decide(policy: ImportPolicy, powers: Powers, situation: Situation, facts: Facts, *, released: bool = False) -> Decision:
    """What is done in a situation (SPEC §§6, 7). `released`: the account had been given up before this record."""
    match situation:
        case Situation.WENT_INACTIVE | Situation.WENT_MISSING:
            return _on_leaving(policy.mastering, powers, situation, facts, released=released)
        case Situation.CAME_BACK:
            decision = _returning(policy.mastering, powers, situation, facts)
            return replace(decision, action=Action.link) if released else decision
        case Situation.EXACT | Situation.PARTIAL:
            return _on_match(policy, powers, situation, facts)
        case Situation.UNMATCHED:
            return _on_new(policy.confirmation)
        case _:
            action, rule = _ALWAYS[situation]
            return Decision(situation, action, rule, to=facts.status)


_ALWAYS: dict[Situation, tuple[Action, Rule]] = {
    Situation.UNCHANGED: (Action.none, Rule.account_unchanged),
    Situation.CHANGED: (Action.update, Rule.profile_mapped),
    Situation.AMBIGUOUS: (Action.wait, Rule.needs_review),
    Situation.CONFLICT: (Action.wait, Rule.needs_review),
    Situation.INACTIVE_UNKNOWN: (Action.none, Rule.not_pulled_in),
    Situation.WITHDRAWN: (Action.withdraw, Rule.left_the_queue),
    Situation.INVALID: (Action.reject, Rule.record_invalid),
    Situation.UNDONE: (Action.restore, Rule.undone),
    Situation.CHANGED_SINCE: (Action.none, Rule.undone),
}
"""Situations that are answered the same under every policy."""


def _on_leaving(options: Mastering, powers: Powers, situation: Situation, facts: Facts, *, released: bool) -> Decision:
    if released:
        return Decision(situation, Action.none, Rule.when_deactivated, to=facts.status)
    if options.when_deactivated is WhenDeactivated.DO_NOTHING:
        return Decision(situation, Action.release, Rule.when_deactivated, to=facts.status)
    outcome = ON_LEAVING[options.when_deactivated, _status(facts)]
    return _follow(situation, Action.none, Rule.when_deactivated, _heard(outcome, powers, facts), facts)


def _returning(options: Mastering, powers: Powers, situation: Situation, facts: Facts) -> Decision:
    status = _status(facts)
    switch = options.reactivate_suspended if status is _S else options.reactivate_deactivated
    outcome = ON_RETURN[Return(status, switch, facts.exact, facts.pending_when_deactivated)]
    return _follow(situation, Action.none, _RETURN_RULE[status], _heard(outcome, powers, facts), facts)


_RETURN_RULE = {
    _P: Rule.account_returned,
    _A: Rule.account_returned,
    _S: Rule.reactivate_suspended,
    _D: Rule.reactivate_deactivated,
}


def _status(facts: Facts) -> Status:
    if facts.status is None:
        raise ValueError("a linked account has a user, and a user has a status")
    return facts.status


def _heard(outcome: Outcome, powers: Powers, facts: Facts) -> Outcome:
    """The outcome as far as the word carries: without authority it is not followed, against a hold neither (SPEC §§3, 7)."""
    if outcome is None:
        return None
    if not powers.authority:
        return Reason.not_authority
    return Reason.held_by_admin if isinstance(outcome, Trigger) and facts.held else outcome


def _follow(situation: Situation, otherwise: Action, rule: Rule, outcome: Outcome, facts: Facts) -> Decision:
    if isinstance(outcome, Trigger):
        to = next_status(_status(facts), outcome)
        return Decision(situation, Action(outcome.value), rule, trigger=outcome, to=to)
    return Decision(situation, otherwise, rule, to=facts.status, reason=outcome.value if outcome else None)


def _on_match(policy: ImportPolicy, powers: Powers, situation: Situation, facts: Facts) -> Decision:
    """A link, with the return that it is for a suspended or deactivated user; or the queue (SPEC §6)."""
    exact = situation is Situation.EXACT
    confirmed = policy.confirmation.auto_confirm_exact if exact else policy.confirmation.auto_confirm_partial
    if not confirmed:
        return Decision(situation, Action.wait, Rule.needs_review, to=facts.status)
    returned = _returning(policy.mastering, powers, situation, facts)
    rule = Rule.auto_confirm_exact if exact else Rule.auto_confirm_partial
    return replace(returned, action=Action.link, rule=returned.rule if returned.trigger else rule)


@lru_cache(maxsize=16)
def _on_new(confirmation: Confirmation) -> Decision:
    if not confirmation.auto_confirm_new:
        return Decision(Situation.UNMATCHED, Action.wait, Rule.needs_review)
    pending = next_status(NOBODY, Trigger.create)
    to = next_status(pending, Trigger.activate) if confirmation.auto_activate_new else pending
    return Decision(
        Situation.UNMATCHED, Action.create, Rule.auto_confirm_new, trigger=Trigger.create, activate=confirmation.auto_activate_new, to=to
    )
