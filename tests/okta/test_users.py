"""Users through the official SDK: made, read, corrected, moved, deleted (API.md, /users)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from okta.models import UpdateUserRequest, UserProfile

from tests.okta.caller import Sdk, causes, person


def test_a_user_is_created_active_and_found_by_id_and_by_login(sdk: Sdk) -> None:
    made = sdk.user("jane", department="Sales")
    assert made.status == "ACTIVE"
    assert made.activated == made.created
    for key in (made.id, made.profile.login, made.profile.login.upper()):
        found = sdk.get(sdk.client.get_user(key))
        assert (found.id, found.profile.department, found.type.id) == (made.id, "Sales", made.type.id)


def test_a_user_created_without_activation_is_staged(sdk: Sdk) -> None:
    made = sdk.user(activate=False)
    assert (made.status, made.activated) == ("STAGED", None)


def test_a_partial_update_keeps_what_it_does_not_name_and_a_full_one_clears_it(sdk: Sdk) -> None:
    made = sdk.user("kim", department="Sales", title="Rep")
    merged = sdk.get(sdk.client.update_user(made.id, UpdateUserRequest(profile=UserProfile(title="Lead"))))
    assert (merged.profile.title, merged.profile.department) == ("Lead", "Sales")
    whole = UserProfile(**{**made.profile.to_dict(), "department": None, "title": "Head"})
    replaced = sdk.get(sdk.client.replace_user(made.id, UpdateUserRequest(profile=whole)))
    assert (replaced.profile.title, replaced.profile.department) == ("Head", None)


def test_the_first_delete_deactivates_and_the_second_deletes(sdk: Sdk) -> None:
    made = sdk.user()
    assert sdk.get(sdk.client.delete_user(made.id)) is None
    assert sdk.get(sdk.client.get_user(made.id)).status == "DEPROVISIONED"
    assert sdk.get(sdk.client.delete_user(made.id)) is None
    assert sdk.refusal(sdk.client.get_user(made.id)).error_code == "E0000007"


def test_refusals_are_the_sdks_own_error_objects_with_oktas_codes(sdk: Sdk) -> None:
    made = sdk.user()
    taken = sdk.refusal(sdk.client.create_user(person(made.profile.login.partition("@")[0])))
    assert (taken.status, taken.error_code) == (400, "E0000001")
    assert causes(taken) == ["login: An object with this field already exists in the current organization"]
    assert taken.error_id.startswith("oae")


# -- lifecycle ------------------------------------------------------------------------------------------------------------


def test_every_lifecycle_call_moves_the_status_it_names(sdk: Sdk) -> None:
    made, client = sdk.user(activate=False), sdk.client

    def status() -> Any:
        return sdk.get(client.get_user(made.id)).status

    sdk.get(client.reactivate_user(made.id, send_email=False))
    assert status() == "STAGED"
    sdk.get(client.activate_user(made.id, send_email=False))
    assert status() == "ACTIVE"
    sdk.get(client.suspend_user(made.id))
    assert status() == "SUSPENDED"
    sdk.get(client.unsuspend_user(made.id))
    assert status() == "ACTIVE"
    sdk.get(client.deactivate_user(made.id))
    assert status() == "DEPROVISIONED"
    sdk.get(client.activate_user(made.id, send_email=False))
    assert status() == "ACTIVE"


def test_a_refused_lifecycle_call_carries_oktas_code_and_cause(sdk: Sdk) -> None:
    made, client = sdk.user(), sdk.client
    active = sdk.refusal(client.activate_user(made.id, send_email=False))
    assert (active.status, active.error_code) == (403, "E0000016")
    unsuspended = sdk.refusal(client.unsuspend_user(made.id))
    assert (unsuspended.status, unsuspended.error_code) == (400, "E0000001")
    assert causes(unsuspended) == ["Cannot unsuspend a user that is not suspended"]
    sdk.get(client.suspend_user(made.id))
    assert causes(sdk.refusal(client.suspend_user(made.id))) == ["Cannot suspend a user that is not active"]
    sdk.get(client.deactivate_user(made.id))
    gone = sdk.refusal(client.deactivate_user(made.id))
    assert (gone.status, gone.error_code) == (403, "E0000038")
    assert sdk.refusal(client.suspend_user("nobody")).error_code == "E0000007"


# -- lists ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def staff(sdk: Sdk) -> list[Any]:
    """Five people of one division, the third suspended and the last deactivated."""
    made = [
        sdk.user(f"staff{name}", lastName=name, department=department, division="Staff", employeeNumber=f"S-{number}")
        for number, (name, department) in enumerate(
            [("Zimmer", "Sales"), ("Abel", "Legal"), ("Möller", "Sales"), ("abt", "Support"), ("Kern", "Sales")], start=1
        )
    ]
    sdk.get(sdk.client.suspend_user(made[2].id))
    sdk.get(sdk.client.deactivate_user(made[4].id))
    return made


SEARCHES = [
    ('profile.department eq "sales"', {1, 3, 5}),
    ('profile.department eq "Sales" and status eq "ACTIVE"', {1}),
    ('profile.lastName sw "ab"', {2, 4}),
    ('profile.lastName co "LL"', {3}),
    ('profile.lastName eq "moller"', set()),
    ('profile.lastName gt "b" and (status lt "DEPROVISIONED" or status gt "DEPROVISIONED")', {1, 3}),
    ('profile.employeeNumber ge "S-2" and profile.employeeNumber le "s-4"', {2, 3, 4}),
    ('not (profile.department eq "Sales")', {2, 4}),
    ('not (profile.title pr) and profile.department eq "Legal"', {2}),
    ('status eq "SUSPENDED" or status eq "DEPROVISIONED" or status eq "LOCKED_OUT"', {3, 5}),
    ('created gt "2020-01-01T00:00:00.000Z" and lastUpdated le "2099-01-01T00:00:00+01:00"', {1, 2, 3, 4, 5}),
    ('activated lt "2020-01-01T00:00:00.000Z"', set()),
    ("statusChanged pr", {1, 2, 3, 4, 5}),
    ('profile.login eq "STAFFZIMMER1@example.com"', None),
]


@pytest.mark.parametrize(("search", "found"), SEARCHES, ids=[search for search, _ in SEARCHES])
def test_a_search_finds_whom_oktas_operators_describe(sdk: Sdk, staff: list[Any], search: str, found: set[int] | None) -> None:
    everybody = sdk.get(sdk.client.list_users(search=f'profile.division eq "Staff" and ({search})'))
    numbers = {int(user.profile.employee_number[2:]) for user in everybody}
    assert numbers == ({1} if found is None and staff[0].profile.login == "staffZimmer1@example.com" else found or set())


def test_a_sorted_search_leads_page_by_page_through_everybody_once(sdk: Sdk, staff: list[Any]) -> None:
    asked = {"search": 'profile.division eq "Staff"', "sort_by": "profile.department", "limit": 2}
    expected = sorted(staff, key=lambda user: (user.profile.department.lower(), user.id))
    assert [user.id for user in sdk.all(sdk.client.list_users, **asked)] == [user.id for user in expected]
    backwards = sdk.all(sdk.client.list_users, **asked, sort_order="desc")
    assert [user.id for user in backwards] == [user.id for user in reversed(expected)]


def test_a_filter_knows_the_properties_and_operators_that_okta_documents_and_no_others(sdk: Sdk, staff: list[Any]) -> None:
    def found(text: str) -> list[str]:
        return [user.id for user in sdk.get(sdk.client.list_users(filter=text))]

    login = staff[1].profile.login
    assert found(f'profile.login eq "{login}"') == [staff[1].id]
    assert found(f'(id eq "{staff[4].id}" or profile.email eq "{login}") and status eq "DEPROVISIONED"') == [staff[4].id]
    recent = (staff[0].created - timedelta(seconds=1)).isoformat()
    assert {user.id for user in staff} <= set(found(f'lastUpdated ge "{recent}"'))
    for text, cause in (
        ('profile.department eq "Sales"', "filter: at character 1: profile.department is nothing to filter by; "),
        ('status eq "ACTIVE" and profile.login sw "x"', "filter: at character 24: profile.login does not know the operator sw"),
        ('not (status eq "ACTIVE")', "filter: at character 1: 'not' is no operator here"),
        ('status eq "ACTIVE" nor status pr', "filter: at character 20: 'nor' does not fit here"),
    ):
        refused = sdk.refusal(sdk.client.list_users(filter=text))
        assert (refused.status, refused.error_code) == (400, "E0000001")
        assert causes(refused)[0].startswith(cause), causes(refused)


def test_an_operator_that_okta_does_not_search_by_is_refused_with_its_place_and_the_way_round_it(sdk: Sdk) -> None:
    refused = sdk.refusal(sdk.client.list_users(search='profile.city pr and profile.lastName ne "x"'))
    assert refused.error_code == "E0000001"
    (cause,) = causes(refused)
    assert cause.startswith(
        "search: at character 21: profile.lastName does not know the operator ne; it knows co, eq, ge, gt, le, lt, pr, sw"
    )
    assert cause.endswith("(x lt … or x gt …) says the same")


def test_a_people_picker_finds_beginnings_and_nobody_who_is_deactivated(sdk: Sdk, staff: list[Any]) -> None:
    assert [user.id for user in sdk.get(sdk.client.list_users(q="staffzim"))] == [staff[0].id]
    assert {user.id for user in sdk.get(sdk.client.list_users(q="AB"))} == {staff[1].id, staff[3].id}
    assert sdk.get(sdk.client.list_users(q="staffkern")) == []


def test_a_plain_list_leads_through_everybody_who_is_not_deactivated_once(sdk: Sdk, staff: list[Any]) -> None:
    seen = [user.id for user in sdk.all(sdk.client.list_users, limit=3)]
    assert len(seen) == len(set(seen))
    assert {user.id for user in staff[:4]} <= set(seen)
    assert staff[4].id not in seen


@pytest.mark.parametrize("limit", [0, 201])
def test_a_limit_beyond_oktas_is_refused(sdk: Sdk, limit: int) -> None:
    assert sdk.refusal(sdk.client.list_users(limit=limit)).error_code == "E0000001"
