"""Users through the official SDK: made, read, corrected, moved, deleted (API.md, /users)."""

from __future__ import annotations

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
