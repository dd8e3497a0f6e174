"""Erasing a person over HTTP (API.md, own resources; SPEC §13)."""

from time import monotonic, sleep
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel

from mastering.store.engine import reading
from tests.api.service import Service, record, refusal
from tests.api.test_previews import previewed, rows


def test_an_admin_erases_who_has_gone_and_the_history_tells_of_it_and_verifies(service: Service) -> None:
    service.send(service.source(), [record("jane", title="Secretive")])
    jane = service.get("/users/jane@example.com")["id"]
    assert refusal(service.ask("POST", f"/users/{jane}/erasure")) == (403, "E0000038")
    service.delete(f"/users/{jane}")
    done = service.post("/users/jane@example.com/erasure", json={"reason": "asked for by letter"})
    assert (done["userId"], done["fromDisk"]) == (jane, True)
    assert refusal(service.ask("GET", f"/users/{jane}")) == (404, "E0000007")
    told = service.ask("GET", f"/users/{jane}/history")
    newest, *_, first = told.json()
    assert (newest["type"], newest["reason"], newest["events"], newest["actor"]["name"]) == (
        "user.erase",
        "asked for by letter",
        done["events"],
        "preset admin",
    )
    assert (first["type"], first["erased"], newest["erased"], "attributes" in first) == ("user.create", True, False, False)
    assert "Secretive" not in told.text
    assert "Secretive" not in service.ask("GET", "/history/export").text
    assert service.post("/history/verify")["whole"]


def test_nobody_but_an_admin_erases(service: Service) -> None:
    jane = service.user("jane")["id"]
    service.delete(f"/users/{jane}")
    for caller in (service.caller("auditor"), service.caller("importer", service.app())):
        assert refusal(caller.ask("POST", f"/users/{jane}/erasure")) == (403, "E0000006")
    assert refusal(service.ask("POST", "/users/00uNobody/erasure")) == (404, "E0000007")
    assert refusal(service.ask("POST", f"/users/{jane}/erasure", json={"reason": 7})) == (400, "E0000001")


def test_who_was_under_an_import_that_is_held_is_not_erased(service: Service) -> None:
    app = service.source()
    service.send(app, [record("jane"), record("john")])
    held = service.send(app, [record("john")])
    jane = service.get("/users/jane@example.com")["id"]
    service.delete(f"/users/{jane}")
    answer = service.ask("POST", f"/users/{jane}/erasure")
    assert refusal(answer) == (403, "E0000107")
    assert held["id"] in answer.text


def test_whoever_reads_a_plan_an_undo_a_preview_or_why_is_told_that_the_person_was_erased(service: Service) -> None:
    app = service.source(safeguard={"enabled": False})
    service.put("/org/safeguard", json={"enabled": False})
    made = service.send(app, [record("jane", title="Secretive"), record("ann")])
    run = service.send(app, [record("ann", title="Boss")])
    wished = {"importPolicies": {app: {"confirmation": {"autoConfirmNew": False}, "mastering": {"enabled": True}}}}
    preview = previewed(service, wished, runId=made["id"])
    assert "jane@example.com" in {row["login"] for row in rows(service, preview)}
    jane = service.get("/users/jane@example.com")["id"]
    service.post(f"/users/{jane}/erasure", json={})
    for each in (made, run):
        (row,) = [row for row in service.changes(each) if row["externalId"] is None]
        assert row["error"] == "erased: what the row said of the person is gone"
        assert (row["attributes"], row["candidates"], row["conflict"], row["login"]) == ({}, [], None, None)
    assert service.ask("GET", f"/users/{jane}/why").status_code == 200
    (foreseen,) = [row for row in rows(service, preview) if row["login"] is None]
    assert (foreseen["externalId"], foreseen["from"], foreseen["to"], foreseen["reason"], foreseen["detail"]) == (*[None] * 4, "erased")
    for each in (run, made):
        undone = ended(service, service.ask("POST", f"/imports/{each['id']}/lifecycle/undo").json()["id"])
        (row,) = [row for row in service.changes(undone) if row["userId"] == jane]
        assert (row["situation"], row["conflict"]["user"]["now"]) == ("CHANGED_SINCE", "erased")
    assert kept_of(service, "jane", "Secretive") == []


def ended(service: Service, run_id: str) -> dict[str, Any]:
    """A run that a worker has carried out."""
    until = monotonic() + 20
    found: dict[str, Any] = service.get(f"/imports/{run_id}")
    while found["status"] != "COMPLETED":
        assert monotonic() < until, found
        sleep(0.02)
        found = service.get(f"/imports/{run_id}")
    return found


def kept_of(service: Service, *values: str) -> list[str]:
    """The columns of the database in which one of these texts stands, whatever its case."""
    found = []
    with reading(service.engine) as session:
        for table in SQLModel.metadata.sorted_tables:
            for row in session.execute(select(table)).mappings():
                told = {name: str(value).lower() for name, value in row.items() if not isinstance(value, bytes)}
                found += [f"{table.name}.{name}" for name, text in told.items() if any(value.lower() in text for value in values)]
    return sorted(set(found))
