"""What a policy does to people, sentence by sentence (SPEC §§3, 6, 7). `test_decision` has every combination; here is what they mean."""

from dataclasses import replace
from itertools import product

import pytest

from mastering.rules.decision import FULL_POWERS, NO_POWERS, Action, Decision, Facts, Reason, Situation, decide
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, WhenDeactivated

JANE = Facts(Status.ACTIVE, exact=True, pending_when_deactivated=False, held=False)
DEACTIVATE, SUSPEND, DO_NOTHING = WhenDeactivated.DEACTIVATE, WhenDeactivated.SUSPEND, WhenDeactivated.DO_NOTHING
LEAVING = (Situation.WENT_INACTIVE, Situation.WENT_MISSING)
ALL_CONFIRMED = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True, auto_confirm_new=True, auto_activate_new=True)


def leaves(
    option: WhenDeactivated, status: Status, *, held: bool = False, authority: bool = True, situation: Situation = LEAVING[0]
) -> Decision:
    policy = ImportPolicy(mastering=Mastering(enabled=True, when_deactivated=option))
    return decide(policy, FULL_POWERS if authority else NO_POWERS, situation, replace(JANE, status=status, held=held))


def returns(facts: Facts, *, suspended: bool = True, deactivated: bool = True, authority: bool = True) -> Decision:
    policy = ImportPolicy(mastering=Mastering(enabled=True, reactivate_suspended=suspended, reactivate_deactivated=deactivated))
    return decide(policy, FULL_POWERS if authority else NO_POWERS, Situation.CAME_BACK, facts)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("option", list(WhenDeactivated))
def test_going_inactive_and_going_missing_both_count(option: WhenDeactivated, status: Status) -> None:
    inactive, missing = (leaves(option, status, situation=situation) for situation in LEAVING)
    assert replace(inactive, situation=Situation.WENT_MISSING) == missing


def test_a_new_app_deactivates_who_leaves_it() -> None:
    decision = decide(ImportPolicy(), FULL_POWERS, Situation.WENT_MISSING, JANE)
    assert (decision.trigger, decision.to) == (Trigger.deactivate, Status.DEACTIVATED)


@pytest.mark.parametrize(
    ("option", "status", "authority", "held"), list(product((DEACTIVATE, SUSPEND), Status, (True, False), (True, False)))
)
def test_with_deactivate_and_suspend_the_link_stays(option: WhenDeactivated, status: Status, authority: bool, held: bool) -> None:
    assert leaves(option, status, authority=authority, held=held).action is not Action.release


@pytest.mark.parametrize(("status", "authority", "held"), list(product(Status, (True, False), (True, False))))
def test_do_nothing_releases_the_account_whoever_has_authority_and_never_moves_a_status(
    status: Status, authority: bool, held: bool
) -> None:
    decision = leaves(DO_NOTHING, status, authority=authority, held=held)
    assert (decision.action, decision.trigger, decision.to, decision.reason) == (Action.release, None, status, None)


@pytest.mark.parametrize("option", list(WhenDeactivated))
def test_a_released_account_that_goes_inactive_is_no_action(option: WhenDeactivated) -> None:
    policy = ImportPolicy(mastering=Mastering(enabled=True, when_deactivated=option))
    decision = decide(policy, FULL_POWERS, Situation.WENT_INACTIVE, JANE, released=True)
    assert (decision.action, decision.trigger, decision.reason) == (Action.none, None, None)


def test_to_suspend_a_user_who_was_never_active_leaves_them_pending() -> None:
    decision = leaves(SUSPEND, Status.PENDING_ACTIVATION)
    assert (decision.trigger, decision.to, decision.reason) == (None, Status.PENDING_ACTIVATION, Reason.never_active)


def test_a_word_that_asks_for_nothing_is_no_disagreement() -> None:
    for option, status in ((DEACTIVATE, Status.DEACTIVATED), (SUSPEND, Status.SUSPENDED), (SUSPEND, Status.DEACTIVATED)):
        for authority, held in product((True, False), repeat=2):
            assert leaves(option, status, authority=authority, held=held).reason is None
    for status, authority in product((Status.ACTIVE, Status.PENDING_ACTIVATION), (True, False)):
        assert returns(replace(JANE, status=status), authority=authority).reason is None


@pytest.mark.parametrize("option", [DEACTIVATE, SUSPEND])
def test_only_the_authority_may_suspend_or_deactivate_and_the_run_says_so(option: WhenDeactivated) -> None:
    assert leaves(option, Status.ACTIVE).trigger is not None
    assert leaves(option, Status.ACTIVE, authority=False).reason == Reason.not_authority


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.DEACTIVATED])
def test_only_the_authority_may_bring_back_and_the_run_says_so(status: Status) -> None:
    facts = replace(JANE, status=status)
    assert returns(facts).to is Status.ACTIVE
    assert returns(facts, authority=False).reason == Reason.not_authority
    assert returns(facts, suspended=False, deactivated=False, authority=False).reason == Reason.not_authority


@pytest.mark.parametrize(("suspended", "deactivated"), list(product((True, False), repeat=2)))
def test_the_two_switches_are_independent_and_off_by_default(suspended: bool, deactivated: bool) -> None:
    for status, on in ((Status.SUSPENDED, suspended), (Status.DEACTIVATED, deactivated)):
        decision = returns(replace(JANE, status=status), suspended=suspended, deactivated=deactivated)
        assert (decision.to is Status.ACTIVE) is on
        assert decision.reason == (None if on else Reason.switch_off)
    by_default = decide(ImportPolicy(), FULL_POWERS, Situation.CAME_BACK, replace(JANE, status=Status.SUSPENDED))
    assert by_default.reason == Reason.switch_off


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.DEACTIVATED])
def test_whoever_returns_without_an_exact_match_has_to_be_activated_anew(status: Status) -> None:
    decision = returns(replace(JANE, status=status, exact=False))
    assert (decision.trigger, decision.to) == (Trigger.require_activation, Status.PENDING_ACTIVATION)


def test_nobody_is_activated_by_a_detour() -> None:
    never_active = replace(JANE, status=Status.DEACTIVATED, pending_when_deactivated=True)
    assert returns(never_active).to is Status.PENDING_ACTIVATION
    linked = decide(
        ImportPolicy(mastering=Mastering(reactivate_deactivated=True), confirmation=ALL_CONFIRMED),
        FULL_POWERS,
        Situation.EXACT,
        never_active,
    )
    assert linked.to is Status.PENDING_ACTIVATION


def test_a_hold_binds_masters_and_their_links_but_not_releases() -> None:
    assert leaves(DEACTIVATE, Status.ACTIVE, held=True).reason == Reason.held_by_admin
    assert leaves(DO_NOTHING, Status.ACTIVE, held=True).action is Action.release
    held = replace(JANE, status=Status.SUSPENDED, held=True)
    assert returns(held).reason == Reason.held_by_admin
    policy = ImportPolicy(mastering=Mastering(enabled=True, reactivate_suspended=True), confirmation=ALL_CONFIRMED)
    linked = decide(policy, FULL_POWERS, Situation.EXACT, held)
    assert (linked.action, linked.to, linked.reason) == (Action.link, Status.SUSPENDED, Reason.held_by_admin)


@pytest.mark.parametrize("authority", [True, False])
@pytest.mark.parametrize("situation", [Situation.AMBIGUOUS, Situation.CONFLICT])
def test_ambiguous_and_conflicting_records_always_wait(situation: Situation, authority: bool) -> None:
    policy = ImportPolicy(mastering=Mastering(enabled=True), confirmation=ALL_CONFIRMED)
    assert decide(policy, FULL_POWERS if authority else NO_POWERS, situation, JANE).action is Action.wait


@pytest.mark.parametrize("situation", [Situation.EXACT, Situation.PARTIAL, Situation.UNMATCHED])
def test_nothing_is_confirmed_by_itself_unless_its_own_option_is_on(situation: Situation) -> None:
    facts = JANE if situation is not Situation.UNMATCHED else replace(JANE, status=None)
    assert decide(ImportPolicy(), FULL_POWERS, situation, facts).action is Action.wait
    own = {Situation.EXACT: "auto_confirm_exact", Situation.PARTIAL: "auto_confirm_partial", Situation.UNMATCHED: "auto_confirm_new"}[
        situation
    ]
    without = ImportPolicy(confirmation=replace(ALL_CONFIRMED, **{own: False}))
    assert decide(without, FULL_POWERS, situation, facts).action is Action.wait


@pytest.mark.parametrize(("activate", "to"), [(False, Status.PENDING_ACTIVATION), (True, Status.ACTIVE)])
def test_a_confirmed_newcomer_is_pending_unless_activated_in_the_same_step(activate: bool, to: Status) -> None:
    policy = ImportPolicy(confirmation=Confirmation(auto_confirm_new=True, auto_activate_new=activate))
    decision = decide(policy, NO_POWERS, Situation.UNMATCHED, replace(JANE, status=None))
    assert (decision.action, decision.trigger, decision.activate, decision.to) == (Action.create, Trigger.create, activate, to)


def test_an_app_without_authority_links_by_its_own_options_and_moves_nobody() -> None:
    policy = ImportPolicy(mastering=Mastering(reactivate_deactivated=True), confirmation=ALL_CONFIRMED)
    for situation, status in product((Situation.EXACT, Situation.PARTIAL), Status):
        decision = decide(policy, NO_POWERS, situation, replace(JANE, status=status))
        assert (decision.action, decision.trigger, decision.to) == (Action.link, None, status)


@pytest.mark.parametrize("situation", [Situation.EXACT, Situation.PARTIAL])
@pytest.mark.parametrize(("exact", "to"), [(True, Status.ACTIVE), (False, Status.PENDING_ACTIVATION)])
def test_linking_a_deactivated_user_is_a_return_judged_by_the_apps_options_and_not_by_the_matchs_word(
    situation: Situation, exact: bool, to: Status
) -> None:
    policy = ImportPolicy(mastering=Mastering(enabled=True, reactivate_deactivated=True), confirmation=ALL_CONFIRMED)
    decision = decide(policy, FULL_POWERS, situation, replace(JANE, status=Status.DEACTIVATED, exact=exact))
    assert (decision.action, decision.to) == (Action.link, to)


def test_a_released_account_that_came_back_is_assigned_again_in_the_step_that_brings_its_user_back() -> None:
    policy = ImportPolicy(mastering=Mastering(enabled=True, reactivate_suspended=True))
    decision = decide(policy, FULL_POWERS, Situation.CAME_BACK, replace(JANE, status=Status.SUSPENDED), released=True)
    assert (decision.action, decision.trigger, decision.to) == (Action.link, Trigger.unsuspend, Status.ACTIVE)
