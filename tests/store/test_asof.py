"""The past, asked of all at once, against each user's own replay; and the plans that the databases make of it (SPEC §13)."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlmodel import col

from mastering import asof, users
from mastering.clock import wire
from mastering.errors import MasteringError, NotFound
from mastering.replay import replay
from mastering.rules.lifecycle import Status
from mastering.store import history, spans
from mastering.store.engine import reading, writing
from mastering.store.tables import HistoryEvent
from mastering.users import Act
from tests.walks.imports_world import ADMIN

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lives(engine: Engine) -> list[str]:
    """Some users who were moved about, and of whom some were deleted: a step a minute."""
    chance, at = random.Random(7), START
    ids: list[str] = []
    for number in range(12):
        at += MINUTE
        login = f"u{number}@x.org"
        profile = {"login": login, "email": login, "firstName": "U", "lastName": str(number)}
        ids.append(users.create(engine, ADMIN, at, profile, activate=chance.random() < 0.6).id)
    for _ in range(70):
        at += MINUTE
        user_id, what = chance.choice(ids), chance.choice([*Act, "remove", "title"])
        try:
            if what == "remove":
                users.remove(engine, ADMIN, at, user_id)
            elif what == "title":
                users.update(engine, ADMIN, at, user_id, {"title": str(at)}, replace=False)
            else:
                users.act(engine, ADMIN, at, user_id, Act(what))
        except MasteringError:
            continue
    return ids


def instants() -> list[datetime]:
    return [START + number * MINUTE + offset for number in range(0, 90, 7) for offset in (timedelta(), timedelta(seconds=30))]


def everybody(engine: Engine, at: datetime, statuses: list[Status], limit: int) -> list[Any]:
    found, after = [], ""
    while True:
        page = asof.page(engine, at, statuses, after, limit)
        found += page.users
        if page.after is None:
            return found
        after = page.after


def test_lists_and_counts_of_the_past_are_what_each_users_own_history_says(engine: Engine, lives: list[str]) -> None:
    ended = Counter[Status]()
    for at in instants():
        with reading(engine) as session:
            told = [replay(history.until(session, [user_id], wire(at))) for user_id in sorted(lives)]
        there = [user for user in told if user is not None]
        for statuses in (list(Status), [Status.ACTIVE], [Status.DEACTIVATED, Status.SUSPENDED]):
            wanted = [user for user in there if user.status in statuses]
            assert everybody(engine, at, statuses, 200) == wanted
            assert everybody(engine, at, statuses, 3) == wanted
        counts = dict(next(asof.counts(engine, at, at, MINUTE))[1])
        ended = Counter(user.status for user in there)
        assert counts == {status: ended[status] for status in Status}
    assert len(ended) > 2
    assert ended.total() < len(lives), "somebody was deleted"


def test_counts_over_time_are_the_counts_at_each_instant(engine: Engine, lives: list[str]) -> None:
    assert lives
    series = list(asof.counts(engine, START, START + 90 * MINUTE, 10 * MINUTE))
    assert [at for at, _ in series] == [wire(START + number * 10 * MINUTE) for number in range(10)]
    assert series == [next(asof.counts(engine, at, at, MINUTE)) for at in (START + number * 10 * MINUTE for number in range(10))]
    assert sum(series[0][1].values()) == 0 < sum(series[-1][1].values())


def test_the_spans_made_anew_from_history_are_those_that_the_ledger_kept(engine: Engine, lives: list[str]) -> None:
    assert lives

    def kept() -> list[Any]:
        span = spans.StatusSpan
        columns = (col(span.user_id), col(span.status), col(span.since), col(span.until))
        with reading(engine) as session:
            return sorted(session.execute(select(*columns)).all())

    before = kept()
    with writing(engine) as session:
        spans.rebuild(session)
    assert kept() == before
    assert len(before) > len(lives)


def test_one_who_was_deleted_is_there_as_of_before(engine: Engine, lives: list[str]) -> None:
    with reading(engine) as session:
        query = select(HistoryEvent).where(col(HistoryEvent.type) == "user.delete")
        gone = list(session.execute(query).scalars())
    assert gone
    for deletion in gone:
        at = datetime.fromisoformat(deletion.at)
        assert asof.read(engine, deletion.subject, at - MINUTE).status is not None
        with pytest.raises(NotFound):
            asof.read(engine, deletion.subject, at)


def test_a_page_and_a_user_of_the_past_are_found_by_index(engine: Engine, lives: list[str]) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    asof.page(engine, START + 60 * MINUTE, [Status.ACTIVE], lives[0], 5)
    asof.read(engine, lives[3], START + 60 * MINUTE)
    event.remove(engine, "before_cursor_execute", note)
    plans = []
    _have_many_others(engine)
    with reading(engine) as session:
        for statement, parameters in asked:
            if engine.dialect.name == "postgresql":
                session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")  # there are few spans here
                session.connection().exec_driver_sql("SET LOCAL enable_bitmapscan = off")
                rows = session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
            else:
                rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append("\n".join(row[-1] for row in rows))
    of_spans = [plan for plan in plans if "status_spans" in plan]
    of_events = [plan for plan in plans if "history" in plan]
    assert of_spans
    assert of_events
    for plan in of_spans:
        assert "PRIMARY KEY (status=? AND user_id>?)" in plan or (
            "status_spans_pkey" in plan and "user_id" in plan.partition("Index Cond")[2]
        ), plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan
    for plan in of_events:
        assert "ux_history_subject" in plan, plan


def _have_many_others(engine: Engine) -> None:
    """History as long as it would be in earnest: of a short one some versions of PostgreSQL read all that was told until an instant."""
    others = [
        {"id": f"e{n}", "subject": f"00u{n}", "seq": 1, "at": wire(START), "type": "user.create", "body": "{}", "hash": b""}
        for n in range(5_000)
    ]
    with writing(engine) as session:
        session.execute(insert(HistoryEvent), others)
    with writing(engine) as session:
        session.connection().exec_driver_sql("ANALYZE history")


def test_who_had_to_wait_comes_after_whom_they_waited_for_so_that_nobody_has_two_statuses_at_an_instant(engine: Engine) -> None:
    """The clock is read before the lock is there; in between another process, or one whose clock is ahead, may have done something."""
    profile = {"login": "w@x.org", "email": "w@x.org", "firstName": "W", "lastName": "D"}
    user = users.create(engine, ADMIN, START, profile, activate=True)
    users.act(engine, ADMIN, START + 20 * MINUTE, user.id, Act.suspend)
    users.act(engine, ADMIN, START + 10 * MINUTE, user.id, Act.unsuspend)
    users.update(engine, ADMIN, START + 5 * MINUTE, user.id, {"title": "Late"}, replace=False)
    users.act(engine, ADMIN, START + 30 * MINUTE, user.id, Act.deactivate)
    with reading(engine) as session:
        instants = [each.at for each in history.chain(session, user.id)]
    assert instants == sorted(instants)
    for minute in range(0, 40, 5):
        at = START + minute * MINUTE
        (here,) = everybody(engine, at, list(Status), 10)
        assert here == asof.read(engine, user.id, at)
        assert dict(next(asof.counts(engine, at, at, MINUTE))[1]) == {status: int(status is here.status) for status in Status}
