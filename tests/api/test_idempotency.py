"""`Idempotency-Key`: sent twice, done once (API.md, habits; docs/decisions/0013)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mastering.clock import now, wire
from mastering.store.engine import reading, writing
from mastering.store.tables import IdempotencyKey
from tests.api.service import NDJSON, Service, profile, record, refusal

KEY = {"Idempotency-Key": "the-same-key"}


def keys(service: Service) -> list[IdempotencyKey]:
    with reading(service.engine) as session:
        return list(session.execute(select(IdempotencyKey)).scalars())


def users(service: Service) -> int:
    return len(service.get("/users"))


def apps(service: Service) -> int:
    return len(service.get("/apps"))


def tokens(service: Service) -> int:
    return len(service.get("/tokens"))


def runs(service: Service) -> int:
    return len(service.get("/imports"))


@pytest.mark.parametrize(
    ("path", "body", "how_many"),
    [
        ("/users", {"profile": profile("jane")}, users),
        ("/apps", {"label": "HR"}, apps),
        ("/tokens", {"name": "another", "role": "auditor"}, tokens),
    ],
)
def test_what_is_created_twice_under_a_key_is_there_once(
    service: Service, path: str, body: Any, how_many: Callable[[Service], int]
) -> None:
    before = how_many(service)
    first = service.ask("POST", path, json=body, headers=KEY)
    again = service.ask("POST", path, json=body, headers=KEY)
    assert first.is_success
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert how_many(service) == before + 1


def test_an_import_sent_twice_under_a_key_runs_once(service: Service) -> None:
    app_id = service.source()
    headers = {**KEY, "Content-Type": NDJSON, "Prefer": "wait=20"}
    first, again = (service.ask("POST", f"/apps/{app_id}/imports?mode=FULL", content=b"", headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert runs(service) == 1


def test_a_lifecycle_call_sent_twice_under_a_key_is_made_once(service: Service) -> None:
    path = f"/users/{service.user('jane')['id']}/lifecycle/suspend"
    assert [service.ask("POST", path, headers=KEY).status_code for _ in range(2)] == [200, 200]
    assert refusal(service.ask("POST", path)) == (400, "E0000001")


def test_a_review_sent_twice_under_a_key_is_decided_once(service: Service) -> None:
    app_id = service.app()
    service.send(app_id, [record("jane")])
    decisions = {"decisions": [{"appUserId": service.get("/review")[0]["appUserId"], "action": "CREATE"}]}
    first, again = (service.post("/review/decisions", json=decisions, headers=KEY) for _ in range(2))
    assert first == again
    assert first["results"][0]["ok"] is True


@pytest.mark.parametrize(
    "other",
    [
        {"json": {"label": "AD"}},
        {"json": {"label": "HR"}, "params": {"activate": False}},
        {"content": b'{"label": "HR"} ', "headers": KEY | {"Content-Type": "application/json"}},
        {"content": b'{"label": "HR"}', "headers": KEY | {"Content-Type": "application/vnd.hr+json"}},
    ],
)
def test_another_request_under_the_key_is_refused_and_not_carried_out(service: Service, other: dict[str, Any]) -> None:
    service.ask("POST", "/apps", content=b'{"label": "HR"}', headers={**KEY, "Content-Type": "application/json"})
    answer = service.ask("POST", "/apps", **({"headers": KEY} | other))
    assert refusal(answer) == (409, "M0000002")
    assert apps(service) == 1


def test_another_path_under_the_key_is_another_request(service: Service) -> None:
    service.ask("POST", "/apps", json={"label": "HR"}, headers=KEY)
    assert refusal(service.ask("POST", "/users", json={"label": "HR"}, headers=KEY)) == (409, "M0000002")


def test_a_key_belongs_to_the_token_that_sends_it(service: Service) -> None:
    other = service.caller("admin")
    first = service.ask("POST", "/apps", json={"label": "HR"}, headers=KEY)
    second = other.ask("POST", "/apps", json={"label": "AD"}, headers=KEY)
    assert (first.json()["label"], second.json()["label"]) == ("HR", "AD")


def test_a_refused_request_gives_its_key_back(service: Service) -> None:
    assert refusal(service.ask("POST", "/apps", json={"label": ""}, headers=KEY)) == (400, "E0000001")
    assert keys(service) == []
    assert service.ask("POST", "/apps", json={"label": "HR"}, headers=KEY).is_success


def test_a_caller_who_may_not_takes_no_key(service: Service) -> None:
    assert refusal(service.caller("auditor").ask("POST", "/apps", json={"label": "HR"}, headers=KEY)) == (403, "E0000006")
    assert refusal(service.with_token(None).ask("POST", "/apps", json={"label": "HR"}, headers=KEY)) == (401, "E0000011")
    assert keys(service) == []


def test_a_key_is_free_again_after_a_day(service: Service) -> None:
    service.ask("POST", "/apps", json={"label": "HR"}, headers=KEY)
    with writing(service.engine) as session:
        session.get_one(IdempotencyKey, (keys(service)[0].token_id, KEY["Idempotency-Key"])).created = wire(
            now() - timedelta(hours=24, seconds=1)
        )
    assert service.ask("POST", "/apps", json={"label": "AD"}, headers=KEY).json()["label"] == "AD"


def test_a_key_whose_request_broke_off_is_not_guessed_at(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.idempotency.PATIENCE", 0.2)
    token_id = service.get("/tokens")[0]["id"]
    with writing(service.engine) as session:
        session.add(IdempotencyKey(token_id=token_id, key=KEY["Idempotency-Key"], request_hash=b"", created=wire(now())))
    answer = service.ask("POST", "/apps", json={"label": "HR"}, headers=KEY)
    assert refusal(answer) == (409, "M0000002")
    assert "look whether it took effect" in answer.json()["errorCauses"][0]["errorSummary"]
    assert apps(service) == 0


def test_a_kept_answer_can_be_read_by_nobody_but_its_caller(service: Service) -> None:
    secret = service.ask("POST", "/tokens", json={"name": "x", "role": "auditor"}, headers=KEY).json()["token"]
    (row,) = keys(service)
    assert secret.encode() not in (row.answer or b"")
    assert secret not in (row.headers or "")


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(service: Service, key: str) -> None:
    answer = service.ask("POST", "/apps", json={"label": "HR"}, headers={"Idempotency-Key": key})
    assert refusal(answer) == (400, "E0000001")
    assert apps(service) == 0


def test_other_methods_take_no_key(service: Service) -> None:
    assert service.ask("GET", "/apps", headers=KEY).is_success
    assert service.ask("PUT", "/org/safeguard", json={}, headers=KEY).is_success
    assert keys(service) == []
