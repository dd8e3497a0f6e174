"""Apps and their lifecycle (API.md, /apps; SPEC §3)."""

import pytest

from tests.api.service import Service, causes, record, refusal


def test_an_app_has_oktas_shape(service: Service) -> None:
    app = service.post("/apps", json={"label": "HR", "name": "workday", "signOnMode": "SAML_2_0", "settings": {"site": "eu"}})
    assert app == service.get(f"/apps/{app['id']}")
    assert app["id"].startswith("0oa")
    assert (app["label"], app["name"], app["signOnMode"], app["settings"]) == ("HR", "workday", "SAML_2_0", {"site": "eu"})
    assert app["status"] == "ACTIVE"
    assert app["created"] == app["lastUpdated"]
    assert app["features"] == ["IMPORT_NEW_USERS", "IMPORT_PROFILE_UPDATES"]
    assert app.keys() >= {"accessibility", "visibility", "_links"}


def test_what_oktas_clients_send_along_is_left_aside(service: Service) -> None:
    app = service.post("/apps", json={"label": "HR", "visibility": {"hide": {}}, "credentials": {}, "status": "INACTIVE", "id": "0oaMine"})
    assert (app["status"], app["id"] == "0oaMine") == ("ACTIVE", False)


def test_an_app_may_be_made_inactive(service: Service) -> None:
    assert service.post("/apps", params={"activate": False}, json={"label": "HR"})["status"] == "INACTIVE"


def test_a_new_app_has_the_default_policy_and_a_mapping_of_like_named_attributes(service: Service) -> None:
    app_id = service.app()
    assert service.get(f"/apps/{app_id}/import-policy")["mastering"]["enabled"] is False
    properties = service.get(f"/mappings/{service.mapping(app_id)}")["properties"]
    assert properties["department"] == {"expression": "appuser.department", "pushStatus": "PUSH"}


def test_putting_replaces_what_is_not_named_too(service: Service) -> None:
    app_id = service.app("HR", settings={"site": "eu"}, name="workday")
    replaced = service.put(f"/apps/{app_id}", json={"label": "People"})
    assert (replaced["label"], replaced["name"], replaced["settings"]) == ("People", "bookmark", {})
    assert service.last_event(app_id)["type"] == "app.update"


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({}, "label: is required"),
        ({"label": " "}, "label: must have 1 to 100 characters"),
        ({"label": "x" * 101}, "label: must have 1 to 100 characters"),
        ({"label": "HR\0"}, "label: has a NUL character"),
        ({"label": "HR", "settings": {"a": ["\0"]}}, "settings.a[0]: has a NUL character"),
        ({"label": "HR", "settings": {"a": "x" * 70_000}}, "settings: are larger than 65536 bytes"),
        ({"label": "HR", "signOnMode": "NONE"}, "signOnMode: invalid enum value 'NONE'"),
    ],
)
def test_an_app_that_cannot_be(service: Service, form: dict[str, object], fault: str) -> None:
    answer = service.ask("POST", "/apps", json=form)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]
    assert service.get("/apps") == []


@pytest.mark.parametrize("label", ["'; DROP TABLE app;--", "=HYPERLINK(1)", "\u202eRH", "e\u0301\u0301", "مرحبا", "🦄" * 50])
def test_a_label_is_kept_as_it_came(service: Service, label: str) -> None:
    app_id = service.app(label)
    assert service.get(f"/apps/{app_id}")["label"] == label
    assert [app["id"] for app in service.get("/apps", params={"q": label})] == [app_id]


def test_switching_off_and_on_is_told_once_each_and_moves_no_status(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, [record("jane")])
    for act, status in [("deactivate", "INACTIVE"), ("deactivate", "INACTIVE"), ("activate", "ACTIVE"), ("activate", "ACTIVE")]:
        assert service.post(f"/apps/{app_id}/lifecycle/{act}") == {}
        assert service.get(f"/apps/{app_id}")["status"] == status
    assert [event["type"] for event in service.events(app_id) if event["type"].endswith("activate")] == ["app.deactivate", "app.activate"]
    assert service.get("/users/jane@example.com")["status"] == "ACTIVE"


def test_an_inactive_app_is_not_imported(service: Service) -> None:
    app_id = service.app()
    service.post(f"/apps/{app_id}/lifecycle/deactivate")
    answer = service.ask("POST", f"/apps/{app_id}/imports?mode=FULL", content=b"", headers={"Content-Type": "application/x-ndjson"})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == ["app: HR is inactive; activate it before importing"]
    assert service.get(f"/apps/{app_id}/imports") == []


def test_only_an_inactive_app_can_be_deleted(service: Service) -> None:
    app_id = service.app()
    answer = service.ask("DELETE", f"/apps/{app_id}")
    assert refusal(answer) == (403, "E0000107")
    assert "deactivate it before" in answer.json()["errorSummary"]
    assert service.get(f"/apps/{app_id}")["status"] == "ACTIVE"


def test_deleting_an_app_forgets_its_accounts_and_keeps_people_and_history(service: Service) -> None:
    app_id = service.source()
    run = service.send(app_id, [record("jane")])
    service.post(f"/apps/{app_id}/lifecycle/deactivate")
    service.delete(f"/apps/{app_id}")
    for gone in (f"/apps/{app_id}", f"/apps/{app_id}/users", f"/imports/{run['id']}"):
        assert refusal(service.ask("GET", gone)) == (404, "E0000007")
    jane = service.get("/users/jane@example.com")
    assert jane["status"] == "ACTIVE"
    assert service.get(f"/users/{jane['id']}/masters")["assignments"] == []
    assert "account.forget" in {event["type"] for event in service.get(f"/users/{jane['id']}/history")}
    assert service.last_event(app_id)["type"] == "app.delete"


@pytest.mark.parametrize(
    "call", ["GET ", "PUT ", "DELETE ", "POST /lifecycle/activate", "POST /lifecycle/deactivate", "GET /users", "GET /imports"]
)
def test_an_app_that_is_not_there_is_named(service: Service, call: str) -> None:
    method, _, below = call.partition(" ")
    answer = service.ask(method, f"/apps/0oaNobody{below}", **({"json": {"label": "x"}} if method == "PUT" else {}))
    assert refusal(answer) == (404, "E0000007")
    assert answer.json()["errorSummary"] == "Not found: Resource not found: 0oaNobody (AppInstance)"


def test_apps_are_listed_by_beginning_status_and_name(service: Service) -> None:
    hr, ad = service.app("HR", name="workday"), service.app("AD", name="ldap")
    service.post(f"/apps/{ad}/lifecycle/deactivate")

    def found(**params: str) -> list[str]:
        return [app["id"] for app in service.get("/apps", params=params)]

    assert found() == [hr, ad]
    assert found(q="h") == [hr]
    assert found(filter='status eq "INACTIVE"') == [ad]
    assert found(filter='name eq "workday"') == [hr]


@pytest.mark.parametrize("expression", ["status", 'status eq "ON"', 'label eq "HR"', 'status gt "ACTIVE"'])
def test_a_list_of_apps_that_cannot_be_is_refused(service: Service, expression: str) -> None:
    answer = service.ask("GET", "/apps", params={"filter": expression})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith("filter: ")
