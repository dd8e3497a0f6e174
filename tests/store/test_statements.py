"""No query per row: what an import asks of the database grows with its batches and not with its records, on either database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from mastering.catalog import policies
from mastering.clock import now
from mastering.imports import steps
from mastering.rules.policy import ImportPolicy
from mastering.store import bulk, tables
from mastering.store import imports as store
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from tests.walks.imports_world import ADMIN, World, calm, person

BATCH = 2_000


@pytest.mark.parametrize("story", ["first", "unchanged", "changed", "gone"])
def test_ten_times_the_records_are_fewer_than_ten_times_the_statements(world: World, story: str) -> None:
    asked = {count: _asked(world, story, count) for count in (1_000, 10_000)}
    batches = 10_000 // BATCH
    assert asked[1_000] < 110
    assert asked[10_000] <= asked[1_000] * batches, asked


def _asked(world: World, story: str, count: int) -> int:
    """The statements of one import of so many people, from the first chunk to the end of the run."""
    app_id = world.app(f"HR {story} {count}", calm())
    people = [person(f"{story}{count}-{number}", department="A") for number in range(count)]
    if story != "first":
        world.send(app_id, people)
    if story == "changed":
        people = [person(f"{story}{count}-{number}", department="B") for number in range(count)]
    if story == "gone":
        people = people[:10]
    with _counted(world.engine) as counted:
        run = world.send(app_id, people)
    assert run.status == "COMPLETED"
    return counted.total()


@pytest.mark.parametrize(("carried", "passes"), [(10, 0), (9, 1)])
def test_all_accounts_are_gone_through_only_where_a_snapshot_left_some_out(world: World, carried: int, passes: int) -> None:
    app_id = world.app("HR", calm())
    world.set_org(enabled=False)
    people = [person(f"p{number}") for number in range(10)]
    world.send(app_id, people)
    with _noted(world.engine) as noted:
        run = world.send(app_id, people[:carried])
    asked = [statement for statement, _ in noted if "ORDER BY external_id" in statement]
    assert load(run.situations) == ({"UNCHANGED": 10} if carried == 10 else {"UNCHANGED": 9, "WENT_MISSING": 1})
    assert len(asked) == passes


def test_a_move_of_a_status_writes_no_profile_and_none_of_the_keys_that_follow_from_it(world: World) -> None:
    app_id = world.app("HR", calm())
    people = [person(f"p{number}") for number in range(10)]
    world.send(app_id, people)
    with _noted(world.engine) as asked:
        gone = world.send(app_id, people[:1])
    written = [statement for statement, _ in asked if statement.startswith(("UPDATE users", "UPDATE app_users"))]
    assert load(gone.actions) == {"deactivate": 9}
    assert len(written) == 2
    assert not [statement for statement in written for name in ("profile", "_key", "search_", "external_id") if name in statement]


def test_a_new_profile_is_written_with_every_key_that_follows_from_it(world: World) -> None:
    app_id = world.app("HR", calm())
    world.send(app_id, [person("p")])
    user_id = world.user_of(app_id, "p").id
    world.send(app_id, [person("p", email="Q@example.com", firstName="Ulla", lastName="Berg", department="Sales")])
    with reading(world.engine) as session:
        row = session.get_one(tables.User, user_id)
    keys = (row.login_key, row.email_key, row.search_first_name, row.search_last_name, row.search_department)
    assert keys == ("q@example.com", "q@example.com", "ulla", "berg", "sales")
    assert load(row.profile)["firstName"] == "Ulla"


def test_a_batch_of_a_plan_that_the_database_does_not_know_yet_reads_no_more_than_its_own_rows(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite plans by the indexes alone")
    run_id, many, batch = world.begin(world.app("HR")), 20_000, 500
    with writing(world.engine) as session:
        plan = [
            (run_id, seq, f"E{seq}", seq, "UNMATCHED", "create", *[None] * 6, "auto_confirm_new", *[None] * 3, "{}", None)
            for seq in range(1, many)
        ]
        store.add_changes(session, plan)
        with _noted(world.engine) as asked:
            rows = store.changes(session, run_id, 700, batch)
        found = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked[0][0]}", asked[0][1]).scalar_one()
    assert [row.seq for row in rows] == list(range(701, 701 + batch))
    assert max(_rows_of(found[0]["Plan"])) <= batch


def test_the_next_rows_of_a_plan_come_also_where_the_first_ones_are_gone(world: World) -> None:
    run_id = world.begin(world.app("HR"))
    with writing(world.engine) as session:
        plan = [
            (run_id, seq, f"E{seq}", seq, "UNMATCHED", "create", *[None] * 6, "auto_confirm_new", *[None] * 3, "{}", None)
            for seq in range(90, 100)
        ]
        store.add_changes(session, plan)
    with reading(world.engine) as session:
        assert [row.seq for row in store.changes(session, run_id, 0, 4)] == [90, 91, 92, 93]
        assert [row.seq for row in store.changes(session, run_id, 97, 4)] == [98, 99]
        assert store.changes(session, run_id, 99, 4) == []


def test_whether_options_have_changed_is_read_from_what_is_told_of_them_and_not_from_what_others_imported(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite plans by the indexes alone")
    app_id, other_id = world.app("HR", calm()), world.app("Directory", calm())
    run_id = world.begin(app_id)
    world.send(other_id, [person(f"p{number}") for number in range(1_000)])
    with reading(world.engine) as session:
        since = store.last_event(session) - 2_000
        with _noted(world.engine) as asked:
            assert not store.options_changed(session, run_id, since)
        statement, values = asked[-1]
        found = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
    assert max(_rows_of(found[0]["Plan"])) < 50
    policies.replace(world.engine, ADMIN, now(), other_id, ImportPolicy())
    with reading(world.engine) as session:
        assert store.options_changed(session, run_id, since)


def test_accounts_are_counted_in_the_course_of_a_run_whenever_there_are_four_times_as_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_MANY", 10)
    monkeypatch.setattr(steps, "AT_ONCE", 10)
    app_id = world.app("HR", calm())
    with _noted(world.engine) as asked:
        world.send(app_id, [person(f"p{number}") for number in range(170)])
    counted = [statement for statement, _ in asked if statement == "ANALYZE app_users"]
    after = [10, 40, 160] if world.engine.dialect.name == "postgresql" else []  # SQLite plans by the indexes alone
    assert len(counted) == len(after)


def _rows_of(node: dict[str, Any]) -> Iterator[float]:
    """How many rows each step of a plan went through."""
    yield node["Actual Rows"] + sum(of_it for name, of_it in node.items() if name.startswith("Rows Removed by"))
    for part in node.get("Plans", ()):
        yield from _rows_of(part)


@contextmanager
def _noted(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Statements with their values."""
    asked = list[tuple[str, Any]]()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def _counted(engine: Engine) -> Iterator[Counter[str]]:
    """Counts statements. One that is sent once for each of many rows counts as often as it travels; SQLite has no way to travel."""
    counted: Counter[str] = Counter()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        counted[statement[:40]] += len(parameters) if many and engine.dialect.name == "postgresql" else 1

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("count", [1, bulk.FEW, bulk.FEW + 1, 500])
def test_few_rows_and_many_are_written_alike(world: World, count: int) -> None:
    app_id = world.app("HR")
    run_id = world.begin(app_id)
    columns = ("run_id", "seq", "lines", "payload")
    with writing(world.engine) as session:
        bulk.insert(session, tables.RunChunk, columns, [(run_id, seq, 1, b"\x00\\N\t\n" + bytes([seq % 256])) for seq in range(count)])
        bulk.update(session, tables.RunChunk, ("lines",), [(seq * 2, run_id, seq) for seq in range(count)], keys=("run_id", "seq"))
        bulk.update(session, tables.RunChunk, ("lines",), [(seq * 3, run_id, seq) for seq in range(count)], keys=("run_id", "seq"))
    with reading(world.engine) as session:
        rows = [session.get_one(tables.RunChunk, (run_id, seq)) for seq in range(count)]
        assert [(row.lines, row.payload[-1], row.payload[:5]) for row in rows] == [
            (seq * 3, seq % 256, b"\x00\\N\t\n") for seq in range(count)
        ]


def test_an_odd_text_is_kept_as_it_is_by_many_and_by_few(world: World) -> None:
    odd = ["\\N", "\t", "a\nb", "\\", "", "ü\u202e", "'\"", "%s", "{}"]
    for count in (1, bulk.FEW + 1):
        app_id = world.app(f"HR{count}")
        columns = ("id", "app_id", "external_id", "account", "released", "seen_active", "ignored", "profile", "candidates")
        more = ("created", "last_updated", "history_seq", "history_hash", "reason")
        rows = [
            (f"{count}-{number}", app_id, f"{text}{number}", "ACTIVE", False, True, False, text, "[]", "", "", 0, b"", None)
            for number, text in enumerate(odd * count)
        ]
        with writing(world.engine) as session:
            bulk.insert(session, tables.AppUser, columns + more, rows)
        with reading(world.engine) as session:
            for row in rows:
                found = session.get_one(tables.AppUser, row[0])
                assert (found.external_id, found.profile, found.reason) == (row[2], row[7], None)
