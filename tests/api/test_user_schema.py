"""The user schema over HTTP: attributes of one's own, who masters which, and what follows at once (SPEC §4; API.md)."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Response

from mastering import replay as history_of_users
from mastering.store import history, people
from mastering.store.engine import reading
from tests.api.service import Service, causes, refusal

SCHEMA = "/meta/schemas/user/default"
CALM = {
    "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "reactivateDeactivated": True},
    "safeguard": {"enabled": False},
}


def change(service: Service, *, base: dict[str, Any] | None = None, **custom: dict[str, Any] | None) -> Response:
    definitions = {"base": {"properties": base or {}}, "custom": {"properties": custom}}
    return service.ask("POST", SCHEMA, json={"definitions": definitions})


def changed(service: Service, **parts: Any) -> dict[str, Any]:
    """The custom attributes after a good change."""
    answer = change(service, **parts)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()["definitions"]["custom"]["properties"]
    return found


def master(service: Service, label: str, **policy: Any) -> str:
    """An app that masters users and confirms what it brings; the org lets everybody go."""
    service.put("/org/safeguard", json={"enabled": False})
    app_id = service.app(label)
    service.policy(app_id, **{**CALM, **policy})
    return app_id


def told(name: str = "jane", *, active: bool = True, **profile: Any) -> dict[str, Any]:
    whole = {"email": f"{name}@example.com", "firstName": name.title(), "lastName": "Doe", **profile}
    return {"externalId": name, "active": active, "profile": whole}


def send(service: Service, app_id: str, *records: dict[str, Any], mode: str = "INCREMENTAL") -> Any:
    path = f"/apps/{app_id}/imports?mode={mode}"
    return service.post(path, json=list(records), headers={"Prefer": "wait=30"})


def profile(service: Service, login: str = "jane@example.com") -> Any:
    return service.get(f"/users/{login}")["profile"]


def masters(service: Service, name: str, login: str = "jane@example.com") -> tuple[Any, Any, str, bool]:
    """An attribute's value, its master's label, why that one, and whether admins may not write it."""
    found = service.get(f"/users/{login}/masters")["attributes"][name]
    return found["value"], found["master"] and found["master"]["label"], found["why"], found["readOnly"]


def override(*apps: str) -> dict[str, Any]:
    return {"master": {"type": "OVERRIDE", "priority": [{"type": "APP", "value": app_id} for app_id in apps]}}


# -- the resource ---------------------------------------------------------------------------------------------------------


def test_the_schema_is_shown_in_oktas_shape_and_sent_back_whole_changes_nothing(service: Service) -> None:
    changed(service, badge={"title": "Badge", "type": "integer"})
    shown = service.get(SCHEMA)
    assert {"id", "$schema", "name", "title", "created", "lastUpdated", "definitions", "type", "properties", "_links"} == shown.keys()
    base, custom = shown["definitions"]["base"], shown["definitions"]["custom"]
    assert (len(base["properties"]), base["required"], base["id"]) == (31, ["login", "firstName", "lastName", "email"], "#base")
    assert (list(custom["properties"]), custom["required"], custom["id"]) == (["badge"], [], "#custom")
    before = len(service.events())
    assert service.post(SCHEMA, json=shown) == shown
    assert len(service.events()) == before


def test_a_change_is_told_in_the_orgs_history_with_old_and_new(service: Service) -> None:
    changed(service, badge={"title": "Badge", "type": "integer"})
    event = service.last_event()
    assert (event["type"], list(event["changes"])) == ("org.schema.update", ["badge"])
    assert (event["changes"]["badge"]["old"], event["changes"]["badge"]["new"]["type"]) == (None, "integer")
    assert service.get(SCHEMA)["lastUpdated"] == event["at"]


def test_one_fault_refuses_the_whole_change_and_every_fault_is_named(service: Service) -> None:
    answer = change(service, base={"email": {"required": False}}, a={"title": "A", "type": "string"}, b={"title": "B"})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [
        "definitions.base.properties.email.required: cannot be changed in a base attribute",
        "definitions.custom.properties.b.type: is required of a new attribute",
    ]
    assert service.get(SCHEMA)["definitions"]["custom"]["properties"] == {}


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"title": "A", "type": "text"}, "definitions.custom.properties.a.type: invalid enum value 'text'"),
        ({"title": "A", "type": "string", "sparkle": 1}, "definitions.custom.properties.a.sparkle: is not a field of this resource"),
        ({"title": "A", "type": "string", "maxLength": "9"}, "definitions.custom.properties.a.maxLength: expected"),
    ],
)
def test_a_fault_of_form_names_attribute_and_field(service: Service, said: dict[str, Any], cause: str) -> None:
    (found,) = causes(change(service, z={"title": "Z", "type": "string"}, a=said))
    assert found.startswith(cause.rstrip("'"))


def test_the_schemas_own_title_stays(service: Service) -> None:
    assert causes(service.ask("POST", SCHEMA, json={"title": "People"})) == ["title: the schema's title cannot be changed"]


def test_an_auditor_reads_the_schema_and_only_an_admin_changes_it(service: Service) -> None:
    auditor, importer = service.caller("auditor"), service.caller("importer", service.app())
    assert auditor.get(SCHEMA)["name"] == "user"
    for caller in (auditor, importer):
        assert refusal(change(caller, a={"title": "A", "type": "string"})) == (403, "E0000006")


# -- attributes of one's own ----------------------------------------------------------------------------------------------


def test_a_custom_attribute_is_written_imported_and_held_to_what_the_schema_says(service: Service) -> None:
    changed(service, size={"title": "Size", "type": "string", "enum": ["S", "M"]}, badge={"title": "Badge", "type": "integer"})
    hr = master(service, "HR")
    send(service, hr, told(size="S", badge=7))
    assert (profile(service)["size"], profile(service)["badge"]) == ("S", 7)
    run = send(service, hr, told(size="XXL", badge=8))
    (row,) = service.get(f"/imports/{run['id']}/changes")
    assert (row["situation"], row["error"] or row["reason"]) == ("INVALID", row["error"] or row["reason"])
    assert (profile(service)["size"], profile(service)["badge"]) == ("S", 7)
    answer = service.ask("POST", "/users", json={"profile": {**told("kim")["profile"], "login": "kim@example.com", "size": "XXL"}})
    assert causes(answer) == ["size: is not one of the values listed"]


def test_an_attribute_is_not_narrowed_under_the_values_there_are(service: Service) -> None:
    changed(service, code={"title": "Code", "type": "string"}, note={"title": "Note", "type": "string"})
    made = service.post("/users", json={"profile": {**told()["profile"], "login": "jane@example.com", "code": "ABCDEF"}})
    answer = change(service, code={"maxLength": 3}, note={"required": True}, fresh={"title": "F", "type": "string", "required": True})
    faults = {"code": "has 6 characters, the most is 3", **dict.fromkeys(("note", "fresh"), "is empty, and the attribute is required")}
    for cause, (name, fault) in zip(causes(answer), faults.items(), strict=True):
        assert cause.startswith(f"definitions.custom.properties.{name}: 1 users have values that would not fit, {made['id']} among them")
        assert cause.endswith(f"whose value {fault}; correct those first")
    service.post(f"/users/{made['id']}", json={"profile": {"code": "ABC", "note": "n"}})
    found = changed(service, code={"maxLength": 3}, note={"required": True})
    assert (found["code"]["maxLength"], found["note"]["required"]) == (3, True)


def test_taking_an_attribute_away_takes_its_values_with_history_and_leaves_users_that_can_be_updated(service: Service) -> None:
    changed(service, badge={"title": "Badge", "type": "integer"}, spare={"title": "Spare", "type": "string"})
    jane, kim, ann = (
        service.post("/users", json={"profile": {**told(name)["profile"], "login": f"{name}@example.com", **more}})["id"]
        for name, more in (("jane", {"badge": 7}), ("kim", {"badge": None}), ("ann", {}))
    )
    assert list(changed(service, badge=None)) == ["spare"]
    assert "badge" not in profile(service)
    assert [service.last_event(each)["type"] for each in (jane, kim, ann)] == [
        "user.attributes.removed", "user.attributes.removed", "user.activate",
    ]  # fmt: skip
    assert service.post(f"/users/{jane}", json={"profile": {"title": "Lead"}})["profile"]["title"] == "Lead"
    with reading(service.engine) as session:
        for each in (jane, kim):
            rebuilt, there = history_of_users.replay(history.chain(session, each)), people.users(session, [each])[each]
            assert rebuilt is not None
            assert (rebuilt.profile, rebuilt.version) == (there.profile, there.version)
    assert causes(change(service, badge=None)) == ["definitions.custom.properties.badge: is not a custom attribute"]


def test_an_attribute_that_is_spoken_of_is_not_taken_away(service: Service) -> None:
    changed(service, badge={"title": "Badge", "type": "string"})
    app_id = service.app()
    inbound = service.mapping(app_id)
    (outbound,) = (each["id"] for each in service.get("/mappings", params={"targetId": app_id}))
    username = {"format": "CUSTOM", "expression": "user.badge + '@example.com'"}
    service.policy(app_id, matching={"username": False, "attributes": [{"app": "badge", "user": "badge"}]}, username=username)
    at = "definitions.custom.properties.badge: "
    assert sorted(causes(change(service, badge=None))) == sorted(
        f"{at}{use}; take it out there first"
        for use in (
            f"the mapping {inbound} writes it",
            f"the mapping {outbound} reads it for badge",
            f"the import policy of the app {app_id} matches by it",
            f"the username format of the app {app_id} reads it",
        )
    )
    service.policy(app_id)
    for mapping in (inbound, outbound):
        service.post(f"/mappings/{mapping}", json={"properties": {"badge": None}})
    assert changed(service, badge=None) == {}


def test_a_plan_that_may_write_an_attribute_keeps_it_from_being_taken_away(service: Service) -> None:
    changed(service, badge={"title": "Badge", "type": "string"})
    app_id = master(service, "HR", safeguard={"enabled": True, "maxUnassignedPercent": 0})
    send(service, app_id, told(badge="7"))
    held = send(service, app_id, told(active=False, badge="8"))
    assert held["status"] == "HELD"
    for each in service.get("/mappings"):
        service.post(f"/mappings/{each['id']}", json={"properties": {"badge": None}})
    answer = change(service, badge=None)
    assert (*refusal(answer), held["id"] in answer.text) == (403, "E0000107", True)
    service.post(f"/imports/{held['id']}/lifecycle/cancel")
    assert changed(service, badge=None) == {}


# -- who masters which ----------------------------------------------------------------------------------------------------


def test_who_masters_an_attribute_is_told_for_each_way_and_profiles_follow_at_once(service: Service) -> None:
    hr, ad = master(service, "HR"), master(service, "AD")
    send(service, hr, told(department="Legal", title="Counsel"))
    send(service, ad, told(department="IT", title="Admin"))
    assert masters(service, "department") == ("Legal", "HR", "inherit_from_profile_master", True)
    changed(service, base={"department": override(ad, hr)})
    assert masters(service, "department") == ("IT", "AD", "override", True)
    assert masters(service, "title") == ("Counsel", "HR", "inherit_from_profile_master", True)
    (event,) = [each for each in service.events(service.get("/users/jane@example.com")["id"]) if each["type"] == "user.remaster"]
    assert event["at"] >= service.last_event()["at"]
    changed(service, base={"department": {"master": {"type": "OKTA"}}})
    assert masters(service, "department") == ("IT", None, "inherit_from_directory", False)
    send(service, ad, told(department="Ops", title="Admin"))
    assert profile(service)["department"] == "IT"
    changed(service, base={"department": {"master": None}})
    assert masters(service, "department") == ("Legal", "HR", "inherit_from_profile_master", True)


def test_an_admin_writes_exactly_the_attributes_that_no_active_account_supplies(service: Service) -> None:
    hr, ad = (
        master(service, "HR", mastering={"enabled": True, "whenDeactivated": "SUSPEND", "reactivateSuspended": True}),
        master(service, "AD"),
    )
    changed(service, base={"department": override(ad), "costCenter": {"master": {"type": "OKTA"}}})
    send(service, hr, told(department="Legal", title="Counsel", costCenter="1"))

    def written(name: str) -> tuple[int, str] | None:
        answer = service.ask("POST", "/users/jane@example.com", json={"profile": {name: "by hand"}})
        return None if answer.is_success else refusal(answer)

    assert {name: written(name) for name in ("department", "title", "costCenter")} == {
        "department": None, "title": (403, "E0000023"), "costCenter": None,
    }  # fmt: skip
    send(service, ad, told(department="IT"))
    assert (profile(service)["department"], written("department"), written("title")) == ("IT", (403, "E0000023"), (403, "E0000023"))
    send(service, ad, told(active=False))
    assert masters(service, "department") == ("IT", "AD", "override_last_values", False)
    assert (written("department"), written("title")) == (None, (403, "E0000023"))
    send(service, hr, told(active=False))
    assert masters(service, "title") == ("Counsel", "HR", "inherit_from_profile_master_last_values", False)
    assert written("title") is None
    send(service, hr, told(title="Counsel", department="Legal"))
    send(service, ad, told(department="IT"))
    assert (profile(service)["title"], profile(service)["department"]) == ("Counsel", "IT")


def test_an_overridden_attribute_follows_assignments_releases_order_and_switches(service: Service) -> None:
    hr, ad = master(service, "HR"), master(service, "AD")
    changed(service, base={"department": override(ad, hr)})
    send(service, hr, told(department="Legal"))
    assert masters(service, "department")[:3] == ("Legal", "HR", "override")
    send(service, ad, told(department="IT"))  # the assignment appears
    assert masters(service, "department")[:3] == ("IT", "AD", "override")
    user_id = service.get("/users/jane@example.com")["id"]
    service.delete(f"/apps/{ad}/users/{user_id}")  # and is released
    assert masters(service, "department")[:3] == ("Legal", "HR", "override")
    service.post(f"/apps/{ad}/users", json={"id": user_id})  # and given back
    assert masters(service, "department")[:3] == ("IT", "AD", "override")
    service.post(f"/apps/{ad}/lifecycle/deactivate")  # the app is switched off
    assert masters(service, "department")[:3] == ("Legal", "HR", "override")
    service.post(f"/apps/{ad}/lifecycle/activate")  # and on
    assert masters(service, "department")[:3] == ("IT", "AD", "override")
    changed(service, base={"department": override(hr, ad)})  # the attribute's own order changes
    assert masters(service, "department")[:3] == ("Legal", "HR", "override")
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})  # the org's does not concern it
    assert masters(service, "department")[:3] == ("Legal", "HR", "override")
    for app_id in (hr, ad):
        service.post(f"/apps/{app_id}/lifecycle/deactivate")
    assert masters(service, "department") == ("IT", None, "override_without_assignment", False)


def test_the_orgs_order_moves_what_is_inherited_and_nothing_else(service: Service) -> None:
    hr, ad = master(service, "HR"), master(service, "AD")
    changed(service, base={"department": override(hr), "city": {"master": {"type": "OKTA"}}})
    send(service, hr, told(department="Legal", title="Counsel", city="Berlin"))
    service.post("/users/jane@example.com", json={"profile": {"city": "Lyon"}})
    send(service, ad, told(department="IT", title="Admin", city="Porto"))
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})
    found = profile(service)
    assert (found["title"], found["department"], found["city"]) == ("Admin", "Legal", "Lyon")


@pytest.mark.parametrize(("carried", "kept"), [({}, "Legal"), ({"department": None}, None), ({"department": ""}, None)])
def test_of_an_overriding_master_too_absent_keeps_and_null_clears(service: Service, carried: dict[str, Any], kept: str | None) -> None:
    hr, ad = master(service, "HR"), master(service, "AD")
    send(service, hr, told(department="Legal"))
    send(service, ad, told(**carried))
    changed(service, base={"department": override(ad)})
    assert profile(service)["department"] == kept


def test_a_user_whose_new_profile_would_be_refused_keeps_all_of_the_old_one_and_it_is_told(service: Service) -> None:
    hr, ad = master(service, "HR"), master(service, "AD")
    changed(service, code={"title": "Code", "type": "string", "maxLength": 3})
    send(service, hr, told(department="Legal"), told("kim", department="Legal"))
    send(service, ad, told(department="IT", word="TOOLONG"), told("kim", department="IT", word="ok"))
    rule = {"expression": "appuser.word", "pushStatus": "PUSH"}
    service.post(f"/mappings/{service.mapping(ad)}", json={"properties": {"code": rule}})
    changed(service, base={"department": override(ad)}, code=override(ad))
    assert (profile(service)["department"], "code" in profile(service)) == ("Legal", False)
    assert (profile(service, "kim@example.com")["department"], profile(service, "kim@example.com")["code"]) == ("IT", "ok")
    assert service.get("/users/jane@example.com/masters")["refused"] == ["code: has 7 characters, the most is 3"]
    assert service.get("/users/kim@example.com/masters")["refused"] == []
    event = service.last_event(service.get("/users/jane@example.com")["id"])
    assert (event["type"], event["reason"]) == ("user.remaster.rejected", "profile_rejected")


def test_an_app_that_an_attribute_names_as_its_master_is_not_deleted(service: Service) -> None:
    ad = master(service, "AD")
    changed(service, base={"department": override(ad)})
    service.post(f"/apps/{ad}/lifecycle/deactivate")
    answer = service.ask("DELETE", f"/apps/{ad}")
    assert (*refusal(answer), "department" in answer.text) == (403, "E0000107", True)
    changed(service, base={"department": {"master": {"type": "PROFILE_MASTER"}}})
    service.delete(f"/apps/{ad}")


def test_a_login_of_its_own_master_follows_that_apps_username_format(service: Service) -> None:
    hr, ad = master(service, "HR"), master(service, "AD", username={"format": "CUSTOM", "expression": "appuser.sam + '@corp.example'"})
    send(service, hr, told())
    found = service.get("/users/jane@example.com")["id"]
    policy = {"username": False, "email": True}
    service.policy(ad, **{**CALM, "matching": policy, "username": {"format": "CUSTOM", "expression": "appuser.sam + '@corp.example'"}})
    send(service, ad, told(sam="jdoe"))
    assert service.get(f"/users/{found}")["profile"]["login"] == "jane@example.com"
    changed(service, base={"login": override(ad)})
    assert masters(service, "login", found) == ("jdoe@corp.example", "AD", "override", True)
    send(service, hr, told(email="jane.doe@example.com"))
    assert (profile(service, found)["email"], profile(service, found)["login"]) == ("jane.doe@example.com", "jdoe@corp.example")
    send(service, ad, told(sam="jane2"))
    assert profile(service, found)["login"] == "jane2@corp.example"
