"""The lifecycle of a user (SPEC §2), written down a second time and compared cell by cell."""

from dataclasses import dataclass
from itertools import permutations, product

import pytest

from mastering.errors import AlreadyActive, IllegalMove
from mastering.rules.lifecycle import (
    CONSOLE_LABEL,
    DELETED,
    MACHINE,
    NOBODY,
    OKTA_STATUS,
    STAGES,
    TRANSITIONS,
    WHO_MAY_FIRE,
    Actor,
    Status,
    Trigger,
    compile_moves,
    may,
    move,
    next_status,
    way_back,
)

MOVES = {
    ("create", "(none)"): "PENDING_ACTIVATION",
    ("activate", "PENDING_ACTIVATION"): "ACTIVE",
    ("activate", "DEACTIVATED"): "ACTIVE",
    ("suspend", "ACTIVE"): "SUSPENDED",
    ("unsuspend", "SUSPENDED"): "ACTIVE",
    ("deactivate", "PENDING_ACTIVATION"): "DEACTIVATED",
    ("deactivate", "ACTIVE"): "DEACTIVATED",
    ("deactivate", "SUSPENDED"): "DEACTIVATED",
    ("reactivate", "DEACTIVATED"): "ACTIVE",
    ("require_activation", "DEACTIVATED"): "PENDING_ACTIVATION",
    ("require_activation", "SUSPENDED"): "PENDING_ACTIVATION",
    ("delete", "DEACTIVATED"): "deleted",
    ("restore", "PENDING_ACTIVATION"): "SUSPENDED",
    ("restore", "ACTIVE"): "PENDING_ACTIVATION",
    ("restore", "DEACTIVATED"): "SUSPENDED",
}
"""Every move there is. Whatever is not here is refused."""

WHO = {
    "create": {"admin", "import", "reviewer"},
    "activate": {"admin", "import", "reviewer", "undo"},
    "suspend": {"admin", "authority", "undo"},
    "unsuspend": {"admin", "authority", "undo"},
    "deactivate": {"admin", "authority", "undo"},
    "reactivate": {"authority", "undo"},
    "require_activation": {"authority", "undo"},
    "delete": {"admin"},
    "restore": {"undo"},
}

CELLS = list(product(Trigger, ["(none)", "PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "DEACTIVATED", "deleted"]))
LEGAL = [cell for cell in CELLS if cell in MOVES]
REFUSED = [cell for cell in CELLS if cell not in MOVES]


@dataclass
class Row:
    """Something with a status."""

    status: str


def test_there_are_four_statuses_and_nine_triggers_each_named_as_it_is_spelled() -> None:
    assert [(status.name, status.value) for status in Status] == [
        ("PENDING_ACTIVATION", "PENDING_ACTIVATION"),
        ("ACTIVE", "ACTIVE"),
        ("SUSPENDED", "SUSPENDED"),
        ("DEACTIVATED", "DEACTIVATED"),
    ]
    assert [(trigger.name, trigger.value) for trigger in Trigger] == [(name, name) for name in WHO]


def test_the_table_is_complete_so_that_a_refusal_is_written_out() -> None:
    assert set(STAGES) == {"(none)", *Status, "deleted"}
    assert set(TRANSITIONS) == set(Trigger)
    for row in TRANSITIONS.values():
        assert tuple(row) == STAGES


@pytest.mark.parametrize(("trigger", "stage"), CELLS)
def test_every_cell_of_the_table_is_the_one_specified(trigger: Trigger, stage: str) -> None:
    assert TRANSITIONS[trigger][stage] == MOVES.get((trigger, stage))
    assert may(stage, trigger) is ((trigger, stage) in MOVES)


@pytest.mark.parametrize(("trigger", "stage"), LEGAL)
def test_a_legal_move_ends_where_the_table_says(trigger: Trigger, stage: str) -> None:
    row = Row(stage)
    move(row, trigger)
    assert row.status == MOVES[trigger, stage]
    assert isinstance(row.status, Status) or row.status == DELETED


@pytest.mark.parametrize(("trigger", "stage"), REFUSED)
def test_anything_not_in_the_table_is_refused_and_nothing_changes(trigger: Trigger, stage: str) -> None:
    row = Row(stage)
    with pytest.raises(IllegalMove) as refusal:
        move(row, trigger)
    assert row == Row(stage)
    with pytest.raises(IllegalMove):
        next_status(stage, trigger)
    assert isinstance(refusal.value, AlreadyActive) is ((trigger, stage) == ("activate", "ACTIVE"))


def test_a_refusal_names_the_trigger_and_the_status_it_met() -> None:
    with pytest.raises(IllegalMove, match=r"suspend of a user who is DEACTIVATED$"):
        next_status(Status.DEACTIVATED, Trigger.suspend)
    with pytest.raises(AlreadyActive, match=r"^Activation failed because the user is already active$"):
        next_status(Status.ACTIVE, Trigger.activate)


@pytest.mark.parametrize(("trigger", "stage"), LEGAL)
def test_the_quick_path_and_the_machine_lead_to_the_same_status(trigger: Trigger, stage: str) -> None:
    if trigger is Trigger.delete:
        with pytest.raises(IllegalMove):  # what is deleted has no status any more, so only the machine takes this step
            next_status(stage, trigger)
        return
    row = Row(stage)
    move(row, trigger)
    assert next_status(stage, trigger) is row.status


def test_the_machine_knows_the_table_and_no_other_way_to_move_a_status() -> None:
    assert set(MACHINE.events) == set(Trigger)
    assert compile_moves(MACHINE) == MOVES


def test_moving_a_row_leaves_nothing_behind_in_the_machine_or_on_the_row() -> None:
    row = Row("ACTIVE")
    move(row, Trigger.suspend)
    assert MACHINE.models == []
    assert vars(row) == {"status": Status.SUSPENDED}


def test_deleted_is_the_end() -> None:
    assert [trigger for trigger in Trigger if may(DELETED, trigger)] == []


def test_a_user_begins_by_being_created_and_in_no_other_way() -> None:
    assert [trigger for trigger in Trigger if may(NOBODY, trigger)] == [Trigger.create]
    assert next_status(NOBODY, Trigger.create) is Status.PENDING_ACTIVATION


def test_only_a_deactivated_user_can_be_deleted() -> None:
    assert [status for status in Status if may(status, Trigger.delete)] == [Status.DEACTIVATED]


def test_who_may_fire_what_is_as_specified() -> None:
    assert {trigger.value: {actor.value for actor in actors} for trigger, actors in WHO_MAY_FIRE.items()} == WHO


def test_a_person_with_a_say_is_an_admin_an_import_a_reviewer_or_the_authority_and_an_undo_is_an_admins() -> None:
    assert {actor.value for actor in Actor} == {"admin", "import", "reviewer", "authority", "undo"}


@pytest.mark.parametrize(("start", "end"), list(permutations(Status, 2)))
def test_there_is_a_way_back_from_every_status_to_every_other_by_one_move_that_undo_may_make(start: Status, end: Status) -> None:
    trigger = way_back(start, end)
    assert next_status(start, trigger) is end
    assert Actor.undo in WHO_MAY_FIRE[trigger]


def test_undo_has_moves_of_its_own_only_where_no_other_trigger_leads_there() -> None:
    others = {(stage, end) for (trigger, stage), end in MOVES.items() if trigger != "restore"}
    assert not {(stage, end) for (trigger, stage), end in MOVES.items() if trigger == "restore"} & others


def test_okta_shaped_endpoints_show_oktas_names() -> None:
    assert OKTA_STATUS == {
        "PENDING_ACTIVATION": "STAGED",
        "ACTIVE": "ACTIVE",
        "SUSPENDED": "SUSPENDED",
        "DEACTIVATED": "DEPROVISIONED",
    }


def test_the_console_shows_its_own_labels() -> None:
    assert CONSOLE_LABEL == {
        "PENDING_ACTIVATION": "Pending activation",
        "ACTIVE": "Active",
        "SUSPENDED": "Suspended",
        "DEACTIVATED": "Deactivated",
    }
