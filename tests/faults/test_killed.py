"""A server killed at every step of a run, and started again: the run ends, and everything in it happened exactly once or not at all."""

from __future__ import annotations

import random
import signal
import time

import pytest

from tests.faults.conftest import ACTIONS, AFTER, Place

BEFORE_IT_IS_A_SNAPSHOT = {
    "while lines come in": "mastering.imports.spool:Spool._write:after:2",
    "when all lines are there": "mastering.imports.runs:seal:before:1",
}
AFTERWARDS = {
    "when it is sealed": "mastering.imports.runs:seal:after:1",
    "when it is claimed": "mastering.imports.steps:_plan:before:1",
    "in the middle of the plan": "mastering.imports.rows:PlanWriter.write:after:3",
    "when the plan is about to be committed": "mastering.imports.runs:give_way:after:1",
    "when it is planned": "mastering.imports.steps:_plan:after:1",
    "in the middle of a batch": "mastering.imports.steps:apply_batch:after:3",
    "between two batches": "mastering.imports.steps:_apply_next:after:3",
    "when its end is about to be committed": "mastering.imports.steps:_complete:after:1",
    "at its end": "mastering.imports.steps:_apply:after:1",
}


@pytest.mark.parametrize("step", BEFORE_IT_IS_A_SNAPSHOT)
def test_an_import_that_was_not_received_in_full_fails_and_changes_nothing(place: Place, step: str) -> None:
    server = place.start(BEFORE_IT_IS_A_SNAPSHOT[step])
    server.send(place.app, AFTER)
    assert server.await_end() == -signal.SIGKILL
    again = place.start()
    run = again.await_run(place.app)
    assert (run["status"], run["situations"], run["actions"]) == ("FAILED", {}, {})
    assert run["error"] == "The upload was interrupted; nothing was changed. Send the import again"
    assert len(again.http.get("/users", params={"limit": 200}).json()) == 100
    assert again.send(place.app, AFTER) is not None
    assert again.await_run(place.app)["actions"] == ACTIONS
    place.check()


@pytest.mark.parametrize("step", AFTERWARDS)
def test_an_import_that_was_received_is_carried_out_once_by_whoever_starts_next(place: Place, step: str) -> None:
    server = place.start(AFTERWARDS[step])
    server.send(place.app, AFTER)
    assert server.await_end() == -signal.SIGKILL
    run = place.start().await_run(place.app)
    assert (run["status"], run["actions"], run["error"]) == ("COMPLETED", ACTIONS, None)
    place.check()


def test_a_held_plan_outlives_the_process_and_is_applied_as_it_was_reviewed(place: Place) -> None:
    server = place.start()
    server.http.put("/org/safeguard", json={"enabled": True, "maxUnassignedPercent": 20}).raise_for_status()
    server.send(place.app, AFTER)
    held = server.await_run(place.app, {"HELD"})
    server.signal(signal.SIGKILL)
    server.await_end()
    again = place.start("mastering.imports.steps:_apply_next:after:2")
    assert again.runs(place.app)[0] == held
    again.http.post(f"/imports/{held['id']}/lifecycle/approve", json={"planHash": held["planHash"]}).raise_for_status()
    assert again.await_end() == -signal.SIGKILL
    run = place.start().await_run(place.app)
    assert (run["status"], run["actions"], run["planHash"]) == ("COMPLETED", ACTIONS, held["planHash"])
    place.check()


def test_a_server_killed_again_and_again_at_any_moment_gets_there_in_the_end(place: Place) -> None:
    chance = random.Random(7)
    server = place.start()
    assert server.send(place.app, AFTER) is not None
    for _ in range(3):
        time.sleep(chance.uniform(0.0, 0.05))
        server.signal(signal.SIGKILL)
        server.await_end()
        server = place.start()
    run = server.await_run(place.app)
    assert (run["status"], run["actions"]) == ("COMPLETED", ACTIONS)
    place.check()
