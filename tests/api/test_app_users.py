"""App users over HTTP: assigned and unassigned by hand (API.md, /apps/{id}/users; SPEC §3). Their shapes are in `test_users`."""

import pytest

from tests.api.service import Service, causes, record, refusal


def test_who_is_assigned_by_hand_is_found_by_id_and_login(service: Service) -> None:
    app_id, user = service.app(), service.user("jane")
    assigned = service.post(f"/apps/{app_id}/users", json={"id": "jane@example.com", "externalId": "E1", "scope": "USER"})
    assert (assigned["id"], assigned["externalId"], assigned["status"], assigned["scope"]) == (user["id"], "E1", "ACTIVE", "USER")
    for key in (user["id"], "jane@example.com", assigned["_embedded"]["account"]["appUserId"]):
        assert service.get(f"/apps/{app_id}/users/{key}") == assigned
    assert service.get(f"/apps/{app_id}/users") == [assigned]
    assert service.get(f"/users/{user['id']}/history")[0]["type"] == "account.assign"


def test_a_user_has_one_account_of_an_app_at_a_time(service: Service) -> None:
    app_id, user = service.app(), service.user("jane")
    service.post(f"/apps/{app_id}/users", json={"id": user["id"], "externalId": "E1"})
    answer = service.ask("POST", f"/apps/{app_id}/users", json={"id": user["id"], "externalId": "E2"})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == ["externalId: the user has another account of this app; unassign that one first"]
    assert len(service.get(f"/apps/{app_id}/users")) == 1


def test_unassigning_takes_the_say_away_and_moves_nobody(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, [record("jane")])
    jane = service.get("/users/jane@example.com")
    service.delete(f"/apps/{app_id}/users/{jane['id']}")
    assert service.get(f"/apps/{app_id}/users/{jane['id']}")["status"] == "UNASSIGNED"
    masters = service.get(f"/users/{jane['id']}/masters")
    assert (masters["authority"], masters["others"][0]["account"]["released"]) == (None, True)
    assert service.get(f"/users/{jane['id']}")["status"] == "ACTIVE"
    service.send(app_id, [record("jane", title="Rep")], mode="INCREMENTAL")
    assert service.get(f"/apps/{app_id}/users/{jane['id']}")["status"] == "UNASSIGNED"
    assert refusal(service.ask("DELETE", f"/apps/{app_id}/users/{jane['id']}")) == (404, "E0000007")


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({}, "id: is required"),
        ({"id": 5}, "id: expected str, got int"),
        ({"id": "jane@example.com", "externalId": ""}, "externalId: must be a text of 1 to 512 characters"),
        ({"id": "jane@example.com", "externalId": "x" * 513}, "externalId: must be a text of 1 to 512 characters"),
        ({"id": "jane@example.com", "externalId": "\0"}, "externalId: has a NUL character"),
    ],
)
def test_an_assignment_that_cannot_be(service: Service, form: object, fault: str) -> None:
    app_id = service.app()
    service.user("jane")
    answer = service.ask("POST", f"/apps/{app_id}/users", json=form)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]
    assert service.get(f"/apps/{app_id}/users") == []


def test_nobody_can_be_assigned_who_is_not_there_and_to_nothing_that_is_not(service: Service) -> None:
    app_id = service.app()
    service.user("jane")
    for path, body, named in [
        (f"/apps/{app_id}/users", {"id": "nobody"}, "nobody (User)"),
        ("/apps/0oaNobody/users", {"id": "jane@example.com"}, "0oaNobody (AppInstance)"),
    ]:
        answer = service.ask("POST", path, json=body)
        assert refusal(answer) == (404, "E0000007")
        assert named in answer.json()["errorSummary"]
    for method in ("GET", "DELETE"):
        assert refusal(service.ask(method, f"/apps/{app_id}/users/jane@example.com")) == (404, "E0000007")
