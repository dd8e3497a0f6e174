"""Health and metrics (API.md, habits)."""

from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError

from api import create_app
from mastering.settings import Settings
from tests.api.service import ADMIN_TOKEN, Service, record, refusal


def test_who_answers_is_alive_and_who_can_ask_its_database_is_ready(service: Service) -> None:
    assert service.get("/health/live") == {"status": "ok"}
    assert service.get("/health/ready") == {"status": "ok"}


def test_without_its_database_the_service_is_alive_and_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    settings = Settings.from_environment({"MASTERING_DATA_DIR": str(tmp_path), "MASTERING_ADMIN_TOKEN": ADMIN_TOKEN})
    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr("api.health.reading", unreachable)
        answer = client.get("/health/ready")
        assert refusal(answer) == (503, "E0000009")
        assert answer.json()["errorSummary"] == "The database does not answer."
        assert client.get("/health/live").status_code == 200


def test_the_metrics_count_users_runs_and_who_waits_as_they_are_now(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, [record("jane")])
    service.policy(app_id)
    service.send(app_id, [record("jane"), record("john")])
    text = service.ask("GET", "/metrics").text
    assert 'mastering_users{status="ACTIVE"} 1.0' in text
    assert 'mastering_users{status="SUSPENDED"} 0.0' in text
    assert 'mastering_import_runs{status="COMPLETED"} 2.0' in text
    assert "mastering_waiting_accounts 1.0" in text


def test_the_metrics_time_requests_by_pattern_and_never_by_address(service: Service) -> None:
    service.user("jane")
    service.get("/users/jane@example.com")
    service.ask("GET", "/nowhere/at/all")
    service.ask("GET", "/users/jane%2Fhold")
    text = service.ask("GET", "/metrics").text
    assert 'mastering_http_request_seconds_count{method="GET",path="/api/v1/users/{user_id:str}",status="200"}' in text.replace(
        "{user_id}", "{user_id:str}"
    )
    assert 'path="(none)",status="404"' in text
    assert "jane" not in text
    assert "nowhere" not in text


def test_who_takes_only_text_gets_the_metrics(service: Service) -> None:
    answer = service.ask("GET", "/metrics", headers={"Accept": "text/plain"})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
