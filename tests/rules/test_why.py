"""What would have changed an outcome: every case of the tables, against its neighbours found in another way (SPEC §13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from typing import Any

import pytest

from mastering.rules.decision import Action, Reason, Situation
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.neighbours import Alternative, Flip, Knob
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, WhenDeactivated
from mastering.rules.ranking import Link
from mastering.rules.record import AccountState
from mastering.rules.why import Case, Judged, alternatives, flipped, flips, judge, silence

BOTH = (True, False)
MINE, OTHER = "0oaMine", "0oaOther"
ORDERS = {"above": (MINE, OTHER), "below": (OTHER, MINE), "no master": (OTHER,)}


@dataclass(frozen=True)
class Cell:
    """A case by its coordinates: what differs in one of them is a neighbour."""

    situation: Situation
    status: Status = Status.ACTIVE
    when_deactivated: WhenDeactivated = WhenDeactivated.DEACTIVATE
    reactivate_suspended: bool = False
    reactivate_deactivated: bool = False
    auto_confirm_exact: bool = True
    auto_confirm_partial: bool = True
    auto_confirm_new: bool = True
    auto_activate_new: bool = False
    exact: bool = True
    pending: bool = False
    hold: bool = False
    released: bool = False
    order: str = "above"
    assigned: bool = True

    def case(self) -> Case:
        gone = self.released and self.situation is not Situation.CAME_BACK
        mine = Link(MINE, "0uaMine", AccountState.ACTIVE, released=gone, seen_active=True)
        other = Link(OTHER, "0uaOther", AccountState.ACTIVE, released=not self.assigned, seen_active=True)
        arriving = self.situation in {Situation.EXACT, Situation.PARTIAL}
        return Case(
            policy=ImportPolicy(
                confirmation=Confirmation(
                    self.auto_confirm_exact, self.auto_confirm_partial, self.auto_confirm_new, self.auto_activate_new
                ),
                mastering=Mastering(True, self.when_deactivated, self.reactivate_suspended, self.reactivate_deactivated),
            ),
            ranking=ORDERS[self.order],
            situation=self.situation,
            links=(mine, other),
            status=None if self.situation is Situation.UNMATCHED else self.status,
            exact=self.situation is Situation.EXACT if arriving else self.exact,
            pending_when_deactivated=self.pending,
            held=self.hold,
            released=self.released,
            attributes=frozenset({"title"}) if self.situation is Situation.CHANGED else frozenset(),
        )


def cells() -> Iterator[Cell]:
    """Every combination of what each table looks at."""
    for status, when, hold, released, order, assigned in product(Status, WhenDeactivated, BOTH, BOTH, ORDERS, BOTH):
        yield Cell(Situation.WENT_MISSING, status, when, hold=hold, released=released, order=order, assigned=assigned)
    for status, switches, exact, pending, hold, released, order in product(Status, product(BOTH, BOTH), BOTH, BOTH, BOTH, BOTH, ORDERS):
        cell = Cell(Situation.CAME_BACK, status, exact=exact, pending=pending, hold=hold, released=released, order=order)
        yield replace(cell, reactivate_suspended=switches[0], reactivate_deactivated=switches[1])
    for situation, confirmed, status, switch, pending, hold, order in product(
        (Situation.EXACT, Situation.PARTIAL), BOTH, Status, BOTH, BOTH, BOTH, ORDERS
    ):
        cell = Cell(
            situation, status, pending=pending, hold=hold, order=order, auto_confirm_exact=confirmed, auto_confirm_partial=confirmed
        )
        yield replace(cell, reactivate_suspended=switch, reactivate_deactivated=switch)
    for new, activate in product(BOTH, BOTH):
        yield Cell(Situation.UNMATCHED, auto_confirm_new=new, auto_activate_new=activate)
    for status, order, assigned in product((Status.ACTIVE, Status.SUSPENDED), ORDERS, BOTH):
        yield Cell(Situation.CHANGED, status, order=order, assigned=assigned)


COORDINATES: dict[str, tuple[Any, ...]] = {
    "status": tuple(Status),
    "when_deactivated": tuple(WhenDeactivated),
    **dict.fromkeys((field.name for field in fields(Cell) if field.type == "bool"), BOTH),
}
KNOBS = {
    "status": {Knob.status},
    "when_deactivated": {Knob.when_deactivated},
    "hold": {Knob.hold},
    "exact": {Knob.exact},
    "pending": {Knob.pending},
    "released": {Knob.released},
    "assigned": {Knob.assigned},
    "order": {Knob.rank, Knob.master},
}


def neighbours(cell: Cell) -> Iterator[tuple[str, Cell]]:
    """Each cell that differs from this one in one coordinate."""
    for name, values in COORDINATES.items():
        arriving = cell.situation in {Situation.EXACT, Situation.PARTIAL, Situation.UNMATCHED}
        if (name == "released" and arriving) or (name == "exact" and arriving):
            continue
        yield from ((name, replace(cell, **{name: value})) for value in values if value != getattr(cell, name))
    if cell.order == "no master":
        yield "order", replace(cell, order="below")  # a new master goes last
    else:
        yield from (("order", replace(cell, order=order)) for order in ORDERS if order != cell.order)


ALL = list(cells())


@cache
def found_for(cell: Cell) -> list[Alternative[Judged]]:
    """The alternatives of a cell, found once for all tests."""
    return alternatives(cell.case())


def test_whatever_is_named_does_give_the_outcome_that_it_claims_and_the_nearest_comes_first() -> None:
    for cell in ALL:
        case = cell.case()
        found = found_for(cell)
        for each in found:
            changed = case
            for flip in each.flips:
                changed = flipped(changed, flip)
            assert judge(changed) == each.judged, (cell, each)
            assert each.judged.outcome != judge(case).outcome, (cell, each)
        nearness = [(len(each.flips), each.distance) for each in found]
        assert nearness == sorted(nearness), cell


def test_whatever_differs_in_one_thing_and_ends_otherwise_is_named_and_where_nothing_is_named_nothing_alone_changes_it() -> None:
    for cell in ALL:
        case = cell.case()
        outcome, found = judge(case).outcome, found_for(cell)
        named = {(each.flips[0].knob, each.judged.outcome) for each in found if len(each.flips) == 1}
        for name, other in neighbours(cell):
            there = judge(other.case()).outcome
            if there != outcome:
                knobs = KNOBS.get(name, {Knob[name]} if name in Knob.__members__ else set())
                assert any((knob, there) in named for knob in knobs), (cell, name, there)
        if not named:
            assert all(judge(flipped(case, flip)).outcome == outcome for _, flip in flips(case)), cell


def test_a_pair_is_named_only_where_both_are_needed_to_move_the_person_or_to_keep_them() -> None:
    pairs = [(cell, each) for cell in ALL for each in found_for(cell) if len(each.flips) == 2]
    assert pairs, "a lower master's word under a hold is such a case"
    for cell, each in pairs:
        base = judge(cell.case()).outcome.trigger
        assert each.judged.outcome.trigger is not base
        assert all(judge(flipped(cell.case(), flip)).outcome.trigger is base for _, flip in flips(cell.case())), (cell, each)


# -- what it says, sentence by sentence -------------------------------------------------------------------------------


def named(cell: Cell) -> dict[tuple[Knob, Any], Alternative[Judged]]:
    return {(each.flips[0].knob, each.flips[0].would): each for each in alternatives(cell.case()) if len(each.flips) == 1}


LEFT = Cell(Situation.WENT_MISSING)


def test_a_leaver_would_have_stayed_under_another_option_a_hold_or_a_master_above() -> None:
    found = named(LEFT)
    assert found[Knob.when_deactivated, WhenDeactivated.SUSPEND].judged.outcome.trigger is Trigger.suspend
    assert found[Knob.when_deactivated, WhenDeactivated.DO_NOTHING].judged.outcome.action is Action.release
    assert found[Knob.hold, True].judged.reason == Reason.held_by_admin
    assert found[Knob.rank, 2].judged.reason == Reason.not_authority
    assert found[Knob.said, True].judged.outcome.trigger is None


def test_an_account_that_went_inactive_is_a_leaver_like_one_that_went_missing() -> None:
    missing, inactive = alternatives(LEFT.case()), alternatives(replace(LEFT, situation=Situation.WENT_INACTIVE).case())
    assert [(each.flips, each.judged) for each in missing] == [(each.flips, each.judged) for each in inactive]


def test_an_unassigned_account_above_would_have_kept_nobody() -> None:
    assert (Knob.rank, 2) not in named(replace(LEFT, assigned=False))


def test_a_word_without_authority_would_have_counted_one_rank_higher_or_with_the_other_account_unassigned() -> None:
    found = named(replace(LEFT, order="below"))
    assert found[Knob.rank, 1].judged.outcome.trigger is Trigger.deactivate
    assert found[Knob.assigned, False].judged.outcome.trigger is Trigger.deactivate
    assert Knob.hold not in {knob for knob, _ in found}


def test_a_word_without_authority_about_somebody_held_needs_both_to_be_otherwise() -> None:
    found = [each for each in alternatives(replace(LEFT, order="below", hold=True).case()) if len(each.flips) == 2]
    assert {flip.knob for flip in found[0].flips} == {Knob.rank, Knob.hold}
    assert found[0].judged.outcome.trigger is Trigger.deactivate


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.DEACTIVATED])
def test_a_return_that_a_switch_stopped_names_that_switch_first(status: Status) -> None:
    first = alternatives(Cell(Situation.CAME_BACK, status).case())[0]
    knob = Knob.reactivate_suspended if status is Status.SUSPENDED else Knob.reactivate_deactivated
    assert first.flips == (Flip(knob, MINE, False, True),)


def test_a_new_person_would_have_waited_with_the_switch_off_and_come_in_active_with_the_other_on() -> None:
    found = named(Cell(Situation.UNMATCHED))
    assert found[Knob.auto_confirm_new, False].judged.outcome.action is Action.wait
    assert found[Knob.auto_activate_new, True].judged.outcome.to is Status.ACTIVE


def test_a_profile_would_have_been_anothers_with_that_one_ranked_above() -> None:
    found = named(Cell(Situation.CHANGED))
    assert found[Knob.rank, 2].judged.outcome.supplies == frozenset()


def test_of_several_places_that_come_to_the_same_only_the_nearest_is_named() -> None:
    case = replace(replace(LEFT, order="below").case(), ranking=(OTHER, "0oaThird", MINE))
    up = [each.flips[0].would for each in alternatives(case) if each.flips[0].knob is Knob.rank and each.flips[0].app_id == MINE]
    assert up == [1], "above the third alone it has no say yet"


def test_who_has_no_authority_is_told_why() -> None:
    mine, other = LEFT.case().links
    assert silence(mine, (MINE, OTHER), mine) is None
    assert silence(other, (MINE, OTHER), mine) == "outranked"
    assert silence(other, (MINE,), mine) == "not_a_master"
    assert silence(replace(other, released=True), (MINE, OTHER), mine) == "released"
    assert silence(replace(other, seen_active=False), (MINE, OTHER), mine) == "never_seen_active"
