"""Whatever order the history tells, the rules applied in that order give the state that is there: proven by telling it again.

Two workers take their turns in batches of two rows, and between any two turns admins, reviewers and those who change options act: drawn
by Hypothesis, in one process, so that a failure is a list of steps. Then the same with real threads.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering import assignments, holds, users
from mastering.catalog import apps, policies, ranks
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.holds import Terms
from mastering.imports import planning, rows, runs, steps
from mastering.imports.worker import Worker
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, Matching, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.store.outage import is_outage
from tests.faults.checker import check
from tests.retelling import check_order
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, World, empty, person

LABELS = ("HR", "AD")
PEOPLE = ("ann", "bob", "cid", "dan", "eve")
SEEDS = range(int(os.environ.get("SOAK", "2")))
"""Of the races with real threads; SOAK=200 for a night's worth (docs/faults.md)."""


@dataclass
class Org:
    """Two masters on one database, and a worker in each of two processes."""

    world: World
    apps: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    erased: set[tuple[str, str]] = field(default_factory=set)
    """By what apps knew whom has been erased: app and external id."""

    @classmethod
    def of(cls, engine: Engine, *chosen: ImportPolicy) -> Org:
        """Made by the walks of the product alone, so that history tells all of it."""
        org = cls(World(engine))
        org.world.set_org(enabled=False)
        for label, policy in zip(LABELS, chosen, strict=True):
            org.apps[label] = apps.create(engine, ADMIN, now(), apps.Form(label, label, "BOOKMARK")).id
            policies.replace(engine, ADMIN, now(), org.apps[label], policy)
        org.workers = [Worker(engine) for _ in LABELS]
        for label in LABELS:
            org.world.send(org.apps[label], [record(name) for name in PEOPLE[:4]])
        return org

    @property
    def engine(self) -> Engine:
        return self.world.engine

    def ids(self, name: str) -> list[str]:
        user = self.world.by_login(f"{name}@example.com")
        return [user.id] if user else []

    def held(self) -> list[Any]:
        with reading(self.engine) as session:
            return list(session.execute(select(tables.ImportRun).where(col(tables.ImportRun.status) == "HELD")).scalars())

    def finish(self) -> None:
        """Let everybody come to an end, then tell the history again."""
        self.world.work()
        while waiting := self.held():
            for run in waiting:
                self.world.cancel(run.id)
        check(self.engine)
        check_order(self.engine)
        assert self.world.left_to_match() == 0, "a waiting row is not where those who are there put it"


def record(name: str, number: int = 1, **told: Any) -> dict[str, Any]:
    """One of a person's accounts, by which the person is matched through the address."""
    return person(f"{name[0]}{number}", **{"email": f"{name}@example.com", "firstName": name, "lastName": "Doe", **told})


Step = Callable[[Org], Any]
"""Something that somebody does; what is refused is part of the work."""


def turn(worker: int) -> Step:
    """One worker's next transactions: a claim, and a plan or one batch."""
    return lambda org: org.workers[worker].turn()


def arrival(label: str, mode: Mode, sent: list[dict[str, Any]]) -> Step:
    return lambda org: org.world.receive(org.apps[label], sent, mode)


def by_hand(name: str, act: Callable[[Org, str], Any]) -> Step:
    return lambda org: [act(org, user_id) for user_id in org.ids(name)]


def moved(verb: users.Act) -> Callable[[Org, str], Any]:
    return lambda org, user_id: users.act(org.engine, ADMIN, now(), user_id, verb)


def removed(org: Org, user_id: str) -> None:
    users.remove(org.engine, ADMIN, now(), user_id)


def held(org: Org, user_id: str) -> None:
    holds.set_hold(org.engine, ADMIN, now(), user_id, Terms("because", now() + timedelta(days=1)))


def let_go(org: Org, user_id: str) -> None:
    holds.lift_hold(org.engine, ADMIN, now(), user_id)


def unassigned(label: str) -> Callable[[Org, str], Any]:
    return lambda org, user_id: assignments.unassign(org.engine, ADMIN, now(), org.apps[label], user_id)


def assigned(label: str) -> Callable[[Org, str], Any]:
    return lambda org, user_id: assignments.assign(org.engine, ADMIN, now(), org.apps[label], user_id)


def created(name: str) -> Step:
    return lambda org: org.world.by_hand(name)


def namesake(name: str) -> Step:
    """Somebody else with the address of one of them."""
    return lambda org: org.world.by_hand(f"{name}.too", email=f"{name}@example.com")


def reordered(org: Org) -> None:
    ranks.reorder(org.engine, ADMIN, now(), [each.app_id for each in ranks.read(org.engine)][::-1])


def given_policy(label: str, policy: ImportPolicy) -> Step:
    return lambda org: policies.replace(org.engine, ADMIN, now(), org.apps[label], policy)


def approved(org: Org) -> None:
    """Two admins who have read the same plan: one of them is told that it is approved already."""
    for run in org.held():
        runs.approve(org.engine, ADMIN, now(), run.id, run.plan_hash)
        with pytest.raises(MasteringError):
            runs.approve(org.engine, ADMIN, now(), run.id, run.plan_hash)


def reviewed(label: str, verdict: Verdict) -> Step:
    def do(org: Org) -> None:
        for external_id in sorted(org.world.queue(org.apps[label], ignored=verdict is Verdict.UNIGNORE))[:1]:
            org.world.review(org.apps[label], external_id, verdict)

    return do


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    told: dict[str, Any] = {"title": draw(st.sampled_from((None, "Lead")))}
    active = draw(st.sampled_from((True, True, False)))
    return record(draw(st.sampled_from(PEOPLE)), draw(st.sampled_from((1, 1, 1, 2))), **told, active=active)


BY_EMAIL = Matching(username=False, email=True)
POLICIES = st.builds(
    lambda matching, confirmation, when, suspended, deactivated, limit: ImportPolicy(
        matching=matching,
        confirmation=confirmation,
        mastering=Mastering(True, when, suspended, deactivated),
        safeguard=Safeguard(enabled=limit, max_unassigned_percent=30),
    ),
    st.sampled_from((Matching(), BY_EMAIL)),
    st.sampled_from((CONFIRM_ALL, CONFIRM_ALL, Confirmation())),
    st.sampled_from(WhenDeactivated),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
WHERE = st.sampled_from(LABELS)
TURNS = st.builds(turn, st.sampled_from((0, 1)))
ACTS: st.SearchStrategy[Callable[[Org, str], Any]] = st.one_of(
    st.builds(moved, st.sampled_from(users.Act)),
    st.sampled_from((held, let_go, removed)),
    st.builds(unassigned, WHERE),
    st.builds(assigned, WHERE),
)
STEPS = st.one_of(
    TURNS,
    TURNS,
    TURNS,
    st.builds(arrival, WHERE, st.sampled_from((Mode.FULL, Mode.INCREMENTAL)), st.lists(records(), min_size=1, max_size=6)),
    st.builds(by_hand, st.sampled_from(PEOPLE), ACTS),
    st.builds(created, st.sampled_from(PEOPLE)),
    st.builds(namesake, st.sampled_from(PEOPLE)),
    st.builds(reviewed, WHERE, st.sampled_from((Verdict.LINK, Verdict.CREATE, Verdict.IGNORE, Verdict.UNIGNORE))),
    st.builds(given_policy, WHERE, POLICIES),
    st.sampled_from((reordered, approved)),
)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is one batch, and a batch is two rows."""
    for module, name in ((steps, "AT_ONCE"), (rows, "_AT_ONCE"), (planning, "_AT_ONCE")):
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(steps, "TURN", timedelta())


@pytest.mark.usefixtures("small_batches")
@settings(max_examples=6 * len(SEEDS), deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(POLICIES, POLICIES, st.lists(STEPS, min_size=10, max_size=30))
def test_of_any_interleaving_the_history_tells_an_order_in_which_the_rules_were_applied(
    database: Engine, hr_policy: ImportPolicy, ad_policy: ImportPolicy, work: list[Step]
) -> None:
    empty(database)
    org = Org.of(database, hr_policy, ad_policy)
    for step in work:
        with suppress(MasteringError):
            step(org)
    org.finish()


# -- found once ---------------------------------------------------------------------------------------------------------

ALL_BY_EMAIL = ImportPolicy(
    matching=BY_EMAIL,
    confirmation=CONFIRM_ALL,
    mastering=Mastering(True, WhenDeactivated.SUSPEND, True, True),
    safeguard=Safeguard(enabled=False),
)


def facts_of(org: Org, kind: str) -> dict[str, Any]:
    """The facts that Ann's last event of a kind was decided on, with whose word counted then."""
    bodies = [load(event.body) for event in org.world.events(org.ids("ann")[0]) if event.type == kind]
    return {**bodies[-1]["facts"], "authority": bodies[-1].get("authority")}


def second_account(org: Org) -> None:
    """Ann has given up her first account in HR, and has another."""
    unassigned("HR")(org, *org.ids("ann"))
    org.world.send(org.apps["HR"], [record("ann", 1), record("ann", 2), *map(record, PEOPLE[1:4])])
    assert [org.world.account(org.apps["HR"], external_id).released for external_id in ("a1", "a2")] == [True, False]


@pytest.mark.usefixtures("small_batches")
def test_an_update_that_is_rejected_tells_of_the_person_as_he_is_by_then(database: Engine) -> None:
    empty(database)
    org = Org.of(database, ALL_BY_EMAIL, ALL_BY_EMAIL)
    org.world.by_hand("taken")
    org.world.receive(org.apps["HR"], [record("ann", email="taken@example.com"), *map(record, PEOPLE[1:4])])
    org.workers[0].turn()
    moved(users.Act.suspend)(org, *org.ids("ann"))
    unassigned("HR")(org, *org.ids("ann"))
    org.finish()
    assert facts_of(org, "account.profile") == {"situation": "CHANGED", "status": "SUSPENDED", "authority": org.apps["AD"]}


@pytest.mark.usefixtures("small_batches")
def test_a_return_that_waits_tells_of_the_person_as_he_is_by_then(database: Engine) -> None:
    empty(database)
    org = Org.of(database, ALL_BY_EMAIL, ALL_BY_EMAIL)
    second_account(org)
    others = list(map(record, PEOPLE[1:4]))
    org.world.send(org.apps["HR"], [record("ann", 1, active=False), record("ann", 2), *others])
    org.world.receive(org.apps["HR"], [record("ann", 1), record("ann", 2), *others])
    org.workers[0].turn()
    moved(users.Act.suspend)(org, *org.ids("ann"))
    org.finish()
    told = facts_of(org, "account.wait")
    assert (told["situation"], told["status"]) == ("CONFLICT", "SUSPENDED")


@pytest.mark.usefixtures("small_batches")
def test_an_account_that_was_given_up_tells_of_the_person_as_the_other_one_in_the_run_leaves_him(database: Engine) -> None:
    empty(database)
    org = Org.of(database, ALL_BY_EMAIL, ALL_BY_EMAIL)
    second_account(org)
    org.world.send(org.apps["HR"], [record("ann", 2, active=False), record("ann", 1, title="Lead"), *map(record, PEOPLE[1:4])])
    org.finish()
    assert facts_of(org, "account.profile")["status"] == "SUSPENDED"


# -- the same with threads ------------------------------------------------------------------------------------------------


def _again_if_ended(step: Step, org: Org) -> None:
    """A step, once more wherever the database ended it for another's sake; refusals are part of the work."""
    while True:
        try:
            with suppress(MasteringError):
                step(org)
        except Exception as fault:
            if not is_outage(fault):
                raise
        else:
            return


def _work_of(chance: random.Random, label: str) -> list[Step]:
    """What somebody does in a few seconds, mostly to the same people as everybody else."""
    acts = [held, let_go, removed, unassigned(label), assigned(label), *map(moved, users.Act)]
    steps_: list[Step] = []
    for _ in range(12):
        name = chance.choice(PEOPLE)
        steps_.append(
            chance.choice(
                [
                    by_hand(name, chance.choice(acts)),
                    by_hand(name, chance.choice(acts)),
                    created(name),
                    namesake(name),
                    reviewed(label, chance.choice(list(Verdict))),
                    given_policy(label, policy_of(chance)),
                    reordered,
                ]
            )
        )
    return steps_


def policy_of(chance: random.Random) -> ImportPolicy:
    return ImportPolicy(
        matching=chance.choice((Matching(), BY_EMAIL)),
        confirmation=chance.choice((CONFIRM_ALL, CONFIRM_ALL, Confirmation())),
        mastering=Mastering(True, chance.choice(list(WhenDeactivated)), chance.random() < 0.7, chance.random() < 0.7),
        safeguard=Safeguard(enabled=False),
    )


def _snapshots_of(chance: random.Random, label: str) -> list[Step]:
    def sent() -> list[dict[str, Any]]:
        return [
            record(name, chance.choice((1, 1, 1, 2)), title=chance.choice((None, "Lead", label)), active=chance.random() < 0.7)
            for name in PEOPLE
            if chance.random() < 0.9
        ]

    return [step for _ in range(5) for step in (arrival(label, chance.choice(list(Mode)), sent()), *[turn(LABELS.index(label))] * 4)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("seed", SEEDS)
def test_of_real_threads_the_history_tells_such_an_order_too(database: Engine, seed: int) -> None:
    empty(database)
    chance = random.Random(seed)
    org = Org.of(database, policy_of(chance), policy_of(chance))
    lines = [*(_snapshots_of(chance, label) for label in LABELS), *(_work_of(chance, label) for label in (*LABELS, *LABELS))]
    start = threading.Barrier(len(lines))

    def live(line: list[Step]) -> None:
        start.wait()
        for step in line:
            _again_if_ended(step, org)

    with ThreadPoolExecutor(len(lines)) as pool:
        list(pool.map(live, lines))
    org.finish()
