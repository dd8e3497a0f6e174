"""A run that was applied is taken back as one plan; what has changed since is listed and left alone (SPEC §12)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from mastering import holds, replay
from mastering.clock import now
from mastering.errors import WrongState
from mastering.holds import Terms
from mastering.imports import undoing
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import history, people, tables
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, World, calm, empty, master, person

RETURNS = master(suspended=True, deactivated=True)


def undo(org: World, run: tables.ImportRun, *, dry_run: bool = False) -> tables.ImportRun:
    """Undo a run, and work it off; the run that undoes it."""
    run_id = undoing.start(org.engine, ADMIN, now(), run.id, dry_run=dry_run)
    org.work()
    return org.run(run_id)


def state(org: World) -> dict[str, Any]:
    """Everybody's status, profile and links, and every account that is known: linked or waiting, its state and its app profile."""
    with reading(org.engine) as session:
        users = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
        accounts = people.accounts(session, list(session.execute(select(col(tables.AppUser.id))).scalars()))
    told: dict[str, Any] = {user.id: (user.status, user.pending_when_deactivated, user.profile) for user in users.values()}
    for account in accounts.values():
        if account.user_id is not None or account.situation is not None:
            told[account.id] = (account.user_id, account.account, account.released, account.profile, account.digest, account.situation)
    return told


def rebuilt(org: World) -> None:
    """Every user equals the replay of the user's own history."""
    with reading(org.engine) as session:
        users = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
        for user in users.values():
            told = replay.replay(history.chain(session, user.id))
            assert told is not None
            assert (told.status, told.profile, told.pending_when_deactivated) == (user.status, user.profile, user.pending_when_deactivated)
            links = {(each.id, each.account, each.released) for each in user.links}
            assert {(each.id, each.account, each.released) for each in told.links} == links


def test_leavers_changes_and_returns_are_taken_back_and_the_same_file_can_come_again(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("E1"), person("E2", department="Sales"), person("E3")])
    org.delta(hr, [person("E3", active=False)])
    before = state(org)
    bad = [person("E2", department=None), person("E3")]
    run = org.send(hr, bad)
    assert [org.user_of(hr, name).status for name in ("E1", "E3")] == ["DEACTIVATED", "ACTIVE"]
    taken_back = undo(org, run)
    assert (taken_back.status, taken_back.source, taken_back.origin) == ("COMPLETED", "UNDO", run.id)
    assert state(org) == before
    rebuilt(org)
    again = org.send(hr, bad)
    assert load(again.actions) == load(run.actions)


def test_whom_the_run_made_is_deactivated_and_parted_from_the_account(org: World) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    taken_back = undo(org, run)
    assert (taken_back.status, org.user(user).status, org.user(user).links) == ("COMPLETED", "DEACTIVATED", [])
    assert org.account(hr, "E1").user_id is None
    assert org.kinds(user)[-2:] == ["account.unlink", "user.deactivate"]
    rebuilt(org)


def test_a_link_to_somebody_who_was_there_is_taken_away_and_the_person_stays(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    jane = org.by_hand("jane")
    before = state(org)
    run = org.send(hr, [person("E1", email="jane@example.com", department="IT")])
    assert org.user_of(hr, "E1").id == jane.id
    undo(org, run)
    assert state(org) == before
    rebuilt(org)


def test_a_release_and_a_place_that_was_taken_are_given_back(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=master(WhenDeactivated.DO_NOTHING))), org.app("AD", calm())
    for app_id in (hr, ad):
        org.send(app_id, [person("E1", department=app_id)])
    before = state(org)
    run = org.delta(hr, [person("E1", active=False, department=hr)])
    assert org.account(hr, "E1").released
    undo(org, run)
    assert state(org) == before
    org.delta(ad, [person("E1", active=False)])
    before = state(org)
    moved = org.delta(ad, [person("E2", email="e1@example.com")])
    assert org.account(ad, "E1").released
    undo(org, moved)
    assert state(org) == before
    rebuilt(org)


def test_who_waits_because_of_the_run_leaves_the_queue_and_who_waited_before_waits_again(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.send(hr, [person("E1")])
    before, queue = state(org), org.queue(hr)
    run = org.send(hr, [person("E2")])
    assert set(org.queue(hr)) == {"E2"}
    undo(org, run)
    assert (state(org), org.queue(hr)) == (before, queue)


def test_logins_that_changed_hands_go_back(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    before = state(org)
    run = org.send(hr, [person("E1", email="e2@example.com"), person("E2", email="e1@example.com")])
    assert org.user_of(hr, "E1").login == "e2@example.com"
    undo(org, run)
    assert state(org) == before


def test_what_was_changed_since_is_listed_with_both_versions_and_left_alone(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person(f"E{number}", department="Sales") for number in range(1, 6)])
    run = org.send(hr, [person("E5", department="IT")])
    users = {name: org.user_of(hr, name).id for name in ("E1", "E2", "E3", "E4", "E5")}
    org.act(users["E1"], "activate")
    org.remove(users["E2"])
    holds.set_hold(org.engine, ADMIN, now(), users["E3"], Terms("legal hold", None))
    org.delta(hr, [person("E5", department="Legal")])
    after = state(org)
    taken_back = undo(org, run)
    rows = {change.user_id: change for change in org.changes(taken_back)}
    conflicts = {user_id: load(change.effect)["conflict"] for user_id, change in rows.items() if change.situation == "CHANGED_SINCE"}
    assert set(conflicts) == {users[name] for name in ("E1", "E2", "E3", "E5")}
    assert conflicts[users["E1"]]["status"] == {"left": "DEACTIVATED", "now": "ACTIVE"}
    assert conflicts[users["E2"]] == {"user": {"left": "DEACTIVATED", "now": "deleted"}}
    assert conflicts[users["E3"]] == {"hold": {"left": None, "now": "legal hold"}}
    assert conflicts[users["E5"]]["department"] == {"left": "IT", "now": "Legal"}
    left_alone = {key: value for key, value in state(org).items() if key in users.values() and key != users["E4"]}
    assert left_alone == {key: value for key, value in after.items() if key in left_alone}
    assert org.user(users["E4"]).status == "ACTIVE"


def test_what_changes_between_the_plan_and_its_approval_is_skipped(org: World) -> None:
    hr = org.app("HR", calm(safeguard=Safeguard(max_unassigned_percent=20)))
    run = org.send(hr, [person("E1"), person("E2")])
    held = undo(org, run)
    assert (held.status, load(held.safeguard or "")["reason"]) == ("HELD", "app_limit")
    users = {name: org.user_of(hr, name).id for name in ("E1", "E2")}
    org.act(users["E1"], "suspend")
    org.approve(held)
    assert [org.user(users[name]).status for name in ("E1", "E2")] == ["SUSPENDED", "DEACTIVATED"]
    assert sorted(change.state or "" for change in org.changes(held)) == ["", "SKIPPED"]


def test_an_undo_can_be_undone_and_then_the_run_again(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.by_hand("jane")
    org.send(hr, [person("E1", department="Sales")])
    before = state(org)
    run = org.send(hr, [person("E2"), person("E3", email="jane@example.com")])
    after = state(org)
    back = undo(org, run)
    assert {key: value for key, value in state(org).items() if key in before} == before
    forth = undo(org, back)
    assert state(org) == after
    rebuilt(org)
    assert forth.status == "COMPLETED"
    assert undo(org, run).status == "COMPLETED"
    assert {key: value for key, value in state(org).items() if key in before} == before
    rebuilt(org)


def test_runs_are_taken_back_one_after_the_other_newest_first(org: World) -> None:
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("E1", department="Sales")])
    states, sent = [], []
    for department, active in (("IT", True), ("Legal", True), ("Legal", False)):
        states.append(state(org))
        sent.append(org.delta(hr, [person("E1", department=department, active=active)]))
    for run, before in zip(reversed(sent), reversed(states), strict=True):
        assert load(undo(org, run).situations) == {"UNDONE": 1}
        assert state(org) == before
    rebuilt(org)


def test_a_later_run_that_is_not_undone_stands_in_the_way_of_an_earlier_one(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    run = org.delta(hr, [person("E1", department="IT")])
    org.delta(hr, [person("E1", department="IT", title="Chief")])
    assert load(undo(org, run).situations) == {"CHANGED_SINCE": 1}


def test_a_run_is_undone_once_and_only_if_it_was_applied(org: World) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [person("E1")])
    dry = org.send(hr, [person("E1"), person("E2")], dry_run=True)
    with pytest.raises(WrongState, match="PLANNED"):
        undo(org, dry)
    undo(org, run)
    with pytest.raises(WrongState, match="has been undone already"):
        undo(org, run)


def test_a_dry_run_shows_what_an_undo_would_do_and_does_nothing(org: World) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [person("E1")])
    before = state(org)
    dry = undo(org, run, dry_run=True)
    assert (dry.status, load(dry.actions)) == ("PLANNED", {"deactivate": 1})
    assert state(org) == before
    assert undo(org, run).status == "COMPLETED"


def test_a_suspension_that_a_return_turned_into_pending_is_restored_by_the_move_that_only_undo_may_make(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND, suspended=True)))
    org.send(hr, [person("E1")])
    org.delta(hr, [person("E1", active=False)])
    run = org.delta(hr, [person("E1", active=True, email="other@example.com")])
    user = org.user_of(hr, "E1").id
    assert org.user(user).status == "PENDING_ACTIVATION"
    undo(org, run)
    event = load(org.events(user)[-1].body)
    assert (org.user(user).status, event["type"], event["rule"]) == ("SUSPENDED", "user.restore", "undone")


# -- random work ------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
RECORD = st.builds(
    lambda name, active, department, login: person(
        name, active=active, department=department, email=f"{login}@example.com", firstName="F", lastName="L"
    ),
    st.sampled_from(NAMES),
    st.booleans(),
    st.sampled_from(["Sales", "IT", None]),
    st.sampled_from(NAMES),
)
FILE = st.lists(RECORD, max_size=4, unique_by=lambda record: record["externalId"])
POLICY = st.builds(
    lambda when, suspended, deactivated: calm(mastering=master(when, suspended=suspended, deactivated=deactivated)),
    st.sampled_from(list(WhenDeactivated)),
    st.booleans(),
    st.booleans(),
)


@pytest.mark.parametrize("part", range(1))
@given(app_policy=POLICY, files=st.lists(st.tuples(FILE, st.sampled_from(list(Mode))), min_size=1, max_size=3), hand=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_import_then_undo_gives_back_the_state_before_after_any_work(
    org: World, part: int, app_policy: Any, files: list[tuple[list[dict[str, Any]], Mode]], hand: bool
) -> None:
    empty(org.engine)
    org.set_org(enabled=False)
    hr = org.app("HR", app_policy)
    if hand:
        org.by_hand("a")
    *earlier, (last, mode) = files
    for records, kind in earlier:
        org.send(hr, records, kind, allow_empty=True)
    before = state(org)
    run = org.send(hr, last, mode, allow_empty=True)
    undone = undo(org, run)
    assert undone.status == "COMPLETED"
    assert "CHANGED_SINCE" not in load(undone.situations)
    after = state(org)
    assert {key: after[key] for key in before} == before
    made = {key: value for key, value in after.items() if key not in before}
    assert all(key.startswith("00u") and value[0] == "DEACTIVATED" for key, value in made.items())
    rebuilt(org)


def test_a_reviewers_link_since_is_a_conflict(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    jane = org.by_hand("jane")
    run = org.send(hr, [person("E1", email="jane@example.com"), person("E2")])
    assert org.review(hr, "E1", Verdict.LINK).error is None
    undone = undo(org, run)
    assert load(undone.situations) == {"CHANGED_SINCE": 1, "UNDONE": 1}
    assert (org.user_of(hr, "E1").id, org.queue(hr)) == (jane.id, {})
