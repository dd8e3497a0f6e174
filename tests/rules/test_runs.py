"""The life of an import run (SPEC §§2, 5; API.md), written down a second time and compared cell by cell."""

from itertools import product

import pytest

from mastering.errors import WrongState
from mastering.rules.lifecycle import compile_moves
from mastering.rules.runs import ENDED, RUN_MACHINE, RUN_TRANSITIONS, RunStatus, RunTrigger, next_run_status

MOVES = {
    ("seal", "RECEIVING"): "QUEUED",
    ("close", "RECEIVING"): "CANCELLED",
    ("plan", "QUEUED"): "PLANNING",
    ("requeue", "PLANNING"): "QUEUED",
    ("show", "PLANNING"): "PLANNED",
    ("hold", "PLANNING"): "HELD",
    ("apply", "PLANNING"): "APPLYING",
    ("apply", "HELD"): "APPLYING",
    ("complete", "APPLYING"): "COMPLETED",
    ("cancel", "QUEUED"): "CANCELLED",
    ("cancel", "HELD"): "CANCELLED",
    ("supersede", "HELD"): "SUPERSEDED",
    ("fail", "RECEIVING"): "FAILED",
    ("fail", "QUEUED"): "FAILED",
    ("fail", "PLANNING"): "FAILED",
    ("fail", "APPLYING"): "FAILED",
}
STATUSES = ["RECEIVING", "QUEUED", "PLANNING", "PLANNED", "HELD", "APPLYING", "COMPLETED", "CANCELLED", "SUPERSEDED", "FAILED"]
COMPILED = compile_moves(RUN_MACHINE)


def test_the_statuses_are_those_of_the_wire() -> None:
    assert [(status.name, status.value) for status in RunStatus] == [(name, name) for name in STATUSES]
    assert all(trigger.name == trigger.value for trigger in RunTrigger)


@pytest.mark.parametrize(("trigger", "status"), list(product(RunTrigger, RunStatus)))
def test_every_cell_of_the_table_is_the_one_specified(trigger: RunTrigger, status: RunStatus) -> None:
    to = MOVES.get((trigger, status))
    assert RUN_TRANSITIONS[trigger][status] == to
    if to is None:
        with pytest.raises(WrongState, match=f"^An import run that is {status} cannot {trigger}$"):
            next_run_status(status, trigger)
    else:
        assert next_run_status(status, trigger) is RunStatus(to)


def test_the_table_is_complete_so_that_a_refusal_is_written_out() -> None:
    assert set(RUN_TRANSITIONS) == set(RunTrigger)
    for row in RUN_TRANSITIONS.values():
        assert list(row) == list(RunStatus)


def test_the_machine_knows_the_table_and_no_other_way() -> None:
    assert COMPILED == MOVES


def test_nothing_leaves_a_status_that_is_an_end_and_everything_else_goes_on() -> None:
    left = {status for _, status in COMPILED}
    assert {status.value for status in ENDED} == {"PLANNED", "COMPLETED", "CANCELLED", "SUPERSEDED", "FAILED"}
    assert set(STATUSES) - left == ENDED


def test_every_status_can_be_reached_from_the_first_byte() -> None:
    reached = {"RECEIVING"}
    for _ in STATUSES:
        reached |= {to for (_, status), to in COMPILED.items() if status in reached}
    assert reached == set(STATUSES)
    assert RUN_MACHINE.initial == "RECEIVING"


def test_a_run_that_is_not_sealed_never_gets_to_be_planned_or_applied() -> None:
    assert {to for (_, status), to in COMPILED.items() if status == "RECEIVING"} == {"QUEUED", "CANCELLED", "FAILED"}


def test_a_run_is_applied_only_after_it_was_checked_or_approved() -> None:
    assert {status for (_, status), to in COMPILED.items() if to == "APPLYING"} == {"PLANNING", "HELD"}


def test_a_held_run_waits_for_an_admin_or_for_a_newer_snapshot_and_never_goes_on_by_itself() -> None:
    assert {name for name, status in COMPILED if status == "HELD"} == {"apply", "cancel", "supersede"}


def test_a_run_that_is_being_applied_cannot_be_called_back() -> None:
    assert {to for (_, status), to in COMPILED.items() if status == "APPLYING"} == {"COMPLETED", "FAILED"}
