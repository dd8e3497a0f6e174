"""What goes out to an app, and when (SPEC §10): which task follows which event, and what an app is told that it does not know.

An app is told of the people who have an assignment there, that is a link that is not released. While somebody is ACTIVE or SUSPENDED the
app's account is to be there and active: suspending is nothing to an app. Nobody PENDING_ACTIVATION is told of to anybody.

==============================  =====================================  =============================================================
event                           the app has it active, nothing is due  otherwise
==============================  =====================================  =============================================================
assigned, activated             UPDATE                                 CREATE; without *create users* UPDATE, of what is found there
assigned again, reactivated     UPDATE                                 REACTIVATE
unassigned, deactivated         DEACTIVATE                             DEACTIVATE; nothing if the app has it inactive and nothing is due
profile changed                 UPDATE where the mapping reads it      the same
password set                    PASSWORD by the option                 the same
suspended, unsuspended          nothing                                nothing
==============================  =====================================  =============================================================

Each task needs its switch: CREATE *create users*, UPDATE *update attributes*, DEACTIVATE *deactivate users*, and REACTIVATE one of *create*
and *deactivate users*, as it takes back what these two do.

A task says what kind of thing happened; what exactly is sent is found out when it is delivered, from the person as they are then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from mastering.rules.expressions import compile_expression
from mastering.rules.lifecycle import Status
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import PasswordChange, PasswordSeed, PasswordSync, ProvisioningPolicy
from mastering.rules.tasks import TaskKind

USERNAME: Final = "userName"
"""The app's attribute that takes the login, unless the mapping gives it something else."""


class Event(StrEnum):
    """What happened to a person, as one app sees it."""

    ASSIGNED = "ASSIGNED"
    ACTIVATED = "ACTIVATED"
    ASSIGNED_AGAIN = "ASSIGNED_AGAIN"
    REACTIVATED = "REACTIVATED"
    UNASSIGNED = "UNASSIGNED"
    DEACTIVATED = "DEACTIVATED"
    CHANGED = "CHANGED"
    PASSWORD_SET = "PASSWORD_SET"  # noqa: S105 - the name of an event


class Known(StrEnum):
    """What is known of the account in the app itself."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    UNSURE = "UNSURE"
    """Nobody has seen it there, or something is on its way."""


_WANTED: Final = frozenset({Status.ACTIVE, Status.SUSPENDED})


def wanted(status: Status, *, assigned: bool) -> bool:
    """Whether a person of this status is to have an active account in an app."""
    return assigned and status in _WANTED


def event_of_move(before: str, after: Status) -> Event | None:
    """What a move of the status is to the apps; `None` where it is nothing to them."""
    if after is Status.DEACTIVATED:
        return Event.DEACTIVATED
    if after in _WANTED and before not in _WANTED:
        return Event.REACTIVATED if before == Status.DEACTIVATED else Event.ACTIVATED
    return None


def sends_anything(policy: ProvisioningPolicy) -> bool:
    """Whether any switch is on."""
    return policy.create_users or policy.update_attributes or policy.deactivate_users or policy.password.enabled


def task_after(event: Event, policy: ProvisioningPolicy, known: Known) -> TaskKind | None:
    """The task that follows an event, if one does. Whether a changed profile concerns the app has been asked before (`Reads`)."""
    update = TaskKind.UPDATE if policy.update_attributes else None
    match event:
        case Event.ASSIGNED | Event.ACTIVATED | Event.ASSIGNED_AGAIN | Event.REACTIVATED if known is Known.ACTIVE:
            return update
        case Event.ASSIGNED | Event.ACTIVATED:
            return TaskKind.CREATE if policy.create_users else update
        case Event.ASSIGNED_AGAIN | Event.REACTIVATED:
            return TaskKind.REACTIVATE if policy.create_users or policy.deactivate_users else update
        case Event.UNASSIGNED | Event.DEACTIVATED:
            return TaskKind.DEACTIVATE if policy.deactivate_users and known is not Known.INACTIVE else None
        case Event.CHANGED:
            return update
        case Event.PASSWORD_SET:
            return TaskKind.PASSWORD if policy.password.enabled else None


def is_allowed(kind: TaskKind, policy: ProvisioningPolicy) -> bool:
    """Whether the switches let a task through that was queued when they may have stood otherwise."""
    match kind:
        case TaskKind.CREATE:
            return policy.create_users
        case TaskKind.UPDATE:
            return policy.update_attributes
        case TaskKind.DEACTIVATE:
            return policy.deactivate_users
        case TaskKind.REACTIVATE:
            return policy.create_users or policy.deactivate_users
        case TaskKind.PASSWORD:
            return policy.password.enabled


def may_create(kind: TaskKind, policy: ProvisioningPolicy) -> bool:
    """Whether an account that is not found in the app is made there."""
    return policy.create_users and kind in {TaskKind.CREATE, TaskKind.REACTIVATE}


def tells_attributes(kind: TaskKind, policy: ProvisioningPolicy) -> bool:
    """Whether the profile of an account that is there already is brought up to date: an adopted one's always, any other by its switch."""
    return kind is TaskKind.CREATE or policy.update_attributes


def still_wanted(kind: TaskKind, *, wanted_now: bool, followed: bool) -> bool:
    """Whether a task is still to be delivered, or what came after it has overtaken it.

    Nobody who is to have no account any more is given one, or told of. Somebody who is to have one is deactivated only if the task that
    brings them back waits behind (`followed`): a dead task that is retried late must not undo what is right by now.
    """
    return followed or not wanted_now if kind is TaskKind.DEACTIVATE else wanted_now


# -- passwords ----------------------------------------------------------------------------------------------------------------


class PasswordSent(StrEnum):
    """Which password is pushed when a user's password was set."""

    DIRECTORY = "DIRECTORY"
    RANDOM = "RANDOM"
    NONE = "NONE"


def password_sent(sync: PasswordSync, *, creating: bool) -> PasswordSent:
    """Which password follows to an app when a user's was set.

    *Keep existing* never touches the password of an account that is there; of one that is about to be made (`creating`), and gets a random
    password at first, the directory's still is the first that anybody knows.
    """
    if not sync.enabled:
        return PasswordSent.NONE
    if sync.seed is PasswordSeed.RANDOM:
        return PasswordSent.RANDOM if sync.change is PasswordChange.CHANGE else PasswordSent.NONE
    return PasswordSent.DIRECTORY if sync.change is PasswordChange.CHANGE or creating else PasswordSent.NONE


# -- attributes ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reads:
    """What an outbound mapping looks at: for each app attribute, the user attributes that it is made from. Made by `reads_of`."""

    by_target: Mapping[str, frozenset[str]]
    pushed: frozenset[str]
    """The user attributes whose change may concern the app."""

    def concern(self, changed: Collection[str], *, own: bool) -> bool:
        """Whether a change of these user attributes may be news to the app.

        `own`: the app itself has just supplied them. Then only what is made from them *and* from others can be.
        """
        if self.pushed.isdisjoint(changed):
            return False
        return not own or any(not names.isdisjoint(changed) and not names <= set(changed) for names in self.by_target.values())

    def echoed(self, supplied: Collection[str]) -> set[str]:
        """The app attributes that are made of nothing but what the app itself supplies: it is not sent its own values back (SPEC §10)."""
        return {target for target, names in self.by_target.items() if names and names <= set(supplied)}


@lru_cache(maxsize=256)
def reads_of(rules: tuple[MappingRule, ...]) -> Reads:
    """What a mapping's rules look at. The login is read for the user name, unless a rule gives that."""
    by_target = {rule.target: frozenset(name for _, name in compile_expression(rule.expression_text).references) for rule in rules}
    by_target.setdefault(USERNAME, frozenset({"login"}))
    create_only = {rule.target for rule in rules if rule.create_only}
    pushed = frozenset().union(*(names for target, names in by_target.items() if target not in create_only))
    return Reads(by_target, pushed)


def differences(
    wanted_profile: Mapping[str, Any], known: Mapping[str, Any], *, left_out: Collection[str] = (), forced: Collection[str] = ()
) -> dict[str, Any]:
    """What an app is to be told: values that differ from what it is known to have, `None` for what is to be cleared there.

    `left_out` are never told; `forced` always, also where nothing is known to differ. Nothing is cleared that is not known to be there.
    """
    return {
        name: value
        for name, value in wanted_profile.items()
        if name not in left_out and (name in forced or (known.get(name) != value and not (_nothing(value) and _nothing(known.get(name)))))
    }


def _nothing(value: Any) -> bool:
    return value is None or value in ("", [])
