"""Upload sessions as Okta's clients know them: a view of an import run while it is received and after (API.md, /identity-sources).

============  ===========================================================================================
CREATED       open, and nothing has been loaded yet
IN_PROGRESS   open, and something has been loaded
TRIGGERED     started, and not at its end: the run waits for its turn, is planned, held or applied
COMPLETED     the run was applied
CLOSED        closed before it was started, or the run was cancelled or superseded: nothing was applied
EXPIRED       nothing was loaded for 24 hours, so that it was never started
ERROR         the run failed after it was started; it says why
============  ===========================================================================================

The limits are the ones that Okta publishes, so that a job that keeps to them there keeps to them here.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from mastering.rules.runs import RunStatus

IDENTITY_SOURCE = "IDENTITY_SOURCE"
"""The source of a run that is an upload session."""

MAX_PROFILES = 200
"""Profiles in one request."""
MAX_BYTES = 200 * 1024
"""Bytes of one request's body."""
MAX_LOADS = 50
"""Requests that load data, in one session."""
IDLE = timedelta(hours=24)
"""How long an open session waits for more data before it expires."""
PAUSE = timedelta(minutes=5)
"""How long after the start of a session, while that is at work, no other one of the same source can be made."""


class SessionStatus(StrEnum):
    """Where an upload session stands."""

    CREATED = "CREATED"
    IN_PROGRESS = "IN_PROGRESS"
    TRIGGERED = "TRIGGERED"
    COMPLETED = "COMPLETED"
    CLOSED = "CLOSED"
    EXPIRED = "EXPIRED"
    ERROR = "ERROR"


OPEN = frozenset({SessionStatus.CREATED, SessionStatus.IN_PROGRESS})
"""Data can be loaded, and the session can be closed."""

_STARTED = {
    RunStatus.QUEUED: SessionStatus.TRIGGERED,
    RunStatus.PLANNING: SessionStatus.TRIGGERED,
    RunStatus.HELD: SessionStatus.TRIGGERED,
    RunStatus.APPLYING: SessionStatus.TRIGGERED,
    RunStatus.COMPLETED: SessionStatus.COMPLETED,
    RunStatus.CANCELLED: SessionStatus.CLOSED,
    RunStatus.SUPERSEDED: SessionStatus.CLOSED,
    RunStatus.FAILED: SessionStatus.ERROR,
}
"""No session is a dry run, so PLANNED is none of its statuses."""

AT_WORK = frozenset(run for run, session in _STARTED.items() if session is SessionStatus.TRIGGERED)
"""Statuses of the run of a session that is TRIGGERED."""


def session_status(run: RunStatus, *, started: bool, loads: int, overdue: bool) -> SessionStatus:
    """Where the session stands whose run has this status. `overdue`: it is open, and nothing has been loaded for `IDLE`."""
    if run is RunStatus.RECEIVING:
        if overdue:
            return SessionStatus.EXPIRED
        return SessionStatus.IN_PROGRESS if loads else SessionStatus.CREATED
    if run is RunStatus.FAILED and not started:
        return SessionStatus.EXPIRED
    return _STARTED[run]
