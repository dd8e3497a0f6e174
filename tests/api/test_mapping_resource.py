"""Mappings, in Okta's shape (API.md, /mappings; SPEC §4)."""

import pytest

from tests.api.service import Service, causes, record, refusal


def test_a_mapping_leads_from_an_app_to_the_directory(service: Service) -> None:
    app_id = service.app("HR", name="workday")
    mapping = service.get(f"/mappings/{service.mapping(app_id)}")
    assert (mapping["source"]["id"], mapping["source"]["name"], mapping["source"]["type"]) == (app_id, "workday", "appuser")
    assert (mapping["target"]["name"], mapping["target"]["type"]) == ("user", "user")
    assert mapping["_links"]["self"]["href"].endswith(f"/api/v1/mappings/{mapping['id']}")


def test_a_list_comes_without_properties_and_is_narrowed_by_source_and_target(service: Service) -> None:
    hr, ad = service.app("HR"), service.app("AD")
    ends = [{mapping["source"]["id"], mapping["target"]["id"]} for mapping in service.get("/mappings")]
    assert [sum(app in pair for pair in ends) for app in (hr, ad)] == [2, 2]
    (found,) = service.get("/mappings", params={"sourceId": ad})
    assert "properties" not in found
    assert len(service.get("/mappings", params={"targetId": found["target"]["id"]})) == 2
    assert service.get("/mappings", params={"targetId": "nobody"}) == []


def test_a_post_sets_what_it_names_and_leaves_the_rest(service: Service) -> None:
    mapping_id = service.mapping(service.app())
    before = service.get(f"/mappings/{mapping_id}")["properties"]
    wanted = {
        "city": {"expression": "appuser.Site", "pushStatus": "DONT_PUSH"},
        "title": None,
        "nickName": {"expression": None, "pushStatus": None},
    }
    after = service.post(f"/mappings/{mapping_id}", json={"properties": wanted})["properties"]
    assert after["city"] == wanted["city"]
    assert before.keys() - after.keys() == {"title", "nickName"}
    assert after == service.get(f"/mappings/{mapping_id}")["properties"]
    assert {name: rule for name, rule in after.items() if name != "city"}.items() <= before.items()


def test_one_that_does_not_parse_is_refused_with_its_position_and_nothing_is_saved(service: Service) -> None:
    mapping_id = service.mapping(service.app())
    before = service.get(f"/mappings/{mapping_id}")
    wanted = {
        "city": {"expression": "appuser.Site +"},
        "title": {"expression": "Foo.bar(1)"},
        "shoe": {"expression": "appuser.shoe"},
        "state": {"expression": "appuser.state", "pushStatus": "PUSH"},
    }
    answer = service.ask("POST", f"/mappings/{mapping_id}", json={"properties": wanted})
    assert refusal(answer) == (400, "E0000001")
    told = {cause.partition(":")[0]: cause for cause in causes(answer)}
    assert told.keys() == {"city", "title", "shoe"}
    assert "(at position 14)" in told["city"]
    assert "Foo.bar" in told["title"]
    assert service.get(f"/mappings/{mapping_id}") == before


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "properties: is required"),
        ({"properties": []}, "properties: expected object, got array"),
        (
            {"properties": {"city": {"expression": "appuser.x", "pushStatus": "NEVER"}}},
            "properties.city.pushStatus: invalid enum value 'NEVER'",
        ),
        ({"properties": {"city": {"expression": "appuser.x\0"}}}, "properties.city.expression: has a NUL character"),
    ],
)
def test_a_mapping_that_cannot_be(service: Service, body: object, fault: str) -> None:
    answer = service.ask("POST", f"/mappings/{service.mapping(service.app())}", json=body)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]


def test_any_column_names_can_be_imported(service: Service) -> None:
    app_id = service.source(csv={"externalId": "WorkerID"})
    names = {"email": "appuser.Mail", "firstName": "appuser.Vorname", "lastName": "appuser.Nachname"}
    service.post(
        f"/mappings/{service.mapping(app_id)}",
        json={"properties": {name: {"expression": text, "pushStatus": "PUSH"} for name, text in names.items()}},
    )
    body = "WorkerID,Mail,Vorname,Nachname\n7,jane@example.com,Jane,Doe\n"
    service.post(f"/apps/{app_id}/imports?mode=FULL", content=body, headers={"Content-Type": "text/csv", "Prefer": "wait=20"})
    assert service.get("/users/jane@example.com")["profile"]["lastName"] == "Doe"


def test_saving_a_mapping_maps_its_users_again(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, [record("jane", department="Sales")])
    service.post(
        f"/mappings/{service.mapping(app_id)}",
        json={"properties": {"division": {"expression": "appuser.department", "pushStatus": "PUSH"}}},
    )
    assert service.get("/users/jane@example.com")["profile"]["division"] == "Sales"
    assert service.last_event(app_id)["type"] == "app.mapping.update"


def test_a_mapping_that_is_not_there_is_named(service: Service) -> None:
    for answer in (service.ask("GET", "/mappings/prm1"), service.ask("POST", "/mappings/prm1", json={"properties": {}})):
        assert refusal(answer) == (404, "E0000007")
        assert answer.json()["errorSummary"] == "Not found: Resource not found: prm1 (ProfileMapping)"
