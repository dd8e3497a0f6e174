"""Imports over HTTP: every kind of body, every question of the query, waiting, the run and its plan (API.md, starting an import)."""

import json
from typing import Any

import pytest
from httpx import Response

from tests.api.service import NDJSON, Service, causes, good, record, refusal

PEOPLE = [record("jane"), record("john")]
CSV = "externalId,email,firstName,lastName\njane,jane@example.com,Jane,Doe\njohn,john@example.com,John,Doe\n"
SCIM = [
    {
        "externalId": name,
        "userName": name,
        "active": True,
        "name": {"givenName": name.title(), "familyName": "Doe"},
        "emails": [{"value": f"{name}@example.com"}],
    }
    for name in ("jane", "john")
]
LIST = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 2, "Resources": SCIM}
BULK = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    "Operations": [{"method": "POST", "path": "/Users", "bulkId": str(number), "data": user} for number, user in enumerate(SCIM)],
}
BODIES = {
    "ndjson": (NDJSON, "\n".join(map(json.dumps, PEOPLE))),
    "ndjson with a mark, blank lines and CR LF": (NDJSON, "\ufeff" + "\r\n\r\n".join(map(json.dumps, PEOPLE)) + "\r\n"),
    "json list": ("application/json", json.dumps(PEOPLE)),
    "json object": ("application/json; charset=utf-8", json.dumps({"records": PEOPLE})),
    "csv": ("text/csv", CSV),
    "csv with a mark and CR LF": ("text/csv; charset=UTF-8; header=present", "\ufeff" + CSV.replace("\n", "\r\n")),
    "scim list": ("application/scim+json", json.dumps(LIST)),
    "scim bulk": ("application/scim+json", json.dumps(BULK)),
}


def start(service: Service, app_id: str, body: str | bytes, kind: str = NDJSON, *, wait: str = "wait=20", **params: Any) -> Response:
    headers = {"Content-Type": kind} | ({"Prefer": wait} if wait else {})
    content = body.encode() if isinstance(body, str) else body
    return service.ask("POST", f"/apps/{app_id}/imports", params={"mode": "FULL", **params}, content=content, headers=headers)


def lines(*records: object) -> str:
    return "\n".join(map(json.dumps, records))


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_of_body_says_the_same(service: Service, kind: str) -> None:
    run = good(start(service, service.source(), BODIES[kind][1], BODIES[kind][0]))
    assert (run["status"], run["records"], run["situations"], run["actions"]) == ("COMPLETED", 2, {"UNMATCHED": 2}, {"create": 2})
    people = [service.get(f"/users/{name}@example.com") for name in ("jane", "john")]
    assert [(user["status"], user["profile"]["firstName"]) for user in people] == [("ACTIVE", "Jane"), ("ACTIVE", "John")]


def test_a_run_is_whole(service: Service) -> None:
    app_id = service.source()
    answer = start(service, app_id, BODIES["ndjson"][1])
    run = good(answer)
    assert answer.headers["location"] == f"/api/v1/imports/{run['id']}"
    assert service.get(answer.headers["location"]) == run
    assert (run["appId"], run["mode"], run["source"], run["dryRun"]) == (app_id, "FULL", "PUSH", False)
    assert run["planHash"].startswith("sha256:")
    assert run["startedBy"]["name"] == "preset admin"
    assert (run["blockedBy"], run["supersededBy"], run["error"], run["approvedBy"], run["safeguard"]["tripped"]) == (
        None,
        None,
        None,
        None,
        False,
    )
    assert run["created"] <= run["planned"] <= run["completed"]
    assert run["durationMs"] >= 0


def test_without_prefer_the_answer_does_not_wait(service: Service) -> None:
    answer = start(service, service.source(), BODIES["ndjson"][1], wait="")
    assert answer.status_code == 202 or good(answer)["status"] == "COMPLETED"
    assert answer.headers["location"].endswith(answer.json()["id"])


@pytest.mark.parametrize("prefer", ["wait=20", "respond-async, wait=20", "WAIT=20", "wait=999999999999999999999"])
def test_prefer_waits_for_the_end(service: Service, prefer: str) -> None:
    answer = start(service, service.source(), BODIES["ndjson"][1], wait=prefer)
    assert (answer.status_code, answer.json()["status"]) == (200, "COMPLETED")


@pytest.mark.parametrize("prefer", ["wait=-1", "wait=soon", "wait=", "wait=1.5", "return=minimal", "wait=\xb2"])
def test_a_preference_that_says_nothing_is_no_fault(service: Service, prefer: str) -> None:
    headers = {"Content-Type": NDJSON.encode(), "Prefer": prefer.encode("latin-1")}
    answer = service.ask("POST", f"/apps/{service.source()}/imports?mode=FULL", content=b"", headers=headers)
    assert answer.is_success, answer.text


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("", "mode: is required"),
        ("mode=full", "mode: invalid enum value 'full'"),
        ("mode=FULL&dryrun=true", "dryrun: is not a parameter; allowEmpty, dryRun, expectedCount, mode, snapshotAt are"),
        ("mode=FULL&mode=INCREMENTAL", "mode: is given twice"),
        ("mode=FULL&dryRun=maybe", "dryRun: expected bool, got str"),
        ("mode=FULL&expectedCount=-1", "expectedCount: expected int >= 0"),
        ("mode=FULL&expectedCount=" + "9" * 30, "expectedCount: expected int <= 2147483647"),
        ("mode=FULL&snapshotAt=yesterday", "snapshotAt: invalid RFC3339 encoded datetime"),
        ("mode=FULL&snapshotAt=0000-01-01T00:00:00Z", "snapshotAt: invalid RFC3339 encoded datetime"),
        ("mode=FULL&snapshotAt=2026-01-01T00:00:00", "snapshotAt: needs a time zone, such as Z"),
        ("mode=FULL&snapshotAt=9999-12-31T23:59:59-14:00", "snapshotAt: lies in the future"),
    ],
)
def test_a_question_that_is_not_understood_is_refused_before_anything_is_received(service: Service, query: str, fault: str) -> None:
    app_id = service.source()
    answer = service.ask("POST", f"/apps/{app_id}/imports?{query}", content=b"", headers={"Content-Type": NDJSON})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]
    assert service.get(f"/apps/{app_id}/imports") == []


def test_another_count_than_was_announced_fails_the_run_and_changes_nothing(service: Service) -> None:
    app_id = service.source()
    run = good(start(service, app_id, BODIES["ndjson"][1], expectedCount=3))
    assert run["status"] == "FAILED"
    assert run["error"] == "expectedCount: 3 records were announced, 2 came; nothing was changed"
    assert service.get("/users") == []
    assert good(start(service, app_id, BODIES["ndjson"][1], expectedCount=2))["status"] == "COMPLETED"


def test_a_dry_run_ends_planned_and_can_be_read(service: Service) -> None:
    run = good(start(service, service.source(), BODIES["ndjson"][1], dryRun=True))
    assert (run["status"], run["dryRun"], run["actions"]) == ("PLANNED", True, {"create": 2})
    assert [(row["action"], row["state"]) for row in service.changes(run)] == [("create", "PLANNED")] * 2
    assert service.get("/users") == []


def test_nothing_at_all_is_held_unless_it_is_allowed(service: Service) -> None:
    app_id = service.source(safeguard={"enabled": False})
    service.put("/org/safeguard", json={"enabled": False})
    service.send(app_id, PEOPLE)
    held = service.send(app_id, [])
    assert (held["status"], held["safeguard"]["reason"]) == ("HELD", "empty_snapshot")
    assert service.send(app_id, [], allowEmpty=True)["status"] == "COMPLETED"
    assert service.get(f"/imports/{held['id']}")["status"] == "SUPERSEDED"
    assert service.get("/users/jane@example.com")["status"] == "DEPROVISIONED"


def test_an_account_linked_after_the_snapshot_was_taken_is_not_missing(service: Service) -> None:
    app_id = service.source(safeguard={"enabled": False})
    service.put("/org/safeguard", json={"enabled": False})
    service.send(app_id, PEOPLE)
    run = service.send(app_id, PEOPLE[:1], snapshotAt="2020-01-01T00:00:00+01:00")
    assert "WENT_MISSING" not in run["situations"]
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


def test_a_delta_concludes_nothing_from_absence(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, PEOPLE)
    assert service.send(app_id, [], mode="INCREMENTAL")["situations"] == {}


# -- bodies that cannot be used -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("application/json", b'{"records": [', "it ends before it is complete"),
        ("application/json", b"", "it ends before it is complete"),
        ("application/json", b'{"people": []}', "must be an array of records"),
        ("application/json", b"[" * 100_000, "nested too deeply"),
        ("application/json", b'[{"externalId": NaN}]', "invalid character"),
        ("application/json", "[]".encode("utf-16"), "UTF-8"),
        ("application/scim+json", b"{}", "must be a SCIM ListResponse"),
        ("application/scim+json", json.dumps({**LIST, "totalResults": 3}).encode(), "brings 2 of 3 resources"),
        ("text/csv", b"", "has no header line"),
        ("text/csv", b"id,name\n1,2\n", "has no column 'externalId'"),
        ("text/csv", b"externalId,externalId\n1,2\n", "names a column twice"),
        ("text/csv", b'externalId,x\n1,"never\nclosed\n', "line 2: a quote is opened here and never closed"),
        ("text/csv", b"externalId,x\r1,2\r", "a CR alone ends none"),
        ("text/csv", CSV.encode("utf-16"), "line 1: the header is not UTF-8 text"),
    ],
)
def test_a_body_that_is_no_list_of_records_is_refused_fails_its_run_and_changes_nothing(
    service: Service, kind: str, body: bytes, says: str
) -> None:
    app_id = service.source()
    service.send(app_id, PEOPLE)
    answer = start(service, app_id, body, kind)
    assert refusal(answer) == (400, "E0000003")
    assert says in answer.json()["errorSummary"]
    run = service.get(f"/apps/{app_id}/imports")[0]
    assert (run["status"], "nothing was changed" in run["error"]) == ("FAILED", True)
    assert [user["status"] for user in service.get("/users")] == ["ACTIVE", "ACTIVE"]


@pytest.mark.parametrize("kind", ["", "application/xml", "application/x-ndjson; charset=iso-8859-1", "multipart/form-data", ";"])
def test_a_body_of_another_kind_starts_no_run(service: Service, kind: str) -> None:
    app_id = service.source()
    assert refusal(start(service, app_id, b"{}", kind)) == (415, "E0000021")
    assert service.get(f"/apps/{app_id}/imports") == []


def test_a_packed_body_starts_no_run(service: Service) -> None:
    app_id = service.source()
    headers = {"Content-Type": NDJSON, "Content-Encoding": "gzip"}
    answer = service.ask("POST", f"/apps/{app_id}/imports?mode=FULL", content=b"\x1f\x8b", headers=headers)
    assert refusal(answer) == (415, "E0000021")
    assert causes(answer) == ["Content-Encoding: send the body as it is"]
    assert service.get(f"/apps/{app_id}/imports") == []


GOOD = lines(*PEOPLE[:1]).encode() + b"\n"
DEEP = b'{"externalId":"john","profile":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


@pytest.mark.parametrize(
    ("line", "reason", "error"),
    [
        (b'{"externalId":"john","profile":{"email":"\xe9"}}', "not_utf8", "the line is not UTF-8 text"),
        (b'{"externalId":"john","profile":{', "not_json", ""),
        (DEEP, "not_json", "the record is nested too deeply"),
        (b'{"externalId":"john","profile":{"x":"' + b"x" * 10_000_000 + b'"}}', "line_too_long", "the record is longer than 1048576 bytes"),
        (b'{"externalId":"john","profile":{"x":"' + b"x" * 2_000_000 + b'"}}', "line_too_long", "the record is longer than 1048576 bytes"),
        (lines(record("john", firstName="J\0")).encode(), "invalid_profile", "firstName: has a NUL character"),
        (lines(record("john", firstName="x" * 51)).encode(), "invalid_profile", "firstName: has 51 characters, the most is 50"),
        (b'{"externalId":"john","profile":{"email":"\\ud800"}}', "not_json", ""),
        (b'{"externalId":"john","profile":{"n":1e999}}', "not_json", ""),
        (b'{"externalId":"john","active":null,"profile":{}}', "bad_active", "active: must be true or false"),
        (b'{"externalId":"john","active":"false","profile":{}}', "bad_active", "active: must be true or false"),
        (b'{"externalId":"john","profile":[]}', "bad_profile", "profile: must be an object"),
    ],
)
def test_a_record_that_cannot_be_used_is_a_row_with_line_and_reason_and_is_not_missing(
    service: Service, line: bytes, reason: str, error: str
) -> None:
    app_id = service.source()
    service.send(app_id, PEOPLE)
    run = good(start(service, app_id, GOOD + line))
    assert (run["status"], run["situations"]) == ("COMPLETED", {"UNCHANGED": 1, "INVALID": 1})
    (row,) = service.changes(run)
    assert (row["line"], row["situation"], row["action"], row["externalId"], row["reason"]) == (2, "INVALID", "reject", "john", reason)
    assert row["error"].startswith(error)
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


@pytest.mark.parametrize("external_id", ["null", '""', "1.5", "true", "[]", "{}", '"\\u0000"', '"' + "x" * 513 + '"', "9" * 600])
def test_a_record_that_nobody_can_identify_holds_what_would_be_missing(service: Service, external_id: str) -> None:
    app_id = service.source(safeguard={"enabled": False})
    service.send(app_id, PEOPLE)
    run = good(start(service, app_id, GOOD + f'{{"externalId":{external_id},"profile":{{}}}}'.encode()))
    assert (run["status"], run["safeguard"]["reason"]) == ("HELD", "unidentified_records")
    assert run["situations"] == {"UNCHANGED": 1, "INVALID": 1, "WENT_MISSING": 1}
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


def test_an_external_id_twice_is_one_record_or_two_invalid_ones(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, PEOPLE)
    assert service.send(app_id, [*PEOPLE, PEOPLE[1]])["situations"] == {"UNCHANGED": 2}
    run = service.send(app_id, [*PEOPLE, record("john", title="Other")])
    assert run["situations"] == {"UNCHANGED": 1, "INVALID": 2}
    assert {(row["line"], row["reason"]) for row in service.changes(run)} == {(2, "duplicate_external_id"), (3, "duplicate_external_id")}
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


@pytest.mark.parametrize(
    "name",
    [
        "Robert'); DROP TABLE users;--",
        '=HYPERLINK("http://x")',
        "\u202egnp.exe",
        "e\u0301\u0301\u0327",
        "محمد",
        "a\tb",
        "%s{0}<script>",
        "🦄",
    ],
)
def test_a_name_comes_out_as_it_went_in(service: Service, name: str) -> None:
    run = service.send(service.source(), [record("jane", firstName=name)])
    assert run["status"] == "COMPLETED"
    assert service.get("/users/jane@example.com")["profile"]["firstName"] == name
    assert service.changes(run)[0]["attributes"]["firstName"] == {"old": None, "new": name}


def test_what_no_rule_asks_for_is_kept_with_the_account_whatever_it_is(service: Service) -> None:
    app_id = service.source()
    odd = {"hired": "0000-00-00", "a b": "x", "nul": "\0", "big": 10**400, "none": None, "deep": [[[[{}]]]]}
    run = service.send(app_id, [record("jane", **odd)])
    assert run["actions"] == {"create": 1}
    (account,) = service.get(f"/apps/{app_id}/users")
    assert account["profile"].items() >= odd.items()


# -- reading -----------------------------------------------------------------------------------------------------------------


def test_changes_are_whole_and_filtered(service: Service) -> None:
    app_id = service.source(safeguard={"enabled": False})
    service.put("/org/safeguard", json={"enabled": False})
    service.send(app_id, PEOPLE)
    run = service.send(app_id, [record("jane", title="Rep"), record("ann"), {"externalId": "bad", "profile": {}}])
    rows = {row["externalId"]: row for row in service.changes(run)}
    jane, john = rows["jane"], rows["john"]
    assert (jane["situation"], jane["action"], jane["attributes"]) == ("CHANGED", "update", {"title": {"old": None, "new": "Rep"}})
    assert (john["line"], john["from"], john["to"], john["trigger"]) == (None, "ACTIVE", "DEACTIVATED", "deactivate")
    assert (john["login"], john["authority"]) == ("john@example.com", {"appId": app_id, "label": "HR"})
    assert all(row["state"] == "APPLIED" for row in rows.values())

    def found(**params: str) -> list[str]:
        return [row["externalId"] for row in service.changes(run, **params)]

    assert found(situation="WENT_MISSING") == ["john"]
    assert found(action="create") == ["ann"]
    assert found(user=john["userId"]) == ["john"]
    assert found(situation="CHANGED", action="create") == []


def test_a_filter_that_no_row_can_pass_is_refused(service: Service) -> None:
    run = service.send(service.source(), PEOPLE)
    assert causes(service.ask("GET", f"/imports/{run['id']}/changes?situation=GONE")) == ["situation: invalid enum value 'GONE'"]
    assert causes(service.ask("GET", f"/imports/{run['id']}/changes?action=explode")) == ["action: invalid enum value 'explode'"]


def test_runs_are_listed_newest_first_of_all_apps_or_of_one(service: Service) -> None:
    hr, ad = service.source("HR"), service.source("AD")
    runs = [service.send(app_id, PEOPLE)["id"] for app_id in (hr, ad, hr)]
    assert [run["id"] for run in service.get("/imports")] == runs[::-1]
    assert [run["id"] for run in service.get("/imports", params={"appId": ad})] == runs[1:2]
    assert [run["id"] for run in service.get(f"/apps/{hr}/imports")] == [runs[2], runs[0]]


@pytest.mark.parametrize("path", ["/imports/impNobody", "/imports/impNobody/changes"])
def test_a_run_that_is_not_there_is_named(service: Service, path: str) -> None:
    answer = service.ask("GET", path)
    assert refusal(answer) == (404, "E0000007")
    assert "impNobody (ImportRun)" in answer.json()["errorSummary"]


# -- held runs ---------------------------------------------------------------------------------------------------------------


def held(service: Service) -> tuple[str, Any]:
    app_id = service.source()
    service.send(app_id, PEOPLE)
    run = service.send(app_id, PEOPLE[:1])
    assert (run["status"], run["safeguard"]["reason"]) == ("HELD", "app_limit")
    return app_id, run


def test_a_held_run_says_both_percentages_and_everybody_it_would_touch(service: Service) -> None:
    _, run = held(service)
    share = {"unassigned": 1, "assigned": 2, "percent": 50.0, "limit": 20}
    assert run["safeguard"] == {"tripped": True, "reason": "app_limit", "app": share, "org": share}
    assert [(row["login"], row["to"], row["state"]) for row in service.changes(run)] == [("john@example.com", "DEACTIVATED", "PLANNED")]
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


def test_who_approves_quotes_the_plan_that_was_reviewed(service: Service) -> None:
    app_id, run = held(service)
    path = f"/imports/{run['id']}/lifecycle/approve"
    assert refusal(service.ask("POST", path, json={"planHash": "sha256:other"})) == (409, "M0000001")
    assert refusal(service.ask("POST", path, json={})) == (400, "E0000001")
    assert refusal(service.ask("POST", path)) == (400, "E0000003")
    assert service.get(f"/imports/{run['id']}")["status"] == "HELD"
    approved = service.post(path, json={"planHash": run["planHash"]})
    assert approved["approvedBy"]["name"] == "preset admin"
    assert service.send(app_id, [], mode="INCREMENTAL")["status"] == "COMPLETED"  # waits for its turn after the one approved
    assert service.get(f"/imports/{run['id']}")["status"] == "COMPLETED"
    assert service.get("/users/john@example.com")["status"] == "DEPROVISIONED"
    assert refusal(service.ask("POST", path, json={"planHash": run["planHash"]})) == (403, "E0000107")


def test_a_cancelled_run_changes_nothing_and_lets_the_next_one_go(service: Service) -> None:
    app_id, run = held(service)
    waiting = service.post(f"/apps/{app_id}/imports?mode=INCREMENTAL", content=b"", headers={"Content-Type": NDJSON})
    assert (waiting["status"], waiting["blockedBy"]) == ("QUEUED", run["id"])
    cancelled = service.post(f"/imports/{run['id']}/lifecycle/cancel")
    assert (cancelled["status"], cancelled["completed"] is not None) == ("CANCELLED", True)
    again = service.ask("POST", f"/imports/{run['id']}/lifecycle/cancel")
    assert refusal(again) == (403, "E0000107")
    assert again.json()["errorSummary"] == "Only a held or waiting import run can be cancelled; this one is CANCELLED"
    assert refusal(service.ask("POST", f"/imports/{run['id']}/lifecycle/approve", json={"planHash": run["planHash"]})) == (403, "E0000107")
    assert service.send(app_id, [], mode="INCREMENTAL")["status"] == "COMPLETED"
    assert service.get("/users/john@example.com")["status"] == "ACTIVE"


def test_a_newer_snapshot_takes_the_held_ones_place(service: Service) -> None:
    app_id, run = held(service)
    newer = service.send(app_id, PEOPLE)
    assert newer["status"] == "COMPLETED"
    before = service.get(f"/imports/{run['id']}")
    assert (before["status"], before["supersededBy"]) == ("SUPERSEDED", newer["id"])


def test_who_waits_for_a_run_behind_a_held_one_is_answered_at_once(service: Service) -> None:
    app_id, run = held(service)
    answer = start(service, app_id, lines(PEOPLE[0]), wait="wait=600", mode="INCREMENTAL")
    assert (answer.status_code, answer.json()["status"], answer.json()["blockedBy"]) == (202, "QUEUED", run["id"])
