"""What is confirmed, what waits, and how waiting ends (SPEC §6)."""

from typing import Any

import pytest

from mastering import assignments
from mastering.catalog import policies
from mastering.clock import now
from mastering.review import Verdict
from mastering.rules.policy import AttributePair, Confirmation, Matching, faults
from mastering.rules.policy import ImportPolicy as Policy
from tests.walks.imports_world import ADMIN, World, calm, person

NONE = Confirmation()
PARTIAL = Matching(allow_partial=True)


def someone(external_id: str, **more: Any) -> dict[str, Any]:
    return person(external_id, firstName="Jane", lastName="Doe", **more)


# -- the options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
def test_an_exact_match_is_linked_or_waits(org: World, on: bool) -> None:
    jane = org.by_hand("jane")
    hr = org.app("HR", calm(confirmation=Confirmation(auto_confirm_exact=on)))
    row = org.change(org.send(hr, [person("E1", email=jane.login)]), "E1")
    assert (row.situation, row.action, row.rule) == ("EXACT", *(("link", "auto_confirm_exact") if on else ("wait", "needs_review")))
    assert (org.account(hr, "E1").user_id == jane.id, "E1" in org.queue(hr)) == (on, not on)


@pytest.mark.parametrize("on", [True, False])
def test_a_partial_match_is_linked_or_waits(org: World, on: bool) -> None:
    jane = org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(matching=PARTIAL, confirmation=Confirmation(auto_confirm_exact=True, auto_confirm_partial=on)))
    row = org.change(org.send(hr, [someone("E1")]), "E1")
    assert (row.situation, row.action, row.rule) == ("PARTIAL", *(("link", "auto_confirm_partial") if on else ("wait", "needs_review")))
    assert (org.account(hr, "E1").user_id == jane.id, "E1" in org.queue(hr)) == (on, not on)


@pytest.mark.parametrize(("new", "activate", "status"), [(True, True, "ACTIVE"), (True, False, "PENDING_ACTIVATION"), (False, True, None)])
def test_a_new_person_is_created_activated_or_waits(org: World, new: bool, activate: bool, status: str | None) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation(auto_confirm_new=new, auto_activate_new=activate)))
    row = org.change(org.send(hr, [person("E1")]), "E1")
    assert (row.situation, row.action, row.to_status) == ("UNMATCHED", "create" if new else "wait", status)
    made = org.by_login("e1@example.com")
    assert (made.status if made else None) == status
    assert ("E1" in org.queue(hr)) is not new


def test_ambiguous_and_conflict_wait_whatever_is_switched_on(org: World) -> None:
    for name in ("ann", "bea"):
        org.by_hand(name, firstName="Jane", lastName="Doe")
    org.by_hand("held")
    hr = org.app("HR", calm(matching=Matching(username=False, allow_partial=True)))
    org.send(hr, [someone("E1"), person("E2", email="held@example.com")])
    assert org.queue(hr) == {
        "E1": ("AMBIGUOUS", "ambiguous", ["ann@example.com", "bea@example.com"]),
        "E2": ("CONFLICT", "login_taken", []),
    }


def test_asking_for_attributes_and_for_the_username_is_refused() -> None:
    pair = (AttributePair("badge", "employeeNumber"),)
    assert faults(Policy(matching=Matching(username=False, attributes=pair))) == []
    for matching in (Matching(username=True, attributes=pair), Matching(username=False, email=True, attributes=pair)):
        assert faults(Policy(matching=matching))


# -- waiting --------------------------------------------------------------------------------------------------------------


def test_every_later_run_matches_a_waiting_row_again_and_confirms_it_like_a_fresh_one(org: World) -> None:
    hr = org.app("HR", calm(confirmation=NONE))
    org.send(hr, [person("E1"), person("E2")])
    org.set_policy(hr, calm())
    run = org.delta(hr, [person("E3")])
    assert {row.external_id: row.action for row in org.changes(run)} == {"E1": "create", "E2": "create", "E3": "create"}
    assert org.queue(hr) == {}
    assert org.user_of(hr, "E1").profile["firstName"] == "First-E1"


def test_a_waiting_row_without_a_record_appears_only_if_it_is_now_confirmed(org: World) -> None:
    hr = org.app("HR", calm(matching=PARTIAL, confirmation=Confirmation(auto_confirm_exact=True)))
    org.send(hr, [person("E1"), someone("E2")])
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    org.by_hand("e1", firstName="Known")
    run = org.delta(hr, [])
    assert [(row.external_id, row.situation, row.action, row.line) for row in org.changes(run)] == [("E1", "EXACT", "link", None)]
    assert org.situations(run) == {"EXACT": 1}
    assert org.queue(hr) == {"E2": ("PARTIAL", "partial", ["jane@example.com"])}


def test_waiting_rows_that_stand_in_each_others_way_do_not_appear_either(org: World) -> None:
    hr = org.app("HR", calm(matching=PARTIAL, confirmation=NONE))
    org.send(hr, [someone("E1"), someone("E2")])
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    org.set_policy(hr, calm(matching=PARTIAL))
    run = org.delta(hr, [])
    assert (org.changes(run), org.situations(run)) == ([], {})
    assert {waits[:2] for waits in map(tuple, org.queue(hr).values())} == {("CONFLICT", "user_claimed_twice")}


def test_a_full_run_carries_its_waiting_rows_as_records(org: World) -> None:
    hr = org.app("HR", calm(confirmation=NONE))
    for _ in range(2):
        assert org.situations(org.send(hr, [person("E1")])) == {"UNMATCHED": 1}
    assert org.kinds(org.account(hr, "E1").id) == ["account.wait"]


@pytest.mark.parametrize("gone", [[person("E1", active=False)], []], ids=["inactive", "absent"])
def test_a_waiting_row_that_is_gone_leaves_the_queue_and_comes_again(org: World, gone: list[dict[str, Any]]) -> None:
    hr = org.app("HR", calm(confirmation=NONE))
    org.send(hr, [person("E1"), person("E2")])
    run = org.send(hr, [*gone, person("E2")])
    assert (org.situations(run), set(org.queue(hr))) == ({"UNMATCHED": 1, "WITHDRAWN": 1}, {"E2"})
    assert org.change(run, "E1").action == "withdraw"
    org.send(hr, [person("E1"), person("E2")])
    assert set(org.queue(hr)) == {"E1", "E2"}


def test_a_delta_withdraws_whom_it_calls_inactive_and_nobody_else(org: World) -> None:
    hr = org.app("HR", calm(confirmation=NONE))
    org.send(hr, [person("E1"), person("E2")])
    assert org.situations(org.delta(hr, [person("E1", active=False)])) == {"WITHDRAWN": 1}
    assert set(org.queue(hr)) == {"E2"}


# -- refreshed at once ----------------------------------------------------------------------------------------------------


def test_when_somebody_who_could_match_appears_changes_or_goes_the_row_says_so_at_once_and_nothing_is_confirmed(org: World) -> None:
    hr = org.app("HR", calm(confirmation=NONE))
    org.send(hr, [person("E1")])
    org.set_policy(hr, calm())
    jane = org.by_hand("e1")
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["e1@example.com"])
    org.rename(jane.id, "else@example.com")
    assert org.queue(hr)["E1"] == ("UNMATCHED", "unmatched", [])
    org.rename(jane.id, "e1@example.com")
    org.act(jane.id, "deactivate")
    assert org.queue(hr)["E1"][0] == "EXACT"
    org.remove(jane.id)
    assert org.queue(hr)["E1"] == ("UNMATCHED", "unmatched", [])
    assert org.account(hr, "E1").user_id is None


def test_people_who_come_by_another_apps_import_refresh_the_queue_too(org: World) -> None:
    hr, ad = org.app("HR", calm(confirmation=NONE)), org.app("AD", calm())
    org.send(hr, [person("E1")])
    org.send(ad, [person("a1", email="e1@example.com")])
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["e1@example.com"])


def test_a_place_that_becomes_free_by_hand_ends_the_conflict_at_once(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation(auto_confirm_new=True)))
    org.send(hr, [person("E1", email="jane@x.org")])
    org.delta(hr, [person("E2", email="jane@x.org")])
    assert org.queue(hr)["E2"][:2] == ("CONFLICT", "place_taken")
    assignments.unassign(org.engine, ADMIN, now(), hr, org.user_of(hr, "E1").id)
    assert org.queue(hr)["E2"] == ("EXACT", "exact", ["jane@x.org"])


def test_a_conflict_made_by_another_records_claim_stands_until_the_next_run(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(matching=PARTIAL, confirmation=NONE))
    org.send(hr, [someone("E1"), someone("E2")])
    org.review(hr, "E1", Verdict.IGNORE)
    org.by_hand("somebody")
    assert org.queue(hr)["E2"][:2] == ("CONFLICT", "user_claimed_twice")
    org.delta(hr, [])
    assert org.queue(hr)["E2"] == ("PARTIAL", "partial", ["jane@example.com"])


def test_a_change_of_the_options_brings_waiting_rows_up_to_them_at_once(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(confirmation=NONE))
    org.send(hr, [someone("E1")])
    assert org.queue(hr)["E1"][0] == "UNMATCHED"
    policies.replace(org.engine, ADMIN, now(), hr, calm(matching=PARTIAL, confirmation=NONE))
    assert org.queue(hr)["E1"] == ("PARTIAL", "partial", ["jane@example.com"])


# -- undoing --------------------------------------------------------------------------------------------------------------


def test_unassigning_undoes_a_confirmed_link_and_no_import_brings_it_back(org: World) -> None:
    jane = org.by_hand("jane")
    hr = org.app("HR", calm())
    record = person("E1", email=jane.login)
    org.send(hr, [record])
    assignments.unassign(org.engine, ADMIN, now(), hr, jane.id)
    for again in (record, person("E1", email=jane.login, title="Lead")):
        org.send(hr, [again])
        assert org.account(hr, "E1").released
    assert (org.account(hr, "E1").profile["title"], org.user(jane.id).profile.get("title")) == ("Lead", None)


def test_who_was_deleted_is_nobody_and_their_next_record_is_a_new_one(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    old = org.user_of(hr, "E1")
    org.remove(old.id)
    org.remove(old.id)
    assert org.situations(org.send(hr, [person("E1")])) == {"UNMATCHED": 1}
    assert org.user_of(hr, "E1").id != old.id
