"""The demo's story: what the world did, and how the service has to answer.

Each chapter is one import. `situations` says what all of its records must have meant; `rows` says of those that matter what must have
been decided: (action, the status it leads to, the reason why not more).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mastering.demo.company import DIRECTORY, HR
from mastering.rules.record import Mode

Outcome = tuple[str, str | None, str | None]

_A, _P, _S, _D = "ACTIVE", "PENDING_ACTIVATION", "SUSPENDED", "DEACTIVATED"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One import: where it comes from, what happened there, and what has to come of it."""

    title: str
    happened: str
    app: str
    file: str
    mode: Mode
    situations: Mapping[str, int]
    rows: Mapping[str, Outcome] = field(default_factory=dict)
    status: str = "COMPLETED"


CHAPTERS = (
    Chapter(
        "Everybody arrives",
        "HR, the higher master, sends all of its 20 people. Nobody knows them yet; HR's options say to create and activate whoever is new.",
        HR,
        "hr-1-everybody.csv",
        Mode.FULL,
        {"UNMATCHED": 20},
        {"W1001": ("create", _A, None), "W1016": ("create", _A, None)},
    ),
    Chapter(
        "The directory joins",
        "The directory, the lower master, sends 18 accounts. Eleven have the login of somebody HR knows. Keiko goes by another address, "
        "Maria Rossi could be either of two, Samir has two accounts, two trainees are unknown to HR, and a printer has no last name.",
        DIRECTORY,
        "directory-1-everybody.ndjson",
        Mode.FULL,
        {"EXACT": 11, "PARTIAL": 1, "AMBIGUOUS": 1, "CONFLICT": 2, "UNMATCHED": 2, "INVALID": 1},
        {
            "dir-001": ("link", _A, None),
            "dir-016": ("create", _A, None),
            "dir-017": ("create", _A, None),
        },
    ),
    Chapter(
        "Three people leave, one moves",
        "HR's next export calls David and Rosa terminated, and Elif is not in it any more. HR's option for leavers is DEACTIVATE. "
        "Femi has moved to Sales.",
        HR,
        "hr-2-leavers.csv",
        Mode.FULL,
        {"UNCHANGED": 16, "WENT_INACTIVE": 2, "WENT_MISSING": 1, "CHANGED": 1},
        {
            "W1004": ("deactivate", _D, None),
            "W1019": ("deactivate", _D, None),
            "W1005": ("deactivate", _D, None),
            "W1006": ("update", _A, None),
        },
    ),
    Chapter(
        "The lower master speaks",
        "The directory reports two of its accounts as inactive. Tom is a trainee whom only the directory knows: its option, SUSPEND, is "
        "followed. Clara is HR's, and HR says she works here.",
        DIRECTORY,
        "directory-2-changes.ndjson",
        Mode.INCREMENTAL,
        {"WENT_INACTIVE": 2},
        {"dir-016": ("suspend", _S, None), "dir-003": ("none", _A, "not_authority")},
    ),
    Chapter(
        "Two people come back",
        "HR has David again, exactly as he was. Elif is back, too, but as Elif Kaya with a new address: not exactly the person who left, "
        "so somebody has to look before she is let in.",
        HR,
        "hr-3-returners.csv",
        Mode.FULL,
        {"UNCHANGED": 18, "CAME_BACK": 2},
        {"W1004": ("reactivate", _A, None), "W1005": ("require_activation", _P, None)},
    ),
    Chapter(
        "An export goes wrong",
        "Somebody filters HR's export for one department. Taken at its word it would deactivate everybody else, so a safeguard holds it.",
        HR,
        "hr-4-one-department.csv",
        Mode.FULL,
        {"UNCHANGED": 8, "WENT_MISSING": 12},
        {"W1003": ("deactivate", _D, None), "W1018": ("deactivate", _D, None)},
        status="HELD",
    ),
)

REVIEW_AFTER = 2
"""After this chapter a reviewer looks at the queue."""
REVIEWED = {"dir-012": "PARTIAL", "dir-013": "AMBIGUOUS", "dir-014": "CONFLICT", "dir-015": "CONFLICT"}
"""Who waits then, and why."""
CONFIRMED = "dir-012"
"""Whom the reviewer recognises."""

NOT_ACTIVE_AT_THE_END = {
    "elif.kaya@tern.example": _P,
    "rosa.jimenez@tern.example": _D,
    "tom.becker@tern.example": _S,
}
"""Everybody else is active."""
PEOPLE = 22
TOLD_IN_FULL = "elif.kaya@tern.example"
"""Whose history is shown."""
LIFE = ["user.create", "user.activate", "user.deactivate", "user.require_activation"]
"""And what it has to tell, oldest first."""
DISAGREES = "clara.nilsson@tern.example"
"""Of whom a master's word stands unheeded."""
