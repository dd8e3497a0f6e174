"""What if, over HTTP: asked for, computed, read, filtered and taken away; nothing is applied (decisions 0055, 0056)."""

from __future__ import annotations

import csv
import json
from io import StringIO
from time import monotonic, sleep
from typing import Any

from tests.api.service import Service, causes, record, refusal

CONFIRMED = {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True}
PATIENCE = 20.0


def master(service: Service, label: str, **parts: Any) -> str:
    app_id = service.app(label)
    service.policy(app_id, **policy(**parts))
    return app_id


def policy(**parts: Any) -> dict[str, Any]:
    return {"confirmation": CONFIRMED, "mastering": {"enabled": True}, "safeguard": {"enabled": False}, **parts}


def previewed(service: Service, changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A preview, computed."""
    answer = service.ask("POST", "/previews", json={"changes": changes, **more})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/previews/{answer.json()['id']}"
    until = monotonic() + PATIENCE
    found: dict[str, Any] = answer.json()
    while found["status"] not in {"COMPLETED", "FAILED"}:
        assert monotonic() < until, "no worker has computed it"
        sleep(0.02)
        found = service.get(f"/previews/{found['id']}")
    assert found["status"] == "COMPLETED", found
    return found


def rows(service: Service, found: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = service.get(f"/previews/{found['id']}/rows", params=params)
    return told


def two_masters(service: Service) -> tuple[str, str]:
    """HR above AD; Jane and Ann have an account in each."""
    service.put("/org/safeguard", json={"enabled": False})
    hr, ad = master(service, "HR"), master(service, "AD")
    service.send(hr, [record("jane", title="by HR"), record("ann")])
    service.send(ad, [record("jane", title="=by AD"), record("ann")])
    return hr, ad


def test_another_order_shows_whose_authority_and_profile_would_change_and_changes_nothing(service: Service) -> None:
    hr, ad = two_masters(service)
    found = previewed(service, {"profileMasters": [ad, hr]})
    assert found["counts"] == {"AUTHORITY": 2, "PROFILE": 1}
    (profile,) = rows(service, found, kind="PROFILE")
    assert (profile["login"], profile["effect"], profile["attributes"]) == (
        "jane@example.com",
        "ON_SAVE",
        {"title": {"old": "by HR", "new": "=by AD"}},
    )
    assert {(row["from"], row["to"]) for row in rows(service, found, kind="AUTHORITY")} == {(hr, ad)}
    assert service.get("/users/jane@example.com")["profile"]["title"] == "by HR"
    assert service.ranking() == ["HR", "AD"]


def test_rows_are_paged_by_key_and_filtered_by_user_kind_and_effect(service: Service) -> None:
    hr, ad = two_masters(service)
    found = previewed(service, {"profileMasters": [ad, hr]})
    first = service.ask("GET", f"/previews/{found['id']}/rows?limit=2")
    assert [row["seq"] for row in first.json()] == [1, 2]
    assert 'rel="next"' in first.headers["link"]
    assert [row["seq"] for row in rows(service, found, after=2)] == [3]
    jane = service.get("/users/jane@example.com")["id"]
    assert {row["userId"] for row in rows(service, found, user=jane)} == {jane}
    assert rows(service, found, effect="NEXT_IMPORT") == []
    assert [each["id"] for each in service.get("/previews")] == [found["id"]]


def test_rows_are_taken_away_as_ndjson_and_as_csv_without_formulas(service: Service) -> None:
    hr, ad = two_masters(service)
    found = previewed(service, {"profileMasters": [ad, hr]})
    as_json = service.ask("GET", f"/previews/{found['id']}/export")
    assert [json.loads(line) for line in as_json.text.splitlines()] == rows(service, found)
    service.send(hr, [record("jane", firstName="=1+1"), record("ann")])
    service.put(f"/apps/{ad}/import-policy", json=policy(matching={"username": False}))
    service.send(ad, [record("jane"), record("ann"), {"externalId": "=cmd()", "profile": {**record("new")["profile"]}}])
    found = previewed(service, {"importPolicies": {ad: policy(confirmation={}, matching={"username": False, "email": True})}})
    as_csv = service.ask("GET", f"/previews/{found['id']}/export?format=csv&kind=WAITING")
    assert as_csv.headers["content-type"].startswith("text/csv")
    told = list(csv.reader(StringIO(as_csv.text)))
    assert told[0][:3] == ["seq", "kind", "effect"]
    assert not [cell for row in told for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_what_another_option_for_leavers_would_mean_is_a_repair_and_no_saving(service: Service) -> None:
    service.put("/org/safeguard", json={"enabled": False})
    hr = master(service, "HR", mastering={"enabled": True, "whenDeactivated": "SUSPEND"})
    service.send(hr, [record("jane"), record("ann")])
    service.send(hr, [record("jane", active=False), record("ann")])
    found = previewed(service, {"importPolicies": {hr: policy()}})
    (row,) = rows(service, found)
    assert (row["kind"], row["effect"], row["from"], row["to"], row["trigger"]) == (
        "STATUS",
        "REPAIR",
        "SUSPENDED",
        "DEACTIVATED",
        "deactivate",
    )


def test_what_the_next_import_would_confirm_is_told_apart_from_what_saving_does(service: Service) -> None:
    jane = service.user("jane")["id"]
    hr = master(service, "HR", confirmation={})
    service.send(hr, [record("jane")])
    found = previewed(service, {"importPolicies": {hr: policy()}})
    (row,) = rows(service, found)
    assert (row["kind"], row["effect"], row["from"], row["to"], row["userId"]) == ("CONFIRMATION", "NEXT_IMPORT", "wait", "link", jane)


def test_a_recorded_run_is_replayed_under_another_policy(service: Service) -> None:
    hr, _ = two_masters(service)
    run = service.send(hr, [record("ann", title="new")])
    assert service.get("/users/jane@example.com")["status"] == "DEPROVISIONED"
    wished = policy(mastering={"enabled": True, "whenDeactivated": "SUSPEND"}, safeguard={"maxUnassignedPercent": 10})
    found = previewed(service, {"importPolicies": {hr: wished}}, runId=run["id"])
    (row,) = rows(service, found)
    assert (row["kind"], row["effect"], row["login"], row["from"], row["to"], row["detail"]) == (
        "RECORD",
        "PAST",
        "jane@example.com",
        "deactivate",
        "suspend",
        "SUSPENDED instead of DEACTIVATED",
    )
    assert (found["safeguard"]["before"]["tripped"], found["safeguard"]["after"]["tripped"]) == (False, True)
    assert found["safeguard"]["after"]["reason"] == "app_limit"


def test_a_recorded_run_is_replayed_under_another_matching_a_mapping_and_an_attribute_master(service: Service) -> None:
    service.user("ann", email="bob@example.com")
    hr = master(service, "HR", matching={"username": False, "email": True})
    sent = [record("bob", title="Cook"), record("cid", title="Clerk")]
    run = service.send(hr, sent)
    (mapping,) = service.get("/mappings", params={"sourceId": hr})
    by_name = {"importPolicies": {hr: policy()}}
    found = previewed(service, by_name, runId=run["id"])
    (bob,) = rows(service, found)
    assert (bob["externalId"], bob["from"], bob["to"], bob["detail"]) == ("bob", "link", "create", "UNMATCHED instead of EXACT")
    found = previewed(service, {"mappings": {mapping["id"]: {"title": {"expression": "'The ' + appuser.title"}}}}, runId=run["id"])
    assert rows(service, found)[-1]["attributes"] == {"title": {"old": "Clerk", "new": "The Clerk"}}
    service.put("/org/safeguard", json={"enabled": False, "receivedRetentionDays": 0})
    gone = service.send(hr, sent, dryRun=True)
    for wishes, told in ((by_name, "as it was matched"), ({"attributes": {"title": {"type": "OKTA"}}}, "as it was mapped")):
        (cause,) = causes(service.ask("POST", "/previews", json={"changes": wishes, "runId": gone["id"]}))
        assert cause.startswith("runId: what this run received is not kept (receivedRetentionDays)")
        assert told in cause


def test_a_run_of_which_nothing_is_kept_but_its_plan_is_replayed_from_it(service: Service) -> None:
    hr, _ = two_masters(service)
    service.put("/org/safeguard", json={"enabled": False, "receivedRetentionDays": 0})
    run = service.send(hr, [record("ann", title="new")])
    found = previewed(service, {"importPolicies": {hr: policy(mastering={"enabled": True, "whenDeactivated": "SUSPEND"})}}, runId=run["id"])
    (row,) = rows(service, found)
    assert (row["login"], row["from"], row["to"], row["detail"]) == (
        "jane@example.com",
        "deactivate",
        "suspend",
        "SUSPENDED instead of DEACTIVATED",
    )


def test_a_run_under_another_order_of_that_moment(service: Service) -> None:
    hr, ad = two_masters(service)
    run = service.send(hr, [record("ann")])
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})
    found = previewed(service, {"profileMasters": [ad, hr]}, runId=run["id"])
    (row,) = rows(service, found)
    assert (row["from"], row["to"], row["reason"]) == ("deactivate", "none", "not_authority")
    assert previewed(service, {"safeguard": {"enabled": False}}, runId=run["id"])["rows"] == 0


def test_what_cannot_be_saved_cannot_be_previewed(service: Service) -> None:
    hr, ad = two_masters(service)
    assert causes(service.ask("POST", "/previews", json={"changes": {}})) == ["changes: name at least one thing that is to be different"]
    assert refusal(service.ask("POST", "/previews", json={"changes": {"profileMasters": [hr]}})) == (400, "E0000001")
    assert refusal(service.ask("POST", "/previews", json={"changes": {"importPolicies": {"0oaNobody": {}}}})) == (404, "E0000007")
    wrong = policy(matching={"username": True, "attributes": [{"app": "a", "user": "title"}]})
    assert refusal(service.ask("POST", "/previews", json={"changes": {"importPolicies": {hr: wrong}}})) == (400, "E0000001")
    attribute = {"attributes": {"shoeSize": {"type": "OKTA"}}}
    assert causes(service.ask("POST", "/previews", json={"changes": attribute})) == [
        "attributes.shoeSize: is not an attribute of the user schema"
    ]
    assert refusal(service.ask("POST", "/previews", json={"changes": {"profileMasters": [ad, hr]}, "runId": "imp0"})) == (404, "E0000007")
    assert refusal(service.ask("GET", "/previews/prv0")) == (404, "E0000007")


def test_only_admins_may_ask_and_auditors_may_read(service: Service) -> None:
    hr, ad = two_masters(service)
    found = previewed(service, {"profileMasters": [ad, hr]})
    auditor = service.caller("auditor")
    assert auditor.ask("POST", "/previews", json={"changes": {"profileMasters": [ad, hr]}}).status_code == 403
    assert auditor.ask("GET", f"/previews/{found['id']}/rows").status_code == 200


def test_who_is_erased_is_taken_out_of_previews_as_well_and_a_replay_passes_over_the_row(service: Service) -> None:
    hr, ad = two_masters(service)
    found = previewed(service, {"profileMasters": [ad, hr]})
    run = service.send(hr, [record("ann")])
    service.post("/users/jane@example.com/erasure", json={})
    (profile,) = rows(service, found, kind="PROFILE")
    assert (profile["login"], profile["attributes"], profile["detail"]) == (None, {}, "erased")
    wished = policy(mastering={"enabled": True, "whenDeactivated": "SUSPEND"})
    assert previewed(service, {"importPolicies": {hr: wished}}, runId=run["id"])["rows"] == 0
