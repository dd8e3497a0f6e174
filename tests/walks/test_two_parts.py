"""Linked records and absences first, unlinked records after: one snapshot, one person, two ids (SPEC §5.3); and who comes back (§§3, 5.4)."""

from itertools import permutations
from typing import Any

import pytest

from mastering import assignments
from mastering.clock import now
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, Matching, WhenDeactivated
from tests.walks.imports_world import ADMIN, World, calm, master, person

RETURNS = master(suspended=True, deactivated=True)
NOTHING = master(WhenDeactivated.DO_NOTHING, suspended=True, deactivated=True)


def jane(external_id: str, **more: Any) -> dict[str, Any]:
    """A record of one and the same person under some id."""
    return person(external_id, **{"email": "jane@x.org", "firstName": "Jane", "lastName": "Doe", **more})


# -- one snapshot ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [[jane("C1", active=False)], []], ids=["inactive", "missing"])
@pytest.mark.parametrize("turned", [True, False])
def test_a_contractor_who_becomes_an_employee_goes_and_comes_back_and_history_has_both(
    org: World, ends: list[dict[str, Any]], turned: bool
) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [jane("C1"), person("X")])
    user = org.user_of(hr, "C1")
    records = [*ends, person("X"), jane("E1", title="Lead")]
    run = org.send(hr, records[::-1] if turned else records)
    assert [(row.external_id, row.action, row.from_status, row.to_status) for row in org.changes(run)] == [
        ("C1", "deactivate", "ACTIVE", "DEACTIVATED"),
        ("E1", "link", "DEACTIVATED", "ACTIVE"),
    ]
    assert org.user_of(hr, "E1").id == user.id
    assert (org.user(user.id).status, org.user(user.id).profile["title"]) == ("ACTIVE", "Lead")
    told = org.kinds(user.id)[2:]
    assert told == ["user.deactivate", "account.replaced", "account.link", "user.reactivate"]
    assert (org.account(hr, "C1").released, org.account(hr, "E1").released) == (True, False)


def test_the_way_back_from_employee_to_contractor_is_the_same_person_too(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [jane("C1")])
    user = org.user_of(hr, "C1")
    org.send(hr, [jane("C1", active=False), jane("E1")])
    for records in permutations([jane("C1", title="Back"), jane("E1", active=False)]):
        run = org.send(hr, records, dry_run=True)
        assert [(row.external_id, row.situation, row.to_status) for row in org.changes(run)] == [
            ("E1", "WENT_INACTIVE", "DEACTIVATED"),
            ("C1", "CAME_BACK", "ACTIVE"),
        ]
    org.send(hr, [jane("C1", title="Back"), jane("E1", active=False)])
    assert (org.user(user.id).status, org.user(user.id).profile["title"]) == ("ACTIVE", "Back")
    assert (org.account(hr, "C1").released, org.account(hr, "E1").released) == (False, True)


def test_a_pending_contractor_is_not_activated_by_the_detour(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS, confirmation=Confirmation(auto_confirm_exact=True, auto_confirm_new=True)))
    org.send(hr, [jane("C1")])
    org.send(hr, [jane("C1", active=False), jane("E1")])
    assert org.user_of(hr, "E1").status == "PENDING_ACTIVATION"


def test_with_do_nothing_the_contractor_account_is_released_and_the_employee_takes_its_place(org: World) -> None:
    hr = org.app("HR", calm(mastering=NOTHING))
    org.send(hr, [jane("C1")])
    org.send(hr, [jane("C1", active=False), jane("E1")])
    user = org.user_of(hr, "E1")
    assert (user.status, org.kinds(user.id)[2:]) == ("ACTIVE", ["account.release", "account.link"])


def test_the_new_id_speaks_last_though_a_lower_master_spoke_in_between(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=NOTHING)), org.app("AD", calm())
    org.send(hr, [jane("C1", department="Sales")])
    org.send(ad, [jane("a1", department="IT")])
    org.send(hr, [jane("C1", active=False), jane("E1", department="Sales")])
    assert org.user_of(hr, "E1").profile["department"] == "Sales"


def test_profiles_are_compared_as_they_were_before_the_run(org: World) -> None:
    hr = org.app("HR", calm(matching=Matching(username=False, email=True)))
    org.send(hr, [jane("E1", email="old@x.org")])
    run = org.send(hr, [jane("E1", email="new@x.org"), person("E2", email="old@x.org"), person("E3", email="new@x.org")])
    assert (org.change(run, "E2").situation, org.change(run, "E2").reason) == ("CONFLICT", "place_taken")
    assert org.change(run, "E3").situation == "CONFLICT"


def test_whether_a_new_id_matches_exactly_is_judged_by_the_profile_before_the_run_whatever_the_run_maps_first(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=NOTHING, matching=Matching(username=False, email=True))), org.app("AD", calm())
    org.send(hr, [jane("C1")])
    org.send(ad, [jane("a1")])
    user = org.user_of(hr, "C1").id
    org.send(ad, [jane("a1", email="jane@elsewhere.org")])
    org.act(user, "suspend")
    run = org.send(hr, [jane("C1", active=False), jane("E1")])
    assert [(row.external_id, row.action, row.trigger) for row in org.changes(run)] == [
        ("C1", "release", None),
        ("E1", "link", "unsuspend"),
    ]
    assert (org.user(user).status, org.user(user).profile["email"]) == ("ACTIVE", "jane@x.org")


def test_users_created_in_a_run_are_no_candidates_in_it(org: World) -> None:
    hr = org.app("HR", calm(matching=Matching(allow_partial=True)))
    run = org.send(hr, [jane("E1", email="1@x.org"), jane("E2", email="2@x.org")])
    assert org.situations(run) == {"UNMATCHED": 2}
    assert org.user_of(hr, "E1").id != org.user_of(hr, "E2").id


def test_who_left_in_this_run_is_found_as_the_run_leaves_them(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [jane("C1")])
    run = org.send(hr, [jane("E1")])
    row = org.change(run, "E1")
    assert (row.situation, row.action, row.reason, row.from_status, row.to_status) == ("EXACT", "link", "switch_off", *["DEACTIVATED"] * 2)
    assert org.user_of(hr, "E1").status == "DEACTIVATED"


# -- WENT_MISSING and when the snapshot was taken ---------------------------------------------------------------------------


def test_who_was_linked_after_the_run_was_accepted_is_not_missing_from_it(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    early = org.begin(hr)
    org.moment()
    org.delta(hr, [person("E2")])
    org.seal(early, [person("E1")])
    org.work()
    assert (org.situations(org.run(early)), org.account(hr, "E2").account) == ({"UNCHANGED": 1}, "ACTIVE")


def test_a_snapshot_says_nothing_of_who_was_linked_after_it_was_taken(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    taken = org.moment()
    org.delta(hr, [person("E2")])
    assert org.situations(org.send(hr, [person("E1")], snapshot_at=taken)) == {"UNCHANGED": 1}
    assert org.situations(org.send(hr, [person("E1")])) == {"UNCHANGED": 1, "WENT_MISSING": 1}


# -- released accounts ------------------------------------------------------------------------------------------------------


def test_a_released_account_is_assigned_again_only_when_it_comes_back(org: World) -> None:
    hr = org.app("HR", calm(mastering=NOTHING))
    org.send(hr, [jane("E1", department="Sales"), person("X")])
    org.send(hr, [jane("E1", active=False), person("X")])
    assert org.account(hr, "E1").released
    run = org.send(hr, [jane("E1", department="Legal"), person("X")])
    assert (org.change(run, "E1").situation, org.change(run, "E1").action) == ("CAME_BACK", "link")
    assert (org.account(hr, "E1").released, org.user_of(hr, "E1").profile["department"]) == (False, "Legal")


def test_a_released_account_that_goes_inactive_does_nothing_and_its_absence_means_nothing(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [jane("E1"), person("X")])
    assignments.unassign(org.engine, ADMIN, now(), hr, org.user_of(hr, "E1").id)
    assert org.situations(org.send(hr, [person("X")])) == {"UNCHANGED": 2}
    run = org.send(hr, [jane("E1", active=False), person("X")])
    assert (org.change(run, "E1").situation, org.change(run, "E1").action) == ("WENT_INACTIVE", "none")
    assert (org.user_of(hr, "E1").status, org.account(hr, "E1").account) == ("ACTIVE", "INACTIVE")


def replaced(org: World) -> tuple[str, str]:
    """An app whose account C1 of jane was released when E1 took its place; the app and the user."""
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [jane("C1"), person("X")])
    user = org.user_of(hr, "C1").id
    org.send(hr, [jane("C1", active=False), jane("E1"), person("X")])
    return hr, user


def test_a_released_account_whose_place_is_taken_waits_with_its_profile_stored(org: World) -> None:
    hr, user = replaced(org)
    for _ in range(2):
        run = org.delta(hr, [jane("C1", title="Second job", active=True)])
        assert (org.situations(run), org.change(run, "C1").reason) == ({"CONFLICT": 1}, "place_taken")
    assert org.queue(hr)["C1"] == ("CONFLICT", "place_taken", ["jane@x.org"])
    assert (org.account(hr, "C1").released, org.account(hr, "C1").profile["title"]) == (True, "Second job")
    assert org.user(user).profile.get("title") is None


@pytest.mark.parametrize("gone", [[jane("C1", active=False)], []], ids=["inactive", "absent"])
def test_it_leaves_the_queue_when_it_is_gone_again(org: World, gone: list[dict[str, Any]]) -> None:
    hr, user = replaced(org)
    org.delta(hr, [jane("C1", active=True)])
    run = org.send(hr, [*gone, jane("E1"), person("X")])
    assert (org.change(run, "C1").situation, org.queue(hr)) == ("WITHDRAWN", {})
    assert (org.account(hr, "C1").user_id, org.account(hr, "C1").released) == (user, True)
    run = org.delta(hr, [jane("C1", active=True)])
    assert org.situations(run) == {"CONFLICT": 1}


@pytest.mark.parametrize("again", [[], [jane("C1", active=True, title="Back")]], ids=["without a record", "with one"])
def test_it_is_assigned_again_by_the_run_that_finds_its_place_free(org: World, again: list[dict[str, Any]]) -> None:
    hr, user = replaced(org)
    org.delta(hr, [jane("C1", active=True, title="Back")])
    run = org.delta(hr, [jane("E1", active=False), *again])
    assert [(row.external_id, row.situation, row.to_status) for row in org.changes(run)] == [
        ("E1", "WENT_INACTIVE", "DEACTIVATED"),
        ("C1", "CAME_BACK", "ACTIVE"),
    ]
    assert (org.user(user).status, org.user(user).profile["title"], org.queue(hr)) == ("ACTIVE", "Back", {})
    assert (org.account(hr, "C1").released, org.account(hr, "E1").released) == (False, True)


def test_returns_that_wait_for_one_place_wait_on_until_one_of_them_says_so_alone(org: World) -> None:
    hr, user = replaced(org)
    org.send(hr, [person("X"), jane("E1", active=False)])
    org.delta(hr, [jane("C1", active=True), jane("E1", active=True)])
    assert set(org.queue(hr)) == {"C1", "E1"}
    assert org.changes(org.delta(hr, [])) == []
    assert (set(org.queue(hr)), org.user(user).status) == ({"C1", "E1"}, "DEACTIVATED")


def test_a_department_change_in_a_delta_takes_no_waiting_return_out_of_the_queue(org: World) -> None:
    hr, _ = replaced(org)
    org.delta(hr, [jane("C1", active=True)])
    for _ in range(2):
        run = org.delta(hr, [jane("C1", department="Legal")])
        assert (org.situations(run), set(org.queue(hr))) == ({"CONFLICT": 1}, {"C1"})
    assert org.account(hr, "C1").profile["department"] == "Legal"


def test_an_ignored_return_stays_ignored(org: World) -> None:
    hr, user = replaced(org)
    org.delta(hr, [jane("C1", active=True)])
    org.review(hr, "C1", Verdict.IGNORE)
    org.delta(hr, [jane("E1", active=False)])
    for records in ([jane("C1", active=True)], [jane("C1", active=False)], [jane("C1", active=True)]):
        org.delta(hr, records)
        assert (org.user(user).status, org.queue(hr), set(org.queue(hr, ignored=True))) == ("DEACTIVATED", {}, {"C1"})
    org.review(hr, "C1", Verdict.UNIGNORE)
    org.delta(hr, [jane("C1", active=True)])
    assert org.user(user).status == "ACTIVE"


# -- several at once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("login", ["jane@x.org", "new@x.org"])
def test_several_accounts_of_one_app_that_come_back_at_once_are_all_in_conflict(org: World, turned: bool, login: str) -> None:
    hr, user = replaced(org)
    org.send(hr, [person("X"), jane("E1", active=False)])
    back = [jane("C1", email=login, title="C", active=True), jane("E1", email=login, title="E", active=True)]
    for _ in range(2):
        run = org.delta(hr, back[::-1] if turned else back)
        assert (run.status, org.situations(run)) == ("COMPLETED", {"CONFLICT": 2})
        assert {row.reason for row in org.changes(run)} == {"several_returns"}
    assert {name: waits[0] for name, waits in org.queue(hr).items()} == {"C1": "CONFLICT", "E1": "CONFLICT"}
    assert (org.user(user).status, org.user(user).login) == ("DEACTIVATED", "jane@x.org")
    run = org.delta(hr, [jane("E1", active=True)])
    assert (org.change(run, "E1").situation, org.user(user).status, set(org.queue(hr))) == ("CAME_BACK", "ACTIVE", {"C1"})
    org.send(hr, [jane("E1"), person("X")])
    assert org.queue(hr) == {}


def test_a_return_and_a_new_id_for_the_same_person_leave_the_new_one_waiting(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [jane("C1")])
    org.delta(hr, [jane("C1", active=False)])
    run = org.delta(hr, [jane("E1", active=True), jane("C1", active=True)])
    assert (org.change(run, "C1").situation, org.change(run, "E1").situation) == ("CAME_BACK", "CONFLICT")
    assert org.user_of(hr, "C1").status == "ACTIVE"


# -- linking an account that is itself inactive -----------------------------------------------------------------------------


def test_linking_an_account_that_is_itself_inactive_is_no_return(org: World) -> None:
    hr, user = replaced(org)
    john = org.by_hand("john")
    org.act(john.id, "deactivate")
    org.review(hr, "C1", Verdict.LINK, user_id=john.id)
    assert (org.user(john.id).status, org.account(hr, "C1").user_id) == ("DEACTIVATED", john.id)
    assert (org.account(hr, "C1").released, org.user(user).status) == (False, "ACTIVE")
    org.delta(hr, [jane("C1", active=True, email="john@example.com")])
    assert org.user(john.id).status == "ACTIVE"


def test_who_came_to_the_queue_after_the_run_was_accepted_stays_there(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.send(hr, [person("X")])
    snapshot = org.begin(hr)
    org.moment()
    org.delta(hr, [person("NEW")])
    org.seal(snapshot, [person("X")])
    org.work()
    assert (org.run(snapshot).status, set(org.queue(hr))) == ("COMPLETED", {"NEW", "X"})
    org.moment()
    org.send(hr, [person("X")])
    assert set(org.queue(hr)) == {"X"}
