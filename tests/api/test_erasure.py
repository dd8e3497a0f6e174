"""Erasing a person over HTTP (API.md, own resources; SPEC §13)."""

from tests.api.service import Service, record, refusal


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
