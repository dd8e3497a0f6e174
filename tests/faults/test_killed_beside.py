"""A server killed in the middle of what goes on beside imports: an undo, a repair, a preview, a checkpoint. Whoever starts next ends it, once.

What brings it about is asked of the API as an admin would, and the state after it is held against history like that after any import.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.faults.conftest import ACTIONS, AFTER, BEFORE, Place
from tests.faults.processes import PATIENCE, POLICY, Process
from tests.walks.imports_world import person

UNDOING = {
    "when its plan is made": "mastering.imports.undoing:UndoPlanner.plan:after:1",
    "in the middle of a batch": "mastering.imports.applying:apply_undo:after:30",
}
REPAIRING = {
    "when some has been compared": "mastering.reconcile.turns:_keep:after:2",
    "when a repair is about to begin": "mastering.reconcile.turns:_repair:after:1",
}
FORESEEING = {
    "when rows are written": "mastering.whatif.turns:_Work.write:after:1",
}
SIGNING = {
    "when it is about to be signed": "mastering.vault:Vault.sign:before:1",
}


def asked(server: Process, method: str, path: str, **parts: Any) -> dict[str, Any]:
    """The answer to a request; nothing where the server died of it."""
    with suppress(httpx.TransportError):
        answer: dict[str, Any] = server.http.request(method, path, **parts).raise_for_status().json()
        return answer
    return {}


def ended(server: Process, path: str) -> dict[str, Any]:
    """Something that a worker carries out, at its end."""
    give_up = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = server.http.get(path).raise_for_status().json()
        if found["status"] in {"COMPLETED", "FAILED", "HELD"}:
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.02)


def statuses(server: Process) -> dict[str, str]:
    users = server.http.get("/users", params={"limit": 200, "search": 'id gt "0"'}).raise_for_status().json()
    return {user["profile"]["login"]: user["status"] for user in users}


@pytest.mark.parametrize("step", UNDOING)
def test_an_undo_is_carried_out_once_by_whoever_starts_next(place: Place, step: str) -> None:
    server = place.start()
    before = statuses(server)
    server.send(place.app, AFTER)
    run = server.await_run(place.app)
    assert run["actions"] == ACTIONS
    server.close()
    victim = place.start(UNDOING[step])
    asked(victim, "POST", f"/imports/{run['id']}/lifecycle/undo")
    assert victim.await_end() == -signal.SIGKILL
    again = place.start()
    undone = again.await_run(place.app)
    assert (undone["status"], undone["source"], undone["origin"]) == ("COMPLETED", "UNDO", run["id"])
    created = {person["profile"]["email"] for person in AFTER} - before.keys()
    assert statuses(again) == {**before, **dict.fromkeys(created, "DEPROVISIONED")}
    place.check()


@pytest.mark.parametrize("step", REPAIRING)
def test_a_reconciliation_and_its_repair_are_carried_out_once_by_whoever_starts_next(place: Place, step: str) -> None:
    server = place.start()
    suspending: dict[str, Any] = {**POLICY, "mastering": {**POLICY["mastering"], "whenDeactivated": "SUSPEND"}}
    server.http.put(f"/apps/{place.app}/import-policy", json=suspending).raise_for_status()
    server.send(place.app, [person(f"E{number}", active=number >= 30) for number in range(len(BEFORE))])
    assert server.await_run(place.app)["actions"] == {"suspend": 30}
    server.http.put(f"/apps/{place.app}/import-policy", json=POLICY).raise_for_status()
    server.close()
    victim = place.start(REPAIRING[step])
    asked(victim, "POST", "/reconciliations", json={"repair": True})
    assert victim.await_end() == -signal.SIGKILL
    again = place.start()
    (row,) = again.http.get("/reconciliations").raise_for_status().json()
    row = ended(again, f"/reconciliations/{row['id']}")
    assert (row["status"], row["differences"], len(row["runs"])) == ("COMPLETED", {"status_drift": 30}, 1)
    assert ended(again, f"/imports/{row['runs'][0]}")["actions"] == {"deactivate": 30}
    assert list(statuses(again).values()).count("DEPROVISIONED") == 30
    place.check()


@pytest.mark.parametrize("step", FORESEEING)
def test_a_preview_is_computed_from_its_beginning_by_whoever_starts_next_and_changes_nothing(place: Place, step: str) -> None:
    server = place.start(FORESEEING[step])
    other = server.app("AD")
    server.send(other, BEFORE)
    server.await_run(other)
    asked(server, "POST", "/previews", json={"changes": {"profileMasters": [other, place.app]}})
    assert server.await_end() == -signal.SIGKILL
    again = place.start()
    before = statuses(again)
    (row,) = again.http.get("/previews").raise_for_status().json()
    row = ended(again, f"/previews/{row['id']}")
    rows = again.http.get(f"/previews/{row['id']}/rows", params={"limit": 1000}).raise_for_status().json()
    assert (row["status"], sum(row["counts"].values())) == ("COMPLETED", len(rows))
    assert len({(each["kind"], each["userId"]) for each in rows}) == len(rows) > 0
    assert statuses(again) == before
    place.check()


@pytest.mark.parametrize("step", SIGNING)
def test_a_checkpoint_that_was_begun_is_signed_by_whoever_comes_next_and_the_history_verifies(place: Place, step: str) -> None:
    server = place.start()
    server.http.post("/history/checkpoints").raise_for_status()  # so that none is due by itself
    server.app("AD")
    server.close()
    victim = place.start(SIGNING[step])
    asked(victim, "POST", "/history/checkpoints")
    assert victim.await_end() == -signal.SIGKILL
    again = place.start()
    again.http.post("/history/checkpoints").raise_for_status()
    numbers = [each["statement"]["number"] for each in again.http.get("/history/checkpoints").raise_for_status().json()]
    assert numbers == list(range(len(numbers), 0, -1))
    assert len(numbers) >= 2
    report = again.http.post("/history/verify").raise_for_status().json()
    assert report["whole"] is True
    place.check()
