"""An app's import policy as one document (API.md, own resources)."""

from typing import Any

import pytest
from freezegun import freeze_time

from tests.api.service import Service, causes, refusal, unfired

DEFAULT = {
    "username": {"format": "EMAIL", "expression": None},
    "schedule": {"full": None, "incremental": None},
    "matching": {"username": True, "email": False, "attributes": [], "allowPartial": False},
    "confirmation": {"autoConfirmExact": False, "autoConfirmPartial": False, "autoConfirmNew": False, "autoActivateNew": False},
    "mastering": {"enabled": False, "whenDeactivated": "DEACTIVATE", "reactivateSuspended": False, "reactivateDeactivated": False},
    "safeguard": {"enabled": True, "maxUnassignedPercent": 20, "minimumAssignments": 0, "tolerateUnidentified": 0},
    "csv": {"externalId": "externalId", "active": {"column": "active", "values": ["true"]}, "delimiter": ","},
    "hookId": None,
}
OTHER = {
    "username": {"format": "CUSTOM", "expression": "appuser.firstName + '@example.com'"},
    "schedule": {"full": None, "incremental": {"cron": "0 4 1 1 *", "timezone": "Europe/Berlin"}},
    "matching": {"username": False, "email": False, "attributes": [{"app": "no", "user": "employeeNumber"}], "allowPartial": True},
    "confirmation": {"autoConfirmExact": True, "autoConfirmPartial": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "SUSPEND", "reactivateSuspended": True, "reactivateDeactivated": True},
    "safeguard": {"enabled": False, "maxUnassignedPercent": 5, "minimumAssignments": 10, "tolerateUnidentified": 3},
    "csv": {"externalId": ["WorkerID", "Company"], "active": {"column": "Status", "values": ["A", "L"]}, "delimiter": ";"},
    "hookId": None,
}


def test_a_new_app_has_the_defaults(service: Service) -> None:
    assert service.get(f"/apps/{service.app()}/import-policy") == DEFAULT


def test_what_is_put_is_what_is_there(service: Service) -> None:
    app_id = service.app()
    assert unfired(service.put(f"/apps/{app_id}/import-policy", json=OTHER)) == OTHER
    assert unfired(service.get(f"/apps/{app_id}/import-policy")) == OTHER


def test_a_schedule_says_when_it_fires_next_and_what_is_shown_can_be_put_back(service: Service) -> None:
    app_id, full = service.app(), {"cron": "30 2 29 2 0", "timezone": "Europe/Berlin"}
    with freeze_time("2026-11-25 12:00", real_asyncio=True):
        shown = service.policy(app_id, schedule={"full": full, "incremental": {"cron": "0 * * * *"}})
        assert shown["schedule"]["full"] == {**full, "next": "2027-02-07T01:30:00.000Z"}  # the 29th or a Sunday of February
        assert shown["schedule"]["incremental"]["next"] == "2026-11-25T13:00:00.000Z"
    assert service.get(f"/apps/{app_id}/import-policy") == shown
    before = service.last_event(app_id)
    assert service.put(f"/apps/{app_id}/import-policy", json=shown) == shown
    assert service.last_event(app_id) == before


def test_what_does_not_fire_says_no_next_time(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, **OTHER)
    service.ask("POST", f"/apps/{app_id}/lifecycle/deactivate")
    assert service.get(f"/apps/{app_id}/import-policy")["schedule"] == OTHER["schedule"]


@pytest.mark.parametrize("part", sorted(DEFAULT))
def test_a_part_that_is_left_out_goes_back_to_its_default(service: Service, part: str) -> None:
    app_id = service.app()
    service.policy(app_id, **OTHER)
    assert unfired(service.policy(app_id, **{name: value for name, value in OTHER.items() if name != part})) == {
        **OTHER,
        part: DEFAULT[part],
    }


def test_everybody_in_a_csv_may_be_active(service: Service) -> None:
    assert service.policy(service.app(), csv={"active": None})["csv"] == {"externalId": "externalId", "active": None, "delimiter": ","}


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        (
            {"matching": {"username": True, "attributes": [{"app": "no", "user": "employeeNumber"}]}},
            "matching.attributes: matching by attributes excludes matching by username or email; switch those two off",
        ),
        (
            {"matching": {"username": False, "attributes": [{"app": "no", "user": "shoe"}]}},
            "matching.attributes: shoe is not an attribute of the user schema",
        ),
        (
            {"matching": {"username": False, "attributes": [{"app": "", "user": "email"}]}},
            "matching.attributes: each pair names an app attribute and a user attribute",
        ),
        ({"username": {"format": "CUSTOM"}}, "username.expression: the CUSTOM format needs an expression"),
        ({"username": {"expression": "appuser.email"}}, "username.expression: the EMAIL format takes no expression; use CUSTOM"),
        (
            {"username": {"format": "CUSTOM", "expression": "appuser.email +"}},
            "username.expression: the expression is not finished (at position 15)",
        ),
        ({"safeguard": {"maxUnassignedPercent": 101}}, "safeguard.maxUnassignedPercent: must be from 0 to 100"),
        ({"safeguard": {"minimumAssignments": -1}}, "safeguard.minimumAssignments: must not be negative"),
        ({"schedule": {"full": {"cron": "whenever"}}}, "schedule.full: cron: must be a cron expression of five fields, such as 0 * * * *"),
        (
            {"schedule": {"full": {"cron": "0 0 * * *", "timezone": "Mars"}}},
            "schedule.full: timezone: 'Mars' is not the name of a time zone",
        ),
        ({"schedule": {"full": {"cron": "0 0 * * *", "timezone": ""}}}, "schedule.full: timezone: '' is not the name of a time zone"),
        ({"schedule": {"full": {"cron": "0 0 30 2 *"}}}, "schedule.full: cron: names a day that never comes"),
        ({"csv": {"externalId": ["No", "Company", "No"]}}, "csv.externalId: names a column twice"),
        ({"csv": {"active": {"column": "x", "values": ["x" * 70_000]}}}, "policy: is larger than 65536 bytes"),
        ({"csv": {"delimiter": ";;"}}, "csv.delimiter: must be one character, and not a quote or a line end"),
        ({"csv": {"externalId": []}}, "csv.externalId: name the column, or the columns, that identify a record"),
        ({"hookId": "cal1"}, "hookId: there is no inline hook cal1"),
        ({"mastering": {"enabled": "yes"}}, "mastering.enabled: expected bool, got str"),
        ({"mastering": {"whenDeactivated": "DELETE"}}, "mastering.whenDeactivated: invalid enum value 'DELETE'"),
        ({"matching": None}, "matching: expected object, got null"),
        ({"mastring": {}}, "mastring: is not a field of this resource"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_field_and_nothing_is_kept(service: Service, parts: dict[str, Any], fault: str) -> None:
    app_id = service.app()
    answer = service.ask("PUT", f"/apps/{app_id}/import-policy", json=parts)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]
    assert service.get(f"/apps/{app_id}/import-policy") == DEFAULT
    assert service.last_event(app_id)["type"] == "app.create"


def test_every_contradiction_is_told_at_once(service: Service) -> None:
    answer = service.ask(
        "PUT",
        f"/apps/{service.app()}/import-policy",
        json={"username": {"format": "CUSTOM"}, "safeguard": {"maxUnassignedPercent": 101}, "csv": {"delimiter": ""}},
    )
    assert {cause.partition(":")[0] for cause in causes(answer)} == {
        "username.expression",
        "safeguard.maxUnassignedPercent",
        "csv.delimiter",
    }


def test_a_policy_is_replaced_by_who_saw_it_or_not_at_all(service: Service) -> None:
    path = f"/apps/{service.app()}/import-policy"
    seen = service.ask("GET", path).headers["etag"]
    changed = service.ask("PUT", path, json={"mastering": {"enabled": True}}, headers={"If-Match": seen})
    assert (changed.status_code, changed.headers["etag"] != seen) == (200, True)
    late = service.ask("PUT", path, json={}, headers={"If-Match": seen})
    assert refusal(late) == (412, "E0000231")
    assert changed.headers["etag"] in causes(late)[0]
    assert service.get(path)["mastering"]["enabled"] is True
    for fits in ("*", f"W/{changed.headers['etag']}", f'"0", {changed.headers["etag"]}'):
        assert service.ask("PUT", path, json={"mastering": {"enabled": True}}, headers={"If-Match": fits}).status_code == 200


def test_a_policy_that_stays_the_same_leaves_no_history(service: Service) -> None:
    app_id = service.app()
    tag = service.ask("GET", f"/apps/{app_id}/import-policy").headers["etag"]
    service.policy(app_id)
    assert service.ask("GET", f"/apps/{app_id}/import-policy").headers["etag"] == tag
    assert service.last_event(app_id)["type"] == "app.create"


def test_a_change_is_told_with_old_and_new(service: Service) -> None:
    app_id = service.app()
    service.policy(app_id, confirmation=OTHER["confirmation"])
    event = service.last_event(app_id)
    assert event["type"] == "app.policy.update"
    assert event["changes"].keys() == {"confirmation"}
    assert event["actor"]["name"] == "preset admin"
