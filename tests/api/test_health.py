"""Health and metrics (API.md, habits)."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient
from sqlalchemy.exc import OperationalError

from api import create_app
from mastering.clock import now, wire
from mastering.rules.decision import Situation
from mastering.settings import Settings
from mastering.store.engine import writing
from mastering.store.owed import OwedWork
from tests.api.service import ADMIN_TOKEN, CONFIRM_ALL, Service, record, refusal

ROOT = Path(__file__).parents[2]


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


def test_the_metrics_count_records_by_what_was_found_of_them_and_dry_runs_do_not_count(service: Service) -> None:
    app_id = service.source()
    service.policy(app_id, confirmation=CONFIRM_ALL, mastering={"enabled": True}, safeguard={"enabled": False})
    service.send(app_id, [record("jane"), record("john")])
    service.send(app_id, [record("jane"), record("jim")], dryRun="true")
    before = figures(service)
    assert before['mastering_import_records_total{situation="UNMATCHED"}'] == 2
    assert before['mastering_import_records_total{situation="WENT_MISSING"}'] == 0
    service.send(app_id, [record("jane"), record("jim")])
    after = figures(service)
    assert after['mastering_import_records_total{situation="UNMATCHED"}'] == 3
    assert after['mastering_import_records_total{situation="UNCHANGED"}'] == 1
    assert {name for name in after if name.startswith("mastering_import_records_total")} == {
        f'mastering_import_records_total{{situation="{each.name}"}}' for each in Situation
    }


def test_the_metrics_count_whom_admins_hold(service: Service) -> None:
    jane = service.user("jane")
    assert figures(service)["mastering_held_users"] == 0
    service.put(f"/users/{jane['id']}/hold", json={"reason": "on leave"})
    assert figures(service)["mastering_held_users"] == 1


def test_the_metrics_tell_what_waits_for_a_worker_also_when_nothing_does(service: Service) -> None:
    told = figures(service)
    names = ("queue_depth", "queue_age_seconds", "owed_work", "owed_age_seconds", "left_runs", "history_lag_rows", "lease_takeovers_total")
    assert [told[f"mastering_{name}"] for name in names] == [0] * len(names)


def test_the_metrics_tell_what_is_owed_after_a_change_of_the_catalog_and_for_how_long(service: Service) -> None:
    created = now()
    with writing(service.client.app.state.engine) as session:
        lease = wire(created + timedelta(hours=1))
        for minutes in (90, 30):
            since = wire(created - timedelta(minutes=minutes))
            session.add(OwedWork(id=f"owd{minutes}", actor="{}", step="PROFILES", created=since, owner="elsewhere", lease_until=lease))
    told = figures(service)
    assert told["mastering_owed_work"] == 2
    assert 5400 <= told["mastering_owed_age_seconds"] < 5400 + 600


def figures(service: Service) -> dict[str, float]:
    """The metrics by name and labels."""
    lines = service.ask("GET", "/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


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


def test_every_metric_is_explained_on_the_operations_page_and_the_page_names_no_other(service: Service) -> None:
    families = re.findall(r"^# TYPE (\S+)", service.ask("GET", "/metrics").text, re.MULTILINE)
    told = {name for name in families if not name.endswith("_created")}
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(mastering_\w+)` \| \w", page, re.MULTILINE))
    assert told == explained
    assert set(re.findall(r"`(mastering_\w+)`", page)) <= told


def test_every_setting_is_on_the_operations_page_and_the_page_names_no_other() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    read = set(re.findall(r"MASTERING_[A-Z_]+[A-Z]", (ROOT / "mastering/settings.py").read_text(encoding="utf-8")))
    named = set(re.findall(r"`(MASTERING_[A-Z_]+)", page)) - {"MASTERING_TEST_POSTGRES_URL"}
    assert read == named
