"""Upload sessions over HTTP: shapes, limits, refusals, roles (API.md, /identity-sources). What they do is told in tests/walks/test_sessions.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from litestar.testing import TestClient

from api import create_app
from mastering.settings import Settings
from tests.api.service import ADMIN_TOKEN, Service, causes, refusal


def opened(service: Service, app_id: str) -> str:
    made: str = service.post(f"/identity-sources/{app_id}/sessions")["id"]
    return made


def bulk(service: Service, app_id: str, session_id: str, kind: str = "upsert", **parts: Any) -> Response:
    return service.ask("POST", f"/identity-sources/{app_id}/sessions/{session_id}/bulk-{kind}", **parts)


def people(*keys: str) -> dict[str, Any]:
    return {
        "entityType": "USERS",
        "profiles": [
            {"externalId": key, "profile": {"email": f"{key}@example.com", "firstName": f"F{key}", "lastName": "Example"}} for key in keys
        ],
    }


def test_a_session_has_oktas_shape(service: Service) -> None:
    app_id = service.app()
    made = service.post(f"/identity-sources/{app_id}/sessions")
    assert made == {
        "id": made["id"],
        "identitySourceId": app_id,
        "status": "CREATED",
        "created": made["created"],
        "lastUpdated": made["created"],
        "importType": "INCREMENTAL",
    }
    assert service.get(f"/identity-sources/{app_id}/sessions") == [made]
    assert service.get(f"/identity-sources/{app_id}/sessions/{made['id']}") == made


def test_what_is_loaded_is_accepted_without_a_word_and_moves_the_session_on(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    answer = bulk(service, app_id, session_id, json=people("E1"))
    assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (202, b"", None)
    assert service.get(f"/identity-sources/{app_id}/sessions/{session_id}")["status"] == "IN_PROGRESS"
    assert service.get(f"/imports/{session_id}")["records"] == 1


def test_a_started_session_is_a_run_under_the_same_id(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    bulk(service, app_id, session_id, json=people("E1", "E2"))
    assert service.post(f"/identity-sources/{app_id}/sessions/{session_id}/start-import")["status"] == "TRIGGERED"
    while service.client.app.state.worker.turn():
        pass
    run = service.get(f"/imports/{session_id}")
    assert (run["source"], run["mode"], run["records"]) == ("IDENTITY_SOURCE", "INCREMENTAL", 2)


@pytest.mark.parametrize("kind", ["upsert", "delete"])
def test_a_request_has_one_to_two_hundred_profiles(service: Service, kind: str) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    many = people(*(f"E{n}" for n in range(201)))
    answer = bulk(service, app_id, session_id, kind, json=many)
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), ["profiles: expected array of length <= 200"])
    answer = bulk(service, app_id, session_id, kind, json={"entityType": "USERS", "profiles": []})
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), ["profiles: expected array of length >= 1"])
    answer = bulk(service, app_id, session_id, kind, json={"entityType": "USERS"})
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), ["profiles: is required"])
    many["profiles"].pop()
    assert bulk(service, app_id, session_id, kind, json=many).status_code == 202


@pytest.mark.parametrize("kind", ["upsert", "delete"])
def test_a_request_has_two_hundred_kilobytes_at_most(service: Service, kind: str) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    headers = {"Content-Type": "application/json"}
    body = json.dumps(people("E1")).encode()
    assert refusal(bulk(service, app_id, session_id, kind, content=body + b" " * (204_801 - len(body)), headers=headers))[0] == 413
    assert service.get(f"/identity-sources/{app_id}/sessions/{session_id}")["status"] == "CREATED"
    assert bulk(service, app_id, session_id, kind, content=body + b" " * (204_800 - len(body)), headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"entityType": "GROUPS", "profiles": [{"externalId": "E1", "profile": {}}]}, ["entityType: invalid enum value 'GROUPS'"]),
        ({"entityType": "USERS", "profiles": [{"externalId": "E1"}]}, ["profiles[0].profile: is required"]),
        ({"entityType": "USERS", "profiles": ["E1"]}, ["profiles[0]: expected object, got str"]),
        ({"entityType": "USERS", "profiles": [{"externalId": "E1", "profile": 5}]}, ["profiles[0].profile: expected object, got int"]),
    ],
)
def test_a_request_that_cannot_be_read_names_its_fault(service: Service, body: dict[str, Any], found: list[str]) -> None:
    app_id = service.app()
    answer = bulk(service, app_id, opened(service, app_id), json=body)
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), found)


def test_a_request_without_a_body_is_not_well_formed(service: Service) -> None:
    app_id = service.app()
    assert refusal(bulk(service, app_id, opened(service, app_id))) == (400, "E0000003")


def test_a_second_session_is_refused_and_names_the_first(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    answer = service.ask("POST", f"/identity-sources/{app_id}/sessions")
    assert refusal(answer) == (400, "E0000001")
    assert session_id in causes(answer)[0]


def test_the_fifty_first_request_is_refused(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    for n in range(50):
        assert bulk(service, app_id, session_id, json=people(f"E{n}")).status_code == 202
    assert refusal(bulk(service, app_id, session_id, json=people("E50"))) == (400, "E0000001")


def test_what_a_session_is_not_in_the_state_for_is_refused(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    start = f"/identity-sources/{app_id}/sessions/{session_id}/start-import"
    assert refusal(service.ask("POST", start)) == (403, "E0000107")
    service.delete(f"/identity-sources/{app_id}/sessions/{session_id}")
    assert refusal(bulk(service, app_id, session_id, json=people("E1"))) == (403, "E0000107")
    assert refusal(service.ask("DELETE", f"/identity-sources/{app_id}/sessions/{session_id}")) == (403, "E0000107")
    assert service.get(f"/identity-sources/{app_id}/sessions/{session_id}")["status"] == "CLOSED"
    assert service.get(f"/identity-sources/{app_id}/sessions") == []


def test_what_is_not_there_is_named(service: Service) -> None:
    app_id = service.app()
    answer = service.ask("GET", f"/identity-sources/{app_id}/sessions/imp0nobody")
    assert refusal(answer) == (404, "E0000007")
    assert "imp0nobody (IdentitySourceSession)" in answer.json()["errorSummary"]
    for method in ("GET", "POST"):
        assert refusal(service.ask(method, "/identity-sources/0oa0nobody/sessions")) == (404, "E0000007")


def test_a_load_that_is_sent_again_under_its_key_is_taken_once(service: Service) -> None:
    app_id = service.app()
    session_id = opened(service, app_id)
    key = {"Idempotency-Key": "load-1"}
    assert bulk(service, app_id, session_id, json=people("E1"), headers=key).status_code == 202
    again = bulk(service, app_id, session_id, json=people("E1"), headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert service.get(f"/imports/{session_id}")["records"] == 1


def test_a_session_that_is_made_again_under_its_key_is_the_same(service: Service) -> None:
    path, key = f"/identity-sources/{service.app()}/sessions", {"Idempotency-Key": "s"}
    assert service.post(path, headers=key) == service.post(path, headers=key)


def test_an_importer_uploads_for_the_apps_its_token_names(service: Service) -> None:
    mine, other = service.app("HR"), service.app("AD")
    importer, foreign = service.caller("importer", mine), opened(service, other)
    session_id = opened(importer, mine)
    assert bulk(importer, mine, session_id, json=people("E1")).status_code == 202
    assert bulk(importer, mine, session_id, "delete", json=people("E2")).status_code == 202
    assert importer.post(f"/identity-sources/{mine}/sessions/{session_id}/start-import")["id"] == session_id
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("GET", f"/{foreign}"),
        ("DELETE", f"/{foreign}"),
        ("POST", f"/{foreign}/start-import"),
    ):
        assert refusal(importer.ask(method, f"/identity-sources/{other}/sessions{path}")) == (403, "E0000006")
    assert refusal(bulk(importer, other, foreign, json=people("E1"))) == (403, "E0000006")


def test_an_auditor_looks_at_sessions_and_changes_none(service: Service) -> None:
    app_id = service.app()
    session_id, auditor = opened(service, app_id), service.caller("auditor")
    assert auditor.get(f"/identity-sources/{app_id}/sessions/{session_id}")["id"] == session_id
    assert refusal(bulk(auditor, app_id, session_id, json=people("E1"))) == (403, "E0000006")


def test_a_session_stays_open_over_a_restart_of_the_server(tmp_path: Path) -> None:
    settings = Settings.from_environment({"MASTERING_ADMIN_TOKEN": ADMIN_TOKEN}, data_dir=tmp_path)
    with TestClient(create_app(settings)) as client:
        service = Service(client)
        app_id = service.app()
        session_id = opened(service, app_id)
        assert bulk(service, app_id, session_id, json=people("E1")).status_code == 202
    with TestClient(create_app(settings)) as client:
        service = Service(client)
        assert service.get(f"/identity-sources/{app_id}/sessions")[0]["status"] == "IN_PROGRESS"
        assert bulk(service, app_id, session_id, json=people("E2")).status_code == 202
        service.post(f"/identity-sources/{app_id}/sessions/{session_id}/start-import")
        assert service.get(f"/imports/{session_id}")["records"] == 2
