"""The org's safeguard and the options beside it (API.md, /org/safeguard; SPEC §8)."""

import pytest

from tests.api.service import Service, causes, record, refusal

DEFAULT = {
    "enabled": True,
    "maxUnassignedPercent": 20,
    "minimumAssignments": 0,
    "updateDeactivatedUsers": False,
    "heldPlanRetentionDays": 30,
    "receivedRetentionDays": None,
}


def test_the_defaults_are_those_of_the_contract(service: Service) -> None:
    assert service.get("/org/safeguard") == DEFAULT


def test_putting_replaces_and_what_is_left_out_goes_back(service: Service) -> None:
    other = {
        "enabled": False,
        "maxUnassignedPercent": 1,
        "minimumAssignments": 5,
        "updateDeactivatedUsers": True,
        "heldPlanRetentionDays": 7,
        "receivedRetentionDays": 0,
    }
    assert service.put("/org/safeguard", json=other) == other
    assert service.get("/org/safeguard") == other
    assert service.put("/org/safeguard", json={"maxUnassignedPercent": 50}) == {**DEFAULT, "maxUnassignedPercent": 50}
    assert service.last_event()["type"] == "org.safeguard.update"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"maxUnassignedPercent": -1}, "maxUnassignedPercent: must be from 0 to 100"),
        ({"minimumAssignments": -1}, "minimumAssignments: must not be negative"),
        ({"heldPlanRetentionDays": 0}, "heldPlanRetentionDays: must be from 1 to 3650"),
        ({"receivedRetentionDays": -1}, "receivedRetentionDays: must be from 0 to 3650, or null: as long as plans are kept"),
        ({"heldPlanRetentionDays": 10**30}, "heldPlanRetentionDays: must be from 1 to 3650"),
        ({"maxUnassignedPercent": 20.5}, "maxUnassignedPercent: expected int, got float"),
        ({"limit": 1}, "limit: is not a field of this resource"),
    ],
)
def test_options_out_of_range_are_refused_and_nothing_is_kept(service: Service, body: object, fault: str) -> None:
    answer = service.ask("PUT", "/org/safeguard", json=body)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == [fault]
    assert service.get("/org/safeguard") == DEFAULT


def test_the_options_are_replaced_by_who_saw_them_or_not_at_all(service: Service) -> None:
    seen = service.ask("GET", "/org/safeguard").headers["etag"]
    assert service.ask("PUT", "/org/safeguard", json={"enabled": False}, headers={"If-Match": seen}).status_code == 200
    assert refusal(service.ask("PUT", "/org/safeguard", json={}, headers={"If-Match": seen})) == (412, "E0000231")
    assert service.get("/org/safeguard")["enabled"] is False


def test_the_orgs_limit_holds_a_run_that_its_apps_lets_through(service: Service) -> None:
    app_id = service.source(safeguard={"enabled": False})
    service.send(app_id, [record("jane"), record("john")])
    run = service.send(app_id, [record("jane")])
    assert (run["status"], run["safeguard"]["reason"]) == ("HELD", "org_limit")
    service.put("/org/safeguard", json={"maxUnassignedPercent": 50})
    assert service.send(app_id, [record("jane")])["status"] == "COMPLETED"
