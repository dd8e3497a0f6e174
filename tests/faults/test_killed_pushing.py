"""A server that is killed in the middle of delivering: what it had in its hands is delivered again, in order, and nobody is made twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.faults.conftest import Place
from tests.scim_peer import Call, ScimServer, scim_server

PATIENCE = 40.0
PEOPLE = 30


@pytest.fixture
def peer() -> Iterator[ScimServer]:
    with scim_server() as made:
        yield made


def test_what_a_killed_server_was_delivering_is_delivered_by_the_next(place: Place, peer: ScimServer) -> None:
    first = place.start()
    app: str = ok(first.http.post("/apps", json={"label": "Target", "name": "target"}))["id"]
    form = {"baseUrl": peer.url, "profile": {"authScheme": "TOKEN", "token": "secret"}}
    ok(first.http.post(f"/apps/{app}/connections/default?activate=true", json=form))
    on = {"status": "ENABLED"}
    switches = {"create": {"lifecycleCreate": on}, "update": {"lifecycleDeactivate": on, "profile": on}}
    ok(first.http.put(f"/apps/{app}/features/USER_PROVISIONING", json=switches))
    users = [user["id"] for user in ok(first.http.get("/users", params={"limit": PEOPLE}))]

    def kill(call: Call) -> None:
        if call.method == "POST" and len(peer.users) >= 7 and first._process.poll() is None:
            os.kill(first._process.pid, signal.SIGKILL)
        time.sleep(0.01)

    peer.behaves = kill
    with suppress(httpx.HTTPError):  # it dies meanwhile; who was not assigned by then is assigned by the next one
        for user in users:
            ok(first.http.post(f"/apps/{app}/users", json={"id": user}))
        for user in users[:10]:
            ok(first.http.post(f"/users/{user}/lifecycle/deactivate"))
    wait_until(lambda: first._process.poll() is not None)
    peer.behaves = lambda _: None
    second = place.start()
    for user in users:
        ok(second.http.post(f"/apps/{app}/users", json={"id": user}))
    for user in users[:10]:
        second.http.post(f"/users/{user}/lifecycle/deactivate")
    wait_until(lambda: all(ok(second.http.get(f"/apps/{app}/provisioning-queue"))[part] == 0 for part in ("waiting", "delivering")))
    names = [user["userName"] for user in peer.users.values()]
    assert len(names) == len(set(names)), "nobody is made twice"
    assert sorted(user["externalId"] for user in peer.users.values() if user["active"]) == sorted(users[10:])
    assert {user["externalId"] for user in peer.users.values() if not user["active"]} <= set(users[:10])
    tasks = ok(second.http.get(f"/apps/{app}/provisioning-tasks", params={"limit": 200}))
    assert {task["status"] for task in tasks} <= {"DONE", "SUPERSEDED"}
    place.check().dispose()


def ok(answer: Any) -> Any:
    answer.raise_for_status()
    return answer.json() if answer.content else None


def wait_until(what: Any) -> None:
    give_up = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < give_up, "it takes too long"
        time.sleep(0.05)
