"""Reconciliations over HTTP (API.md, /reconciliations; SPEC §12), and holds in every list where they matter (SPEC §7)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.api.service import CONFIRM_ALL, Service, record, refusal


def reconciled(service: Service, **wanted: Any) -> dict[str, Any]:
    """A reconciliation at its end."""
    started = service.ask("POST", "/reconciliations", json=wanted)
    assert started.status_code == 202
    where = started.headers["Location"]
    give_up = time.monotonic() + 30
    while (row := service.get(where))["status"] not in {"COMPLETED", "FAILED"}:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    found: dict[str, Any] = row
    return found


def drifted(service: Service, *names: str) -> str:
    """An app whose leavers stand suspended where the option by now says deactivated."""
    service.put("/org/safeguard", json={"enabled": False})
    hr = service.source("HR", mastering={"enabled": True, "whenDeactivated": "SUSPEND"}, safeguard={"enabled": False})
    service.send(hr, [record(name) for name in names])
    service.send(hr, [record(name, active=False) for name in names], mode="INCREMENTAL")
    policy = service.get(f"/apps/{hr}/import-policy")
    policy["mastering"]["whenDeactivated"] = "DEACTIVATE"
    service.put(f"/apps/{hr}/import-policy", json=policy)
    return hr


def test_what_differs_is_counted_and_told_page_by_page(service: Service) -> None:
    hr = drifted(service, "jane", "john", "mary")
    row = reconciled(service)
    assert (row["status"], row["differences"], row["repairable"], row["respected"]) == ("COMPLETED", {"status_drift": 3}, 3, 0)
    assert row["checked"]["users"] == row["checked"]["accounts"] == 3
    assert row["checked"]["events"] > 6
    first = service.ask("GET", f"/reconciliations/{row['id']}/differences?limit=2")
    assert [each["seq"] for each in first.json()] == [1, 2]
    second = service.get(first.links["next"]["url"])
    assert [each["seq"] for each in second] == [3]
    (jane,) = [each for each in [*first.json(), *second] if each["login"] == "jane@example.com"]
    assert (jane["kind"], jane["cause"], jane["trigger"], jane["appId"]) == ("status_drift", "not_followed", "deactivate", hr)
    assert (jane["actual"], jane["expected"]) == ({"status": "SUSPENDED"}, {"status": "DEACTIVATED"})
    history = service.get(f"/users/{jane['userId']}/history")
    assert jane["eventId"] in {event["id"] for event in history}
    assert service.get("/users/jane@example.com")["status"] == "SUSPENDED"


def test_differences_are_filtered_by_kind_app_user_and_what_can_be_repaired(service: Service) -> None:
    hr = drifted(service, "jane", "john")
    user = service.get("/users/jane@example.com")["id"]
    service.post(f"/users/{user}/lifecycle/unsuspend")
    row = reconciled(service, appId=hr)
    where = f"/reconciliations/{row['id']}/differences"
    assert row["appId"] == hr
    assert len(service.get(where)) == 2
    assert [each["cause"] for each in service.get(f"{where}?user={user}")] == ["admins_decision"]
    assert [each["login"] for each in service.get(f"{where}?repairable=true")] == ["john@example.com"]
    assert service.get(f"{where}?kind=attribute_drift") == []
    assert service.get(f"{where}?appId=0oaNobody") == []


def test_reconciliations_are_listed_newest_first(service: Service) -> None:
    ids = [reconciled(service)["id"] for _ in range(3)]
    assert [row["id"] for row in service.get("/reconciliations")] == ids[::-1]
    first = service.ask("GET", "/reconciliations?limit=2")
    assert [row["id"] for row in service.get(first.links["next"]["url"])] == ids[:1]


@pytest.mark.parametrize("body", [{"appId": 5}, {"app": "x"}, []])
def test_a_wish_of_another_shape_is_refused(service: Service, body: object) -> None:
    assert refusal(service.ask("POST", "/reconciliations", json=body)) == (400, "E0000001")


def test_what_is_not_there_is_404(service: Service) -> None:
    assert refusal(service.ask("POST", "/reconciliations", json={"appId": "0oaNobody"})) == (404, "E0000007")
    assert refusal(service.ask("GET", "/reconciliations/recNobody")) == (404, "E0000007")
    assert refusal(service.ask("GET", "/reconciliations/recNobody/differences")) == (404, "E0000007")


def test_an_auditor_reads_and_does_not_start_and_an_importer_does_neither(service: Service) -> None:
    hr = service.source("HR")
    row = reconciled(service)
    for role, apps, reads in (("auditor", [], 200), ("importer", [hr], 403)):
        token = service.post("/tokens", json={"name": role, "role": role, "apps": apps})["token"]
        caller = service.with_token(token)
        assert caller.ask("POST", "/reconciliations", json={}).status_code == 403
        for path in ("/reconciliations", f"/reconciliations/{row['id']}", f"/reconciliations/{row['id']}/differences"):
            assert caller.ask("GET", path).status_code == reads


def test_a_hold_shows_in_every_list_where_it_matters(service: Service) -> None:
    service.put("/org/safeguard", json={"enabled": False})
    hr = service.source("HR", confirmation={**CONFIRM_ALL, "autoConfirmExact": False}, safeguard={"enabled": False})
    service.send(hr, [record("jane")])
    jane = service.get("/users/jane@example.com")["id"]
    hold = service.put(f"/users/{jane}/hold", json={"reason": "legal hold", "until": "2099-01-31T00:00:00.000Z"})
    run = service.send(hr, [record("jane", active=False)], mode="INCREMENTAL")
    ad = service.source("AD", confirmation={**CONFIRM_ALL, "autoConfirmExact": False})
    service.send(ad, [record("jane")])
    row = reconciled(service)
    assert [user["_embedded"]["hold"] for user in service.get("/users") if user["id"] == jane] == [hold]
    assert [change["hold"] for change in service.get(f"/imports/{run['id']}/changes")] == [hold]
    assert [candidate["hold"] for waiting in service.get("/review") for candidate in waiting["candidates"]] == [hold]
    assert service.get(f"/users/{jane}/masters")["hold"] == hold
    assert [each["hold"] for each in service.get(f"/reconciliations/{row['id']}/differences?user={jane}")] == [hold]
    preview = service.post(
        "/previews", json={"changes": {"importPolicies": {ad: {"confirmation": CONFIRM_ALL, "mastering": {"enabled": True}}}}}
    )
    give_up = time.monotonic() + 30
    while service.get(f"/previews/{preview['id']}")["status"] != "COMPLETED":
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert {json.dumps(each["hold"]) for each in service.get(f"/previews/{preview['id']}/rows?user={jane}")} == {json.dumps(hold)}
    service.delete(f"/users/{jane}/hold")
    assert [change["hold"] for change in service.get(f"/imports/{run['id']}/changes")] == [None]
    assert service.get(f"/users/{jane}/masters")["hold"] is None


def test_a_repair_is_a_run_for_each_app_and_says_which_reconciliation_it_came_from(service: Service) -> None:
    hr = drifted(service, "jane", "john")
    row = reconciled(service, repair=True)
    assert row["repair"] is True
    (run_id,) = row["runs"]
    give_up = time.monotonic() + 30
    while (run := service.get(f"/imports/{run_id}"))["status"] not in {"COMPLETED", "FAILED", "HELD"}:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert (run["status"], run["source"], run["origin"], run["appId"]) == ("COMPLETED", "RECONCILIATION", row["id"], hr)
    assert service.get("/users/jane@example.com")["status"] == "DEPROVISIONED"


def test_reconciliations_come_by_the_clock_as_they_are_set(service: Service) -> None:
    assert service.get("/org/reconciliation") == {"schedule": None, "repair": False, "readApps": False, "next": None}
    wanted = {"schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "repair": True, "readApps": True}
    told = service.put("/org/reconciliation", json=wanted)
    assert {name: told[name] for name in wanted} == wanted
    assert told["next"].endswith(":30:00.000Z")
    assert service.get("/org/reconciliation") == told
    assert service.last_event()["type"] == "org.reconciliation.update"
    assert service.put("/org/reconciliation", json={})["schedule"] is None
    for wrong in ({"cron": "every night"}, {"cron": "0 0 30 2 *"}, {"cron": "0 3 * * *", "timezone": "Nowhere/City"}):
        answer = service.ask("PUT", "/org/reconciliation", json={"schedule": wrong})
        assert refusal(answer) == (400, "E0000001")


def test_an_undo_is_started_followed_read_and_refused_the_second_time(service: Service) -> None:
    service.put("/org/safeguard", json={"enabled": False})
    hr = service.source("HR", safeguard={"enabled": False})
    service.send(hr, [record("jane"), record("john")])
    run = service.send(hr, [record("john")])
    jane = service.get("/users/jane@example.com")
    assert jane["status"] == "DEPROVISIONED"
    service.post(f"/users/{service.get('/users/john@example.com')['id']}/lifecycle/suspend")
    started = service.ask("POST", f"/imports/{run['id']}/lifecycle/undo")
    assert started.status_code == 202
    give_up = time.monotonic() + 30
    while (undone := service.get(started.headers["Location"]))["status"] not in {"COMPLETED", "FAILED", "HELD"}:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert (undone["status"], undone["source"], undone["origin"]) == ("COMPLETED", "UNDO", run["id"])
    (change,) = service.changes(undone)
    assert (change["situation"], change["trigger"], change["from"], change["to"]) == ("UNDONE", "reactivate", "DEACTIVATED", "ACTIVE")
    assert change["conflict"] is None
    assert service.get("/users/jane@example.com")["status"] == "ACTIVE"
    event = service.get(f"/users/{jane['id']}/history")[0]
    assert (event["rule"], event["facts"]["undoes"]) == ("undone", run["id"])
    assert refusal(service.ask("POST", f"/imports/{run['id']}/lifecycle/undo")) == (403, "E0000107")
    assert refusal(service.ask("POST", "/imports/impNobody/lifecycle/undo")) == (404, "E0000007")
    assert service.ask("GET", f"/users/{jane['id']}/why").status_code == 200
