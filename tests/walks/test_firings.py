"""What schedules start, and when not (SPEC §11; docs/decisions/0044, 0045). A pull is stood in for by its run: here it is all about the firing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from mastering.catalog import apps, policies
from mastering.catalog.schedules import next_firings, settle_all
from mastering.clock import now, wire
from mastering.firing import Outcome, fire_due, import_starters
from mastering.imports import runs
from mastering.ledger import Actor
from mastering.rules.policy import Firing, ImportPolicy, Schedule
from mastering.rules.record import Mode
from mastering.rules.runs import PULL
from mastering.schedule import Ticker, tick
from mastering.store import runs as run_store
from mastering.store import schedules, tables
from mastering.store.connections import Connection, Method
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from tests.walks.imports_world import ADMIN, World, person, policy

NIGHTLY, HOURLY = Firing("0 2 * * *", "Europe/Berlin"), Firing("0 * * * *", "UTC")


def begin_pull(session: Session, actor: Actor, at: datetime, app: tables.App, mode: Mode) -> str:
    return runs.begin(session, actor, at, app, runs.Order(mode, PULL)).id


@dataclass
class Clockwork:
    """A world whose clock a test turns; what fires is started by `pull`."""

    world: World
    clock: FrozenDateTimeFactory
    pull: Callable[[Session, Actor, datetime, tables.App, Mode], str] = begin_pull
    apps: dict[str, str] = field(default_factory=dict)

    def app(self, label: str, *, full: Firing | None = None, incremental: Firing | None = None, connected: bool | None = True) -> str:
        """A new app, scheduled by its admin; with a connection, one that is switched off, or none."""
        self.apps[label] = self.world.app(label)
        if connected is not None:
            at = wire(now())
            with writing(self.world.engine) as session:
                session.add(
                    Connection(
                        app_id=self.apps[label],
                        enabled=connected,
                        base_url="https://hr.example.com/scim",
                        method=Method.HEADER,
                        created=at,
                        last_updated=at,
                    )
                )
        self.schedule(label, Schedule(full, incremental))
        return self.apps[label]

    def schedule(self, label: str, wanted: Schedule) -> None:
        policies.revise(self.world.engine, ADMIN, now(), self.apps[label], lambda before: replace(before, schedule=wanted))

    def look(self) -> list[tuple[str, Outcome]]:
        """Look once for what is due, as each process does every second; what was had, by kind."""
        return [(row.kind, outcome) for row, outcome in fire_due(self.world.engine, now(), import_starters(self.pull))]

    def at(self, instant: str) -> list[str]:
        """What starts and what does not at an instant, in a word each."""
        self.clock.move_to(instant)
        return [f"{kind} {outcome.skipped or 'started'}" for kind, outcome in self.look()]

    def next(self, label: str) -> dict[Mode, str]:
        return {mode: at[:16] for mode, at in next_firings(self.world.engine, self.apps[label]).items()}

    def runs(self, label: str) -> Sequence[tables.ImportRun]:
        with reading(self.world.engine) as session:
            return run_store.page(session, self.apps[label], None, None, 100)

    def seal(self, run_id: str, *people: str) -> None:
        """The pull has come to its end, and is worked off."""
        self.world.seal(run_id, [person(name) for name in people])
        self.world.work()


@pytest.fixture
def clockwork(world: World) -> Iterator[Clockwork]:
    with freeze_time("2026-11-25 12:00:00", real_asyncio=True) as clock:
        assert isinstance(clock, FrozenDateTimeFactory)
        yield Clockwork(world, clock)


def test_a_schedule_starts_an_import_when_its_time_has_come_and_not_before(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=NIGHTLY)
    assert clockwork.at("2026-11-26 00:59:59") == []
    assert clockwork.at("2026-11-26 01:00:00") == ["FULL started"]
    assert clockwork.at("2026-11-26 01:00:01") == []
    (run,) = clockwork.runs("HR")
    assert (run.mode, run.source, run.status) == (Mode.FULL, PULL, "RECEIVING")
    assert load(run.started_by) == {"type": "schedule", "id": f"{clockwork.apps['HR']}.FULL", "name": "0 2 * * * Europe/Berlin"}
    started = clockwork.world.events(clockwork.apps["HR"])[-1]
    assert (started.type, started.run_id, load(started.body)["actor"]["type"]) == ("import.start", run.id, "schedule")


def test_both_schedules_of_an_app_keep_their_own_time(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=NIGHTLY, incremental=Firing("30 * * * *"))
    assert clockwork.next("HR") == {Mode.FULL: "2026-11-26T01:00", Mode.INCREMENTAL: "2026-11-25T12:30"}
    assert clockwork.at("2026-11-25 12:30") == ["INCREMENTAL started"]
    clockwork.seal(clockwork.runs("HR")[0].id, "E1")
    assert clockwork.next("HR") == {Mode.FULL: "2026-11-26T01:00", Mode.INCREMENTAL: "2026-11-25T13:30"}


def test_however_many_look_a_firing_is_had_once(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=NIGHTLY)
    clockwork.clock.move_to("2026-11-26 01:00")
    with reading(clockwork.world.engine) as session:
        (seen,) = schedules.due(session, wire(now()))
    taken = []
    for _ in range(3):
        with writing(clockwork.world.engine) as session:
            taken.append(schedules.claim(session, seen, now()))
    assert taken == [True, False, False]


def test_what_was_missed_while_everything_was_down_runs_once_at_the_next_start(clockwork: Clockwork) -> None:
    clockwork.app("HR", incremental=HOURLY)
    assert clockwork.at("2026-11-28 09:17") == ["INCREMENTAL started"]
    assert clockwork.next("HR") == {Mode.INCREMENTAL: "2026-11-28T10:00"}
    assert clockwork.at("2026-11-28 09:18") == []


def test_a_night_that_was_missed_is_read_in_full_and_its_deltas_are_not_made_up_for_besides(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=NIGHTLY, incremental=HOURLY)
    assert clockwork.at("2026-11-26 09:17") == ["FULL started", "INCREMENTAL import_under_way"]


@pytest.mark.parametrize(
    ("before", "firings"),
    [
        ("2027-03-27 12:00", ["2027-03-28T01:00", "2027-03-29T00:30"]),  # 02:30 does not exist
        ("2026-10-24 12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),  # 02:30 comes twice
    ],
)
def test_a_night_of_summer_time_fires_exactly_once(clockwork: Clockwork, before: str, firings: list[str]) -> None:
    clockwork.clock.move_to(before)
    clockwork.app("HR", full=Firing("30 2 * * *", "Europe/Berlin"))
    had = []
    for _ in range(48 * 4):
        clockwork.clock.tick(15 * 60)
        for _, outcome in clockwork.look():
            had.append(wire(now())[:16])
            clockwork.seal(outcome.started or "", "E1")
    assert had == firings


def test_a_full_import_waits_its_turn_behind_a_delta_and_is_not_lost(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=NIGHTLY, incremental=HOURLY)
    assert clockwork.at("2026-11-26 00:00") == ["INCREMENTAL started"]
    assert clockwork.at("2026-11-26 01:00") == ["FULL started", "INCREMENTAL import_under_way"]


def test_at_the_instant_that_both_name_the_full_import_starts_alone(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=Firing("0 * * * *"), incremental=HOURLY)
    assert clockwork.at("2026-11-25 13:00") == ["FULL started", "INCREMENTAL import_under_way"]


def test_a_second_full_import_does_not_start_while_the_first_has_not_ended(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    assert clockwork.at("2026-11-25 13:00") == ["FULL started"]
    (first,) = clockwork.runs("HR")
    assert clockwork.at("2026-11-25 14:00") == ["FULL import_under_way"]
    told = clockwork.world.events(clockwork.apps["HR"])[-1]
    assert told.type == "schedule.skipped"
    document = load(told.body)
    assert document["actor"]["type"] == "schedule"
    assert (document["kind"], document["due"], document["reason"], document["blockedBy"]) == (
        "FULL",
        "2026-11-25T14:00:00.000Z",
        "import_under_way",
        first.id,
    )
    clockwork.seal(first.id, "E1")
    assert clockwork.at("2026-11-25 15:00") == ["FULL started"]


def held_run(clockwork: Clockwork) -> tables.ImportRun:
    hr = clockwork.apps["HR"]
    clockwork.world.send(hr, [person("E1"), person("E2")])
    held = clockwork.world.send(hr, [person("E1")])
    assert held.status == "HELD"
    return held


def test_nothing_piles_up_behind_a_held_run_and_that_is_told_once(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", incremental=HOURLY)
    held = held_run(clockwork)
    for hour in range(13, 24):
        assert clockwork.at(f"2026-11-25 {hour}:00") == ["INCREMENTAL import_under_way"]
    assert [run.id for run in clockwork.runs("HR") if run.source == PULL] == []
    assert clockwork.world.kinds(hr).count("schedule.skipped") == 1
    clockwork.world.cancel(held.id)
    assert clockwork.at("2026-11-26 00:00") == ["INCREMENTAL started"]


def test_what_keeps_a_schedule_from_starting_is_told_again_when_it_is_another_thing(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", incremental=HOURLY)
    clockwork.world.cancel(held_run(clockwork).id)
    for hour in (13, 14):
        held = clockwork.world.send(hr, [person("E1")])
        assert clockwork.at(f"2026-11-25 {hour}:00") == ["INCREMENTAL import_under_way"]
        clockwork.world.cancel(held.id)
    assert clockwork.world.kinds(hr).count("schedule.skipped") == 2


def test_a_full_import_starts_beside_a_held_run_and_takes_its_place(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    held = held_run(clockwork)
    assert clockwork.at("2026-11-25 13:00") == ["FULL started"]
    clockwork.seal(clockwork.runs("HR")[0].id, "E1", "E2")
    assert clockwork.world.run(held.id).status == "SUPERSEDED"


def test_an_upload_that_somebody_has_begun_and_a_dry_run_are_in_nobodys_way(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", full=HOURLY)
    clockwork.world.begin(hr)
    clockwork.world.receive(hr, [person("E1")], dry_run=True)
    assert clockwork.at("2026-11-25 13:00") == ["FULL started"]


def test_apps_are_in_each_others_way_in_nothing(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    clockwork.app("AD", full=HOURLY)
    assert clockwork.at("2026-11-25 13:00") == ["FULL started", "FULL started"]


@pytest.mark.parametrize(("enabled", "reason"), [(None, "no_connection"), (False, "connection_off")])
def test_an_app_that_cannot_be_pulled_has_it_said_in_its_history(clockwork: Clockwork, enabled: bool | None, reason: str) -> None:
    hr = clockwork.app("HR", full=HOURLY, connected=enabled)
    for hour in (13, 14, 15):
        assert clockwork.at(f"2026-11-25 {hour}:00") == [f"FULL {reason}"]
    assert clockwork.world.kinds(hr).count("schedule.skipped") == 1
    assert load(clockwork.world.events(hr)[-1].body)["reason"] == reason


def test_a_schedule_that_rests_fires_nothing_and_when_it_is_enabled_misses_nothing_from_before(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    clockwork.schedule("HR", Schedule(full=HOURLY, enabled=False))
    assert clockwork.next("HR") == {}
    assert clockwork.at("2026-11-25 13:30") == []
    clockwork.schedule("HR", Schedule(full=HOURLY))
    assert clockwork.at("2026-11-25 13:31") == []
    assert clockwork.at("2026-11-25 14:00") == ["FULL started"]


def test_an_app_that_is_switched_off_fires_nothing_and_when_it_is_switched_on_misses_nothing_from_before(clockwork: Clockwork) -> None:
    hr, engine = clockwork.app("HR", full=HOURLY), clockwork.world.engine
    apps.set_status(engine, ADMIN, now(), hr, tables.AppStatus.INACTIVE)
    assert clockwork.next("HR") == {}
    assert clockwork.at("2026-11-25 13:30") == []
    apps.set_status(engine, ADMIN, now(), hr, tables.AppStatus.ACTIVE)
    assert clockwork.at("2026-11-25 13:31") == []
    assert clockwork.at("2026-11-25 14:00") == ["FULL started"]


def test_another_time_replaces_the_one_before_and_another_setting_does_not(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", full=HOURLY)
    clockwork.schedule("HR", Schedule(full=Firing("45 * * * *")))
    assert clockwork.next("HR") == {Mode.FULL: "2026-11-25T12:45"}
    clockwork.clock.move_to("2026-11-25 12:50")  # nobody looked
    policies.revise(clockwork.world.engine, ADMIN, now(), hr, lambda before: replace(policy(), schedule=before.schedule))
    assert [kind for kind, _ in clockwork.look()] == ["FULL"]


def test_a_firing_of_a_time_that_was_changed_meanwhile_is_nobodys(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    clockwork.clock.move_to("2026-11-25 13:00")
    with reading(clockwork.world.engine) as session:
        (seen,) = schedules.due(session, wire(now()))
    clockwork.schedule("HR", Schedule(full=NIGHTLY))
    with writing(clockwork.world.engine) as session:
        assert not schedules.claim(session, seen, now())


def test_a_deleted_app_leaves_no_schedule(clockwork: Clockwork) -> None:
    hr, engine = clockwork.app("HR", full=HOURLY), clockwork.world.engine
    apps.set_status(engine, ADMIN, now(), hr, tables.AppStatus.INACTIVE)
    apps.delete(engine, ADMIN, now(), hr)
    with reading(engine) as session:
        assert schedules.all_of_kinds(session, [*Mode]) == []


def test_a_policy_from_before_there_were_schedules_fires_from_the_next_start_on(clockwork: Clockwork) -> None:
    hr = clockwork.world.app("HR", policy(schedule=Schedule(full=HOURLY)))
    clockwork.world.app("AD", policy(schedule=Schedule(full=Firing("0 0 last * *"))))  # what an earlier version took for cron
    tick(clockwork.world.engine, now())
    assert {mode: at[:16] for mode, at in next_firings(clockwork.world.engine, hr).items()} == {Mode.FULL: "2026-11-25T13:00"}
    with reading(clockwork.world.engine) as session:
        assert [row.subject for row in schedules.all_of_kinds(session, [*Mode])] == [hr]


def test_settling_again_moves_nothing(clockwork: Clockwork) -> None:
    clockwork.app("HR", full=HOURLY)
    clockwork.clock.move_to("2026-11-25 13:30")
    settle_all(clockwork.world.engine, now())
    assert clockwork.next("HR") == {Mode.FULL: "2026-11-25T13:00"}


def test_a_start_that_the_database_cut_off_is_tried_again(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", full=HOURLY)

    def cut_off(session: Session, actor: Actor, at: datetime, app: tables.App, mode: Mode) -> str:
        begin_pull(session, actor, at, app, mode)
        raise OperationalError("", {}, Exception(), connection_invalidated=True)

    clockwork.pull = cut_off
    assert clockwork.at("2026-11-25 13:00") == []
    assert clockwork.runs("HR") == []
    clockwork.pull = begin_pull
    assert clockwork.at("2026-11-25 13:00:01") == ["FULL started"]
    assert clockwork.world.kinds(hr).count("import.start") == 1


def test_a_start_that_fails_by_itself_waits_for_its_next_time_and_harms_no_other(clockwork: Clockwork) -> None:
    hr = clockwork.app("HR", full=HOURLY)
    clockwork.app("AD", full=HOURLY)

    def broken(session: Session, actor: Actor, at: datetime, app: tables.App, mode: Mode) -> str:
        if app.id == hr:
            raise RuntimeError("a fault of the program")
        return begin_pull(session, actor, at, app, mode)

    clockwork.pull = broken
    assert sorted(clockwork.at("2026-11-25 13:00")) == ["FULL failed", "FULL started"]
    assert clockwork.at("2026-11-25 13:00:01") == []
    assert clockwork.next("HR") == {Mode.FULL: "2026-11-25T14:00"}


def test_a_schedule_of_another_kind_starts_what_it_is_for(clockwork: Clockwork) -> None:
    engine, started = clockwork.world.engine, []

    def start(_: Session, row: schedules.Schedule, at: datetime) -> Outcome:
        started.append((row.subject, wire(at)))
        return Outcome(started="rec1")

    with writing(engine) as session:
        schedules.settle(session, "everybody", "RECONCILIATION", HOURLY, now())
    assert clockwork.at("2026-11-25 13:00") == []  # whoever does not know the kind leaves it alone
    assert [row.kind for row, _ in fire_due(engine, now(), {"RECONCILIATION": start})] == ["RECONCILIATION"]
    assert started == [("everybody", "2026-11-25T13:00:00.000Z")]
    with writing(engine) as session:
        schedules.settle(session, "everybody", "RECONCILIATION", None, now())
    with reading(engine) as session:
        assert schedules.of(session, "everybody") == {}


def test_a_ticker_looks_for_what_is_due_by_itself(world: World) -> None:
    hr, fired = world.app("HR"), threading.Event()
    policies.revise(world.engine, ADMIN, now(), hr, lambda _: ImportPolicy(schedule=Schedule(full=HOURLY)))

    def start(*_: object) -> Outcome:
        fired.set()
        return Outcome(started="imp1")

    ticker = Ticker(world.engine, look=timedelta(milliseconds=50), starters={"FULL": start}, clock=lambda: now() + timedelta(hours=1))
    ticker.start()
    assert fired.wait(10)
    ticker.stop()
    with reading(world.engine) as session:
        assert load(schedules.of(session, hr)["FULL"].outcome or "") == {"started": "imp1"}
