import threading
from datetime import timedelta

from apscheduler.events import EVENT_JOB_EXECUTED

from mastering import schedule
from mastering.clock import now
from mastering.rules.record import Mode
from tests.walks.imports_world import World, person


def test_a_held_plan_that_nobody_decides_about_is_cancelled_when_its_time_is_over(world: World) -> None:
    hr = world.app("HR")
    world.send(hr, [person("E1"), person("E2")])
    held = world.send(hr, [person("E1")])
    assert held.status == "HELD"
    schedule.tick(world.engine, now() + timedelta(days=29))
    assert world.run(held.id).status == "HELD"
    schedule.tick(world.engine, now() + timedelta(days=31))
    assert world.run(held.id).status == "CANCELLED"
    assert world.user_of(hr, "E2").status == "ACTIVE"


def test_a_delta_that_waited_behind_a_held_run_goes_on_when_that_is_cancelled_by_time(world: World) -> None:
    hr = world.app("HR")
    world.send(hr, [person("E1"), person("E2")])
    held = world.send(hr, [person("E1")])
    waiting = world.receive(hr, [person("E3")], Mode.INCREMENTAL)
    world.work()
    assert (world.run(waiting).status, held.status) == ("QUEUED", "HELD")
    schedule.tick(world.engine, now() + timedelta(days=31))
    world.work()
    assert world.run(waiting).status == "COMPLETED"


def test_the_ticker_ticks_by_itself_and_stops_when_it_is_told(world: World) -> None:
    ticker, ticked = schedule.Ticker(world.engine, timedelta(milliseconds=50)), threading.Event()
    ticker._scheduler.add_listener(lambda _: ticked.set(), EVENT_JOB_EXECUTED)
    ticker.start()
    assert ticked.wait(10)
    ticker.stop()
    assert not ticker._scheduler.running
