"""What the clock does to runs: uploads that broke off, plans that nobody reads any more; and which errors are outages."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlmodel import col

from mastering.clock import now, wire
from mastering.connectors.lines import Line
from mastering.errors import WrongState
from mastering.imports import kept, runs, spool
from mastering.imports.spool import Spool
from mastering.ledger import SERVICE
from mastering.rules.runs import RunStatus
from mastering.schedule import tick
from mastering.store import received, tables
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage
from mastering.store.received import KeptChunk
from tests.walks.imports_world import World, calm, person


def test_an_upload_of_which_nothing_is_heard_is_failed_and_its_receiver_refused_from_then_on(world: World) -> None:
    run_id = world.begin(world.app("HR"))
    receiver = Spool(world.engine, run_id)
    receiver.add([Line(1, b"{}")])
    assert runs.fail_stalled(world.engine, SERVICE, now() + spool.LEASE / 2) == 0
    assert runs.fail_stalled(world.engine, SERVICE, now() + 2 * spool.LEASE) == 1
    assert world.run(run_id).status is RunStatus.FAILED
    with pytest.raises(WrongState, match="does not receive any more"):
        receiver.close()
    with pytest.raises(WrongState):
        runs.seal(world.engine, SERVICE, now(), run_id, 1)
    assert _rows(world.engine, tables.RunChunk) == 0


def test_whatever_comes_in_keeps_an_upload_alive(world: World) -> None:
    run_id = world.begin(world.app("HR"))
    before = world.run(run_id).lease_until or ""
    world.moment()
    receiver = Spool(world.engine, run_id)
    receiver.add([Line(number, b"{}") for number in range(spool.LINES_PER_CHUNK)])
    assert (world.run(run_id).lease_until or "") > before


def test_what_a_run_received_is_kept_deflated_once_the_run_has_ended_and_as_long_as_its_plan(world: World) -> None:
    app_id = world.app("HR", calm())
    people = [person(f"E{number}") for number in range(30)]
    done = world.send(app_id, people)
    world.set_org(enabled=True, held_plan_retention_days=7)
    held, nothing_new = world.send(app_id, [person("E0")]), world.send(world.app("AD", calm()), [])
    tick(world.engine, now())
    assert (_lines(world, done), _lines(world, held), _lines(world, nothing_new)) == (30, 1, 0)
    assert (_rows(world.engine, tables.RunChunk), _rows(world.engine, KeptChunk)) == (1, 1), "the held one has not ended"
    world.approve(held)
    tick(world.engine, now() + timedelta(days=6))
    assert (_rows(world.engine, tables.RunChunk), _rows(world.engine, KeptChunk)) == (0, 2)
    tick(world.engine, now() + timedelta(days=8))
    assert (_rows(world.engine, KeptChunk), world.run(done.id).records) == (0, 30)


@pytest.mark.parametrize(
    ("days", "after", "left"), [(0, timedelta(0), 0), (2, timedelta(days=1), 2), (2, timedelta(days=3), 0), (9, timedelta(days=8), 0)]
)
def test_what_a_run_received_may_be_kept_shorter_than_its_plan_or_not_at_all_but_not_longer(
    world: World, days: int, after: timedelta, left: int
) -> None:
    world.set_org(enabled=False, held_plan_retention_days=7, received_retention_days=days)
    app_id = world.app("HR", calm())
    runs = [world.send(app_id, [person("E0")]), world.send(app_id, [person("E0")], dry_run=True)]
    tick(world.engine, now() + after)
    assert sum(_lines(world, run) for run in runs) == left
    assert bool(world.changes(runs[0])) == (after < timedelta(days=7)), "the plan stays its time"


def test_of_a_run_that_was_given_up_before_it_had_a_plan_nothing_is_kept(world: World) -> None:
    run_id = world.begin(world.app("HR"))
    receiver = Spool(world.engine, run_id)
    receiver.add([Line(1, b'{"externalId": "E1", "profile": {}}')])
    runs.seal(world.engine, SERVICE, now(), run_id, receiver.close())
    assert _rows(world.engine, tables.RunChunk) == 1
    world.cancel(run_id)
    assert _rows(world.engine, tables.RunChunk) == 0


def test_what_runs_received_is_forgotten_some_pieces_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "LINES_PER_CHUNK", 3)
    monkeypatch.setattr(kept, "_FORGET_AT_ONCE", 2)
    monkeypatch.setattr(kept, "_PACK_AT_ONCE", 4)
    world.send(world.app("HR", calm()), [person(f"E{number}") for number in range(30)])
    assert kept.pack(world.engine) == 4
    assert kept.forget(world.engine, wire(now() + timedelta(days=1))) == 10


def _lines(world: World, run: tables.ImportRun) -> int:
    with reading(world.engine) as session:
        found = [received.piece(session, place) for place in received.places_of_run(session, run.id)]
        assert all(each is not None and each.payload.count(b"\n") == each.lines for each in found)
        return sum(each.lines for each in found if each is not None)


def test_plans_of_ended_runs_are_forgotten_after_their_time_and_the_runs_are_not(world: World) -> None:
    app_id = world.app("HR", calm())
    done = world.send(app_id, [person(f"E{number}") for number in range(30)])
    tried = world.send(app_id, [person("E1", department="B")], dry_run=True)
    world.set_org(enabled=True, held_plan_retention_days=7)
    held = world.send(app_id, [person("E0")])
    events = _rows(world.engine, tables.HistoryEvent)
    tick(world.engine, now() + timedelta(days=6))
    assert all(world.changes(run) for run in (done, tried, held))
    assert _rows(world.engine, tables.HistoryEvent) == events
    tick(world.engine, now() + timedelta(days=8))
    assert world.run(held.id).status is RunStatus.CANCELLED
    assert not any(world.changes(run) for run in (done, tried))
    assert (world.run(done.id).changes, world.run(done.id).plan_hash) == (30, done.plan_hash)


def test_plans_are_forgotten_a_few_thousand_rows_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_FORGET_AT_ONCE", 7)
    world.send(world.app("HR", calm()), [person(f"E{number}") for number in range(30)])
    assert runs.forget_plans(world.engine, wire(now() + timedelta(days=1))) == 30
    assert runs.forget_plans(world.engine, wire(now() + timedelta(days=1))) == 0


def _rows(engine: Engine, table: type[tables.RunChunk | tables.HistoryEvent | KeptChunk]) -> int:
    with reading(engine) as session:
        return int(session.execute(select(func.count()).select_from(table)).scalar_one())


def test_an_error_of_the_program_is_no_outage(engine: Engine) -> None:
    for wrong in ("SELECT * FROM nosuchtable", "SELECT nosuchcolumn FROM users", "SELEKT"):
        with pytest.raises(DBAPIError) as raised, writing(engine) as session:
            session.execute(text(wrong))
        assert not is_outage(raised.value)
    with pytest.raises(IntegrityError) as collided, writing(engine) as session:
        session.execute(text("INSERT INTO run_chunks (run_id, seq, lines, payload) VALUES ('none', 1, 1, 'x')"))
    assert not is_outage(collided.value)
    assert not is_outage(ValueError())


def test_a_connection_that_was_cut_is_an_outage(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("an SQLite file has no connection to cut")
    with pytest.raises(DBAPIError) as raised, writing(engine) as session:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_outage(raised.value)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR | (3 << 8), sqlite3.SQLITE_CANTOPEN])
def test_a_full_disk_and_a_busy_file_are_outages(code: int) -> None:
    told = sqlite3.OperationalError("told")
    told.sqlite_errorcode = code
    assert is_outage(OperationalError("COMMIT", {}, told))
    assert is_outage(NoConnectionFree("no connection is free"))
    told.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert not is_outage(OperationalError("SELEKT", {}, told))


def test_the_oldest_runs_are_found_without_going_through_all(world: World) -> None:
    app_id = world.app("HR", calm())
    for number in range(4):
        world.send(app_id, [person(f"E{number}")], allow_empty=True)
    with reading(world.engine) as session:
        ids = list(session.execute(select(col(tables.RunChange.run_id)).distinct()).scalars())
    assert len(ids) == 4
    assert runs.forget_plans(world.engine, "1970-01-01T00:00:00.000Z") == 0
