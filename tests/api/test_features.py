"""An app's features: the two policies in Okta's shape, nothing lost in either direction (API.md, /apps/{id}/features; decision 0030)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import Service, causes, refusal, unfired

WHOLE = {
    "username": {"format": "CUSTOM", "expression": "source.userName"},
    "schedule": {
        "full": {"cron": "0 4 1 1 *", "timezone": "America/New_York"},
        "incremental": {"cron": "10 5 1 2 *", "timezone": "Europe/Berlin"},
    },
    "matching": {"username": False, "email": False, "attributes": [{"app": "id", "user": "employeeNumber"}], "allowPartial": True},
    "confirmation": {"autoConfirmExact": True, "autoConfirmPartial": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "SUSPEND", "reactivateSuspended": True, "reactivateDeactivated": True},
    "safeguard": {"enabled": False, "maxUnassignedPercent": 7, "minimumAssignments": 3, "tolerateUnidentified": 2},
    "csv": {"externalId": ["a", "b"], "active": None, "delimiter": ";"},
    "hookId": None,
}
"""Every setting other than its default."""


def inbound(service: Service, app_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get(f"/apps/{app_id}/features/INBOUND_PROVISIONING")["capabilities"]
    return found


def put_inbound(service: Service, app_id: str, document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service.put(f"/apps/{app_id}/features/INBOUND_PROVISIONING", json=document)["capabilities"]
    return found


def refused(service: Service, app_id: str, document: dict[str, Any]) -> list[str]:
    before = service.get(f"/apps/{app_id}/import-policy")
    answer = service.ask("PUT", f"/apps/{app_id}/features/INBOUND_PROVISIONING", json=document)
    assert refusal(answer) == (400, "E0000001")
    assert service.get(f"/apps/{app_id}/import-policy") == before
    return causes(answer)


def settings(**parts: Any) -> dict[str, Any]:
    return {"importSettings": parts}


def rules(**parts: Any) -> dict[str, Any]:
    return {"importRules": {"userCreateAndMatch": parts}}


# -- both -----------------------------------------------------------------------------------------------------------------


def test_every_app_has_both_features_and_they_are_enabled_while_it_is_active(service: Service) -> None:
    app_id = service.app()
    found = service.get(f"/apps/{app_id}/features")
    assert [(feature["name"], feature["status"]) for feature in found] == [
        ("USER_PROVISIONING", "ENABLED"),
        ("INBOUND_PROVISIONING", "ENABLED"),
    ]
    for feature in found:
        link = feature["_links"]["self"]
        assert (service.get(link["href"]), link["hints"]) == (feature, {"allow": ["GET", "PUT"]})
    service.post(f"/apps/{app_id}/lifecycle/deactivate")
    assert {feature["status"] for feature in service.get(f"/apps/{app_id}/features")} == {"DISABLED"}


def test_a_feature_that_nobody_has_heard_of_and_an_app_that_is_not_there(service: Service) -> None:
    app_id = service.app()
    for path in (f"/apps/{app_id}/features/GROUP_PUSH", "/apps/0oa0/features", "/apps/0oa0/features/USER_PROVISIONING"):
        assert refusal(service.ask("GET", path)) == (404, "E0000007")
    for name in ("INBOUND_PROVISIONING", "USER_PROVISIONING"):
        assert refusal(service.ask("PUT", f"/apps/0oa0/features/{name}", json={})) == (404, "E0000007")


@pytest.mark.parametrize("name", ["INBOUND_PROVISIONING", "USER_PROVISIONING"])
def test_a_change_is_made_to_what_its_author_saw_or_not_at_all(service: Service, name: str) -> None:
    app_id = service.app()
    path, change = f"/apps/{app_id}/features/{name}", {"INBOUND_PROVISIONING": rules(allowPartialMatch=True)}.get(name, switched("create"))
    seen = service.ask("GET", path).headers["etag"]
    service.put(path, json=change, headers={"If-Match": seen})
    assert refusal(service.ask("PUT", path, json={}, headers={"If-Match": seen})) == (412, "E0000231")
    assert service.ask("GET", path).headers["etag"] == service.ask("GET", f"/apps/{app_id}/import-policy").headers["etag"] != seen


@pytest.mark.parametrize("name", ["INBOUND_PROVISIONING", "USER_PROVISIONING"])
def test_what_was_read_and_is_written_back_changes_nothing_and_leaves_no_history(service: Service, name: str) -> None:
    app_id = service.app()
    for policy in ({}, WHOLE, {"matching": {"username": True, "email": True}}, {"schedule": {**WHOLE["schedule"], "enabled": False}}):  # type: ignore[dict-item]
        kept = service.policy(app_id, **policy)
        events = service.events(app_id)
        shown = service.get(f"/apps/{app_id}/features/{name}")["capabilities"]
        assert service.put(f"/apps/{app_id}/features/{name}", json=shown)["capabilities"] == shown
        assert service.get(f"/apps/{app_id}/import-policy") == kept
        assert service.events(app_id) == events


# -- INBOUND_PROVISIONING -------------------------------------------------------------------------------------------------


def test_a_new_apps_import_policy_in_oktas_words(service: Service) -> None:
    assert inbound(service, service.app()) == {
        "importSettings": {
            "username": {"usernameFormat": "EMAIL", "userNameExpression": None},
            "schedule": {"status": "DISABLED", "fullImport": None, "incrementalImport": None},
        },
        "importRules": {
            "userCreateAndMatch": {
                "exactMatchCriteria": "USERNAME",
                "allowPartialMatch": False,
                "autoConfirmPartialMatch": False,
                "autoConfirmExactMatch": False,
                "autoConfirmNewUsers": False,
                "autoActivateNewUsers": False,
            }
        },
    }


def test_what_the_policy_says_the_feature_shows(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **WHOLE)
    shown = inbound(service, app_id)
    for firing, mode in (("fullImport", "full"), ("incrementalImport", "incremental")):
        told = shown["importSettings"]["schedule"][firing]["next"]
        assert told == service.get(f"/apps/{app_id}/import-policy")["schedule"][mode]["next"]
    assert unfired(shown)["importSettings"] == {
        "username": {"usernameFormat": "CUSTOM", "userNameExpression": "source.userName"},
        "schedule": {
            "status": "ENABLED",
            "fullImport": {"expression": "0 4 1 1 *", "timezone": "America/New_York"},
            "incrementalImport": {"expression": "10 5 1 2 *", "timezone": "Europe/Berlin"},
        },
    }
    matching = shown["importRules"]["userCreateAndMatch"]
    assert matching.pop("exactMatchCriteria") is None
    assert set(matching.values()) == {True}


@pytest.mark.parametrize(
    ("said", "criterion"),
    [
        ({"username": True, "email": False}, "USERNAME"),
        ({"username": False, "email": True}, "EMAIL"),
        ({"username": True, "email": True}, None),
        ({"username": False, "email": False}, None),
    ],
)
def test_the_criterion_is_shown_where_okta_has_a_word_for_it(service: Service, said: dict[str, bool], criterion: str | None) -> None:
    app_id = service.app()
    service.policy(app_id, matching=said)
    assert inbound(service, app_id)["importRules"]["userCreateAndMatch"]["exactMatchCriteria"] == criterion


def test_oktas_own_example_is_understood_in_the_spelling_of_its_guide(service: Service) -> None:
    app_id = service.app()
    put_inbound(
        service,
        app_id,
        {
            "importSettings": {
                "username": {"userNameFormat": "CUSTOM", "userNameExpression": "source.userName"},
                "schedule": {
                    "status": "ENABLED",
                    "fullImport": {"expression": "0 */4 * * *", "timeZone": "America/New_York"},
                    "incrementalImport": {},
                },
            },
            "importRules": {"userCreateAndMatch": {"exactMatchCriteria": "EMAIL", "autoConfirmNewUsers": True}},
        },
    )
    policy = unfired(service.get(f"/apps/{app_id}/import-policy"))
    assert policy["username"] == {"format": "CUSTOM", "expression": "source.userName"}
    assert policy["schedule"] == {"full": {"cron": "0 */4 * * *", "timezone": "America/New_York"}, "incremental": None}
    assert policy["matching"] == {"username": False, "email": True, "attributes": [], "allowPartial": False}
    assert policy["confirmation"]["autoConfirmNew"] is True


def test_a_change_through_the_feature_keeps_what_oktas_shape_cannot_say(service: Service) -> None:
    app_id = service.app()
    before = service.policy(app_id, **WHOLE)
    put_inbound(service, app_id, {**settings(username={"usernameFormat": "EMAIL"}), **rules(allowPartialMatch=False)})
    before["username"], before["matching"]["allowPartial"] = {"format": "EMAIL", "expression": None}, False
    assert service.get(f"/apps/{app_id}/import-policy") == before
    assert service.ranking() == ["HR"]


def test_naming_a_criterion_takes_the_place_of_any_other(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **WHOLE)
    put_inbound(service, app_id, rules(exactMatchCriteria="USERNAME"))
    matching = service.get(f"/apps/{app_id}/import-policy")["matching"]
    assert matching == {"username": True, "email": False, "attributes": [], "allowPartial": True}


def test_a_schedule_that_is_disabled_rests_and_is_not_forgotten(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **WHOLE)
    shown = put_inbound(service, app_id, settings(schedule={"status": "DISABLED"}))["importSettings"]["schedule"]
    assert (shown["status"], shown["fullImport"]["expression"]) == ("DISABLED", "0 4 1 1 *")
    assert service.get(f"/apps/{app_id}/import-policy")["schedule"] == {**WHOLE["schedule"], "enabled": False}  # type: ignore[dict-item]
    put_inbound(service, app_id, settings(schedule={"status": "ENABLED"}))
    assert unfired(service.get(f"/apps/{app_id}/import-policy"))["schedule"] == WHOLE["schedule"]


def test_a_part_of_a_schedule_is_changed_and_taken_away_by_itself(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **WHOLE)
    put_inbound(service, app_id, settings(schedule={"fullImport": {"expression": "5 5 * * *"}, "incrementalImport": None}))
    assert unfired(service.get(f"/apps/{app_id}/import-policy"))["schedule"] == {
        "full": {"cron": "5 5 * * *", "timezone": "America/New_York"},
        "incremental": None,
    }


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (
            settings(username={"usernameFormat": "EMAIL", "userNameFormat": "CUSTOM"}),
            ["importSettings.username.usernameFormat: contradicts userNameFormat; they are two spellings of one setting"],
        ),
        (
            settings(username={"usernameFormat": "EMAIL", "userNameExpression": "source.x"}),
            ["importSettings.username.userNameExpression: the EMAIL format takes no expression; use CUSTOM"],
        ),
        (
            settings(username={"usernameFormat": "CUSTOM"}),
            ["importSettings.username.userNameExpression: the CUSTOM format needs an expression"],
        ),
        (
            settings(schedule={"status": "ENABLED"}),
            ["importSettings.schedule.status: ENABLED needs a fullImport or an incrementalImport"],
        ),
        (
            settings(schedule={"fullImport": {"timezone": "UTC"}}),
            ["importSettings.schedule.fullImport.expression: is required"],
        ),
        (
            settings(schedule={"fullImport": {"expression": "0 * * * *", "timezone": "UTC", "timeZone": "Europe/Rome"}}),
            ["importSettings.schedule.fullImport.timezone: contradicts timeZone; they are two spellings of one setting"],
        ),
        (
            settings(schedule={"incrementalImport": {"expression": "hourly"}}),
            [
                "importSettings.schedule.incrementalImport.expression: must be a cron expression of five fields, such as 0 * * * *",
            ],
        ),
        (
            settings(schedule={"fullImport": {"expression": "0 * * * *", "timeZone": "Mars/Base"}}),
            ["importSettings.schedule.fullImport.timezone: 'Mars/Base' is not the name of a time zone"],
        ),
        (rules(exactMatchCriteria="NAME"), ["importRules.userCreateAndMatch.exactMatchCriteria: invalid enum value 'NAME'"]),
        (rules(autoConfirm=True), ["importRules.userCreateAndMatch.autoConfirm: is not a field of this resource"]),
    ],
)
def test_what_contradicts_itself_is_refused_and_named_in_oktas_words(service: Service, document: dict[str, Any], found: list[str]) -> None:
    assert refused(service, service.app(), document) == found


def test_both_spellings_may_say_the_same(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **WHOLE)
    same = {"usernameFormat": "CUSTOM", "userNameFormat": "CUSTOM"}
    assert put_inbound(service, app_id, settings(username=same))["importSettings"]["username"]["userNameExpression"] == "source.userName"


def test_a_change_through_the_feature_leaves_the_history_of_the_policy(service: Service) -> None:
    app_id = service.app()
    put_inbound(service, app_id, rules(autoConfirmExactMatch=True))
    event = service.last_event(app_id)
    assert (event["type"], list(event["changes"])) == ("app.policy.update", ["confirmation"])


# -- USER_PROVISIONING ----------------------------------------------------------------------------------------------------


def outbound(service: Service, app_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get(f"/apps/{app_id}/features/USER_PROVISIONING")["capabilities"]
    return found


def switched(name: str, status: str = "ENABLED") -> dict[str, Any]:
    """A request that sets one switch."""
    on = {"status": status}
    return {"create": {"lifecycleCreate": on}} if name == "create" else {"update": {name: on}}


NOTHING = {
    "create": {"lifecycleCreate": {"status": "DISABLED"}},
    "update": {
        "lifecycleDeactivate": {"status": "DISABLED"},
        "password": {"status": "DISABLED", "seed": "RANDOM", "change": "KEEP_EXISTING"},
        "profile": {"status": "DISABLED", "excludeUsernameUpdates": False},
    },
}


def test_nothing_goes_out_to_a_new_app(service: Service) -> None:
    assert outbound(service, service.app()) == NOTHING


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("create", "PUSH_NEW_USERS"),
        ("profile", "PUSH_PROFILE_UPDATES"),
        ("lifecycleDeactivate", "PUSH_USER_DEACTIVATION"),
        ("password", "PUSH_PASSWORD_UPDATES"),
    ],
)
def test_each_switch_is_set_on_its_own_and_shows_among_the_apps_features(service: Service, name: str, feature: str) -> None:
    app_id = service.app()
    service.put(f"/apps/{app_id}/features/USER_PROVISIONING", json=switched(name))
    told = outbound(service, app_id)
    on = {"create": told["create"]["lifecycleCreate"]["status"], **{part: told["update"][part]["status"] for part in told["update"]}}
    assert {part for part, status in on.items() if status == "ENABLED"} == {name}
    assert [each for each in service.get(f"/apps/{app_id}")["features"] if each.startswith("PUSH")] == [feature]
    service.put(f"/apps/{app_id}/features/USER_PROVISIONING", json=switched(name, "DISABLED"))
    assert outbound(service, app_id) == NOTHING


@pytest.mark.parametrize(("said", "shown"), [("CHANGE", "CHANGE"), ("CYCLE", "CHANGE"), ("KEEP_EXISTING", "KEEP_EXISTING")])
def test_what_follows_a_change_of_password_in_either_spelling(service: Service, said: str, shown: str) -> None:
    app_id = service.app()
    change = {"update": {"password": {"status": "ENABLED", "seed": "OKTA", "change": said}}}
    service.put(f"/apps/{app_id}/features/USER_PROVISIONING", json=change)
    assert outbound(service, app_id)["update"]["password"] == {"status": "ENABLED", "seed": "OKTA", "change": shown}


def test_the_exclusion_of_username_updates_is_kept_by_requests_that_do_not_know_it(service: Service) -> None:
    app_id = service.app()
    path = f"/apps/{app_id}/features/USER_PROVISIONING"
    service.put(path, json={"update": {"profile": {"status": "ENABLED", "excludeUsernameUpdates": True}}})
    service.put(path, json=switched("profile", "DISABLED"))
    assert outbound(service, app_id)["update"]["profile"] == {"status": "DISABLED", "excludeUsernameUpdates": True}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"update": {"password": {"seed": "GUESS"}}}, ["update.password.seed: invalid enum value 'GUESS'"]),
        ({"update": {"lifecycleDelete": {}}}, ["update.lifecycleDelete: is not a field of this resource"]),
        ({"create": {"lifecycleCreate": {"status": True}}}, ["create.lifecycleCreate.status: expected str, got bool"]),
    ],
)
def test_what_cannot_be_set_is_named(service: Service, document: dict[str, Any], found: list[str]) -> None:
    app_id = service.app()
    answer = service.ask("PUT", f"/apps/{app_id}/features/USER_PROVISIONING", json=document)
    assert (refusal(answer), causes(answer)) == ((400, "E0000001"), found)
    assert outbound(service, app_id) == NOTHING


def test_a_change_of_what_goes_out_leaves_history_with_old_and_new(service: Service) -> None:
    app_id = service.app()
    service.put(f"/apps/{app_id}/features/USER_PROVISIONING", json=switched("create"))
    event = service.last_event(app_id)
    assert (event["type"], event["changes"]) == ("app.provisioning.update", {"create_users": {"old": False, "new": True}})


def test_an_auditor_reads_features_and_an_importer_has_no_business_there(service: Service) -> None:
    app_id = service.app()
    auditor, importer = service.caller("auditor"), service.caller("importer", app_id)
    assert len(auditor.get(f"/apps/{app_id}/features")) == 2
    assert refusal(auditor.ask("PUT", f"/apps/{app_id}/features/USER_PROVISIONING", json={})) == (403, "E0000006")
    assert refusal(importer.ask("GET", f"/apps/{app_id}/features")) == (403, "E0000006")
