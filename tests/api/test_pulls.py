"""Pulls over HTTP (API.md, starting an import): no body is a pull from the app's connection; the run tells how it read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.service import CONFIRM_ALL, Service, causes, refusal
from tests.scim_server import ScimServer, scim_server, user


@pytest.fixture
def peer() -> Iterator[ScimServer]:
    with scim_server() as started:
        started.users = [user("ada"), user("bob")]
        yield started


@pytest.fixture
def app_id(service: Service, peer: ScimServer) -> str:
    """An app that masters users, connected to the peer."""
    made = service.app("Peer")
    service.policy(made, confirmation=CONFIRM_ALL, mastering={"enabled": True})
    body = {"baseUrl": peer.base_url, "profile": {"authScheme": "TOKEN", "token": "t"}}
    service.post(f"/apps/{made}/connections/default", params={"activate": True}, json=body)
    return made


def pull(service: Service, app_id: str, mode: str = "FULL", **params: Any) -> Any:
    return service.post(f"/apps/{app_id}/imports", params={"mode": mode, **params}, headers={"Prefer": "wait=60"})


def test_no_body_is_a_pull_that_a_worker_receives_and_carries_out(service: Service, peer: ScimServer, app_id: str) -> None:
    run = pull(service, app_id)
    assert (run["status"], run["source"], run["records"], run["situations"]) == ("COMPLETED", "PULL", 2, {"UNMATCHED": 2})
    told = {
        "server": peer.base_url,
        "read": "ALL",
        "since": None,
        "fallback": None,
        "pages": 2,
        "requests": 2,
        "newest": "2026-01-01T00:00:00Z",
    }
    assert run["pull"] == told
    assert service.get("/users/ada@example.com")["status"] == "ACTIVE"
    again = pull(service, app_id, "INCREMENTAL")
    assert (again["pull"]["read"], again["situations"]) == ("CHANGES", {"UNCHANGED": 2})


def test_the_answer_comes_before_the_server_was_asked(service: Service, peer: ScimServer, app_id: str) -> None:
    answer = service.ask("POST", f"/apps/{app_id}/imports", params={"mode": "FULL"})
    assert (answer.status_code, answer.json()["source"]) == (202, "PULL")
    assert answer.headers["Location"] == f"/api/v1/imports/{answer.json()['id']}"


def test_a_reconciliation_reads_the_app_and_tells_what_differs_there(service: Service, peer: ScimServer, app_id: str) -> None:
    pull(service, app_id)
    peer.users = [user("ada", active=False), user("eve")]
    started = service.ask("POST", "/reconciliations", json={"appId": app_id, "readApps": True})
    assert started.status_code == 202
    assert [(each["appId"], each["began"], each["error"]) for each in started.json()["readings"]] == [(app_id, None, None)]
    give_up = time.monotonic() + 30
    while (row := service.get(started.headers["Location"]))["status"] not in {"COMPLETED", "FAILED"}:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert (row["status"], row["readApps"], row["repairable"]) == ("COMPLETED", True, 0)
    assert row["differences"] == {"app_account_gone": 1, "app_account_unknown": 1, "app_active_differs": 1}
    assert [(each["users"], each["unreadable"], each["error"]) for each in row["readings"]] == [(2, 0, None)]
    (gone,) = service.get(f"/reconciliations/{row['id']}/differences?kind=app_account_gone")
    assert (gone["login"], gone["externalId"], gone["expected"], gone["respected"]) == (
        "bob@example.com",
        "id-bob",
        {"account": "ACTIVE"},
        False,
    )
    assert gone["eventId"] in {event["id"] for event in service.get(f"/users/{gone['userId']}/history")}
    assert service.get("/users/bob@example.com")["status"] == "ACTIVE"


def test_a_reconciliation_that_should_read_an_app_without_a_connection_is_refused(service: Service) -> None:
    answer = service.ask("POST", "/reconciliations", json={"appId": service.app(), "readApps": True})
    assert refusal(answer) == (400, "E0000001")
    assert "set its address and credentials first" in causes(answer)[0]


def test_an_app_without_a_connection_is_told_so(service: Service) -> None:
    answer = service.ask("POST", f"/apps/{service.app()}/imports", params={"mode": "FULL"})
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), ["connection: HR has none; set its address and credentials first"])
    assert refusal(service.ask("POST", "/apps/0oaNobody/imports", params={"mode": "FULL"})) == (404, "E0000007")


def test_an_empty_body_of_a_type_is_an_upload_that_brought_nothing(service: Service, peer: ScimServer, app_id: str) -> None:
    answer = service.ask("POST", f"/apps/{app_id}/imports", params={"mode": "FULL"}, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "E0000003")
    assert peer.seen == []


def test_a_body_without_a_type_is_no_pull(service: Service, peer: ScimServer, app_id: str) -> None:
    answer = service.ask("POST", f"/apps/{app_id}/imports", params={"mode": "FULL"}, content=b"{}")
    assert refusal(answer) == (415, "E0000021")
    assert peer.seen == []


def test_only_a_sender_knows_when_a_snapshot_was_taken(service: Service, app_id: str) -> None:
    answer = service.ask("POST", f"/apps/{app_id}/imports", params={"mode": "FULL", "snapshotAt": "2026-01-01T00:00:00Z"})
    assert causes(answer) == ["snapshotAt: is for a snapshot that is sent; a pull knows when it reads"]


def test_an_importer_pulls_its_own_apps_and_no_other(service: Service, app_id: str) -> None:
    importer = service.caller("importer", app_id)
    assert pull(importer, app_id)["status"] == "COMPLETED"
    assert refusal(importer.ask("POST", f"/apps/{service.app('Other')}/imports", params={"mode": "FULL"})) == (403, "E0000006")


def test_the_same_key_pulls_once(service: Service, peer: ScimServer, app_id: str) -> None:
    headers = {"Prefer": "wait=60", "Idempotency-Key": "once"}
    first, second = (service.post(f"/apps/{app_id}/imports", params={"mode": "FULL"}, headers=headers) for _ in range(2))
    assert first == second
    assert [start for start, _ in peer.pages()] == [1, 3]


def test_a_pull_is_told_in_the_apps_history(service: Service, app_id: str) -> None:
    run = pull(service, app_id)
    told = [event for event in service.events(app_id) if event["type"].startswith("import.")]
    assert [event["type"] for event in told] == ["import.start", "import.sealed", "import.planned", "import.completed"]
    assert (told[0]["source"], told[0]["run"]["id"]) == ("PULL", run["id"])
