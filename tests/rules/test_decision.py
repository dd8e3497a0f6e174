"""What is done in a situation (SPEC §§3, 6, 7), written down a second time: every situation under every policy, power and fact.

The two laws come first: every decision is a legal move, and a master without authority never moves a status. Then every field of every
decision is compared with tables copied from the specification, which know nothing of the tables in the code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from mastering.rules.decision import (
    FULL_POWERS,
    NO_POWERS,
    ON_LEAVING,
    ON_RETURN,
    Action,
    Decision,
    Facts,
    Powers,
    Reason,
    Rule,
    Situation,
    decide,
)
from mastering.rules.lifecycle import NOBODY, TRANSITIONS, WHO_MAY_FIRE, Actor, Status, Trigger
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, WhenDeactivated

LEAVING = """
option       PENDING_ACTIVATION  ACTIVE      SUSPENDED   DEACTIVATED
DEACTIVATE   deactivate          deactivate  deactivate  -
SUSPEND      never_active        suspend     -           -
DO_NOTHING   -                   -           -           -
"""

RETURNING = """
status              switch  match  otherwise           pending_when_deactivated
PENDING_ACTIVATION  on      exact  -                   -
PENDING_ACTIVATION  on      other  -                   -
PENDING_ACTIVATION  off     exact  -                   -
PENDING_ACTIVATION  off     other  -                   -
ACTIVE              on      exact  -                   -
ACTIVE              on      other  -                   -
ACTIVE              off     exact  -                   -
ACTIVE              off     other  -                   -
SUSPENDED           on      exact  unsuspend           unsuspend
SUSPENDED           on      other  require_activation  require_activation
SUSPENDED           off     exact  switch_off          switch_off
SUSPENDED           off     other  switch_off          switch_off
DEACTIVATED         on      exact  reactivate          require_activation
DEACTIVATED         on      other  require_activation  require_activation
DEACTIVATED         off     exact  switch_off          switch_off
DEACTIVATED         off     other  switch_off          switch_off
"""

LEADS_TO = {
    "deactivate": "DEACTIVATED",
    "suspend": "SUSPENDED",
    "unsuspend": "ACTIVE",
    "reactivate": "ACTIVE",
    "require_activation": "PENDING_ACTIVATION",
}
ALWAYS = {
    "UNCHANGED": ("none", "account_unchanged"),
    "CHANGED": ("update", "profile_mapped"),
    "AMBIGUOUS": ("wait", "needs_review"),
    "CONFLICT": ("wait", "needs_review"),
    "INACTIVE_UNKNOWN": ("none", "not_pulled_in"),
    "WITHDRAWN": ("withdraw", "left_the_queue"),
    "INVALID": ("reject", "record_invalid"),
    "UNDONE": ("restore", "undone"),
    "CHANGED_SINCE": ("none", "undone"),
}

_HEAD, *_BODY = [line.split() for line in LEAVING.strip().splitlines()]
LEFT = {(option, status): cell for option, *cells in _BODY for status, cell in zip(_HEAD[1:], cells, strict=True)}
CAME = {
    (status, switch == "on", match == "exact", pending): cell
    for status, switch, match, *cells in (line.split() for line in RETURNING.strip().splitlines()[1:])
    for pending, cell in zip((False, True), cells, strict=True)
}


@dataclass(frozen=True, slots=True)
class Case:
    """All that `decide` is told."""

    policy: ImportPolicy
    powers: Powers
    situation: Situation
    facts: Facts
    released: bool

    def decide(self) -> Decision:
        return decide(self.policy, self.powers, self.situation, self.facts, released=self.released)


BOTH = (True, False)
MASTERINGS = [Mastering(True, *options) for options in product(WhenDeactivated, BOTH, BOTH)]
CONFIRMATIONS = [Confirmation(*choices) for choices in product(BOTH, repeat=4)]
ALL_OR_NOTHING = [Confirmation(*[choice] * 4) for choice in BOTH]
PEOPLE = [Facts(status, *facts) for status in Status for facts in product(BOTH, repeat=3)]
NOBODY_YET = [Facts(None, exact=False, pending_when_deactivated=False, held=False)]
OF_A_USER = {"CHANGED", "UNCHANGED", "WENT_INACTIVE", "WENT_MISSING", "CAME_BACK", "EXACT", "PARTIAL"}
CONFIRMED = {"EXACT", "PARTIAL", "UNMATCHED"}


def cases(situation: Situation) -> Iterator[Case]:
    """Every option × switches × confirmation × authority × status × match × hold in a situation.

    Confirmation is about records without a link; where there is one its choices are made all at once.
    """
    people = PEOPLE if situation in OF_A_USER else PEOPLE + NOBODY_YET
    confirmations = CONFIRMATIONS if situation in CONFIRMED else ALL_OR_NOTHING
    policies = [ImportPolicy(mastering=mastering, confirmation=choices) for mastering, choices in product(MASTERINGS, confirmations)]
    for policy, powers, facts, released in product(policies, (FULL_POWERS, NO_POWERS), people, BOTH):
        yield Case(policy, powers, situation, facts, released)


def outcome_of(cell: str, case: Case) -> tuple[str | None, str | None]:
    """Trigger and reason, once authority and hold have been asked about a cell of the tables."""
    if cell == "-":
        return None, None
    if not case.powers.authority:
        return None, "not_authority"
    if cell not in LEADS_TO:
        return None, cell
    return (None, "held_by_admin") if case.facts.held else (cell, None)


def row(action: str, rule: str, case: Case, trigger: str | None = None, reason: str | None = None) -> Decision:
    to = LEADS_TO[trigger] if trigger else case.facts.status
    return Decision(
        case.situation, Action(action), Rule(rule), Trigger(trigger) if trigger else None, False, Status(to) if to else None, reason
    )


def left(case: Case) -> Decision:
    if case.released:
        return row("none", "when_deactivated", case)
    if case.policy.mastering.when_deactivated == "DO_NOTHING":
        return row("release", "when_deactivated", case)
    trigger, reason = outcome_of(LEFT[case.policy.mastering.when_deactivated, case.facts.status or ""], case)
    return row(trigger or "none", "when_deactivated", case, trigger, reason)


def returned(case: Case) -> tuple[str | None, str | None, str]:
    """Trigger, reason and rule of a return."""
    status, options = str(case.facts.status), case.policy.mastering
    switch = {"SUSPENDED": options.reactivate_suspended, "DEACTIVATED": options.reactivate_deactivated}.get(status, False)
    rule = {"SUSPENDED": "reactivate_suspended", "DEACTIVATED": "reactivate_deactivated"}.get(status, "account_returned")
    return *outcome_of(CAME[status, switch, case.facts.exact, case.facts.pending_when_deactivated], case), rule


def came_back(case: Case) -> Decision:
    trigger, reason, rule = returned(case)
    return row("link" if case.released else trigger or "none", rule, case, trigger, reason)


def matched(case: Case) -> Decision:
    exact = case.situation == "EXACT"
    if not (case.policy.confirmation.auto_confirm_exact if exact else case.policy.confirmation.auto_confirm_partial):
        return row("wait", "needs_review", case)
    trigger, reason, rule = returned(case)
    return row("link", rule if trigger else f"auto_confirm_{'exact' if exact else 'partial'}", case, trigger, reason)


def unmatched(case: Case) -> Decision:
    chosen = case.policy.confirmation
    if not chosen.auto_confirm_new:
        return Decision(Situation.UNMATCHED, Action.wait, Rule.needs_review)
    to = Status.ACTIVE if chosen.auto_activate_new else Status.PENDING_ACTIVATION
    return Decision(Situation.UNMATCHED, Action.create, Rule.auto_confirm_new, Trigger.create, chosen.auto_activate_new, to)


SPECIFIED = {
    "WENT_INACTIVE": left,
    "WENT_MISSING": left,
    "CAME_BACK": came_back,
    "EXACT": matched,
    "PARTIAL": matched,
    "UNMATCHED": unmatched,
}


def specified(case: Case) -> Decision:
    if case.situation in SPECIFIED:
        return SPECIFIED[case.situation](case)
    return row(*ALWAYS[case.situation], case)


@pytest.mark.parametrize("situation", list(Situation))
def test_every_decision_is_a_legal_move_of_the_table_by_someone_who_may_fire_it(situation: Situation) -> None:
    for case in cases(situation):
        decision = case.decide()
        if decision.trigger is None:
            assert decision.activate is False
            assert decision.to is (None if situation is Situation.UNMATCHED else case.facts.status), case
            continue
        start = NOBODY if decision.trigger is Trigger.create else case.facts.status
        to = TRANSITIONS[decision.trigger][str(start)]
        assert decision.to == (TRANSITIONS[Trigger.activate][str(to)] if decision.activate else to), case
        assert Actor.authority in WHO_MAY_FIRE[decision.trigger] or (decision.trigger is Trigger.create and decision.action == "create")


@pytest.mark.parametrize("situation", list(Situation))
def test_a_lower_ranked_master_never_moves_a_status(situation: Situation) -> None:
    for case in cases(situation):
        if case.powers is NO_POWERS:
            decision = case.decide()
            assert decision.trigger is (Trigger.create if decision.action is Action.create else None), case
            assert decision.action is Action.create or decision.to in {case.facts.status, None}, case


@pytest.mark.parametrize("situation", list(Situation))
def test_every_decision_is_the_one_specified(situation: Situation) -> None:
    for case in cases(situation):
        assert case.decide() == specified(case), case


@pytest.mark.parametrize("situation", sorted(OF_A_USER))
def test_an_admin_hold_keeps_the_status_whatever_a_master_says(situation: str) -> None:
    for case in cases(Situation(situation)):
        if case.facts.held:
            assert case.decide().to is case.facts.status


def test_the_reaction_tables_of_the_code_are_complete_and_say_what_the_specification_says() -> None:
    assert {key: value or "-" for key, value in ON_LEAVING.items()} == LEFT
    said = {(case.status, case.switch, case.exact, case.pending_when_deactivated): value or "-" for case, value in ON_RETURN.items()}
    assert said == CAME


def test_actions_reasons_and_rules_are_spelled_as_they_are_named() -> None:
    moves = {"deactivate", "suspend", "unsuspend", "reactivate", "require_activation"}
    of_undo = {"activate", "restore", "unlink"}
    assert set(Action) == moves | of_undo | {"none", "create", "link", "update", "release", "wait", "withdraw", "ignore", "reject"}
    assert [reason.value for reason in Reason] == ["not_authority", "held_by_admin", "switch_off", "never_active"]
    for member in (*Action, *Reason, *Rule):
        assert member.name == member.value


def test_a_return_is_asked_only_of_somebody_who_exists() -> None:
    for situation in (Situation.CAME_BACK, Situation.EXACT):
        policy = ImportPolicy(confirmation=Confirmation(auto_confirm_exact=True))
        with pytest.raises(ValueError, match="has a user"):
            decide(policy, FULL_POWERS, situation, NOBODY_YET[0])
