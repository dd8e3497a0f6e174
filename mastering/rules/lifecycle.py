"""The lifecycle of a user: four statuses, nine triggers, one table (SPEC §2).

Two rules:

1. A status moves only by a trigger, and only as `TRANSITIONS` says. The table is complete: each trigger has an entry for
   every stage, and `None` means that it is refused there.
2. Nothing else in the program moves a status. `move` asks the machine that is built from the table; the bulk path asks
   `next_status`, a dictionary compiled from that machine's own events at start-up.

A refused move is one failed look-up and one error, and nothing has changed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from transitions import Machine, MachineError

from mastering.errors import AlreadyActive, IllegalMove


class Status(StrEnum):
    """A user's status. The value is our name; Okta-shaped endpoints show `OKTA_STATUS`."""

    PENDING_ACTIVATION = "PENDING_ACTIVATION"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    DEACTIVATED = "DEACTIVATED"


class Trigger(StrEnum):
    """What may move a status."""

    create = "create"
    activate = "activate"
    suspend = "suspend"
    unsuspend = "unsuspend"
    deactivate = "deactivate"
    reactivate = "reactivate"
    require_activation = "require_activation"
    delete = "delete"
    restore = "restore"


class Actor(StrEnum):
    """Who may fire a trigger."""

    admin = "admin"
    importer = "import"
    reviewer = "reviewer"
    authority = "authority"
    undo = "undo"


NOBODY = "(none)"
"""The stage before a user exists."""
DELETED = "deleted"
"""The end: the row is gone, its history stays."""

_P, _A, _S, _D = Status.PENDING_ACTIVATION, Status.ACTIVE, Status.SUSPENDED, Status.DEACTIVATED

STAGES: tuple[str, ...] = (NOBODY, _P, _A, _S, _D, DELETED)

# fmt: off
TRANSITIONS: dict[Trigger, dict[str, str | None]] = {
    #                             nobody      pending     active      suspended   deactivated  deleted
    Trigger.create:             {NOBODY: _P,   _P: None,   _A: None,   _S: None,   _D: None,    DELETED: None},
    Trigger.activate:           {NOBODY: None, _P: _A,     _A: None,   _S: None,   _D: _A,      DELETED: None},
    Trigger.suspend:            {NOBODY: None, _P: None,   _A: _S,     _S: None,   _D: None,    DELETED: None},
    Trigger.unsuspend:          {NOBODY: None, _P: None,   _A: None,   _S: _A,     _D: None,    DELETED: None},
    Trigger.deactivate:         {NOBODY: None, _P: _D,     _A: _D,     _S: _D,     _D: None,    DELETED: None},
    Trigger.reactivate:         {NOBODY: None, _P: None,   _A: None,   _S: None,   _D: _A,      DELETED: None},
    Trigger.require_activation: {NOBODY: None, _P: None,   _A: None,   _S: _P,     _D: _P,      DELETED: None},
    Trigger.delete:             {NOBODY: None, _P: None,   _A: None,   _S: None,   _D: DELETED, DELETED: None},
    Trigger.restore:            {NOBODY: None, _P: _S,     _A: _P,     _S: None,   _D: _S,      DELETED: None},
}
# fmt: on

WHO_MAY_FIRE: dict[Trigger, frozenset[Actor]] = {
    Trigger.create: frozenset({Actor.admin, Actor.importer, Actor.reviewer}),
    Trigger.activate: frozenset({Actor.admin, Actor.importer, Actor.reviewer, Actor.undo}),
    Trigger.suspend: frozenset({Actor.admin, Actor.authority, Actor.undo}),
    Trigger.unsuspend: frozenset({Actor.admin, Actor.authority, Actor.undo}),
    Trigger.deactivate: frozenset({Actor.admin, Actor.authority, Actor.undo}),
    Trigger.reactivate: frozenset({Actor.authority, Actor.undo}),
    Trigger.require_activation: frozenset({Actor.authority, Actor.undo}),
    Trigger.delete: frozenset({Actor.admin}),
    Trigger.restore: frozenset({Actor.undo}),
}
"""Who may fire what. `restore` has the moves that only undo may make: back to where somebody was by none of the other ways."""

_WAYS_BACK = (
    Trigger.unsuspend,
    Trigger.suspend,
    Trigger.reactivate,
    Trigger.activate,
    Trigger.require_activation,
    Trigger.deactivate,
    Trigger.restore,
)

OKTA_STATUS: dict[Status, str] = {_P: "STAGED", _A: "ACTIVE", _S: "SUSPENDED", _D: "DEPROVISIONED"}
CONSOLE_LABEL: dict[Status, str] = {_P: "Pending activation", _A: "Active", _S: "Suspended", _D: "Deactivated"}


class HasStatus(Protocol):
    """Anything with a status that the machine may move."""

    status: Any


def build_machine(table: dict[Any, dict[str, str | None]], initial: str) -> Machine:
    """A `transitions` machine of a complete table: `table[trigger][stage]` is the next stage, or `None` for refused."""
    stages = list(dict.fromkeys(stage for row in table.values() for stage in row))
    rows = [[str(t), str(a), str(b)] for t, row in table.items() for a, b in row.items() if b is not None]
    return Machine(
        model=None,
        states=[str(s) for s in stages],
        transitions=rows,
        initial=str(initial),
        model_attribute="status",
        auto_transitions=False,
    )


def compile_moves(machine: Machine) -> dict[tuple[str, str], str]:
    """The machine's own events as a dictionary (trigger, from) → to, for the paths that ask a million times."""
    return {
        (name, source): transition.dest
        for name, event in machine.events.items()
        for source, transitions in event.transitions.items()
        for transition in transitions
        if transition.dest is not None  # the package's word for a transition that stays where it is; the table has none
    }


MACHINE = build_machine(TRANSITIONS, NOBODY)
_MOVES = compile_moves(MACHINE)
_STATUSES = {status.value: status for status in Status}


def may(status: str, trigger: Trigger) -> bool:
    """Whether the table has a move under `trigger` from `status`."""
    return (trigger.value, str(status)) in _MOVES


def next_status(status: str, trigger: Trigger) -> Status:
    """Where `trigger` leads from `status` (`NOBODY` for a user to be). Raises `IllegalMove`. SPEC §2."""
    to = _MOVES.get((trigger.value, str(status)))
    if to is None or to == DELETED:
        raise _refusal(status, trigger)
    return _STATUSES[to]


def way_back(status: Status, to: Status) -> Trigger:
    """The trigger by which undo brings a user from one status to another: a usual one if there is one, else `restore`. There always is one."""
    return next(trigger for trigger in _WAYS_BACK if TRANSITIONS[trigger][status] == to)


def move(row: HasStatus, trigger: Trigger) -> None:
    """Move `row.status` by `trigger` through the machine; raise `IllegalMove` and change nothing where the table refuses. SPEC §2."""
    try:
        MACHINE.events[trigger.value].trigger(row)
    except MachineError as refused:
        raise _refusal(row.status, trigger) from refused
    row.status = _STATUSES.get(str(row.status), row.status)


def _refusal(status: str, trigger: Trigger) -> IllegalMove:
    if trigger is Trigger.activate and status == Status.ACTIVE:
        return AlreadyActive("Activation failed because the user is already active")
    return IllegalMove(f"This operation is not allowed in the user's current status: {trigger.value} of a user who is {status}")
