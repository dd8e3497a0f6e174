"""What has to follow from a change of the catalog is owed until it is done, whoever does it (docs/decisions/0036)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mastering import followup, rematch
from mastering.catalog import policies, ranks
from mastering.clock import now, wire
from mastering.followup import LostError, owe
from mastering.rules.policy import Confirmation, Matching
from mastering.settings import LEASE
from mastering.store.engine import reading, writing
from mastering.store.owed import OwedWork
from tests.faults.checker import check
from tests.walks.imports_world import ADMIN, World, calm, person

PEOPLE = 7


@pytest.fixture
def masters(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two masters that say different things of the same people; nothing is done at once."""
    ids = [world.app(label, calm()) for label in ("HR", "AD")]
    for app_id, title in zip(ids, ("by HR", "by AD"), strict=True):
        world.send(app_id, [person(f"E{number}", title=title) for number in range(PEOPLE)])
    monkeypatch.setattr(followup, "MANY", 0)
    monkeypatch.setattr("mastering.remaster._AT_ONCE", 3)
    return ids


def owed(world: World) -> list[OwedWork]:
    with reading(world.engine) as session:
        return list(session.execute(select(OwedWork)).scalars())


def titles(world: World, app_id: str) -> set[Any]:
    return {world.user_of(app_id, f"E{number}").profile["title"] for number in range(PEOPLE)}


def test_where_many_are_concerned_the_caller_is_answered_and_a_worker_carries_it_out(world: World, masters: list[str]) -> None:
    ranks.reorder(world.engine, ADMIN, now(), masters[::-1])
    assert (len(owed(world)), titles(world, masters[0])) == (1, {"by HR"})
    world.work()
    assert (owed(world), titles(world, masters[0])) == ([], {"by AD"})
    assert {event.body.count('"admin"') for event in world.events(world.user_of(masters[0], "E1").id)[-1:]} == {1}
    check(world.engine)


def test_where_few_are_concerned_it_is_done_when_the_caller_is_answered(
    world: World, masters: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followup, "MANY", 2 * PEOPLE)
    ranks.reorder(world.engine, ADMIN, now(), masters[::-1])
    assert (owed(world), titles(world, masters[0])) == ([], {"by AD"})


def test_what_fails_of_itself_is_tried_again_after_a_pause(world: World, masters: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ranks.reorder(world.engine, ADMIN, now(), masters[::-1])

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(followup, "remaster_batch", broken)
        assert world.worker.turn()
    (left,) = owed(world)
    assert (left.attempts, left.owner) == (1, None)
    assert wire(now()) < (left.lease_until or "") <= wire(now() + followup._PAUSES[0])
    assert followup.take_turn(world.engine, "later", LEASE, lambda: False) is False
    with writing(world.engine) as session:
        session.get_one(OwedWork, left.id).lease_until = wire(now())
    assert world.worker.turn()
    assert (owed(world), titles(world, masters[0])) == ([], {"by AD"})


def test_who_is_told_to_stop_leaves_it_to_the_next_behind_the_last_batch(world: World, masters: list[str]) -> None:
    ranks.reorder(world.engine, ADMIN, now(), masters[::-1])
    answers = iter([False] * 5)
    assert followup.take_turn(world.engine, "first", LEASE, lambda: next(answers, True))
    (left,) = owed(world)
    assert (left.owner, left.takeovers) == (None, 0)
    assert left.cursor != ""
    world.work()
    told = [world.kinds(world.user_of(masters[0], f"E{number}").id).count("user.remaster") for number in range(PEOPLE)]
    assert told == [1] * PEOPLE


def test_who_has_slept_past_the_lease_writes_nothing(world: World, masters: list[str]) -> None:
    with writing(world.engine) as session:
        mine = owe(session, ADMIN, now(), [masters[0]])
    with writing(world.engine) as session:
        session.get_one(OwedWork, mine.id).lease_until = wire(now() - timedelta(seconds=1))
    world.work()
    with pytest.raises(LostError):
        mine.give_back()
    followup.follow_up(mine, now(), [])
    assert owed(world) == []


def test_a_run_of_many_has_the_whole_queue_matched_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rematch, "_AT_ONCE", 3)
    monkeypatch.setattr(rematch, "_MANY", 0)
    hr, ad = world.app("HR", calm()), world.app("AD", calm(confirmation=Confirmation()))
    world.send(ad, [person(f"A{number}", email=f"e{number % 4}@example.com") for number in range(8)])
    run_id = world.receive(hr, [person(f"E{number}") for number in range(3)])
    seen: list[str | None] = []
    while world.run(run_id).status != "COMPLETED":
        world.worker.turn()
        seen.append(world.run(run_id).queue_cursor)
    assert seen[-1] is None
    assert {row[0] for row in world.queue(ad).values()} == {"CONFLICT"}
    assert world.left_to_match() == 0
    check(world.engine)


def test_other_options_have_the_whole_queue_matched_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rematch, "_AT_ONCE", 2)
    ad = world.app("AD", calm(confirmation=Confirmation()))
    for number in range(4):
        world.by_hand(f"user{number}", email=f"a{number}@example.com")
    world.send(ad, [person(f"A{number}", **({"email": "a0@example.com"} if number == 4 else {})) for number in range(5)])
    by_email = calm(confirmation=Confirmation(), matching=Matching(username=False, email=True))
    policies.replace(world.engine, ADMIN, now(), ad, by_email)
    rows = world.queue(ad)
    assert rows["A1"] == ("EXACT", "exact", ["user1@example.com"])
    assert rows["A0"][0] == rows["A4"][0] == "CONFLICT"
    assert world.left_to_match() == 0
    world.by_hand("more", email="a1@example.com")  # found by the ways of the new options
    assert world.queue(ad)["A1"][0] == "AMBIGUOUS"
