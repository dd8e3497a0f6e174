"""A snapshot's lines that bring nothing new are known by their marks (SPEC §5.2): the plan is what reading every line would make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlmodel import update

from mastering.imports import reading as chunks
from mastering.store import heads, tables
from mastering.store.engine import writing
from tests.walks.imports_world import World, calm, master, person

STAFF = [person(name, department="A") for name in ("ann", "bob", "cid", "dee")]
ANN, BOB, CID, DEE = STAFF
LEFT = {**DEE, "active": False}
REORDERED = dict(reversed(ANN.items()))
OTHER = person("ann", department="B")

STORIES: Sequence[tuple[Sequence[Mapping[str, Any] | bytes], Mapping[str, int]]] = [
    ([ANN, BOB, CID, LEFT], {"UNCHANGED": 4}),
    ([LEFT, CID, ANN, BOB], {"UNCHANGED": 4}),
    ([ANN, ANN, BOB, ANN, CID, LEFT], {"UNCHANGED": 4}),
    ([ANN, REORDERED, BOB, CID, LEFT], {"UNCHANGED": 4}),
    ([ANN, OTHER, BOB, CID, LEFT], {"UNCHANGED": 3, "INVALID": 2}),
    ([OTHER, ANN, ANN, BOB, CID, LEFT], {"UNCHANGED": 3, "INVALID": 3}),
    ([OTHER, BOB, CID, LEFT], {"UNCHANGED": 3, "CHANGED": 1}),
    ([ANN, BOB, LEFT], {"UNCHANGED": 3, "WENT_MISSING": 1}),
    ([ANN, BOB, CID], {"UNCHANGED": 4}),  # who is inactive and gone has been told of
    ([ANN, BOB, CID, DEE], {"UNCHANGED": 3, "CAME_BACK": 1}),
    ([ANN, BOB, {**CID, "active": False}, LEFT], {"UNCHANGED": 3, "WENT_INACTIVE": 1}),
    ([ANN, BOB, {**CID, "active": "yes"}, LEFT], {"UNCHANGED": 3, "INVALID": 1}),
    ([ANN, BOB, b'{"externalId": "cid", "profile": {', LEFT], {"UNCHANGED": 3, "INVALID": 1}),
    ([ANN, BOB, CID, LEFT, person("eve")], {"UNCHANGED": 4, "UNMATCHED": 1}),
]


@pytest.mark.parametrize(("snapshot", "wanted"), STORIES, ids=[str(number) for number in range(len(STORIES))])
def test_a_snapshot_is_planned_alike_with_marks_and_without(
    world: World, snapshot: Sequence[Mapping[str, Any] | bytes], wanted: Mapping[str, int]
) -> None:
    app_id = world.app("HR", calm(mastering=master()))
    world.set_org(enabled=False)
    world.send(app_id, STAFF)
    world.send(app_id, [ANN, BOB, CID, LEFT])
    tried = world.receive(app_id, snapshot, dry_run=True)
    with writing(world.engine) as session:
        session.execute(update(tables.RunChunk).values(marks=None))  # as one that was received before there were any
    world.work()
    done = world.send(app_id, snapshot)
    assert world.situations(done) == world.situations(world.run(tried)) == wanted
    assert done.plan_hash == world.run(tried).plan_hash


def test_of_an_unchanged_snapshot_no_line_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app_id = world.app("HR", calm(mastering=master()))
    world.send(app_id, [ANN, BOB, CID, LEFT])
    run_id = world.receive(app_id, [ANN, BOB, CID])
    read = list[bytes]()
    monkeypatch.setattr(chunks, "glance", read.append)
    world.work()
    assert world.situations(world.run(run_id)) == {"UNCHANGED": 3}
    assert not read


def test_a_directory_of_several_parts_is_swept_in_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_PAGES_AT_ONCE", 2)
    monkeypatch.setattr(heads, "_SWEPT_AT_ONCE", 70)
    app_id = world.app("HR", calm(mastering=master()))
    many = [person(f"p{number}") for number in range(200)]
    world.send(app_id, many)
    assert world.situations(world.send(app_id, many[1:])) == {"UNCHANGED": 199, "WENT_MISSING": 1}
    assert world.situations(world.send(app_id, many[1:])) == {"UNCHANGED": 200}


def test_what_another_app_says_word_for_word_is_nobodys_mark(world: World) -> None:
    first, second = world.app("HR", calm(mastering=master())), world.app("AD", calm(mastering=master()))
    world.send(first, STAFF)
    assert world.situations(world.send(second, STAFF)).keys() == {"EXACT"}


def test_a_delta_without_active_does_not_bring_back_whom_a_snapshot_without_it_does(world: World) -> None:
    app_id = world.app("HR", calm(mastering=master()))
    world.set_org(enabled=False)
    world.send(app_id, [CID])
    world.send(app_id, [{**CID, "active": False}])
    assert world.situations(world.delta(app_id, [CID])) == {"UNCHANGED": 1}
    assert world.situations(world.delta(app_id, [CID])) == {"UNCHANGED": 1}
    assert world.situations(world.send(app_id, [CID])) == {"CAME_BACK": 1}
