"""The life of an outbound task, and how long it waits between two attempts (SPEC §§2, 10).

A task waits, is in somebody's hands while it is delivered, and ends: delivered, overtaken by what came after it, or dead. A dead one can be
retried. DELIVERING goes back to PENDING when it is put off, and also when the process that had it died; whether its call was made is not
known then, and so it is made again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mastering.errors import WrongState
from mastering.rules.lifecycle import build_machine, compile_moves


class TaskKind(StrEnum):
    """What the app is to be told."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DEACTIVATE = "DEACTIVATE"
    REACTIVATE = "REACTIVATE"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of a kind of task


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "PENDING"
    DELIVERING = "DELIVERING"
    DONE = "DONE"
    SUPERSEDED = "SUPERSEDED"
    DEAD = "DEAD"


class TaskTrigger(StrEnum):
    """What moves a task."""

    claim = "claim"
    put_off = "put_off"
    finish = "finish"
    supersede = "supersede"
    die = "die"
    retry = "retry"


_S = TaskStatus
_MOVES: dict[TaskTrigger, dict[TaskStatus, TaskStatus]] = {
    TaskTrigger.claim: {_S.PENDING: _S.DELIVERING},
    TaskTrigger.put_off: {_S.DELIVERING: _S.PENDING},
    TaskTrigger.finish: {_S.DELIVERING: _S.DONE},
    TaskTrigger.supersede: {_S.PENDING: _S.SUPERSEDED, _S.DELIVERING: _S.SUPERSEDED, _S.DEAD: _S.SUPERSEDED},
    TaskTrigger.die: {_S.DELIVERING: _S.DEAD},
    TaskTrigger.retry: {_S.DEAD: _S.PENDING},
}

TASK_TRANSITIONS: dict[TaskTrigger, dict[str, str | None]] = {
    trigger: {status: moves.get(status) for status in TaskStatus} for trigger, moves in _MOVES.items()
}
"""Complete: each trigger has an entry for each status, `None` where it is refused."""

TASK_MACHINE = build_machine(TASK_TRANSITIONS, TaskStatus.PENDING)
_NEXT = compile_moves(TASK_MACHINE)

OPEN: Final = frozenset({_S.PENDING, _S.DELIVERING})
"""Statuses of tasks that are still to be delivered."""
ENDED: Final = frozenset({_S.DONE, _S.SUPERSEDED})
"""Statuses that nothing leaves."""

MOST_ATTEMPTS: Final = 10
"""After so many attempts a task is dead, until an admin retries it."""
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 5.0, 3.0, 6 * 3600.0
_SPREAD = 0.2


def next_task_status(status: str, trigger: TaskTrigger) -> TaskStatus:
    """Where `trigger` leads from `status`; raises `WrongState` where the table refuses."""
    to = _NEXT.get((trigger.value, str(status)))
    if to is None:
        raise WrongState(f"An outbound task that is {status} cannot {trigger.value}")
    return TaskStatus(to)


def after_failure(attempts: int) -> TaskTrigger:
    """What becomes of a task whose attempt, the `attempts`-th, came to nothing for a reason that may pass."""
    return TaskTrigger.die if attempts >= MOST_ATTEMPTS else TaskTrigger.put_off


def pause(attempts: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds until the next attempt after `attempts` failed ones: 5, 15, 45, … up to six hours, a fifth more or less.

    `chance`, from 0 to below 1, spreads those who failed together. What the app asks for with `Retry-After` is obeyed where it is longer.
    """
    plain = min(_FIRST_PAUSE * _GROWTH ** max(attempts - 1, 0), _LONGEST_PAUSE)
    return max(plain * (1 - _SPREAD + 2 * _SPREAD * chance), retry_after or 0.0)
