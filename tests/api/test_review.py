"""The review queue over HTTP (API.md, /review; SPEC §6)."""

from typing import Any

import pytest

from tests.api.service import Service, causes, record, refusal


def waiting(service: Service) -> tuple[str, dict[str, dict[str, Any]]]:
    """An app with four accounts that wait: one of each kind of match; the queue by external id."""
    for name, first in [("jane", "Jane"), ("ann", "Ann"), ("twin", "Same"), ("twin2", "Same")]:
        service.user(name, firstName=first)
    app_id = service.app()
    service.policy(app_id, matching={"username": True, "allowPartial": True})
    partial, ambiguous = record("a1", firstName="Ann"), record("t1", firstName="Same")
    service.send(app_id, [record("jane"), partial, ambiguous, record("new")])
    return app_id, {row["externalId"]: row for row in service.get("/review")}


def decide(service: Service, *decisions: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = service.post("/review/decisions", json={"decisions": list(decisions)})["results"]
    return results


def test_the_queue_says_why_somebody_waits_and_who_it_might_be(service: Service) -> None:
    app_id, queue = waiting(service)
    assert {name: row["situation"] for name, row in queue.items()} == {
        "jane": "EXACT",
        "a1": "PARTIAL",
        "t1": "AMBIGUOUS",
        "new": "UNMATCHED",
    }
    assert {name: len(row["candidates"]) for name, row in queue.items()} == {"jane": 1, "a1": 1, "t1": 2, "new": 0}
    row = queue["jane"]
    assert (row["appId"], row["userId"], row["account"], row["released"], row["ignored"]) == (app_id, None, "ACTIVE", False, False)
    assert row["candidates"][0].keys() == {"userId", "login", "status", "firstName", "lastName", "email", "hold"}
    assert row["candidates"][0]["login"] == "jane@example.com"
    assert row["profile"]["email"] == "jane@example.com"
    assert service.get(f"/review/{row['appUserId']}") == row


def test_the_queue_is_narrowed_by_app_situation_and_whether_ignored(service: Service) -> None:
    app_id, queue = waiting(service)
    decide(service, {"appUserId": queue["new"]["appUserId"], "action": "IGNORE"})

    def found(**params: object) -> set[str]:
        return {row["externalId"] for row in service.get("/review", params=params)}

    assert found() == {"jane", "a1", "t1"}
    assert found(ignored=True) == {"new"}
    assert found(situation="AMBIGUOUS") == {"t1"}
    assert found(appId=app_id, situation="EXACT") == {"jane"}
    assert found(appId="0oaNobody") == set()
    assert causes(service.ask("GET", "/review?situation=ODD")) == ["situation: invalid enum value 'ODD'"]


def test_every_decision_has_its_own_result(service: Service) -> None:
    _, queue = waiting(service)
    ids = {name: row["appUserId"] for name, row in queue.items()}
    taken = queue["jane"]["candidates"][0]["userId"]
    results = decide(
        service,
        {"appUserId": ids["jane"], "action": "LINK"},
        {"appUserId": ids["t1"], "action": "LINK"},
        {"appUserId": ids["a1"], "action": "LINK", "userId": taken},
        {"appUserId": ids["new"], "action": "CREATE", "activate": True},
        {"appUserId": ids["new"], "action": "IGNORE"},
        {"appUserId": "0uaNobody", "action": "IGNORE"},
    )
    assert [result["ok"] for result in results] == [True, False, False, True, False, False]
    assert results[0] == {"appUserId": ids["jane"], "ok": True, "userId": taken, "status": "ACTIVE"}
    assert (results[1]["errorCode"], results[2]["errorCode"]) == ("E0000001", "E0000001")
    assert results[3]["status"] == "ACTIVE"
    assert results[4]["errorCode"] == "E0000107"
    assert results[5]["errorCode"] == "E0000007"
    assert all(result["errorSummary"] for result in results if not result["ok"])
    assert {row["externalId"] for row in service.get("/review")} == {"a1", "t1"}
    assert service.get("/users/new@example.com")["status"] == "ACTIVE"
    events = service.get(f"/users/{taken}/history")
    assert events[0]["actor"]["name"] == "preset admin"


def test_who_is_created_without_activating_is_pending(service: Service) -> None:
    _, queue = waiting(service)
    (result,) = decide(service, {"appUserId": queue["new"]["appUserId"], "action": "CREATE"})
    assert result["status"] == "PENDING_ACTIVATION"
    assert service.get(f"/users/{result['userId']}")["status"] == "STAGED"


def test_ignoring_sticks_until_it_is_taken_back(service: Service) -> None:
    app_id, queue = waiting(service)
    account = queue["new"]["appUserId"]
    decide(service, {"appUserId": account, "action": "IGNORE"})
    service.send(app_id, [record("new")], mode="INCREMENTAL")
    assert service.get(f"/review/{account}")["ignored"] is True
    decide(service, {"appUserId": account, "action": "UNIGNORE"})
    assert service.get(f"/review/{account}")["ignored"] is False


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "decisions: is required"),
        ({"decisions": []}, "decisions: expected array of length >= 1"),
        ({"decisions": [{"appUserId": "x", "action": "IGNORE"}] * 1001}, "decisions: expected array of length <= 1000"),
        ({"decisions": [{"appUserId": "x", "action": "BURN"}]}, "decisions[0].action: invalid enum value 'BURN'"),
        ({"decisions": [{"action": "LINK"}]}, "decisions[0].appUserId: is required"),
        ({"decisions": [{"appUserId": "x", "action": "LINK", "user": "y"}]}, "decisions[0].user: is not a field of this resource"),
    ],
)
def test_only_a_malformed_body_is_refused_as_a_whole(service: Service, body: object, fault: str) -> None:
    answer = service.ask("POST", "/review/decisions", json=body)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]


def test_nobody_waits_under_an_id_that_is_not_there(service: Service) -> None:
    assert refusal(service.ask("GET", "/review/0uaNobody")) == (404, "E0000007")
