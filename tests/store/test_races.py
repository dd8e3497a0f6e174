"""Two at once: whatever order the history tells, the rules applied in that order give the state that is there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import assignments, review, users
from mastering.catalog import ranks
from mastering.clock import now
from mastering.errors import MasteringError, WrongState
from mastering.holds import Terms, set_hold
from mastering.imports import runs
from mastering.imports.worker import Worker
from mastering.ledger import Ledger
from mastering.rules.policy import Confirmation
from mastering.store import history, tables
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage
from tests.faults.checker import check
from tests.walks.imports_world import ADMIN, World, calm, person


def at_once(*acts: Callable[[], object]) -> Counter[str]:
    """Do all of these at the same moment, again where the database ended one for another's sake; what became of them."""
    start = threading.Barrier(len(acts))

    def one(act: Callable[[], object]) -> str:
        start.wait()
        while True:
            try:
                act()
            except MasteringError as refused:
                return type(refused).__name__
            except Exception as fault:
                if not is_outage(fault):
                    raise
            else:
                return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return Counter(pool.map(one, acts))


def test_of_several_who_create_a_user_of_one_login_one_does_and_the_others_are_told(world: World) -> None:
    outcome = at_once(*[lambda: world.by_hand("jane")] * 6)
    assert outcome == {"done": 1, "Invalid": 5}
    check(world.engine)


def test_of_several_users_given_one_unknown_account_one_gets_it_and_the_others_are_told(world: World) -> None:
    app_id = world.app("Files", calm())
    people = [world.by_hand(f"user{number}").id for number in range(4)]
    giving = [lambda each=each: assignments.assign(world.engine, ADMIN, now(), app_id, each, external_id="X") for each in people]
    assert at_once(*giving) == {"done": 1, "Invalid": 3}
    check(world.engine)


def test_one_user_given_one_account_several_times_at_once_has_one(world: World) -> None:
    app_id, jane = world.app("Files", calm()), world.by_hand("jane")
    assert at_once(*[lambda: assignments.assign(world.engine, ADMIN, now(), app_id, jane.id)] * 4) == {"done": 4}
    assert len(world.user(jane.id).links) == 1
    check(world.engine)


def test_of_two_admins_who_approve_one_plan_one_does(world: World) -> None:
    app_id = world.app("HR", calm())
    world.send(app_id, [person(f"E{number}") for number in range(30)])
    world.set_org(enabled=True)
    held = world.send(app_id, [person("E0")])
    assert held.status == "HELD"
    outcome = at_once(*[lambda: runs.approve(world.engine, ADMIN, now(), held.id, held.plan_hash or "")] * 3)
    assert outcome == {"done": 1, WrongState.__name__: 2}
    world.work()
    assert world.run(held.id).status == "COMPLETED"
    check(world.engine)


def test_an_approval_and_a_newer_snapshot_never_both_win(world: World) -> None:
    app_id = world.app("HR", calm())
    world.send(app_id, [person(f"E{number}") for number in range(30)])
    world.set_org(enabled=True)
    held, newer = world.send(app_id, [person("E0")]), world.begin(app_id)
    at_once(
        lambda: runs.approve(world.engine, ADMIN, now(), held.id, held.plan_hash or ""),
        lambda: runs.seal(world.engine, ADMIN, now(), newer, 0),
    )
    world.work()
    assert world.run(held.id).status in {"COMPLETED", "SUPERSEDED"}
    assert world.run(newer).status == "HELD"  # an empty snapshot


def test_two_workers_never_have_one_run(world: World) -> None:
    app_id = world.app("HR", calm())
    run_id = world.receive(app_id, [person(f"E{number}") for number in range(200)])
    workers = [Worker(world.engine) for _ in range(4)]
    at_once(*[worker.turn for worker in workers])
    world.work()
    assert world.run(run_id).status == "COMPLETED"
    check(world.engine)


def test_imports_of_two_apps_and_admins_on_the_same_people_come_out_as_if_one_after_the_other(world: World) -> None:
    first, second = world.app("HR", calm()), world.app("AD", calm())
    everybody = [person(f"E{number}") for number in range(60)]
    world.send(first, everybody)
    world.send(second, everybody)
    ids = [world.user_of(first, f"E{number}").id for number in range(60)]
    world.receive(first, [person(f"E{number}", department="HR") for number in range(40)])
    world.receive(second, [person(f"E{number}", department="AD") for number in range(20, 60)])
    holding = [lambda each=each: set_hold(world.engine, ADMIN, now(), each, Terms("legal", None)) for each in ids[35:45:2]]
    moving = [lambda each=each: users.act(world.engine, ADMIN, now(), each, users.Act.deactivate) for each in ids[30:50:4]]
    one, other = Worker(world.engine), Worker(world.engine)
    at_once(
        lambda: [one.turn() for _ in range(6)],
        lambda: [other.turn() for _ in range(6)],
        lambda: ranks.reorder(world.engine, ADMIN, now(), [second, first]),
        *holding,
        *moving,
    )
    world.work()
    check(world.engine)
    _nobody_under_a_hold_was_moved_by_a_master(world.engine)


def _nobody_under_a_hold_was_moved_by_a_master(engine: Engine) -> None:
    """By the order that the history tells."""
    held: set[str] = set()
    with reading(engine) as session:
        for event in session.execute(select(tables.HistoryEvent).order_by(col(tables.HistoryEvent.position))).scalars():
            if event.type == "user.hold.set":
                held.add(event.subject)
            moved = event.type in {"user.suspend", "user.deactivate", "user.unsuspend", "user.reactivate"}
            assert not (moved and event.run_id and event.subject in held), event.body


def test_who_has_seen_an_event_has_seen_all_before_it(world: World) -> None:
    people = [world.by_hand(f"user{number}").id for number in range(8)]
    seen: list[int] = []
    done = threading.Event()

    def poll() -> None:
        while not done.wait(0.002):
            with reading(world.engine) as session:
                query = select(col(tables.HistoryEvent.position)).where(col(tables.HistoryEvent.position) > (seen[-1] if seen else 0))
                seen.extend(session.execute(query.order_by(col(tables.HistoryEvent.position))).scalars())

    def write(user_id: str) -> None:
        for number in range(10):
            with writing(world.engine) as session:
                ledger = Ledger(session, now(), ADMIN)
                ledger.change_profile(ledger.user(user_id), {"department": str(number)})
                ledger.flush()

    poller = threading.Thread(target=poll)
    poller.start()
    at_once(*[lambda each=each: write(each) for each in people])
    done.set()
    poller.join()
    with reading(world.engine) as session:
        everything = list(session.execute(select(col(tables.HistoryEvent.position)).order_by(col(tables.HistoryEvent.position))).scalars())
        assert all(len(history.chain(session, each)) == 12 for each in people)
    seen.extend(position for position in everything if position > seen[-1])
    assert seen == everything


@pytest.mark.parametrize("quicker", ["reviewer", "import"])
def test_a_reviewer_and_an_import_never_overwrite_each_other(world: World, quicker: str) -> None:
    waiting = calm(confirmation=review_first())
    app_id = world.app("HR", waiting)
    world.send(app_id, [person(f"E{number}") for number in range(12)])
    targets = [world.by_hand(f"target{number}").id for number in range(12)]
    world.receive(app_id, [person(f"E{number}", department="New") for number in range(12)])
    accounts = [world.account(app_id, f"E{number}").id for number in range(12)]
    decide = [
        lambda each=each, to=to: review.decide(world.engine, ADMIN, now(), [review.Item(each, review.Verdict.LINK, user_id=to)])
        for each, to in zip(accounts, targets, strict=True)
    ]
    importing = [lambda: [world.worker.turn() for _ in range(3)]]
    at_once(*(decide + importing if quicker == "reviewer" else importing + decide))
    world.work()
    assert [world.account(app_id, f"E{number}").user_id for number in range(12)] == targets
    check(world.engine)


def review_first() -> Confirmation:
    return Confirmation()
