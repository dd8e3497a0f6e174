"""A repair is a plan: it does what a reconciliation found by the rules, through safeguards, approval and history (SPEC §12)."""

from __future__ import annotations

from sqlalchemy import update
from sqlmodel import col

from mastering import holds
from mastering.clock import now
from mastering.holds import Terms
from mastering.reconcile import passes
from mastering.rules.policy import Confirmation, Safeguard, WhenDeactivated
from mastering.store import reconciliations as store
from mastering.store import tables
from mastering.store.documents import dump, load
from mastering.store.engine import writing
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, World, calm, master, person


def repair(org: World, app_id: str | None = None) -> tuple[store.Reconciliation, list[tables.ImportRun]]:
    """A reconciliation that repairs, worked off; with its runs as they stand then."""
    row = passes.start(org.engine, ADMIN, now(), app_id=app_id, repair=True)
    org.work()
    done = passes.read(org.engine, row.id)
    return done, [org.run(run_id) for run_id in load(done.runs)]


def left_suspended(org: World, *names: str, **parts: object) -> str:
    """An app whose leavers stand suspended where the option by now says deactivated."""
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND), **parts))
    org.send(hr, [person(name) for name in names])
    org.delta(hr, [person(name, active=False) for name in names])
    org.set_policy(hr, calm(**parts))
    return hr


def test_a_status_that_did_not_follow_follows_by_the_rule_and_the_history_says_so(org: World) -> None:
    hr = left_suspended(org, "E1")
    row, (run,) = repair(org)
    assert (run.status, run.source, run.origin, run.app_id) == ("COMPLETED", "RECONCILIATION", row.id, hr)
    assert org.user_of(hr, "E1").status == "DEACTIVATED"
    event = load(org.events(org.user_of(hr, "E1").id)[-1].body)
    assert (event["type"], event["rule"], event["trigger"], event["run"]["id"]) == (
        "user.deactivate",
        "when_deactivated",
        "deactivate",
        run.id,
    )
    assert event["facts"]["standing"] is True
    again, runs = repair(org)
    assert (again.found, runs) == (0, [])


def test_a_profile_goes_back_to_what_its_master_says_and_moves_nobody(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    user = org.user_of(hr, "E1")
    with writing(org.engine) as session:
        changed = update(tables.User).where(col(tables.User.id) == user.id)
        session.execute(changed.values(profile=dump({**user.profile, "department": "IT"})))
    _, (run,) = repair(org)
    (change,) = org.changes(run)
    assert (change.situation, change.action, change.rule) == ("CHANGED", "update", "profile_mapped")
    assert (org.user(user.id).profile["department"], org.user(user.id).status) == ("Sales", "ACTIVE")


def test_a_word_that_a_hold_stopped_is_followed_when_the_hold_is_gone_and_stands_no_more(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    holds.set_hold(org.engine, ADMIN, now(), user, Terms("legal hold", None))
    org.delta(hr, [person("E1", active=False)])
    assert repair(org)[1] == []
    holds.lift_hold(org.engine, ADMIN, now(), user)
    _, (run,) = repair(org)
    assert (run.status, org.user(user).status, org.account(hr, "E1").unheeded) == ("COMPLETED", "DEACTIVATED", None)


def test_a_return_that_is_repaired_brings_the_profile_with_it(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    org.delta(hr, [person("E1", active=False)])
    org.delta(hr, [person("E1", active=True, department="IT")])
    user = org.user_of(hr, "E1")
    assert (user.status, user.profile["department"]) == ("DEACTIVATED", "Sales")
    org.set_policy(hr, calm(mastering=master(deactivated=True)))
    _, (run,) = repair(org)
    after = org.user(user.id)
    assert (run.status, after.status, after.profile["department"]) == ("COMPLETED", "ACTIVE", "IT")


def test_who_waits_and_would_be_confirmed_is_confirmed(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    e1 = org.by_hand("e1")
    org.send(hr, [person("E1"), person("E2")])
    org.set_policy(hr, calm(confirmation=CONFIRM_ALL))
    _, (run,) = repair(org)
    assert run.status == "COMPLETED"
    assert (org.user_of(hr, "E1").id, org.user_of(hr, "E2").status) == (e1.id, "ACTIVE")


def test_a_repair_that_would_take_too_many_people_away_is_held_until_its_plan_is_approved(org: World) -> None:
    hr = left_suspended(org, "E1", "E2", safeguard=Safeguard(enabled=False))
    org.set_policy(hr, calm(safeguard=Safeguard(max_unassigned_percent=20)))
    _, (run,) = repair(org)
    assert (run.status, load(run.safeguard or "")["reason"]) == ("HELD", "app_limit")
    assert org.user_of(hr, "E1").status == "SUSPENDED"
    org.approve(run)
    assert {org.user_of(hr, name).status for name in ("E1", "E2")} == {"DEACTIVATED"}


def test_what_an_admin_does_between_the_plan_and_its_approval_is_respected(org: World) -> None:
    hr = left_suspended(org, "E1", "E2", "E3", safeguard=Safeguard(enabled=False))
    org.set_policy(hr, calm(safeguard=Safeguard(max_unassigned_percent=20)))
    _, (run,) = repair(org)
    org.act(org.user_of(hr, "E1").id, "unsuspend")
    holds.set_hold(org.engine, ADMIN, now(), org.user_of(hr, "E2").id, Terms("legal hold", None))
    org.approve(run)
    assert [org.user_of(hr, name).status for name in ("E1", "E2", "E3")] == ["ACTIVE", "SUSPENDED", "DEACTIVATED"]
    assert [org.change(run, name).state for name in ("E1", "E2", "E3")] == ["SKIPPED", "SKIPPED", None]


def test_what_is_respected_is_never_repaired(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True, deactivated=True)))
    org.send(hr, [person("E1"), person("E2"), person("E3")])
    org.act(org.user_of(hr, "E1").id, "suspend")
    org.delta(hr, [person("E2", active=False)])
    org.act(org.user_of(hr, "E2").id, "activate")
    holds.set_hold(org.engine, ADMIN, now(), org.user_of(hr, "E3").id, Terms("legal hold", None))
    org.delta(hr, [person("E3", active=False)])
    before = [org.user_of(hr, name) for name in ("E1", "E2", "E3")]
    row, runs = repair(org)
    assert (load(row.counts)["respected"], runs) == (3, [])
    assert [org.user_of(hr, name) for name in ("E1", "E2", "E3")] == before


def test_a_repair_waits_behind_a_held_run_of_its_app_and_other_apps_go_on(org: World) -> None:
    hr, ad = left_suspended(org, "E1"), org.app("AD", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(ad, [person("A1")])
    org.delta(ad, [person("A1", active=False)])
    org.set_policy(ad, calm())
    org.send(hr, [person("E1", active=False), person("E9")])
    org.set_policy(hr, calm(safeguard=Safeguard(max_unassigned_percent=20)))
    held = org.send(hr, [person("E1", active=False)])
    assert held.status == "HELD"
    _, runs = repair(org)
    assert {run.app_id: run.status for run in runs} == {hr: "QUEUED", ad: "COMPLETED"}
    org.cancel(held.id)
    assert {org.run(run.id).status for run in runs} <= {"COMPLETED", "HELD"}
