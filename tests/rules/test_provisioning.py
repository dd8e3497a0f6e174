"""Which task follows which event under which switches (SPEC §10): every combination, against the table told in plain words."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from mastering.rules.lifecycle import NOBODY, Status
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import PasswordChange, PasswordSeed, PasswordSync, ProvisioningPolicy
from mastering.rules.provisioning import (
    Event,
    Known,
    PasswordSent,
    differences,
    event_of_move,
    is_allowed,
    may_create,
    password_sent,
    reads_of,
    sends_anything,
    still_wanted,
    task_after,
    tells_attributes,
    wanted,
)
from mastering.rules.tasks import TaskKind

POLICIES = [
    ProvisioningPolicy(create, update, deactivate, exclude, PasswordSync(enabled=password))
    for create, update, deactivate, exclude, password in product([False, True], repeat=5)
]


def expected(event: Event, policy: ProvisioningPolicy, known: Known) -> TaskKind | None:
    update = TaskKind.UPDATE if policy.update_attributes else None
    if event is Event.PASSWORD_SET:
        return TaskKind.PASSWORD if policy.password.enabled else None
    if event is Event.CHANGED:
        return update
    if event in {Event.UNASSIGNED, Event.DEACTIVATED}:
        return TaskKind.DEACTIVATE if policy.deactivate_users and known is not Known.INACTIVE else None
    if known is Known.ACTIVE:
        return update
    if event in {Event.ASSIGNED, Event.ACTIVATED}:
        return TaskKind.CREATE if policy.create_users else update
    return TaskKind.REACTIVATE if policy.create_users or policy.deactivate_users else update


@pytest.mark.parametrize(("event", "known"), list(product(Event, Known)))
def test_every_event_is_followed_by_the_task_that_its_switch_lets_through(event: Event, known: Known) -> None:
    for policy in POLICIES:
        assert task_after(event, policy, known) is expected(event, policy, known), policy


def test_no_task_follows_that_its_switches_would_not_let_through() -> None:
    for policy, event, known in product(POLICIES, Event, Known):
        kind = task_after(event, policy, known)
        assert kind is None or is_allowed(kind, policy)


def test_excluding_user_names_changes_nothing_about_which_task_follows() -> None:
    for event, known in product(Event, Known):
        by_others: dict[tuple[bool, ...], set[TaskKind | None]] = {}
        for policy in POLICIES:
            others = (policy.create_users, policy.update_attributes, policy.deactivate_users, policy.password.enabled)
            by_others.setdefault(others, set()).add(task_after(event, policy, known))
        assert all(len(kinds) == 1 for kinds in by_others.values())


def test_an_app_with_every_switch_off_is_sent_nothing_and_any_switch_sends_something() -> None:
    for policy in POLICIES:
        any_on = policy.create_users or policy.update_attributes or policy.deactivate_users or policy.password.enabled
        assert sends_anything(policy) == any_on


MOVES = {
    (NOBODY, Status.PENDING_ACTIVATION): None,
    (Status.PENDING_ACTIVATION, Status.ACTIVE): Event.ACTIVATED,
    (Status.DEACTIVATED, Status.ACTIVE): Event.REACTIVATED,
    (Status.ACTIVE, Status.SUSPENDED): None,
    (Status.SUSPENDED, Status.ACTIVE): None,
    (Status.PENDING_ACTIVATION, Status.DEACTIVATED): Event.DEACTIVATED,
    (Status.ACTIVE, Status.DEACTIVATED): Event.DEACTIVATED,
    (Status.SUSPENDED, Status.DEACTIVATED): Event.DEACTIVATED,
    (Status.SUSPENDED, Status.PENDING_ACTIVATION): None,
    (Status.DEACTIVATED, Status.PENDING_ACTIVATION): None,
}


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_every_move_of_a_status_is_what_it_is_to_apps(before: str, after: Status) -> None:
    assert event_of_move(before, after) is MOVES[before, after]


@pytest.mark.parametrize(("status", "assigned"), list(product(Status, [False, True])))
def test_an_account_is_wanted_of_those_assigned_who_are_active_or_suspended(status: Status, assigned: bool) -> None:
    assert wanted(status, assigned=assigned) == (assigned and status in {Status.ACTIVE, Status.SUSPENDED})


@pytest.mark.parametrize(("kind", "wanted_now", "followed"), list(product(TaskKind, [False, True], [False, True])))
def test_a_task_that_was_overtaken_is_not_delivered(kind: TaskKind, wanted_now: bool, followed: bool) -> None:
    leaver = kind is TaskKind.DEACTIVATE
    assert still_wanted(kind, wanted_now=wanted_now, followed=followed) == ((followed or not wanted_now) if leaver else wanted_now)


def test_only_giving_an_account_creates_one_and_only_where_creating_is_on() -> None:
    for kind, policy in product(TaskKind, POLICIES):
        assert may_create(kind, policy) == (policy.create_users and kind in {TaskKind.CREATE, TaskKind.REACTIVATE})
        assert tells_attributes(kind, policy) == (policy.update_attributes or kind is TaskKind.CREATE)


SENT = {
    (PasswordSeed.OKTA, PasswordChange.CHANGE, False): PasswordSent.DIRECTORY,
    (PasswordSeed.OKTA, PasswordChange.CHANGE, True): PasswordSent.DIRECTORY,
    (PasswordSeed.OKTA, PasswordChange.KEEP_EXISTING, False): PasswordSent.NONE,
    (PasswordSeed.OKTA, PasswordChange.KEEP_EXISTING, True): PasswordSent.DIRECTORY,
    (PasswordSeed.RANDOM, PasswordChange.CHANGE, False): PasswordSent.RANDOM,
    (PasswordSeed.RANDOM, PasswordChange.CHANGE, True): PasswordSent.RANDOM,
    (PasswordSeed.RANDOM, PasswordChange.KEEP_EXISTING, False): PasswordSent.NONE,
    (PasswordSeed.RANDOM, PasswordChange.KEEP_EXISTING, True): PasswordSent.NONE,
}


@pytest.mark.parametrize(("seed", "change", "creating"), list(product(PasswordSeed, PasswordChange, [False, True])))
def test_every_password_option_sends_what_it_says(seed: PasswordSeed, change: PasswordChange, creating: bool) -> None:
    assert password_sent(PasswordSync(enabled=True, seed=seed, change=change), creating=creating) is SENT[seed, change, creating]
    assert password_sent(PasswordSync(enabled=False, seed=seed, change=change), creating=creating) is PasswordSent.NONE


RULES = (
    MappingRule("firstName", "user.firstName"),
    MappingRule("displayName", 'user.firstName + " " + user.costCenter'),
    MappingRule("title", "user.title", create_only=True),
    MappingRule("locale", '"en"'),
)


def test_a_change_concerns_an_app_whose_mapping_reads_it_and_not_only_when_creating() -> None:
    reads = reads_of(RULES)
    assert reads.concern({"firstName"}, own=False)
    assert reads.concern({"login"}, own=False)
    assert not reads.concern({"title"}, own=False)
    assert not reads.concern({"city"}, own=False)


def test_what_an_app_supplied_itself_is_news_to_it_only_together_with_what_others_supply() -> None:
    reads = reads_of(RULES)
    assert reads.concern({"firstName"}, own=True)
    assert not reads.concern({"firstName", "costCenter"}, own=True)
    assert not reads_of(RULES[:1]).concern({"firstName"}, own=True)


def test_a_master_is_not_sent_its_own_values_back() -> None:
    reads = reads_of(RULES)
    assert reads.echoed({"firstName", "lastName"}) == {"firstName"}
    assert reads.echoed({"firstName", "costCenter", "login"}) == {"firstName", "displayName", "userName"}
    assert reads.echoed(()) == set()


def test_an_app_is_told_what_differs_and_cleared_of_what_it_is_known_to_have() -> None:
    known: dict[str, Any] = {"a": 1, "b": "x", "c": None, "d": [1]}
    wanted_profile: dict[str, Any] = {"a": 1, "b": None, "c": "", "d": [], "e": None, "f": "new"}
    assert differences(wanted_profile, known) == {"b": None, "d": [], "f": "new"}
    assert differences(wanted_profile, known, left_out={"b", "f"}) == {"d": []}
    assert differences(wanted_profile, known, left_out={"d", "f"}, forced={"a"}) == {"a": 1, "b": None}
