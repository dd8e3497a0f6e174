"""What the rules expect of a person's standing state, and what is (SPEC §12).

An import reacts to *changes*. Reconciliation looks at what stands: it puts the standing state of every assignment to the same tables, and
names each difference with its cause and the event of history that it goes back to. What may be expected is as narrow as SPEC §§3, 5, 7:

====================================  =================================================================================================
the authority's account               what is expected of the person
====================================  =================================================================================================
inactive or missing                   what the option for leavers asks for (`ON_LEAVING`)
active, and its return was heard      what the table of returns asks for (`ON_RETURN`): such a word stays on the account, `unheeded`
and not followed
active all along                      nothing. Nobody comes back because an account *is* active: an admin's suspension stands
another master's account              nothing; where its own word stands unheeded, that is told
====================================  =================================================================================================

A difference whose cause is in `RESPECTED` is told and never repaired: it is an admin's decision, or what the options ask for.

Nothing here reads a clock or a database. What history knows of a person comes as a `Past`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mastering.errors import WrongState
from mastering.rules.change import Change, Terms
from mastering.rules.decision import FULL_POWERS, Action, Decision, Facts, Reason, Rule, Situation, decide
from mastering.rules.disagreement import ask_again
from mastering.rules.expressions import Value
from mastering.rules.lifecycle import Status, Trigger, build_machine, compile_moves
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy
from mastering.rules.profile import Sources, mastered, supplied
from mastering.rules.ranking import authority
from mastering.rules.record import AccountState


class Kind(StrEnum):
    """What differs."""

    status_drift = "status_drift"
    attribute_drift = "attribute_drift"
    missing_authority = "missing_authority"
    waiting_matches = "waiting_matches"
    failed_task = "failed_task"
    schedule_missed = "schedule_missed"
    history_broken = "history_broken"
    app_account_gone = "app_account_gone"
    app_account_unknown = "app_account_unknown"
    app_active_differs = "app_active_differs"
    app_attributes_differ = "app_attributes_differ"
    app_not_read = "app_not_read"


class Cause(StrEnum):
    """Why it differs."""

    not_followed = "not_followed"
    obstacle_gone = "obstacle_gone"
    held_by_admin = "held_by_admin"
    admins_decision = "admins_decision"
    not_authority = "not_authority"
    switch_off = "switch_off"
    never_active = "never_active"
    active_all_along = "active_all_along"
    profile_differs = "profile_differs"
    profile_rejected = "profile_rejected"
    released = "released"
    app_inactive = "app_inactive"
    never_seen_active = "never_seen_active"
    would_be_confirmed = "would_be_confirmed"
    given_up = "given_up"
    stuck = "stuck"
    not_fired = "not_fired"
    nothing_started = "nothing_started"
    chain_broken = "chain_broken"
    app_says_otherwise = "app_says_otherwise"
    not_told_yet = "not_told_yet"
    could_not_read = "could_not_read"
    users_unreadable = "users_unreadable"


IN_WORDS: dict[Cause, str] = {
    Cause.not_followed: "the authority's account says so, nothing stops it, and the status does not follow",
    Cause.obstacle_gone: "a master's word was heard and stopped; what stopped it is gone",
    Cause.held_by_admin: "an admin hold keeps the status as it is",
    Cause.admins_decision: "an admin decided otherwise after the master's word",
    Cause.not_authority: "a master without authority over this user says otherwise",
    Cause.switch_off: "the app's option to bring such users back is off",
    Cause.never_active: "the user was never active, so there is nothing to suspend",
    Cause.active_all_along: "the authority's account has been active all along, and nobody is brought back by that",
    Cause.profile_differs: "the profile is not what the masters' last imported profiles map to",
    Cause.profile_rejected: "the masters' last imported profiles cannot be mapped",
    Cause.released: "every account of a master has been released",
    Cause.app_inactive: "the app that mastered this user is inactive",
    Cause.never_seen_active: "no import has shown an account of a master active yet",
    Cause.would_be_confirmed: "the next import of this app would confirm the match",
    Cause.given_up: "the app could not be told, and nobody tries any more until an admin retries it",
    Cause.stuck: "the app should have been told long ago",
    Cause.not_fired: "a schedule was due, and no process has taken the firing",
    Cause.nothing_started: "a schedule fired, and nothing could be started",
    Cause.chain_broken: "the history does not verify",
    Cause.app_says_otherwise: "the app says so today, and no import has brought it",
    Cause.not_told_yet: "what the app has to be told of this account has not been delivered",
    Cause.could_not_read: "the app's users could not be read, so nothing is said of them",
    Cause.users_unreadable: "some of the app's users could not be read, so nobody is said to be gone from there",
}

RESPECTED = frozenset(
    {
        Cause.held_by_admin,
        Cause.admins_decision,
        Cause.not_authority,
        Cause.switch_off,
        Cause.never_active,
        Cause.active_all_along,
    }
)
"""Causes that stand because an admin or an option says so."""
REPAIRED = frozenset({Cause.not_followed, Cause.obstacle_gone, Cause.profile_differs, Cause.would_be_confirmed})
"""Causes that a repair does away with."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of a person's history: its id, its number in the chain, and whether an admin did it by hand."""

    id: str
    seq: int
    by_hand: bool


@dataclass(slots=True)
class Past:
    """What history tells of how a person came to stand so: the last event of each thing that may differ. Filled by `see`, oldest first."""

    begun: Seen | None = None
    """The first event."""
    moved: Seen | None = None
    """The last move of the status."""
    held: Seen | None = None
    """The hold that was set last."""
    words: dict[str, Seen] = field(default_factory=dict)
    """By account: the last time that it was linked, released or heard, or changed its state."""
    findings: dict[str, Seen] = field(default_factory=dict)
    """By account: the last finding made of it."""
    attributes: dict[str, Seen] = field(default_factory=dict)
    """By attribute: who wrote it last."""
    states: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By account: state and release, as far as history has been read."""

    def see(self, seen: Seen, kind: str, body: Mapping[str, Any], written: Iterable[str]) -> None:
        """Take in the next event of the person: its type, its body, and the attributes that it wrote."""
        self.begun = self.begun or seen
        if body.get("trigger") is not None and "to" in body:
            self.moved = seen
        if kind == "user.hold.set":
            self.held = seen
        self.attributes.update(dict.fromkeys(written, seen))
        account = body.get("account")
        if account is None:
            return
        state = (account["account"], account["released"])
        if kind == "finding.made":
            self.findings[account["id"]] = seen
        elif self.states.get(account["id"]) != state or body.get("reason") in _STANDING:
            self.words[account["id"]] = seen
        self.states[account["id"]] = state


_STANDING = frozenset(reason.value for reason in Reason)

NO_PAST = Past()


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the rules expect."""

    kind: Kind
    cause: Cause
    detail: str
    """The cause in words, of this very case."""
    app_id: str | None = None
    user_id: str | None = None
    account_id: str | None = None
    external_id: str | None = None
    login: str | None = None
    expected: Mapping[str, Value] = field(default_factory=dict)
    actual: Mapping[str, Value] = field(default_factory=dict)
    trigger: Trigger | None = None
    """What a repair would fire."""
    event_id: str | None = None

    @property
    def repairable(self) -> bool:
        """Whether a repair would change it."""
        return self.cause in REPAIRED

    @property
    def respected(self) -> bool:
        """Whether it stands because an admin or an option says so."""
        return self.cause in RESPECTED


_RETURNS = frozenset({Trigger.unsuspend, Trigger.reactivate, Trigger.require_activation})
_SAYS = {
    AccountState.ACTIVE: "came back",
    AccountState.INACTIVE: "is inactive",
    AccountState.MISSING: "is missing from the app",
}
_GONE = frozenset({Status.SUSPENDED, Status.DEACTIVATED})


def status_drift(
    policy: ImportPolicy, ranking: Sequence[str], user: User, account: Account, at: str, past: Past = NO_PAST
) -> Difference | None:
    """How a person's status differs from what one account's standing word asks for; `None` where it does not (SPEC §§3, 7, 12)."""
    if account.released or not account.seen_active:
        return None
    speaking = authority([other.link for other in user.links], ranking)
    mine = speaking is not None and speaking.account_id == account.id
    if account.account is AccountState.ACTIVE and account.unheeded not in _RETURNS:
        return _active_all_along(user, account, at, past) if mine else None
    if not mine and account.unheeded is None:
        return None
    decision = ask_again(policy, ranking, user, account, at)
    if decision.trigger is None and decision.reason is None:
        return None
    cause, seen = _cause(decision, account, past)
    wanted = _asked(policy, user, account)
    says = f"the account {account.external_id} {_SAYS[account.account]}"
    if account.account is not AccountState.ACTIVE:
        says += f", and the option for leavers is {policy.mastering.when_deactivated.value}"
    return Difference(
        kind=Kind.status_drift,
        cause=cause,
        detail=f"{says}; the user is {user.status.value}: {IN_WORDS[cause]}",
        app_id=account.app_id,
        user_id=user.id,
        account_id=account.id,
        external_id=account.external_id,
        login=user.login,
        expected={"status": wanted.to.value} if wanted.trigger is not None and wanted.to is not None else {},
        actual={"status": user.status.value},
        trigger=decision.trigger if cause in REPAIRED else None,
        event_id=seen.id if seen else None,
    )


def _cause(decision: Decision, account: Account, past: Past) -> tuple[Cause, Seen | None]:
    word = past.words.get(account.id)
    if decision.reason is not None:
        return Cause(decision.reason), past.held if decision.reason == Reason.held_by_admin else word
    if past.moved is not None and past.moved.by_hand and past.moved.seq > (word.seq if word else 0):
        return Cause.admins_decision, past.moved
    if account.unheeded is not None:
        return Cause.obstacle_gone, past.findings.get(account.id) or word
    return Cause.not_followed, word


_WORDS = {
    AccountState.ACTIVE: Situation.CAME_BACK,
    AccountState.INACTIVE: Situation.WENT_INACTIVE,
    AccountState.MISSING: Situation.WENT_MISSING,
}


def _asked(policy: ImportPolicy, user: User, account: Account) -> Decision:
    """What the word asks for, were nothing in its way."""
    willing = replace(policy, mastering=replace(policy.mastering, reactivate_suspended=True, reactivate_deactivated=True))
    exact = account.unheeded != Trigger.require_activation
    facts = Facts(user.status, exact, user.pending_when_deactivated, held=False)
    return decide(willing, FULL_POWERS, _WORDS[account.account], facts)


def _active_all_along(user: User, account: Account, at: str, past: Past) -> Difference | None:
    """The authority says active, the person is not, and no return was said: told, and left as it is (SPEC §5)."""
    if user.status not in _GONE:
        return None
    by_hand = past.moved is not None and past.moved.by_hand
    cause = Cause.held_by_admin if user.held(at) else Cause.admins_decision if by_hand else Cause.active_all_along
    seen = past.held if cause is Cause.held_by_admin else past.moved
    return Difference(
        kind=Kind.status_drift,
        cause=cause,
        detail=f"the account {account.external_id} is active; the user is {user.status.value}: {IN_WORDS[cause]}",
        app_id=account.app_id,
        user_id=user.id,
        account_id=account.id,
        external_id=account.external_id,
        login=user.login,
        actual={"status": user.status.value},
        event_id=seen.id if seen else None,
    )


def attribute_drift(sources: Sources, user: User, past: Past = NO_PAST) -> list[Difference]:
    """Where a profile is not what its masters' last imported profiles map to, one difference for each master's account (SPEC §4).

    A profile that cannot be mapped is one difference, with every fault. Whether a login is free is not seen from one person.
    """
    update = mastered(sources, user)
    if not update.new and not update.faults:
        return []
    suppliers = supplied(sources, user)
    accounts = {account.id: account for account in user.links}
    if update.faults:
        account = accounts[next(iter(suppliers.values())).account_id]
        return [_of_profile(user, account, Cause.profile_rejected, "; ".join(update.faults), {}, past)]
    by_account: dict[str, dict[str, Value]] = {}
    for name, value in update.new.items():
        by_account.setdefault(suppliers[name].account_id, {})[name] = value
    return [
        _of_profile(user, accounts[account_id], Cause.profile_differs, ", ".join(sorted(new)), new, past)
        for account_id, new in by_account.items()
    ]


def _of_profile(user: User, account: Account, cause: Cause, what: str, new: Mapping[str, Value], past: Past) -> Difference:
    written = [past.attributes[name] for name in new if name in past.attributes]
    seen = max(written, key=lambda each: each.seq, default=past.begun)
    return Difference(
        kind=Kind.attribute_drift,
        cause=cause,
        detail=f"{IN_WORDS[cause]}: {what}",
        app_id=account.app_id,
        user_id=user.id,
        account_id=account.id,
        external_id=account.external_id,
        login=user.login,
        expected=new,
        actual={name: user.profile.get(name) for name in new},
        event_id=seen.id if seen else None,
    )


def missing_authority(mastering: Mapping[str, bool], ranking: Sequence[str], user: User, past: Past = NO_PAST) -> Difference | None:
    """A person whom masters know and whom none speaks for any more. `mastering`: app id of each app that may master → whether it is active."""
    known = [account for account in user.links if account.app_id in mastering]
    if not known or user.status is Status.DEACTIVATED or authority([account.link for account in user.links], ranking) is not None:
        return None
    account = min(known, key=lambda each: (each.released, each.id))
    seen = past.words.get(account.id)
    cause = Cause.never_seen_active
    if account.released:
        cause = Cause.admins_decision if seen is not None and seen.by_hand else Cause.released
    elif not mastering[account.app_id]:
        cause = Cause.app_inactive
    told = "an admin took the last master's account away" if cause is Cause.admins_decision else IN_WORDS[cause]
    return Difference(
        kind=Kind.missing_authority,
        cause=cause,
        detail=f"nobody has authority over the user: {told}",
        app_id=account.app_id,
        user_id=user.id,
        account_id=account.id,
        external_id=account.external_id,
        login=user.login,
        event_id=seen.id if seen else None,
    )


def differences(
    policies: Mapping[str, ImportPolicy], mastering: Mapping[str, bool], sources: Sources, user: User, at: str, past: Past = NO_PAST
) -> list[Difference]:
    """All in which one person differs from what the rules expect, by id of the app's account, so that two looks give one list."""
    found: list[Difference] = []
    for account in sorted(user.links, key=lambda each: each.id):
        drift = status_drift(policies[account.app_id], sources.ranking, user, account, at, past)
        if drift is not None:
            found.append(drift)
    found += attribute_drift(sources, user, past)
    lost = missing_authority(mastering, sources.ranking, user, past)
    return [*found, lost] if lost is not None else found


# -- repair -----------------------------------------------------------------------------------------------------------


def repair(terms: Terms, account: Account, user: User, past: Past) -> Change | None:
    """The row of a plan that does away with what can be repaired of one account's standing word; `None` where nothing is left of it.

    It is asked again of the facts as they are when the plan is made. A repair that takes somebody's access away counts for the safeguards
    as an unassignment does, though the assignment ended long ago: what they guard is people (SPEC §8).
    """
    drift = status_drift(terms.policy, terms.ranking, user, account, terms.at, past)
    decision = ask_again(terms.policy, terms.ranking, user, account, terms.at) if drift is not None and drift.repairable else None
    after = replace(user, status=decision.to or user.status) if decision is not None else user
    new, detail = _profile_after(terms, user, after, account)
    if decision is None and not new:
        return None
    speaking = authority([other.link for other in user.links], terms.ranking)
    change = Change(
        account.external_id,
        None,
        decision or Decision(Situation.CHANGED, Action.update, Rule.profile_mapped, to=user.status),
        user_id=user.id,
        app_user_id=account.id,
        login=user.login,
        before=user.status,
        authority=speaking.app_id if speaking else None,
        detail=detail,
        unassigns=decision is not None and decision.trigger in {Trigger.deactivate, Trigger.suspend},
    )
    if decision is not None:
        returning = {"exact": account.unheeded != Trigger.require_activation, "pendingWhenDeactivated": user.pending_when_deactivated}
        change.effect["facts"] = {"held": False, "standing": True, **(returning if decision.situation is Situation.CAME_BACK else {})}
        change.effect["unheeded"] = None
    else:
        change.effect["facts"] = {"standing": True}
    if new:
        change.effect["new"], change.effect["old"] = new, {name: user.profile.get(name) for name in new}
    return change


def _profile_after(terms: Terms, user: User, after: User, account: Account) -> tuple[dict[str, Value], str | None]:
    """What the masters' profiles say of the user as the repair leaves him; only this account's part, unless he leaves DEACTIVATED (SPEC §4)."""
    update = mastered(terms.sources, after)
    if update.faults:
        moving = after.status is not user.status
        return {}, f"the masters' profiles were rejected: {'; '.join(update.faults)}" if moving else None
    leaves = user.status is Status.DEACTIVATED and after.status is not Status.DEACTIVATED
    suppliers = supplied(terms.sources, after)
    return {name: value for name, value in update.new.items() if leaves or suppliers[name].account_id == account.id}, None


# -- the life of a reconciliation -------------------------------------------------------------------------------------


class PassStatus(StrEnum):
    """Where a reconciliation stands."""

    QUEUED = "QUEUED"
    COMPARING = "COMPARING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class PassTrigger(StrEnum):
    """What moves a reconciliation."""

    compare = "compare"
    complete = "complete"
    fail = "fail"


_NEXT_PASS: dict[PassTrigger, dict[PassStatus, PassStatus]] = {
    PassTrigger.compare: {PassStatus.QUEUED: PassStatus.COMPARING},
    PassTrigger.complete: {PassStatus.COMPARING: PassStatus.COMPLETED},
    PassTrigger.fail: {PassStatus.QUEUED: PassStatus.FAILED, PassStatus.COMPARING: PassStatus.FAILED},
}

PASS_TRANSITIONS: dict[PassTrigger, dict[str, str | None]] = {
    trigger: {status: moves.get(status) for status in PassStatus} for trigger, moves in _NEXT_PASS.items()
}
"""Complete: each trigger has an entry for each status, `None` where it is refused."""
PASS_MACHINE = build_machine(PASS_TRANSITIONS, PassStatus.QUEUED)
_PASS_MOVES = compile_moves(PASS_MACHINE)
PASS_ENDED = frozenset({PassStatus.COMPLETED, PassStatus.FAILED})
"""Statuses that nothing leaves. COMPARING goes on at its cursor, whoever takes it up."""


def next_pass_status(status: str, trigger: PassTrigger) -> PassStatus:
    """Where `trigger` leads from `status`; raises `WrongState` where the table refuses."""
    to = _PASS_MOVES.get((trigger.value, str(status)))
    if to is None:
        raise WrongState(f"A reconciliation that is {status} cannot {trigger.value}")
    return PassStatus(to)
