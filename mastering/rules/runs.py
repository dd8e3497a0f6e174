"""The life of an import run, as a table like the user's (SPEC §2, last paragraph; API.md, statuses of a run).

A run is received, waits for its turn, is planned, and then either ends (dry run), is held for an admin, or is applied.
An upload session is open while it is received, for hours perhaps, and a pull is received by a worker; only these may be closed before
they are sealed.
PLANNING goes back to QUEUED when the process that planned it died: a plan is computed anew, never continued half-way.
APPLYING has no way back: a batch that was committed stays, and whoever takes the run over goes on at its cursor.
"""

from __future__ import annotations

from enum import StrEnum

from mastering.errors import WrongState
from mastering.rules.lifecycle import build_machine, compile_moves


class RunStatus(StrEnum):
    """Where an import run stands."""

    RECEIVING = "RECEIVING"
    QUEUED = "QUEUED"
    PLANNING = "PLANNING"
    PLANNED = "PLANNED"
    HELD = "HELD"
    APPLYING = "APPLYING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    FAILED = "FAILED"


class RunTrigger(StrEnum):
    """What moves a run."""

    seal = "seal"
    close = "close"
    plan = "plan"
    requeue = "requeue"
    show = "show"
    hold = "hold"
    apply = "apply"
    complete = "complete"
    cancel = "cancel"
    supersede = "supersede"
    fail = "fail"


PULL = "PULL"
"""The source of a run whose records a worker fetches from the app's connection, under a lease; nobody's request is open meanwhile."""

_S = RunStatus
_MOVES: dict[RunTrigger, dict[RunStatus, RunStatus]] = {
    RunTrigger.seal: {_S.RECEIVING: _S.QUEUED},
    RunTrigger.close: {_S.RECEIVING: _S.CANCELLED},
    RunTrigger.plan: {_S.QUEUED: _S.PLANNING},
    RunTrigger.requeue: {_S.PLANNING: _S.QUEUED},
    RunTrigger.show: {_S.PLANNING: _S.PLANNED},
    RunTrigger.hold: {_S.PLANNING: _S.HELD},
    RunTrigger.apply: {_S.PLANNING: _S.APPLYING, _S.HELD: _S.APPLYING},
    RunTrigger.complete: {_S.APPLYING: _S.COMPLETED},
    RunTrigger.cancel: {_S.QUEUED: _S.CANCELLED, _S.HELD: _S.CANCELLED},
    RunTrigger.supersede: {_S.HELD: _S.SUPERSEDED},
    RunTrigger.fail: {_S.RECEIVING: _S.FAILED, _S.QUEUED: _S.FAILED, _S.PLANNING: _S.FAILED, _S.APPLYING: _S.FAILED},
}

RUN_TRANSITIONS: dict[RunTrigger, dict[str, str | None]] = {
    trigger: {status: moves.get(status) for status in RunStatus} for trigger, moves in _MOVES.items()
}
"""Complete: each trigger has an entry for each status, `None` where it is refused."""

RUN_MACHINE = build_machine(RUN_TRANSITIONS, RunStatus.RECEIVING)
_NEXT = compile_moves(RUN_MACHINE)

ENDED = frozenset({_S.PLANNED, _S.COMPLETED, _S.CANCELLED, _S.SUPERSEDED, _S.FAILED})
"""Statuses that nothing leaves."""


def next_run_status(status: str, trigger: RunTrigger) -> RunStatus:
    """Where `trigger` leads from `status`; raises `WrongState` where the table refuses."""
    to = _NEXT.get((trigger.value, str(status)))
    if to is None:
        raise WrongState(f"An import run that is {status} cannot {trigger.value}")
    return RunStatus(to)
