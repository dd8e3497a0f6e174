"""The life of an outbound task and its pauses (SPEC §10), written down a second time and compared cell by cell."""

from itertools import product

import pytest

from mastering.errors import WrongState
from mastering.rules.lifecycle import compile_moves
from mastering.rules.tasks import (
    ENDED,
    MOST_ATTEMPTS,
    OPEN,
    TASK_MACHINE,
    TASK_TRANSITIONS,
    TaskStatus,
    TaskTrigger,
    after_failure,
    next_task_status,
    pause,
)

MOVES = {
    ("claim", "PENDING"): "DELIVERING",
    ("put_off", "DELIVERING"): "PENDING",
    ("finish", "DELIVERING"): "DONE",
    ("supersede", "PENDING"): "SUPERSEDED",
    ("supersede", "DELIVERING"): "SUPERSEDED",
    ("supersede", "DEAD"): "SUPERSEDED",
    ("die", "DELIVERING"): "DEAD",
    ("retry", "DEAD"): "PENDING",
}


@pytest.mark.parametrize(("trigger", "status"), list(product(TaskTrigger, TaskStatus)))
def test_every_cell_of_the_table_is_the_one_specified(trigger: TaskTrigger, status: TaskStatus) -> None:
    to = MOVES.get((trigger, status))
    assert TASK_TRANSITIONS[trigger][status] == to
    if to is None:
        with pytest.raises(WrongState, match=f"^An outbound task that is {status} cannot {trigger}$"):
            next_task_status(status, trigger)
    else:
        assert next_task_status(status, trigger) is TaskStatus(to)


def test_the_machine_knows_the_table_and_no_other_way() -> None:
    assert compile_moves(TASK_MACHINE) == MOVES


def test_nothing_leaves_an_end_and_what_is_open_or_dead_goes_on() -> None:
    left = {TaskStatus(status) for _, status in MOVES}
    assert left.isdisjoint(ENDED)
    assert left == OPEN | {TaskStatus.DEAD}


def test_the_tenth_failed_attempt_is_the_last() -> None:
    assert [after_failure(attempt) for attempt in range(1, MOST_ATTEMPTS)] == [TaskTrigger.put_off] * 9
    assert after_failure(10) is TaskTrigger.die


def test_pauses_grow_up_to_six_hours_and_chance_moves_them_by_a_fifth() -> None:
    assert [pause(attempt, 0.5) for attempt in range(1, 10)] == [5, 15, 45, 135, 405, 1215, 3645, 10935, 21600]
    assert pause(1, 0.0) == pytest.approx(4)
    assert pause(1, 0.999999) == pytest.approx(6, abs=0.001)


@pytest.mark.parametrize(("asked", "expected"), [(None, 15), (1.0, 15), (3600.0, 3600)])
def test_retry_after_is_obeyed_where_it_asks_for_more(asked: float | None, expected: float) -> None:
    assert pause(2, 0.5, asked) == expected
