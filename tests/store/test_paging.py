"""Lists are keyset: each page is found by an index and read in its order, so that page 1,000 costs what page 1 does.

Proven by the plan that the database makes for the statements which the program really sends: nothing is sorted, and no table is gone
through from its beginning. PostgreSQL would go through tables as small as these, so it is told to avoid that where it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlmodel import Session

from mastering import review
from mastering.rules.lifecycle import Status
from mastering.rules.schema import default_schema
from mastering.store import accounts, catalog, events, figures, history, runs, tokens, users
from mastering.store import imports as plans
from mastering.store.catalog import WantedApps
from mastering.store.engine import reading
from mastering.store.search import Cursor

A, B = "0oa0", "0ob0"
NOT_GONE = users.Wanted(not_status=Status.DEACTIVATED)
EVER, NOTHING = events.WantedEvents("2026-01-01T00:00:00.000Z"), events.Shown({}, {}, {})

PAGES: dict[str, Callable[[Session], object]] = {
    "users": lambda session: users.page(session, users.Wanted(), default_schema(), Cursor(A, A), 10),
    "users but the deactivated": lambda session: users.page(session, NOT_GONE, default_schema(), Cursor(A, A), 10),
    "users with an account": lambda session: users.linked_ids(session, A, 10),
    "accounts of an app": lambda session: accounts.page(session, A, B, 10),
    "runs": lambda session: runs.page(session, None, None, A, 10),
    "runs of an app": lambda session: runs.page(session, A, None, B, 10),
    "changes of a run": lambda session: plans.change_page(session, A, 5, 10, situation=None, action=None, user_id=None),
    "changes of a run by situation": lambda session: plans.change_page(session, A, 5, 10, situation="NEW", action=None, user_id=None),
    "rows of a plan": lambda session: plans.changes(session, A, 5, 10),
    "history of a user": lambda session: history.newest_first(session, A, 5, 10),
    "history of everything": lambda session: events.page(session, EVER, NOTHING, 5, 10, newest_first=False),
    "history of everything, newest first": lambda session: events.page(session, EVER, NOTHING, 5, 10, newest_first=True),
    "apps": lambda session: catalog.apps(session, WantedApps(), A, 10),
    "tokens": lambda session: tokens.page(session, A, 10),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_found_by_an_index_and_read_in_its_order(engine: Engine, page: str) -> None:
    with _statements(engine) as sent, reading(engine) as session:
        PAGES[page](session)
    assert sent
    for statement, parameters in sent:
        assert faults(engine, statement, parameters) == [], statement


@pytest.mark.parametrize("app_id", [None, A])
def test_the_review_queue_is_found_by_an_index_and_read_in_its_order(engine: Engine, app_id: str | None) -> None:
    with _statements(engine) as sent:
        review.queue(engine, app_id=app_id, after=B)
    assert sent
    for statement, parameters in sent:
        assert faults(engine, statement, parameters) == [], statement


@pytest.mark.parametrize("told", [figures.takeovers, figures.runs_by_status])
def test_figures_of_runs_are_read_from_an_index(engine: Engine, told: Callable[[Session], object]) -> None:
    with _statements(engine) as sent, reading(engine) as session:
        told(session)
    assert sent
    for statement, parameters in sent:
        assert faults(engine, statement, parameters) == [], statement


def test_a_statement_that_sorts_or_scans_would_be_noticed(engine: Engine) -> None:
    bad = "SELECT id FROM users WHERE profile > 'a' ORDER BY profile LIMIT 10"
    assert faults(engine, bad, ()) != []


@contextmanager
def _statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def faults(engine: Engine, statement: str, parameters: Any) -> list[str]:
    """What is wrong with the plan of a statement. What is counted of a statement within it is judged as that is."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            told = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            return [
                step for step in told if "TEMP B-TREE" in step or (step.startswith("SCAN") and "INDEX" not in step and "anon_" not in step)
            ]
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        if "ORDER BY" in statement:
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")  # it gives no order
        connection.exec_driver_sql("SET LOCAL enable_sort = off")  # of a handful of rows it would be as good as the index
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
        return _of(plan[0]["Plan"])


def _of(node: dict[str, Any]) -> list[str]:
    wrong = (
        [f"{node['Node Type']} {node.get('Relation Name', '')}"] if node["Node Type"] in {"Sort", "Seq Scan", "Incremental Sort"} else []
    )
    return wrong + [fault for child in node.get("Plans", []) for fault in _of(child)]
