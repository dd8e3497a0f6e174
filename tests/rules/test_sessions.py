"""Upload sessions as Okta names their states, written down a second time and compared cell by cell (API.md, /identity-sources)."""

from datetime import timedelta
from itertools import product

import pytest

from mastering.rules import sessions
from mastering.rules.runs import RunStatus
from mastering.rules.sessions import AT_WORK, OPEN, SessionStatus, session_status

STARTED = {
    "QUEUED": "TRIGGERED",
    "PLANNING": "TRIGGERED",
    "HELD": "TRIGGERED",
    "APPLYING": "TRIGGERED",
    "COMPLETED": "COMPLETED",
    "CANCELLED": "CLOSED",
    "SUPERSEDED": "CLOSED",
    "FAILED": "ERROR",
}


def test_the_statuses_are_those_of_the_official_sdk() -> None:
    wanted = {"CLOSED", "COMPLETED", "CREATED", "ERROR", "EXPIRED", "IN_PROGRESS", "TRIGGERED"}
    assert {status.value for status in SessionStatus} == wanted


def test_the_limits_are_the_published_ones() -> None:
    assert (sessions.MAX_PROFILES, sessions.MAX_BYTES, sessions.MAX_LOADS) == (200, 204_800, 50)
    assert timedelta(days=1) == sessions.IDLE
    assert timedelta(minutes=5) == sessions.PAUSE


@pytest.mark.parametrize(("run", "loads", "overdue"), list(product(STARTED, (0, 3), (False, True))))
def test_a_started_session_stands_where_its_run_stands(run: str, loads: int, *, overdue: bool) -> None:
    assert session_status(RunStatus(run), started=True, loads=loads, overdue=overdue) == STARTED[run]


def test_every_status_of_a_run_that_was_received_whole_and_is_no_dry_run_has_its_word() -> None:
    assert {status.value for status in RunStatus} - STARTED.keys() == {"RECEIVING", "PLANNED"}


@pytest.mark.parametrize(
    ("loads", "overdue", "status"), [(0, False, "CREATED"), (1, False, "IN_PROGRESS"), (0, True, "EXPIRED"), (50, True, "EXPIRED")]
)
def test_an_open_session_is_in_progress_once_something_is_loaded_and_expires_in_its_time(loads: int, status: str, *, overdue: bool) -> None:
    assert session_status(RunStatus.RECEIVING, started=False, loads=loads, overdue=overdue) == status


def test_a_session_that_ended_before_its_start_was_closed_or_has_expired() -> None:
    assert session_status(RunStatus.CANCELLED, started=False, loads=0, overdue=False) is SessionStatus.CLOSED
    assert session_status(RunStatus.FAILED, started=False, loads=0, overdue=False) is SessionStatus.EXPIRED


def test_what_is_at_work_is_neither_open_nor_at_its_end() -> None:
    assert {status.value for status in AT_WORK} == {"QUEUED", "PLANNING", "HELD", "APPLYING"}
    assert {status.value for status in OPEN} == {"CREATED", "IN_PROGRESS"}
