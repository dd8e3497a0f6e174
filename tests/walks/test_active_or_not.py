"""What a record says by its `active`, and by leaving it out (SPEC §§5.2, 5.4)."""

from typing import Any

import pytest

from tests.walks.imports_world import World, calm, master, person

RETURNS = master(suspended=True, deactivated=True)


def test_an_absent_active_means_true(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("E1")])
    assert (org.account(hr, "E1").account, org.user_of(hr, "E1").status) == ("ACTIVE", "ACTIVE")
    org.send(hr, [person("E1", active=False)])
    run = org.send(hr, [person("E1")])
    assert (org.situations(run), org.user_of(hr, "E1").status) == ({"CAME_BACK": 1}, "ACTIVE")


@pytest.mark.parametrize("gone", [[person("E1", active=False), person("E2")], [person("E2")]], ids=["inactive", "missing"])
def test_a_department_change_in_a_delta_does_not_bring_back_a_leaver(org: World, gone: list[dict[str, Any]]) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("E1"), person("E2")])
    org.send(hr, gone)
    run = org.delta(hr, [person("E1", department="Alumni")])
    assert (org.situations(run), org.user_of(hr, "E1").status) == ({"CHANGED": 1}, "DEACTIVATED")
    assert org.account(hr, "E1").profile["department"] == "Alumni"
    assert "department" not in org.user_of(hr, "E1").profile
    assert org.situations(org.delta(hr, [person("E1", active=True)])) == {"CAME_BACK": 1}


def test_a_delta_without_active_leaves_an_active_account_active(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    assert org.situations(org.delta(hr, [person("E1", department="Legal")])) == {"CHANGED": 1}
    assert org.user_of(hr, "E1").profile["department"] == "Legal"


def test_a_stranger_known_as_inactive_is_not_pulled_in_by_a_delta_that_does_not_say_active(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", active=False)])
    assert org.situations(org.delta(hr, [person("E1", active=False)])) == {"INACTIVE_UNKNOWN": 1}
    assert org.situations(org.delta(hr, [person("E1")])) == {"UNMATCHED": 1}  # nobody keeps a stranger who is inactive


def test_a_missing_account_that_turns_up_inactive_changes_its_mark_and_nothing_else(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    org.send(hr, [person("E2")])
    run = org.send(hr, [person("E1", active=False), person("E2")])
    assert (org.situations(run), org.account(hr, "E1").account) == ({"CHANGED": 1, "UNCHANGED": 1}, "INACTIVE")
    assert org.user_of(hr, "E1").status == "DEACTIVATED"


def test_an_inactive_account_absent_from_a_full_run_is_unchanged(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", active=True), person("E2")])
    org.send(hr, [person("E1", active=False), person("E2")])
    run = org.send(hr, [person("E2")])
    assert (org.situations(run), org.account(hr, "E1").account) == ({"UNCHANGED": 2}, "INACTIVE")


def test_a_delta_concludes_nothing_from_absence(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    run = org.delta(hr, [])
    assert (run.status, org.situations(run)) == ("COMPLETED", {})
    assert [org.account(hr, name).account for name in ("E1", "E2")] == ["ACTIVE", "ACTIVE"]


def test_an_admins_suspension_is_not_undone_by_an_account_that_was_active_all_along(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("E1")])
    org.act(org.user_of(hr, "E1").id, "suspend")
    org.send(hr, [person("E1", department="Legal")])
    assert (org.user_of(hr, "E1").status, org.user_of(hr, "E1").profile["department"]) == ("SUSPENDED", "Legal")
