"""The System Log through the official SDK (API.md, /logs)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from okta.models import AppUserAssignRequest, UpdateUserRequest, UserProfile
from okta.pagination import PaginationHelper

from tests.okta.caller import Sdk, causes

STORY = [
    "user.lifecycle.create",
    "user.lifecycle.activate",
    "user.account.update_profile",
    "user.lifecycle.suspend",
    "user.lifecycle.unsuspend",
    "application.user_membership.add",
    "application.user_membership.remove",
    "user.lifecycle.deactivate",
    "user.lifecycle.delete.initiated",
]


@pytest.fixture(scope="module")
def story(sdk: Sdk) -> Any:
    """A user to whom everything happened that can."""
    client, user = sdk.client, sdk.user("storied")
    app_id = sdk.http.post("/apps", json={"label": "Told"}).raise_for_status().json()["id"]
    sdk.get(client.update_user(user.id, UpdateUserRequest(profile=UserProfile(title="Rep"))))
    sdk.get(client.suspend_user(user.id))
    sdk.get(client.unsuspend_user(user.id))
    sdk.get(client.assign_user_to_application(app_id, AppUserAssignRequest(id=user.id)))
    sdk.get(client.unassign_user_from_application(app_id, user.id))
    sdk.get(client.delete_user(user.id))
    sdk.get(client.delete_user(user.id))
    return user


def test_what_happened_to_a_user_is_told_in_order_under_oktas_names(sdk: Sdk, story: Any) -> None:
    events = sdk.get(sdk.client.list_log_events(filter=f'target.id eq "{story.id}"'))
    assert [event.event_type for event in events] == STORY
    first = events[0]
    assert (first.outcome.result, first.severity, first.target[0].type, first.target[0].id) == ("SUCCESS", "INFO", "User", story.id)
    assert first.actor.id
    assert (first.version, first.published, first.transaction.type) == ("0", story.created, "WEB")
    assert "storied" not in str(events), "the log holds nobody's personal values"


def test_newest_first_is_the_same_backwards_page_by_page(sdk: Sdk, story: Any) -> None:
    asked = {"filter": f'target.id eq "{story.id}"', "sort_order": "DESCENDING", "limit": 4}
    assert [event.event_type for event in sdk.all(sdk.client.list_log_events, **asked)] == STORY[::-1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('eventType eq "user.lifecycle.suspend"', ["user.lifecycle.suspend"]),
        ('eventType sw "application."', STORY[5:7]),
        ('eventType co ".delete"', STORY[8:]),
        ('not (eventType sw "user.lifecycle" or eventType sw "application.")', ["user.account.update_profile"]),
        ('outcome.result ne "SUCCESS"', []),
        ('severity eq "INFO" and published gt "2020-01-01T00:00:00Z"', STORY),
    ],
)
def test_a_filter_of_the_log_holds_what_okta_documents(sdk: Sdk, story: Any, text: str, told: list[str]) -> None:
    events = sdk.get(sdk.client.list_log_events(filter=f'target.id eq "{story.id}" and ({text})'))
    assert [event.event_type for event in events] == told


def test_an_event_is_found_by_its_own_id_actor_transaction_and_words(sdk: Sdk, story: Any) -> None:
    one = sdk.get(sdk.client.list_log_events(filter=f'target.id eq "{story.id}"', limit=1))[0]
    found = f'uuid eq "{one.uuid}" and actor.id eq "{one.actor.id}" and transaction.id eq "{one.transaction.id}"'
    assert [event.uuid for event in sdk.get(sdk.client.list_log_events(filter=found))] == [one.uuid]
    words = sdk.get(sdk.client.list_log_events(q=f"{story.id} SUSPEND"))
    assert [event.event_type for event in words] == ["user.lifecycle.suspend", "user.lifecycle.unsuspend"]


def test_since_and_until_bound_the_log_and_a_bounded_log_ends(sdk: Sdk, story: Any) -> None:
    hour = timedelta(hours=1)
    since, until = story.created.isoformat(), (story.created + hour).isoformat()
    assert story.id in {event.target[0].id for event in sdk.all(sdk.client.list_log_events, since=since, until=until, limit=5)}
    before = sdk.get(sdk.client.list_log_events(since=(story.created - hour).isoformat(), until=since))
    assert story.id not in {event.target[0].id for event in before}
    assert sdk.get(sdk.client.list_log_events(since=until)) == []


def test_polling_goes_on_where_it_stopped_and_sees_only_what_is_new(sdk: Sdk, story: Any) -> None:
    after = None
    while True:
        seen, answer, _ = sdk.runner.run(sdk.client.list_log_events(after=after, limit=50))
        after = PaginationHelper.extract_next_cursor(answer.headers)
        assert after is not None, "a poll always has a next page"
        if not seen:
            break
    new = sdk.user("polled", activate=False)
    events, answer, _ = sdk.runner.run(sdk.client.list_log_events(after=after))
    assert [(event.event_type, event.target[0].id) for event in events] == [("user.lifecycle.create", new.id)]


def test_an_import_is_told_as_okta_tells_one(sdk: Sdk) -> None:
    app_id = sdk.http.post("/apps", json={"label": "Imported"}).raise_for_status().json()["id"]
    run = sdk.http.post(f"/apps/{app_id}/imports?mode=FULL", json=[], headers={"Prefer": "wait=30"}).raise_for_status().json()
    events = sdk.get(sdk.client.list_log_events(filter=f'transaction.id eq "{run["id"]}" and eventType sw "system.import."'))
    assert [event.event_type for event in events] == ["system.import.start", "system.import.complete"]
    assert {event.transaction.type for event in events} == {"JOB"}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('target.alternateId eq "x"', "filter: at character 1: target.alternateId is nothing to filter by; "),
        ('eventType gt "x"', "filter: at character 1: eventType does not know the operator gt"),
        ('eventType eq "x" and', "filter: at character 21: the filter is not finished"),
        ('outcome.result eq "GREAT"', "filter: at character 1: outcome.result is never GREAT"),
    ],
)
def test_what_the_log_cannot_be_filtered_by_is_refused_by_name_and_place(sdk: Sdk, text: str, cause: str) -> None:
    refused = sdk.refusal(sdk.client.list_log_events(filter=text))
    assert (refused.status, refused.error_code) == (400, "E0000001")
    assert causes(refused)[0].startswith(cause), causes(refused)
