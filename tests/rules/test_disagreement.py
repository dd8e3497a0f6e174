"""A master's word that was not followed, asked again with the facts of now (SPEC §3, standing disagreement)."""

from dataclasses import replace
from itertools import product

import pytest

from mastering.rules.disagreement import ask_again
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.people import Account, Hold, User
from mastering.rules.policy import ImportPolicy, Mastering, WhenDeactivated
from mastering.rules.record import AccountState

THEN, NOW, LATER = "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"
ACTIVE, INACTIVE, MISSING = AccountState.ACTIVE, AccountState.INACTIVE, AccountState.MISSING
POLICY = ImportPolicy(mastering=Mastering(enabled=True, reactivate_suspended=True, reactivate_deactivated=True))
SUSPENDING = ImportPolicy(mastering=Mastering(enabled=True, when_deactivated=WhenDeactivated.SUSPEND))


def account(app: str, state: AccountState, unheeded: Trigger | None = None) -> Account:
    return Account(f"in-{app}", app, "E1", state, {}, THEN, THEN, "jane", seen_active=True, unheeded=unheeded)


def jane(status: Status, *links: Account, hold: Hold | None = None) -> User:
    return User("jane", status, "jane@example.com", {}, THEN, THEN, hold=hold, links=list(links))


@pytest.mark.parametrize("state", [INACTIVE, MISSING])
def test_a_leaver_is_deactivated_once_no_higher_master_stands_above(state: AccountState) -> None:
    word = account("ad", state, Trigger.deactivate)
    above = account("hr", ACTIVE)
    assert ask_again(POLICY, ("hr", "ad"), jane(Status.ACTIVE, word, above), word, NOW).reason == "not_authority"
    assert ask_again(POLICY, ("ad", "hr"), jane(Status.ACTIVE, word, above), word, NOW).trigger is Trigger.deactivate
    above.released = True
    assert ask_again(POLICY, ("hr", "ad"), jane(Status.ACTIVE, word, above), word, NOW).trigger is Trigger.deactivate


@pytest.mark.parametrize(("until", "stopped"), [(None, True), (LATER, True), (NOW, False), (THEN, False)])
def test_a_hold_stops_a_word_until_its_end_and_not_longer(until: str | None, stopped: bool) -> None:
    word = account("hr", INACTIVE, Trigger.deactivate)
    user = jane(Status.ACTIVE, word, hold=Hold("legal", until, THEN, "admin"))
    decision = ask_again(POLICY, ("hr",), user, word, NOW)
    assert decision.reason == ("held_by_admin" if stopped else None)
    assert decision.trigger is (None if stopped else Trigger.deactivate)


def test_never_active_ends_with_the_activation() -> None:
    word = account("hr", MISSING, Trigger.suspend)
    assert ask_again(SUSPENDING, ("hr",), jane(Status.PENDING_ACTIVATION, word), word, NOW).reason == "never_active"
    assert ask_again(SUSPENDING, ("hr",), jane(Status.ACTIVE, word), word, NOW).trigger is Trigger.suspend


@pytest.mark.parametrize(
    ("status", "exact", "asked"),
    [
        (Status.SUSPENDED, True, Trigger.unsuspend),
        (Status.SUSPENDED, False, Trigger.require_activation),
        (Status.DEACTIVATED, True, Trigger.reactivate),
        (Status.DEACTIVATED, False, Trigger.require_activation),
    ],
)
def test_a_return_is_asked_as_exactly_as_it_was_heard_and_stopped_by_its_switch(status: Status, exact: bool, asked: Trigger) -> None:
    word = account("hr", ACTIVE, asked if exact else Trigger.require_activation)
    off = replace(POLICY, mastering=Mastering(enabled=True))
    assert ask_again(POLICY, ("hr",), jane(status, word), word, NOW).trigger is asked
    assert ask_again(off, ("hr",), jane(status, word), word, NOW).reason == "switch_off"


@pytest.mark.parametrize(("status", "state"), [(Status.DEACTIVATED, INACTIVE), (Status.DEACTIVATED, MISSING), (Status.ACTIVE, ACTIVE)])
def test_where_the_person_stands_as_the_word_wanted_nothing_is_asked(status: Status, state: AccountState) -> None:
    word = account("hr", state, Trigger.deactivate)
    decision = ask_again(POLICY, ("hr",), jane(status, word), word, NOW)
    assert (decision.trigger, decision.reason) == (None, None)


def test_a_released_account_asks_for_nothing() -> None:
    for status, state in product(Status, [INACTIVE, MISSING]):
        word = account("hr", state, Trigger.deactivate)
        word.released = True
        decision = ask_again(POLICY, ("hr",), jane(status, word), word, NOW)
        assert (decision.trigger, decision.reason) == (None, None)
