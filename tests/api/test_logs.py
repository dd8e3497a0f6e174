"""The System Log over HTTP (API.md, /logs; SPEC §13)."""

from typing import Any

import pytest
from freezegun import freeze_time

from tests.api.service import Service, causes, record, refusal


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["eventType"] for event in events]


def test_what_was_done_is_told_oldest_first_in_oktas_words(service: Service) -> None:
    user = service.user("jane")
    service.post(f"/users/{user['id']}/lifecycle/suspend", json={"reason": "on the quiet"})
    events = service.get("/logs", params={"filter": f'target.id eq "{user["id"]}"'})
    assert types(events) == ["user.lifecycle.create", "user.lifecycle.activate", "user.lifecycle.suspend"]
    last = events[-1]
    assert (last["actor"]["displayName"], last["target"][0]["id"], last["outcome"]["result"]) == ("preset admin", user["id"], "SUCCESS")
    assert last["published"].endswith("Z")
    assert last["uuid"] == service.get(f"/users/{user['id']}/history")[0]["id"]


def test_nobodys_values_are_in_the_log(service: Service) -> None:
    app_id = service.source()
    service.send(app_id, [record("jane", title="Secretive")])
    service.send(app_id, [record("jane", title="Discreet")])
    jane = service.get("/users/jane@example.com")
    service.put(f"/users/{jane['id']}/hold", json={"reason": "on the quiet"})
    told = service.ask("GET", "/logs").text
    for value in ("jane@example.com", "Doe", "Secretive", "Discreet", "on the quiet"):
        assert value not in told


def test_what_a_run_did_can_be_followed(service: Service) -> None:
    run = service.send(service.source(), [record("jane")])
    job = [event for event in service.get("/logs") if event["transaction"]["type"] == "JOB"]
    assert {event["transaction"]["id"] for event in job} == {run["id"]}
    assert "system.import.start" in types(job)
    assert "user.lifecycle.create" in types(job)


def test_the_log_is_narrowed_by_type_target_time_and_words(service: Service) -> None:
    jane, john = service.user("jane"), service.user("john", activate=False)

    def found(**params: str) -> list[str]:
        return types(service.get("/logs", params={"filter": 'eventType eq "user.lifecycle.create"', **params}))

    assert len(found()) == 2
    assert len(found(filter=f'eventType eq "user.lifecycle.create" and target.id eq "{john["id"]}"')) == 1
    assert len(found(since=john["created"])) in {1, 2}
    assert found(since="9999-12-31T23:59:59-14:00") == []
    assert len(found(since="0001-01-01T00:00:00+14:00")) == 2
    assert found(until=jane["created"], since="0999-01-01T00:00:00Z") == []
    assert len(found(q=john["id"][-8:])) == 1
    assert found(q="% _") == []


def test_newest_first_is_the_same_log_from_the_other_end(service: Service) -> None:
    service.user("jane")
    oldest_first = service.get("/logs")
    assert service.get("/logs", params={"sortOrder": "DESCENDING"}) == oldest_first[::-1]


def test_an_open_question_can_be_polled_and_a_bounded_one_ends(service: Service) -> None:
    service.user("jane")
    answer = service.ask("GET", "/logs?limit=1000")
    following = answer.links["next"]["url"]
    quiet = service.ask("GET", following)
    assert (quiet.json(), "next" in quiet.links) == ([], True)
    service.user("john")
    assert "user.lifecycle.create" in types(service.ask("GET", quiet.links["next"]["url"]).json())
    assert "next" not in service.ask("GET", "/logs?limit=1000&until=9999-01-01T00:00:00Z").links


def test_who_follows_the_log_is_given_what_was_written_while_nobody_asked_for_longer_than_the_log_looks_back(service: Service) -> None:
    with freeze_time("2036-03-01T12:00:00Z", real_asyncio=True):
        service.user("jane")
        following = service.ask("GET", "/logs?limit=1000").links["next"]["url"]
        john = service.user("john")
    with freeze_time("2036-03-20T12:00:00Z", real_asyncio=True):
        assert service.get("/logs") == []
        answer = service.ask("GET", following)
        assert {event["target"][0]["id"] for event in answer.json()} == {john["id"]}
        assert service.get("/logs", params={"sortOrder": "DESCENDING", "after": "1000"}) == []


def test_a_filter_that_nothing_fits_is_asked_on_behind_what_was_looked_at_and_passes_over_nothing(service: Service) -> None:
    of_john = {"filter": 'eventType eq "user.lifecycle.suspend"'}
    jane = service.user("jane")
    first = service.ask("GET", "/logs", params=of_john)
    service.post(f"/users/{jane['id']}/lifecycle/suspend")
    second = service.ask("GET", first.links["next"]["url"])
    newest = service.ask("GET", "/logs?limit=1000").links["next"]["url"].partition("after=")[2]
    assert (first.json(), types(second.json())) == ([], ["user.lifecycle.suspend"])
    assert int(first.links["next"]["url"].partition("after=")[2]) > 0
    assert second.links["next"]["url"].endswith(f"after={newest}")
    assert service.ask("GET", second.links["next"]["url"]).json() == []
    bounded = service.ask("GET", "/logs?limit=0")
    assert bounded.links["next"]["url"].endswith("after=0")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"filter": "eventType"}, "filter"),
        ({"filter": 'eventType gt "user"'}, "filter"),
        ({"filter": 'client.ipAddress eq "x"'}, "filter"),
        ({"filter": 'target.id eq "x" and'}, "filter"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-01-01T00:00:00"}, "until"),
        ({"sortOrder": "SIDEWAYS"}, "sortOrder"),
        ({"limit": "1001"}, "limit"),
        ({"after": "-1"}, "after"),
        ({"after": str(2**63)}, "after"),
        ({"q": "a " * 11}, "q"),
        ({"q": "a" * 41}, "q"),
    ],
)
def test_a_question_that_is_not_understood_is_refused(service: Service, params: dict[str, str], field: str) -> None:
    answer = service.ask("GET", "/logs", params=params)
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith(f"{field}: ")
