"""Every list of the API is keyset, whatever it is filtered by: each page is found by an index and read in its order, on either database.

The lists are those of the API's own description that take `after`, their filters the parameters it tells of: a new one without an example
here fails. What is judged is the plan of each statement that a request for a page really sends (`tests.store.test_paging`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine, event

from api import create_app
from mastering.settings import Settings
from tests.api.service import ADMIN_TOKEN, Service, record
from tests.api.test_previews import previewed
from tests.api.test_reconciliations import drifted, reconciled
from tests.databases import KINDS
from tests.postgres import Databases
from tests.store.test_paging import faults

LONG_AGO, ONE_DAY = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
EXAMPLES: dict[str, dict[str, list[Any]]] = {
    "/users": {
        "q": ["ja"],
        "filter": ['status eq "DEPROVISIONED"', f'lastUpdated gt "{LONG_AGO}"', 'profile.login eq "jane@example.com"'],
        "search": ['profile.department eq "Sales"', 'profile.lastName sw "d"', 'status eq "ACTIVE" and profile.title eq "x"'],
        "sortBy": ["lastUpdated", "status", "profile.lastName"],
        "sortOrder": ["desc"],
        "asOf": [ONE_DAY],
    },
    "/users/{user_id}/history": {},
    "/apps": {"q": ["HR"], "filter": ['status eq "ACTIVE"']},
    "/apps/{app_id}/users": {},
    "/apps/{app_id}/provisioning-tasks": {"status": ["DEAD"], "kind": ["CREATE"], "userId": ["{user_id}"]},
    "/mappings": {"sourceId": ["{app_id}"], "targetId": ["{app_id}"]},
    "/apps/{app_id}/imports": {},
    "/imports/{run_id}/changes": {"situation": ["UNMATCHED"], "action": ["create"], "user": ["{user_id}"]},
    "/imports": {"appId": ["{app_id}"]},
    "/review": {"appId": ["{app_id}"], "situation": ["UNMATCHED"], "ignored": ["true"]},
    "/previews": {},
    "/previews/{preview_id}/rows": {"kind": ["STATUS"], "effect": ["ON_SAVE"], "user": ["{user_id}"], "appId": ["{app_id}"]},
    "/reconciliations/{reconciliation_id}/differences": {
        "kind": ["status_drift"],
        "appId": ["{app_id}"],
        "user": ["{user_id}"],
        "repairable": ["true"],
    },
    "/reconciliations": {},
    "/tokens": {},
    "/logs": {
        "since": [LONG_AGO],
        "until": [ONE_DAY],
        "filter": ['eventType eq "user.lifecycle.create"', 'target.id eq "{user_id}"', 'actor.id eq "x" or severity eq "WARN"'],
        "q": ["jane"],
        "sortOrder": ["DESCENDING"],
    },
    "/history/checkpoints": {},
}
"""By list: what each of its parameters may say."""


@pytest.fixture(scope="module", params=KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """A server on a database of each kind, with something in every list, and the ids that paths and filters name."""
    told = {"MASTERING_DATA_DIR": str(tmp_path_factory.mktemp("pages")), "MASTERING_ADMIN_TOKEN": ADMIN_TOKEN}
    if request.param == "postgresql":
        databases: Databases = request.getfixturevalue("postgres_server")
        told["MASTERING_DATABASE_URL"] = databases.url(databases.new(request.getfixturevalue("postgres_template")))
    with TestClient(create_app(Settings.from_environment(told))) as client:
        service = Service(client)
        yield service, _filled(service)


def _filled(service: Service) -> dict[str, str]:
    app_id = drifted(service, "jane", "john", "mary")
    run = service.send(app_id, [record(f"new{number}") for number in range(3)], mode="INCREMENTAL")
    service.app("Another")
    for _ in range(2):
        service.caller("auditor")
    first = service.post("/history/checkpoints")
    service.user("somebody")
    assert service.post("/history/checkpoints") != first
    ranked = [master["appId"] for master in service.get("/profile-masters")["masters"]]
    for _ in range(2):
        found, row = previewed(service, {"profileMasters": ranked[::-1]}), reconciled(service)
    return {
        "app_id": app_id,
        "run_id": run["id"],
        "user_id": service.get("/users/jane@example.com")["id"],
        "preview_id": found["id"],
        "reconciliation_id": row["id"],
    }


def test_every_list_and_every_filter_of_the_description_is_looked_at(served: tuple[Service, dict[str, str]]) -> None:
    service, _ = served
    paths = service.client.get("/openapi.json").json()["paths"]
    described = {
        path.removeprefix("/api/v1"): {parameter["name"] for parameter in operations["get"]["parameters"] if parameter["in"] == "query"}
        for path, operations in paths.items()
        if "get" in operations
    }
    lists = {path: names - {"after", "limit"} for path, names in described.items() if "after" in names}
    assert {path: set(filters) for path, filters in EXAMPLES.items()} == lists


@pytest.mark.parametrize("path", EXAMPLES)
def test_a_page_of_any_list_under_any_filter_is_found_by_an_index_and_read_in_its_order(
    served: tuple[Service, dict[str, str]], path: str
) -> None:
    service, ids = served
    told: list[Any] = []
    for params in _questions(EXAMPLES[path]):
        asked = {name: value.format(**ids) if "{" in value else value for name, value in params.items()}
        with _statements(service.engine) as sent:
            first = service.ask("GET", path.format(**ids), params={**asked, "limit": 1})
            assert first.is_success, first.text
            if "next" in first.links:
                assert service.ask("GET", first.links["next"]["url"]).is_success
        assert sent
        wrong = [(statement, faults(service.engine, statement, parameters)) for statement, parameters in sent]
        told += [(asked, *each) for each in wrong if each[1]]
    assert told == []


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_after_of_any_size_has_a_page_or_is_refused(served: tuple[Service, dict[str, str]], path: str) -> None:
    service, ids = served
    for after in (-1, 0, 2**31 - 1, 2**31, 2**63 - 1, 2**63):
        assert service.ask("GET", path.format(**ids), params={"after": after}).status_code in {200, 400}, after


@pytest.mark.parametrize("order", ["ASCENDING", "DESCENDING"])
def test_the_log_of_one_subject_comes_in_the_pages_of_the_whole_log(served: tuple[Service, dict[str, str]], order: str) -> None:
    service, ids = served
    for wanted in (f'target.id eq "{ids["user_id"]}"', f'eventType sw "user" and target.id eq "{ids["user_id"]}"'):
        question = {"since": LONG_AGO, "until": ONE_DAY, "sortOrder": order}
        whole = list(service.get("/logs", params={**question, "limit": 1000}))
        mine = service.get("/logs", params={**question, "filter": wanted})
        user = [event for event in whole if ids["user_id"] in {target["id"] for target in event["target"] or []}]
        assert [event["uuid"] for event in mine] == [event["uuid"] for event in user if event["eventType"].startswith("user")]
        answer, seen = service.ask("GET", "/logs", params={**question, "filter": wanted, "limit": 2}), []
        while answer.json():
            seen += answer.json()
            if "next" not in answer.links:
                break
            answer = service.ask("GET", answer.links["next"]["url"])
        assert seen == mine
        assert len(mine) >= 3


def _questions(filters: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """No filter, and each by itself. An order goes with what it orders."""
    yield {}
    for name, values in filters.items():
        yield from ({name: value} for value in values if name != "sortBy")
    for key in filters.get("sortBy", []):
        yield {"search": 'id gt "00u"', "sortBy": key}


@contextmanager
def _statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that ask for a page in the requests of a block; what the server does by itself meanwhile is left out."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if " LIMIT " in statement and threading.current_thread().name.startswith("asyncio"):
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
