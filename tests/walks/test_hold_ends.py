"""A hold ends once, by the clock, whoever ticks, on both databases (SPEC §7)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from mastering import holds, schedule
from mastering.clock import now
from mastering.holds import Terms
from mastering.store import users as store
from tests.walks.imports_world import ADMIN, World

ENDED = "user.hold.expired"


def held(world: World, name: str, hours: int = 1) -> str:
    """A person who is held for some hours; the id."""
    user_id = world.by_hand(name).id
    holds.set_hold(world.engine, ADMIN, now(), user_id, Terms("on leave", now() + timedelta(hours=hours)))
    return user_id


def test_a_tick_after_the_end_writes_the_event_and_the_next_one_writes_nothing(world: World) -> None:
    jane = held(world, "jane")
    schedule.tick(world.engine, now())
    assert world.kinds(jane).count(ENDED) == 0
    for _ in range(2):
        schedule.tick(world.engine, now() + timedelta(hours=2))
    assert (world.kinds(jane).count(ENDED), world.user(jane).hold) == (1, None)


def test_the_ticker_of_a_process_ends_holds_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    jane, ended = held(world, "jane"), threading.Event()

    def later(*_: object) -> int:
        found = holds.expire_holds(world.engine, now() + timedelta(hours=2))
        ended.set()
        return found

    monkeypatch.setattr(schedule, "expire_holds", later)
    ticker = schedule.Ticker(world.engine, timedelta(milliseconds=20))
    ticker.start()
    assert ended.wait(10)
    ticker.stop()
    assert world.kinds(jane).count(ENDED) == 1


def test_of_two_processes_that_find_the_same_end_one_writes_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    jane, both = held(world, "jane"), threading.Barrier(2 if world.engine.dialect.name == "postgresql" else 1)
    plain = store.ids_with_ended_holds

    def slow(*arguments: object) -> list[str]:
        found = plain(*arguments)  # type: ignore[arg-type]
        both.wait(10)  # on SQLite there is one writer at a time, and nobody to wait for
        return found

    monkeypatch.setattr("mastering.holds.store.ids_with_ended_holds", slow)
    at = now() + timedelta(hours=2)
    threads = [threading.Thread(target=holds.expire_holds, args=(world.engine, at)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.kinds(jane).count(ENDED) == 1


def test_a_hold_that_an_admin_has_made_longer_meanwhile_is_not_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    jane = held(world, "jane", hours=5)
    found = iter([[jane], []])
    monkeypatch.setattr("mastering.holds.store.ids_with_ended_holds", lambda *_: next(found))
    holds.expire_holds(world.engine, now() + timedelta(hours=2))
    assert world.kinds(jane).count(ENDED) == 0
    assert world.user(jane).hold is not None
