"""The past over HTTP: a user, the list, the masters and the counts as of an instant (API.md, asOf; SPEC §13)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mastering.clock import now, wire
from tests.api.service import Service, causes, record, refusal


def moment() -> str:
    """An instant after everything that has happened, and before everything to come."""
    at = wire(now())
    while wire(now()) == at:
        time.sleep(0.001)
    return at


def logins(users: list[dict[str, Any]]) -> set[str]:
    return {user["profile"]["login"].partition("@")[0] for user in users}


def test_who_was_there_and_in_which_status_is_told_as_of_then(service: Service) -> None:
    jane, john = service.user("jane"), service.user("john", title="Clerk")
    then = moment()
    service.post(f"/users/{jane['id']}/lifecycle/suspend")
    service.delete(f"/users/{john['id']}")
    service.delete(f"/users/{john['id']}")
    service.user("jack")
    assert logins(service.get("/users", params={"asOf": then})) == {"jane", "john"}
    assert logins(service.get("/users", params={"asOf": then, "filter": 'status eq "ACTIVE"'})) == {"jane", "john"}
    assert service.get("/users", params={"asOf": then, "filter": 'status eq "SUSPENDED" or status eq "STAGED"'}) == []
    assert logins(service.get("/users", params={"asOf": moment(), "filter": 'status eq "SUSPENDED"'})) == {"jane"}
    told = {user["id"]: user for user in service.get("/users", params={"asOf": then})}
    assert told[john["id"]]["profile"]["title"] == "Clerk"
    assert told[john["id"]] == service.get(f"/users/{john['id']}", params={"asOf": then})
    assert refusal(service.ask("GET", f"/users/{john['id']}", params={"asOf": moment()})) == (404, "E0000007")
    assert service.get("/users", params={"asOf": "2001-01-01T00:00:00Z"}) == []


def test_a_list_of_the_past_comes_in_pages(service: Service) -> None:
    for number in range(5):
        service.user(f"u{number}", activate=number % 2 == 0)
    then = moment()
    found, address = [], f"/users?limit=2&asOf={then}"
    while address:
        page = service.ask("GET", address)
        found.append(logins(page.json()))
        address = page.links.get("next", {}).get("url", "")
    assert found == [{"u0", "u1"}, {"u2", "u3"}, {"u4"}]


def test_authority_and_ranks_are_those_of_then(service: Service) -> None:
    hr, ad = service.source("HR"), service.source("AD", matching={"username": True})
    for app in (hr, ad):
        service.send(app, [record("jane", title=app)])
    then = moment()
    present = service.get("/users/jane@example.com/masters")
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})
    later = moment()
    service.put(f"/apps/{ad}", json={"label": "Directory"})
    service.policy(hr, mastering={"enabled": False})
    told = service.get("/users/jane@example.com/masters", params={"asOf": then})
    assert told["authority"] == present["authority"] == {"appId": hr, "label": "HR"}
    assert [(each["appId"], each["rank"], each["authority"]) for each in told["assignments"]] == [(hr, 1, True), (ad, 2, False)]
    assert told["attributes"]["title"] == present["attributes"]["title"]
    assert told["attributes"]["title"]["value"] == hr
    turned = service.get("/users/jane@example.com/masters", params={"asOf": later})
    assert turned["authority"] == {"appId": ad, "label": "AD"}
    assert turned["attributes"]["title"]["value"] == ad
    assert [each["silent"] for each in service.get("/users/jane@example.com/masters")["others"]] == ["not_a_master"]


def test_an_attribute_mastered_otherwise_then_is_told_so(service: Service) -> None:
    hr = service.source("HR")
    service.send(hr, [record("jane", title="Lead")])
    then = moment()
    wish = {"definitions": {"base": {"properties": {"title": {"master": {"type": "OKTA"}}}}}}
    service.post("/meta/schemas/user/default", json=wish)
    whys = [service.get("/users/jane@example.com/masters", params={"asOf": at})["attributes"]["title"]["why"] for at in (then, moment())]
    assert whys == ["inherit_from_profile_master", "inherit_from_directory"]


def test_how_many_had_which_status_is_counted_over_time(service: Service) -> None:
    service.user("jane")
    service.user("john", activate=False)
    (first, *_, last) = service.get("/history/counts", params={"since": "2001-01-01T00:00:00Z", "hours": 24 * 30, "until": moment()})
    assert first == {"at": "2001-01-01T00:00:00.000Z", "counts": {"PENDING_ACTIVATION": 0, "ACTIVE": 0, "SUSPENDED": 0, "DEACTIVATED": 0}}
    assert sum(last["counts"].values()) == 0, "a month passes only now and then"
    *_, present = service.get("/history/counts")
    assert present["counts"] == {"PENDING_ACTIVATION": 1, "ACTIVE": 1, "SUSPENDED": 0, "DEACTIVATED": 0}


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/users", {"asOf": "yesterday"}, "asOf"),
        ("/users", {"asOf": "2026-01-01T00:00:00"}, "asOf"),
        ("/users", {"asOf": "2026-01-01T00:00:00Z", "q": "jane"}, "q"),
        ("/users", {"asOf": "2026-01-01T00:00:00Z", "search": 'status eq "ACTIVE"'}, "search"),
        ("/users", {"asOf": "2026-01-01T00:00:00Z", "sortBy": "created"}, "sortBy"),
        ("/users", {"asOf": "2026-01-01T00:00:00Z", "filter": 'id eq "x"'}, "filter"),
        ("/history/counts", {"since": "2026-01-01T00:00:00"}, "since"),
        ("/history/counts", {"since": "1926-01-01T00:00:00Z", "hours": "1"}, "since"),
        ("/history/counts", {"since": "9999-01-01T00:00:00Z"}, "since"),
    ],
)
def test_a_question_about_the_past_that_cannot_be_is_refused(service: Service, path: str, params: dict[str, str], field: str) -> None:
    answer = service.ask("GET", path, params=params)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith(f"{field}: ")
