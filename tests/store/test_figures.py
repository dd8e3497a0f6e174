"""What is told to whoever watches: from the database alone, so that any server tells what all workers do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete
from sqlmodel import Session

from mastering.clock import now, wire
from mastering.imports.lease import Lease
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus
from mastering.store import figures, tables
from mastering.store import runs as run_store
from mastering.store.engine import reading, writing
from mastering.store.figures import Told
from tests.walks.imports_world import World, person

NOW = now()


def ago(**long: float) -> str:
    return wire(NOW - timedelta(**long))


def leave(world: World, **runs: dict[str, Any]) -> None:
    """Runs as workers elsewhere would leave them, by a name that begins with their app's."""
    apps = {name[0]: world.app(name[0]) for name in runs}
    with writing(world.engine) as session:
        for number, (name, facts) in enumerate(runs.items()):
            told = {"mode": Mode.FULL, "source": "ndjson", "arrival": number, "started_by": "{}", "created": ago(days=3), **facts}
            session.add(tables.ImportRun(id=f"irn{name}", app_id=apps[name[0]], **told))


def queue(engine: Engine) -> figures.Queue:
    with reading(engine) as session:
        return figures.queue(session, wire(NOW))


def takeovers(engine: Engine) -> int:
    with reading(engine) as session:
        return figures.takeovers(session)


def claim(session: Session, owner: str, at: datetime) -> tables.ImportRun:
    run = run_store.claim(session, owner, wire(at), wire(at + timedelta(seconds=30)))
    assert run is not None
    return run


def test_nothing_waits_where_nothing_was_sent(engine: Engine) -> None:
    assert queue(engine) == figures.Queue(depth=0, oldest=None, left=0, unapplied=0)
    assert takeovers(engine) == 0


def test_the_queue_is_what_a_worker_could_begin_and_not_what_an_admin_keeps_waiting(world: World) -> None:
    leave(
        world,
        a1={"status": RunStatus.QUEUED, "sealed": ago(minutes=5)},
        a2={"status": RunStatus.QUEUED, "sealed": ago(minutes=4)},
        b1={"status": RunStatus.HELD, "sealed": ago(days=2), "changes": 50},
        b2={"status": RunStatus.QUEUED, "sealed": ago(days=1)},
        b3={"status": RunStatus.QUEUED, "sealed": ago(minutes=1), "dry_run": True},
    )
    assert queue(world.engine) == figures.Queue(depth=3, oldest=ago(minutes=5), left=0, unapplied=0)


def test_a_run_is_left_when_nobody_holds_it_and_history_lags_by_what_is_not_applied(world: World) -> None:
    leave(
        world,
        a={"status": RunStatus.APPLYING, "changes": 100, "cursor": 30, "owner": "dead", "lease_until": ago(minutes=1)},
        b={"status": RunStatus.APPLYING, "changes": 9, "cursor": 4, "owner": "alive", "lease_until": wire(NOW + timedelta(minutes=1))},
        c={"status": RunStatus.PLANNING},
        d={"status": RunStatus.COMPLETED, "changes": 100, "cursor": 100},
    )
    assert queue(world.engine) == figures.Queue(depth=0, oldest=None, left=2, unapplied=75)


def test_a_run_whose_owner_did_not_stir_is_taken_over_and_one_that_was_given_back_is_not(world: World) -> None:
    leave(world, a={"status": RunStatus.APPLYING})
    with writing(world.engine) as session:
        mine = claim(session, "one", NOW)
    lease = Lease(world.engine, mine.id, "one", mine.fence)
    lease.give_back()
    with writing(world.engine) as session:
        claim(session, "two", now() + timedelta(seconds=1))
    assert takeovers(world.engine) == 0
    with writing(world.engine) as session:
        claim(session, "two", NOW + timedelta(minutes=5))
    assert takeovers(world.engine) == 0
    with writing(world.engine) as session:
        claim(session, "three", NOW + timedelta(minutes=10))
    assert takeovers(world.engine) == 1


def test_a_run_that_died_with_the_only_process_is_taken_over_by_the_next(world: World) -> None:
    leave(
        world,
        a={"status": RunStatus.APPLYING, "owner": "dead", "lease_until": wire(NOW)},
        b={"status": RunStatus.RECEIVING, "lease_until": wire(NOW)},
        c={"status": RunStatus.HELD, "owner": "dead"},
    )
    with writing(world.engine) as session:
        run_store.free_leases(session)
    assert takeovers(world.engine) == 1
    with writing(world.engine) as session:
        claim(session, "alive", NOW)
    assert takeovers(world.engine) == 1


def test_a_run_that_goes_well_is_never_taken_over(world: World) -> None:
    app_id = world.app("HR")
    run = world.send(app_id, [person(f"E{number}") for number in range(5)])
    assert (run.status, run.takeovers) == (RunStatus.COMPLETED, 0)


def found(engine: Engine, kind: Told = Told.situation) -> dict[str, int]:
    with reading(engine) as session:
        return figures.totals(session, kind)


def test_records_are_counted_by_what_every_plan_in_earnest_found(world: World) -> None:
    app_id = world.app("HR")
    world.send(app_id, [person("E1"), person("E2")])
    world.send(app_id, [person("E1"), person("E2", department="Sales"), person("E3")])
    world.send(app_id, [person("E4")], dry_run=True)
    assert found(world.engine) == {"UNMATCHED": 3, "UNCHANGED": 1, "CHANGED": 1}


def test_what_plans_found_stays_counted_when_their_runs_are_gone(world: World) -> None:
    app_id = world.app("HR")
    world.send(app_id, [person("E1")])
    with writing(world.engine) as session:
        session.execute(delete(tables.RunChange))
        session.execute(delete(tables.RunChunk))
        session.execute(delete(tables.ImportRun))
    assert found(world.engine) == {"UNMATCHED": 1}


def test_a_plan_that_does_not_become_a_runs_is_not_counted(world: World) -> None:
    with suppress(ZeroDivisionError), writing(world.engine) as session:
        figures.add_plan(session, {Told.hook: {"changed": 1}})
        raise ZeroDivisionError
    assert found(world.engine, Told.hook) == {}


def test_plans_that_are_made_at_the_same_time_are_all_counted(world: World) -> None:
    def plan(number: int) -> None:
        for _ in range(5):
            with writing(world.engine) as session:
                names = ("changed", "linked", "time_out")
                figures.add_plan(session, {Told.hook: dict.fromkeys(names[number % 2 :], 1), Told.situation: {"CHANGED": 2}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(plan, range(4)))
    assert found(world.engine) == {"CHANGED": 40}
    assert found(world.engine, Told.hook) == {"changed": 10, "linked": 20, "time_out": 20}


def test_held_users_are_counted_whatever_their_status(world: World) -> None:
    app_id = world.app("HR")
    world.send(app_id, [person("E1"), person("E2")])
    with writing(world.engine) as session:
        user = session.get_one(tables.User, world.user_of(app_id, "E1").id)
        user.held = True
        session.add(user)
    with reading(world.engine) as session:
        assert figures.held_users(session) == 1
