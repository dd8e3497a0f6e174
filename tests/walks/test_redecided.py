"""A plan is applied as it was reviewed: a row whose facts have changed since is decided again, and may only do less (SPEC §§5.8, 8)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from mastering import assignments, holds
from mastering.catalog import policies, ranks
from mastering.clock import now
from mastering.holds import Terms
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, ImportPolicy, Matching, Safeguard, WhenDeactivated
from mastering.rules.runs import RunStatus
from mastering.store import catalog, tables
from mastering.store import runs as run_store
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, World, calm, master, person

STRICT = Safeguard(max_unassigned_percent=0)
RETURNS = master(suspended=True, deactivated=True)


def held(org: World, hr: str, records: list[dict[str, Any]]) -> tables.ImportRun:
    """A run whose plan waits for an admin, as its one other person leaves."""
    org.set_policy(hr, policy_of(org, hr, safeguard=STRICT))
    run = org.send(hr, records)
    assert run.status == "HELD"
    return run


def policy_of(org: World, hr: str, **parts: Any) -> ImportPolicy:
    """The app's policy with other parts."""
    with reading(org.engine) as session:
        return replace(catalog.policy_of(session.get_one(tables.App, hr)), **parts)


def became(org: World, run: tables.ImportRun, external_id: str) -> tuple[str | None, str | None]:
    """What became of a row when the plan was applied: its state, and in a word why."""
    row = org.change(run, external_id)
    return row.state, row.error


def leaver(org: World, when: WhenDeactivated = WhenDeactivated.DEACTIVATE) -> tuple[str, str, tables.ImportRun]:
    """An app, a person whom its held plan takes away, and the run."""
    hr = org.app("HR", calm(mastering=master(when, suspended=True, deactivated=True)))
    org.send(hr, [person("E1"), person("X")])
    return hr, org.user_of(hr, "E1").id, held(org, hr, [person("E1", active=False), person("X")])


# -- what admins do meanwhile -----------------------------------------------------------------------------------------------


def test_a_plan_that_nobody_disturbed_does_what_it_said(org: World) -> None:
    _, user, run = leaver(org)
    org.approve(run)
    assert (org.user(user).status, became(org, run, "E1")) == ("DEACTIVATED", (None, None))


def test_what_concerns_others_changes_nothing_in_a_plan(org: World) -> None:
    hr, user, run = leaver(org)
    org.act(org.user_of(hr, "X").id, "suspend")
    org.by_hand("stranger")
    org.approve(run)
    assert (org.user(user).status, became(org, run, "E1")) == ("DEACTIVATED", (None, None))


def test_who_was_deactivated_by_hand_meanwhile_is_not_moved_again(org: World) -> None:
    hr, user, run = leaver(org)
    org.act(user, "deactivate")
    org.approve(run)
    assert (org.user(user).status, org.account(hr, "E1").account) == ("DEACTIVATED", "INACTIVE")
    assert (became(org, run, "E1")[0], org.kinds(user)[-1]) == ("REDECIDED", "account.inactive")
    assert "deactivate" not in load(org.run(run.id).actions)


def test_the_move_that_the_plan_named_is_made_from_where_the_person_stands_by_now(org: World) -> None:
    _, user, run = leaver(org)
    org.act(user, "suspend")
    org.approve(run)
    told = load(org.events(user)[-1].body)
    assert (told["from"], told["to"], told["facts"]["status"]) == ("SUSPENDED", "DEACTIVATED", "SUSPENDED")


def test_a_move_that_the_plan_did_not_name_is_left_to_the_next_run(org: World) -> None:
    hr, user, run = leaver(org, WhenDeactivated.SUSPEND)
    org.approve(run)
    assert org.user(user).status == "SUSPENDED"
    run = held(org, hr, [person("E1"), person("Y")])
    assert org.change(run, "E1").action == "unsuspend"
    org.act(user, "deactivate")
    org.approve(run)
    assert (org.user(user).status, became(org, run, "E1")[0]) == ("DEACTIVATED", "SKIPPED")
    assert org.account(hr, "E1").account == "INACTIVE"
    org.delta(hr, [person("E1", active=True)])
    assert org.user(user).status == "ACTIVE"


def test_a_hold_set_meanwhile_binds_the_plan(org: World) -> None:
    hr, user, run = leaver(org)
    holds.set_hold(org.engine, ADMIN, now(), user, Terms("on leave", None))
    org.approve(run)
    assert (org.user(user).status, org.account(hr, "E1").account) == ("ACTIVE", "INACTIVE")
    assert (org.account(hr, "E1").unheeded, org.account(hr, "E1").unheeded_reason) == ("deactivate", "held_by_admin")
    assert became(org, run, "E1")[0] == "REDECIDED"


@pytest.mark.parametrize("swept", [False, True], ids=["not yet swept", "swept"])
@pytest.mark.parametrize(("after", "binds"), [(timedelta(milliseconds=-1), True), (timedelta(0), False)])
def test_a_hold_that_ends_before_the_approval_lets_nobody_go_whom_the_plan_kept(
    org: World, after: timedelta, binds: bool, swept: bool
) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    with freeze_time("2026-11-02 08:00:00", real_asyncio=True) as clock:
        org.send(hr, [person("E1"), person("E2"), person("X")])
        user, ends = org.user_of(hr, "E1").id, now() + timedelta(hours=1)
        holds.set_hold(org.engine, ADMIN, now(), user, Terms("on leave", ends))
        clock.tick()
        run = held(org, hr, [person("E1", active=False), person("E2", active=False), person("X")])
        assert org.change(run, "E1").reason == "held_by_admin"
        clock.move_to(_plain(ends + after))
        if swept:
            assert holds.expire_holds(org.engine, now()) == (0 if binds else 1)
        org.approve(run)
        assert org.user(user).status == "ACTIVE"
        skipped = swept and not binds
        assert (became(org, run, "E1")[0], org.account(hr, "E1").account) == (("SKIPPED", "ACTIVE") if skipped else (None, "INACTIVE"))
        assert ("finding.made" in org.kinds(user)) == (not binds and not swept)
        clock.tick()
        org.set_policy(hr, calm(mastering=RETURNS))
        org.delta(hr, [person("E1", active=False)])
        assert org.user(user).status == ("DEACTIVATED" if skipped else "ACTIVE")


def _plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def test_who_was_deleted_meanwhile_stays_deleted(org: World) -> None:
    hr, user, run = leaver(org)
    org.remove(user)
    org.remove(user)
    org.approve(run)
    assert (org.run(run.id).status, became(org, run, "E1")[0], org.by_login("e1@example.com")) == ("COMPLETED", "SKIPPED", None)
    org.delta(hr, [person("E1", active=True)])
    assert org.user_of(hr, "E1").id != user


def test_who_was_unassigned_meanwhile_is_nobody_for_the_app_to_move(org: World) -> None:
    hr, user, run = leaver(org)
    assignments.unassign(org.engine, ADMIN, now(), hr, user)
    org.approve(run)
    assert (org.user(user).status, org.account(hr, "E1").released, became(org, run, "E1")[0]) == ("ACTIVE", True, "REDECIDED")


def test_an_account_given_to_somebody_else_meanwhile_is_left_alone(org: World) -> None:
    hr, user, run = leaver(org)
    assignments.unassign(org.engine, ADMIN, now(), hr, user)
    org.rename(user, "former@x.org")
    john = org.by_hand("john")
    assert org.review(hr, "E1", Verdict.LINK, user_id=john.id).error is None
    org.approve(run)
    assert (org.user(john.id).status, org.user(user).status, became(org, run, "E1")[0]) == ("ACTIVE", "ACTIVE", "SKIPPED")


def test_who_was_linked_after_the_snapshot_is_not_missing_from_it_when_the_plan_is_applied(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("X")])
    user = org.user_of(hr, "E1").id
    run = held(org, hr, [person("X")])
    assignments.unassign(org.engine, ADMIN, now(), hr, user)
    org.moment()
    assignments.assign(org.engine, ADMIN, now(), hr, user)
    org.approve(run)
    assert (org.user(user).status, org.account(hr, "E1").account, became(org, run, "E1")[0]) == ("ACTIVE", "ACTIVE", "SKIPPED")


# -- options of everybody's -------------------------------------------------------------------------------------------------


def test_the_plan_keeps_its_policy_whatever_the_app_says_by_now(org: World) -> None:
    hr, user, run = leaver(org)
    policies.replace(org.engine, ADMIN, now(), hr, calm(mastering=master(WhenDeactivated.DO_NOTHING)))
    org.approve(run)
    assert (org.user(user).status, org.account(hr, "E1").released, became(org, run, "E1")) == ("DEACTIVATED", False, (None, None))


def test_a_master_that_ranks_lower_by_now_moves_nobody(org: World) -> None:
    hr, user, run = leaver(org)
    ad = org.app("AD", calm())
    org.send(ad, [person("E1")])
    ranks.reorder(org.engine, ADMIN, now(), [ad, hr])
    org.approve(run)
    assert (org.user(user).status, became(org, run, "E1")[0]) == ("ACTIVE", "REDECIDED")
    assert (org.account(hr, "E1").unheeded, org.account(hr, "E1").unheeded_reason) == ("deactivate", "not_authority")
    ranks.reorder(org.engine, ADMIN, now(), [hr, ad])
    assert ("finding.made" in org.kinds(user), org.user(user).status) == (True, "ACTIVE")


def test_a_master_that_ranks_higher_by_now_does_no_more_than_the_plan_said(org: World) -> None:
    top = org.app("TOP", calm())
    org.send(top, [person("E1")])
    hr, user, run = leaver(org)
    assert org.change(run, "E1").reason == "not_authority"
    ranks.reorder(org.engine, ADMIN, now(), [hr, top])
    org.approve(run)
    assert (org.user(user).status, became(org, run, "E1")[0], org.account(hr, "E1").account) == ("ACTIVE", "SKIPPED", "ACTIVE")
    org.delta(hr, [person("E1", active=False)])
    assert org.user(user).status == "ACTIVE"  # held again, and again for an admin to see
    assert org.change(org.run(_held_run(org, hr)), "E1").action == "deactivate"


def _held_run(org: World, hr: str) -> str:
    with reading(org.engine) as session:
        (run,) = [run for run in run_store.page(session, hr, None, None, 10) if run.status is RunStatus.HELD]
        return run.id


def test_values_that_the_plan_did_not_name_are_not_written_and_the_record_is_tried_again(org: World) -> None:
    top = org.app("TOP", calm())
    org.send(top, [person("E2", title="Boss")])
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2", title="Clerk"), person("X")])
    user = org.user_of(hr, "E2").id
    records = [person("E2", title="Lead"), person("X"), person("E1", active=False)]
    run = held(org, hr, records)
    ranks.reorder(org.engine, ADMIN, now(), [hr, top])
    assert org.user(user).profile["title"] == "Clerk"
    org.approve(run)
    assert (org.user(user).profile["title"], org.account(hr, "E2").digest) == ("Clerk", None)
    org.set_policy(hr, calm())
    org.delta(hr, records)
    assert org.user(user).profile["title"] == "Lead"


# -- people who come and go meanwhile ---------------------------------------------------------------------------------------


def newcomer(org: World, record: dict[str, Any], **parts: Any) -> tuple[str, tables.ImportRun]:
    """An app and its held plan, in which somebody leaves and this record comes."""
    hr = org.app("HR", calm(**parts))
    org.send(hr, [person("E1"), person("X")])
    return hr, held(org, hr, [person("E1", active=False), person("X"), record])


def test_a_creation_whose_login_another_apps_run_took_is_correlated_again_and_waits(org: World) -> None:
    hr, run = newcomer(org, person("N", email="jane@x.org"))
    assert org.change(run, "N").action == "create"
    org.send(org.app("AD", calm()), [person("a1", email="jane@x.org")])
    org.approve(run)
    jane = org.by_login("jane@x.org")
    assert jane is not None
    assert (became(org, run, "N")[0], org.queue(hr)) == ("REDECIDED", {"N": ("EXACT", "exact", ["jane@x.org"])})
    org.delta(hr, [])
    assert org.account(hr, "N").user_id == jane.id


def test_a_creation_whose_login_is_somebody_elses_by_now_is_a_conflict(org: World) -> None:
    by_email = Matching(username=False, email=True)
    hr, run = newcomer(org, person("N", email="jane@x.org"), matching=by_email)
    org.by_hand("other", login="jane@x.org")
    org.approve(run)
    assert org.queue(hr) == {"N": ("CONFLICT", "login_taken", [])}


def test_a_match_who_was_deleted_meanwhile_is_replaced_by_nobody_until_the_next_run(org: World) -> None:
    jane = org.by_hand("jane")
    hr, run = newcomer(org, person("N", email="jane@example.com"))
    assert (org.change(run, "N").action, org.change(run, "N").user_id) == ("link", jane.id)
    org.remove(jane.id)
    org.remove(jane.id)
    org.approve(run)
    assert (org.by_login("jane@example.com"), org.queue(hr)) == (None, {"N": ("UNMATCHED", "unmatched", [])})
    org.delta(hr, [])
    assert org.user_of(hr, "N").login == "jane@example.com"


def test_a_match_who_was_renamed_meanwhile_is_matched_no_more(org: World) -> None:
    jane = org.by_hand("jane")
    hr, run = newcomer(org, person("N", email="jane@example.com"))
    org.rename(jane.id, "jane.roe@example.com")
    org.approve(run)
    assert (org.account(hr, "N").user_id, org.queue(hr)) == (None, {"N": ("UNMATCHED", "unmatched", [])})


def test_a_match_who_is_not_alone_any_more_is_not_guessed(org: World) -> None:
    by_name = Matching(username=False, allow_partial=True)
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr, run = newcomer(org, person("N", firstName="Jane", lastName="Doe"), matching=by_name)
    assert org.change(run, "N").action == "link"
    org.by_hand("other", firstName="Jane", lastName="Doe")
    org.approve(run)
    assert org.queue(hr)["N"] == ("AMBIGUOUS", "ambiguous", ["jane@example.com", "other@example.com"])


def test_a_return_that_became_another_one_meanwhile_waits(org: World) -> None:
    jane = org.by_hand("jane")
    org.act(jane.id, "suspend")
    hr, run = newcomer(org, person("N", email="jane@example.com"), mastering=RETURNS)
    assert org.change(run, "N").trigger == "unsuspend"
    org.act(jane.id, "deactivate")
    org.approve(run)
    assert (org.user(jane.id).status, org.queue(hr)) == ("DEACTIVATED", {"N": ("EXACT", "exact", ["jane@example.com"])})
    assert became(org, run, "N") == ("REDECIDED", "decided again: EXACT now means link, which was not planned: it waits")
    org.set_policy(hr, calm(mastering=RETURNS))
    org.delta(hr, [])
    assert (org.user(jane.id).status, org.user_of(hr, "N").id) == ("ACTIVE", jane.id)


def test_a_rename_whose_login_was_taken_meanwhile_is_rejected_and_tried_again(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2"), person("X")])
    user = org.user_of(hr, "E2").id
    run = held(org, hr, [person("E1", active=False), person("E2", email="new@x.org", title="Lead"), person("X")])
    squatter = org.by_hand("squatter", login="new@x.org")
    org.approve(run)
    assert (org.user(user).login, org.user(user).profile.get("title"), became(org, run, "E2")[0]) == ("e2@example.com", None, "REDECIDED")
    org.rename(squatter.id, "squatter@example.com")
    org.set_policy(hr, calm())
    org.delta(hr, [person("E2", email="new@x.org", title="Lead")])
    assert (org.user(user).login, org.user(user).profile["title"]) == ("new@x.org", "Lead")


def test_in_a_chain_of_renames_a_plan_never_gives_a_login_that_its_holder_kept_after_all(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2"), person("E3")])
    run = held(org, hr, [person("E1", active=False), person("E2", email="e3@example.com"), person("E3", email="free@x.org")])
    org.by_hand("squatter", login="free@x.org")
    org.approve(run)
    assert org.run(run.id).status == "COMPLETED"
    assert [org.user_of(hr, name).login for name in ("E2", "E3")] == ["e2@example.com", "e3@example.com"]


def test_the_percentages_are_not_asked_again_when_a_plan_is_approved(org: World) -> None:
    _, user, run = leaver(org)
    org.set_org(max_unassigned_percent=0)
    org.approve(run)
    assert (org.user(user).status, org.run(run.id).status) == ("DEACTIVATED", "COMPLETED")


# -- what reviewers do meanwhile --------------------------------------------------------------------------------------------


GONE: dict[str, list[dict[str, Any]]] = {"absent": [], "inactive": [person("W", active=False)]}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_who_is_ignored_meanwhile_stays_ignored_and_it_can_be_taken_back(org: World, gone: list[dict[str, Any]]) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("X")])
    org.set_policy(hr, calm(confirmation=Confirmation()))
    org.delta(hr, [person("W")])
    org.moment()
    run = held(org, hr, [person("E1", active=False), person("X"), *gone])
    assert org.change(run, "W").situation == "WITHDRAWN"
    assert org.review(hr, "W", Verdict.IGNORE).error is None
    org.approve(run)
    assert (org.queue(hr), set(org.queue(hr, ignored=True))) == ({}, {"W"})
    assert org.account(hr, "W").account == ("INACTIVE" if gone else "MISSING")
    assert org.review(hr, "W", Verdict.UNIGNORE).error is None
    assert (org.queue(hr), org.queue(hr, ignored=True)) == ({}, {})
    org.delta(hr, [person("W", active=True)])
    assert set(org.queue(hr)) == {"W"}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_who_is_asked_about_again_meanwhile_leaves_the_queue_as_the_snapshot_says(org: World, gone: list[dict[str, Any]]) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("X")])
    org.set_policy(hr, calm(confirmation=Confirmation()))
    org.delta(hr, [person("W")])
    org.review(hr, "W", Verdict.IGNORE)
    org.moment()
    run = held(org, hr, [person("E1", active=False), person("X"), *gone])
    assert org.review(hr, "W", Verdict.UNIGNORE).error is None
    assert set(org.queue(hr)) == {"W"}
    org.approve(run)
    assert (org.queue(hr), org.account(hr, "W").ignored) == ({}, False)
