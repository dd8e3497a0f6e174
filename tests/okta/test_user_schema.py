"""The user schema and attribute-level mastering through the official SDK (API.md, /meta/schemas/user/default)."""

from __future__ import annotations

from typing import Any

from okta.models import (
    UserSchema,
    UserSchemaAttribute,
    UserSchemaAttributeMaster,
    UserSchemaAttributeMasterPriority,
    UserSchemaBase,
    UserSchemaBaseProperties,
    UserSchemaDefinitions,
    UserSchemaPublic,
)

from tests.okta.caller import Sdk, causes


def custom(**attributes: UserSchemaAttribute) -> UserSchema:
    return UserSchema(definitions=UserSchemaDefinitions(custom=UserSchemaPublic(id="#custom", type="object", properties=attributes)))


def base(**attributes: UserSchemaAttribute) -> UserSchema:
    properties = UserSchemaBaseProperties(**attributes)
    return UserSchema(definitions=UserSchemaDefinitions(base=UserSchemaBase(id="#base", type="object", properties=properties)))


def override(*apps: str) -> UserSchemaAttributeMaster:
    return UserSchemaAttributeMaster(
        type="OVERRIDE", priority=[UserSchemaAttributeMasterPriority(type="APP", value=app_id) for app_id in apps]
    )


def update(sdk: Sdk, schema: UserSchema) -> Any:
    return sdk.get(sdk.client.update_user_profile("default", schema)).definitions


def master(sdk: Sdk, label: str) -> str:
    """An app that masters users; what is ours is asked for over plain HTTP."""
    app_id: str = sdk.http.post("/apps", json={"label": sdk.fresh(label)}).json()["id"]
    policy = {"mastering": {"enabled": True}, "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True}}
    sdk.http.put(f"/apps/{app_id}/import-policy", json=policy).raise_for_status()
    return app_id


def tell(sdk: Sdk, app_id: str, name: str, **profile: Any) -> None:
    record = {"externalId": name, "profile": {"email": f"{name}@example.com", "firstName": "F", "lastName": "L", **profile}}
    path = f"/apps/{app_id}/imports?mode=INCREMENTAL"
    run = sdk.http.post(path, json=[record], headers={"Prefer": "wait=30"}).raise_for_status().json()
    assert run["status"] == "COMPLETED"


def test_the_schema_is_read_and_sent_back_unchanged(sdk: Sdk) -> None:
    found = sdk.get(sdk.client.get_user_schema("default"))
    assert found.definitions.base.properties.first_name.required is True
    assert found.definitions.base.properties.login.master.type == "PROFILE_MASTER"
    assert sdk.get(sdk.client.update_user_profile("default", found)).to_dict() == found.to_dict()


def test_a_custom_attribute_is_added_used_and_changed(sdk: Sdk) -> None:
    name = sdk.fresh("size")
    size = UserSchemaAttribute.from_dict(
        {
            "title": "Size", "type": "string", "description": "of shirts", "enum": ["S", "M"], "maxLength": 3,
            "oneOf": [{"const": "S", "title": "Small"}, {"const": "M", "title": "Medium"}],
            "permissions": [{"principal": "SELF", "action": "READ_WRITE"}],
        }
    )  # fmt: skip
    made = update(sdk, custom(**{name: size})).custom.properties[name]
    assert ([each.actual_instance for each in made.enum], [each.title for each in made.one_of]) == (["S", "M"], ["Small", "Medium"])
    assert (made.description, made.max_length, made.permissions[0].action) == ("of shirts", 3, "READ_WRITE")
    user = sdk.http.post(f"/users/{sdk.user().id}", json={"profile": {name: "M"}}).json()
    assert user["profile"][name] == "M"
    changed = update(sdk, custom(**{name: UserSchemaAttribute(title="Shirt size")})).custom.properties[name]
    assert (changed.title, changed.description) == ("Shirt size", "of shirts")


def test_what_cannot_be_honoured_is_refused_in_the_sdks_own_error(sdk: Sdk) -> None:
    wanted = custom(x=UserSchemaAttribute(title="X", type="string", unique=True, default="y"))
    refused = sdk.refusal(sdk.client.update_user_profile("default", wanted))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert [cause.partition(": ")[0] for cause in causes(refused)] == [
        "definitions.custom.properties.x.unique",
        "definitions.custom.properties.x.default",
    ]


def test_an_attribute_is_mastered_by_a_list_of_its_own_and_given_back(sdk: Sdk) -> None:
    hr, ad, name = master(sdk, "HR"), master(sdk, "AD"), sdk.fresh("jane")
    tell(sdk, hr, name, costCenter="1", division="north")
    tell(sdk, ad, name, costCenter="2", division="south")
    found = update(sdk, base(costCenter=UserSchemaAttribute(master=override(ad, hr)))).base.properties.cost_center.master
    assert (found.type, [(each.type, each.value) for each in found.priority]) == ("OVERRIDE", [("APP", ad), ("APP", hr)])
    user = sdk.get(sdk.client.get_user(f"{name}@example.com"))
    assert (user.profile.cost_center, user.profile.division) == ("2", "north")
    refused = sdk.http.post(f"/users/{user.id}", json={"profile": {"costCenter": "3"}})
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "E0000023")
    told = sdk.http.get(f"/users/{user.id}/masters").json()["attributes"]["costCenter"]
    assert (told["value"], told["master"]["appId"], told["why"], told["readOnly"]) == ("2", ad, "override", True)
    update(sdk, base(costCenter=UserSchemaAttribute(master=UserSchemaAttributeMaster(type="PROFILE_MASTER"))))
    assert sdk.get(sdk.client.get_user(user.id)).profile.cost_center == "1"


def test_a_custom_attribute_is_taken_away_with_null_which_the_sdk_cannot_say(sdk: Sdk) -> None:
    name = sdk.fresh("spare")
    update(sdk, custom(**{name: UserSchemaAttribute(title="Spare", type="boolean")}))
    gone = {"definitions": {"custom": {"properties": {name: None}}}}
    assert sdk.http.post("/meta/schemas/user/default", json=gone).status_code == 200
    assert name not in sdk.get(sdk.client.get_user_schema("default")).definitions.custom.properties
