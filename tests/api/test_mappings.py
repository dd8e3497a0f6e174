"""Mappings over HTTP: both directions, changed in part, tried out before they are saved (SPEC §4; API.md, /mappings)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import Service, causes, refusal

USER_TYPE = "otyMastering00000001"
CALM = {
    "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True},
    "safeguard": {"enabled": False},
}
JANE = {"email": "jane@example.com", "firstName": "Jane", "lastName": "Doe", "department": "Sales"}


def outbound(service: Service, app_id: str) -> str:
    (found,) = service.get("/mappings", params={"targetId": app_id})
    made: str = found["id"]
    return made


def hr_with_jane(service: Service, **profile: Any) -> str:
    """An app that masters Jane."""
    app_id = service.app("HR")
    service.policy(app_id, **CALM)
    send(service, app_id, **profile)
    return app_id


def send(service: Service, app_id: str, **profile: Any) -> None:
    record = {"externalId": "E1", "profile": {**JANE, **profile}}
    run = service.post(f"/apps/{app_id}/imports?mode=INCREMENTAL", json=[record], headers={"Prefer": "wait=30"})
    assert run["status"] == "COMPLETED"


def profile(service: Service) -> Any:
    return service.get("/users/jane@example.com")["profile"]


def test_every_app_has_a_mapping_for_each_direction_of_like_named_attributes(service: Service) -> None:
    app_id = service.app("HR")
    inward, outward = service.get(f"/mappings/{service.mapping(app_id)}"), service.get(f"/mappings/{outbound(service, app_id)}")
    assert (inward["source"]["id"], inward["source"]["type"], inward["target"]["id"], inward["target"]["type"]) == (
        app_id, "appuser", USER_TYPE, "user",
    )  # fmt: skip
    assert (outward["source"]["id"], outward["target"]["id"]) == (USER_TYPE, app_id)
    assert inward["properties"].keys() == outward["properties"].keys()
    assert "login" not in inward["properties"]
    assert inward["properties"]["city"] == {"expression": "appuser.city", "pushStatus": "PUSH"}
    assert outward["properties"]["city"] == {"expression": "user.city", "pushStatus": "PUSH"}


def test_mappings_are_listed_by_source_and_target_page_by_page(service: Service) -> None:
    apps = [service.app(f"App {number}") for number in range(3)]
    assert len(service.get("/mappings")) == 6
    assert [each["target"]["id"] for each in service.get("/mappings", params={"sourceId": USER_TYPE})] == apps
    assert [each["source"]["id"] for each in service.get("/mappings", params={"targetId": USER_TYPE})] == apps
    assert service.get("/mappings", params={"sourceId": apps[0], "targetId": apps[0]}) == []
    seen, address = [], "/mappings?limit=4"
    while address:
        answer = service.ask("GET", address)
        seen += [each["id"] for each in answer.json()]
        assert all("properties" not in each for each in answer.json())
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    assert (len(seen), seen) == (6, sorted(seen))


def test_a_deleted_apps_mappings_go_with_it(service: Service) -> None:
    app_id = service.app()
    service.post(f"/apps/{app_id}/lifecycle/deactivate")
    service.delete(f"/apps/{app_id}")
    assert service.get("/mappings") == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"expression": "'x'", "pushStatus": "DONT_PUSH"}, {"expression": "'x'", "pushStatus": "DONT_PUSH"}),
        ({"expression": "'x'"}, {"expression": "'x'", "pushStatus": "PUSH"}),
        ({"pushStatus": "DONT_PUSH"}, {"expression": "appuser.city", "pushStatus": "DONT_PUSH"}),
        (None, None),
        ({}, {"expression": "appuser.city", "pushStatus": "PUSH"}),
        ({"expression": None}, None),
        ({"expression": None, "pushStatus": "PUSH"}, None),
    ],
)
def test_a_change_names_what_becomes_different_and_null_takes_out(service: Service, said: Any, kept: Any) -> None:
    mapping = service.mapping(service.app())
    before = service.get(f"/mappings/{mapping}")["properties"]
    after = service.post(f"/mappings/{mapping}", json={"properties": {"city": said}})["properties"]
    assert after.pop("city", None) == kept
    del before["city"]
    assert after == before


def test_a_push_status_alone_makes_no_mapping(service: Service) -> None:
    mapping = service.mapping(service.app())
    service.post(f"/mappings/{mapping}", json={"properties": {"city": None}})
    answer = service.ask("POST", f"/mappings/{mapping}", json={"properties": {"city": {"pushStatus": "PUSH"}}})
    assert causes(answer) == ["city: is not mapped yet, so it needs an expression"]


def test_every_rule_that_cannot_be_saved_is_told_with_its_position_and_nothing_is_saved(service: Service) -> None:
    app_id = service.app()
    inward, outward = service.mapping(app_id), outbound(service, app_id)
    wrong = {
        "city": "appuser.a +",
        "state": "String.nope(1)",
        "title": "'x' + user.title",
        "shoe": "1",
        "login": "appuser.x",
        "manager": "'ok'",
    }
    answer = service.ask("POST", f"/mappings/{inward}", json={"properties": {name: {"expression": text} for name, text in wrong.items()}})
    assert causes(answer) == [
        "title: an inbound mapping reads the app's profile, not user.title (at position 6)",
        "city: the expression is not finished (at position 11)",
        "state: there is no function 'String.nope' (at position 0)",
        "shoe: is not an attribute of the user schema",
        "login: comes from the username format, not from a mapping",
    ]
    back = {"title": "source.title + appuser.title", "x": "user.shoe", " ": "1", "name.givenName": "user.firstName"}
    answer = service.ask("POST", f"/mappings/{outward}", json={"properties": {name: {"expression": text} for name, text in back.items()}})
    assert causes(answer) == [
        "title: an outbound mapping reads the user's profile, not appuser.title (at position 15)",
        "x: user.shoe is not an attribute of the user schema (at position 0)",
        " : is no name of an app's attribute: 1 to 200 printable characters, no blanks around them",
    ]
    assert "manager" in service.get(f"/mappings/{inward}")["properties"]
    assert service.get(f"/mappings/{inward}")["properties"]["manager"]["expression"] == "appuser.manager"
    assert "name.givenName" not in service.get(f"/mappings/{outward}")["properties"]


def test_an_outbound_mapping_names_the_apps_attributes_as_the_app_does(service: Service) -> None:
    mapping = outbound(service, service.app())
    rule = {"expression": "source.firstName + ' ' + user.lastName", "pushStatus": "DONT_PUSH"}
    target = "emails[primary eq true].value"
    assert service.post(f"/mappings/{mapping}", json={"properties": {target: rule}})["properties"][target] == rule


def test_saving_an_inbound_mapping_maps_its_users_again_and_an_outbound_one_does_not(service: Service) -> None:
    app_id = hr_with_jane(service)
    service.post(f"/mappings/{service.mapping(app_id)}", json={"properties": {"department": {"expression": "appuser.department + '!'"}}})
    assert profile(service)["department"] == "Sales!"
    seen = service.get("/users/jane@example.com")["lastUpdated"]
    service.post(f"/mappings/{outbound(service, app_id)}", json={"properties": {"department": {"expression": "user.city"}}})
    assert service.get("/users/jane@example.com")["lastUpdated"] == seen
    event = service.last_event(app_id)
    assert (event["type"], event["direction"], list(event["changes"])) == ("app.mapping.update", "OUTBOUND", ["department"])


def test_create_only_is_applied_when_the_user_is_made_and_never_again(service: Service) -> None:
    app_id = service.app("HR")
    service.policy(app_id, **CALM)
    service.post(f"/mappings/{service.mapping(app_id)}", json={"properties": {"department": {"pushStatus": "DONT_PUSH"}}})
    send(service, app_id, department="Sales", title="Rep")
    send(service, app_id, department="Legal", title="Counsel")
    assert (profile(service)["department"], profile(service)["title"]) == ("Sales", "Counsel")


# -- trying out -----------------------------------------------------------------------------------------------------------


def preview(service: Service, mapping: str, user: str = "jane@example.com", /, **properties: Any) -> Any:
    return service.post(f"/mappings/{mapping}/preview", json={"userId": user, "properties": properties})


def test_a_preview_says_what_saving_would_change_and_saves_nothing(service: Service) -> None:
    app_id = hr_with_jane(service, level=5)
    mapping = service.mapping(app_id)
    user = service.get("/users/jane@example.com")
    before = (service.get(f"/mappings/{mapping}"), user, len(service.events(user["id"])), len(service.events(app_id)))
    rules = {"title": {"expression": "appuser.level > 3 ? 'Senior' : 'Junior'"}, "department": None, "city": {"expression": "appuser.town"}}
    found = preview(service, mapping, **rules)
    assert found["properties"]["title"] == {
        "expression": "appuser.level > 3 ? 'Senior' : 'Junior'", "pushStatus": "PUSH", "outcome": "MAPPED", "value": "Senior", "reason": None,
    }  # fmt: skip
    assert (found["properties"]["city"]["outcome"], "department" in found["properties"]) == ("NOT_CARRIED", False)
    assert (found["userId"], found["changes"], found["faults"]) == (user["id"], {"title": {"old": None, "new": "Senior"}}, [])
    user = service.get("/users/jane@example.com")
    assert (service.get(f"/mappings/{mapping}"), user, len(service.events(user["id"])), len(service.events(app_id))) == before
    service.post(f"/mappings/{mapping}", json={"properties": rules})
    assert profile(service)["title"] == "Senior"


def test_a_preview_says_which_rule_fails_and_that_the_whole_update_would_be_refused(service: Service) -> None:
    mapping = service.mapping(hr_with_jane(service))
    found = preview(service, mapping, title={"expression": "Convert.toInt(appuser.department)"}, city={"expression": "'Berlin'"})
    assert (found["properties"]["title"]["outcome"], found["properties"]["city"]["value"]) == ("FAILED", "Berlin")
    assert found["properties"]["title"]["reason"] == "Convert.toInt: 'Sales' is no whole number"
    assert (found["changes"], found["faults"]) == ({}, ["title: Convert.toInt: 'Sales' is no whole number"])
    found = preview(service, mapping, countryCode={"expression": "'GER'"})
    assert found["faults"] == ["countryCode: has 3 characters, the most is 2"]


def test_a_preview_sees_that_the_login_would_be_somebody_elses(service: Service) -> None:
    service.post("/users", json={"profile": {**JANE, "login": "kim@example.com", "email": "kim@example.com"}})
    mapping = service.mapping(hr_with_jane(service))
    assert preview(service, mapping, email={"expression": "'kim@example.com'"})["faults"] == ["login: another user holds this login"]


def test_what_a_lower_master_would_say_changes_nothing_and_is_shown_all_the_same(service: Service) -> None:
    hr_with_jane(service)
    ad = service.app("AD")
    service.policy(ad, **CALM)
    send(service, ad, department="IT")
    found = preview(service, service.mapping(ad), title={"expression": "'Admin'"})
    assert (found["properties"]["title"]["value"], found["changes"]) == ("Admin", {})


def test_an_outbound_preview_says_what_the_app_would_be_told(service: Service) -> None:
    app_id = hr_with_jane(service)
    found = preview(service, outbound(service, app_id), displayName={"expression": "user.firstName + ' ' + user.lastName"})
    assert found["changes"] == {"displayName": {"old": None, "new": "Jane Doe"}}
    assert found["properties"]["department"]["value"] == "Sales"
    other = service.app("Wiki")
    found = preview(service, outbound(service, other), manager={"expression": "'x' - 1"})
    assert (found["appUserId"], found["changes"], found["faults"]) == (None, {}, ["manager: a number is needed here, not text"])
    assert preview(service, outbound(service, other))["changes"]["lastName"] == {"old": None, "new": "Doe"}


def test_a_preview_needs_a_user_an_account_to_map_from_and_rules_that_could_be_saved(service: Service) -> None:
    mapping = service.mapping(hr_with_jane(service))
    assert refusal(service.ask("POST", f"/mappings/{mapping}/preview", json={"userId": "nobody"})) == (404, "E0000007")
    assert refusal(service.ask("POST", "/mappings/prm0/preview", json={"userId": "jane@example.com"})) == (404, "E0000007")
    kim = service.post("/users", json={"profile": {**JANE, "login": "kim@example.com", "email": "kim@example.com"}})["id"]
    answer = service.ask("POST", f"/mappings/{mapping}/preview", json={"userId": kim})
    assert causes(answer) == ["userId: the user has no account of the app, so there is nothing to map"]
    wrong = {"userId": "jane@example.com", "properties": {"city": {"expression": "appuser."}}}
    assert causes(service.ask("POST", f"/mappings/{mapping}/preview", json=wrong)) == [
        "city: the expression is not finished (at position 8)"
    ]
    assert refusal(service.caller("auditor").ask("POST", f"/mappings/{mapping}/preview", json=wrong)) == (403, "E0000006")
