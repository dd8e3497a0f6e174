"""A reconciliation finds what differs from the rules, says why and since when, and changes nothing (SPEC §12)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import delete, select, update
from sqlmodel import col

from mastering import assignments, firing, holds, nightly, schedule, users
from mastering.catalog import policies, ranks
from mastering.clock import now, wire
from mastering.errors import NotFound
from mastering.holds import Terms
from mastering.reconcile import comparing, passes
from mastering.rules.policy import Confirmation, Firing, Mastering, Schedule, WhenDeactivated
from mastering.rules.tasks import TaskKind, TaskStatus
from mastering.store import outbound, people, schedules, tables
from mastering.store import reconciliations as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, World, calm, master, person

NOTHING = master(WhenDeactivated.DO_NOTHING)


def reconcile(org: World, app_id: str | None = None, *, repair: bool = False) -> store.Reconciliation:
    """Ask for a reconciliation and work it off."""
    row = passes.start(org.engine, ADMIN, now(), app_id=app_id, repair=repair)
    org.work()
    return passes.read(org.engine, row.id)


def found(org: World, row: store.Reconciliation) -> list[store.Difference]:
    with reading(org.engine) as session:
        return list(store.difference_page(session, row.id, 0, 1_000))


def told(org: World, row: store.Reconciliation) -> list[tuple[str, str, str | None, bool]]:
    """Of each difference: kind, cause, what would be fired, and whether a repair would do it."""
    return [(each.kind, each.cause, each.trigger, each.repairable) for each in found(org, row)]


def event_of(org: World, difference: store.Difference) -> str:
    """The type of the event that a difference goes back to."""
    with reading(org.engine) as session:
        query = select(col(tables.HistoryEvent.type)).where(col(tables.HistoryEvent.id) == difference.event_id)
        return str(session.execute(query).scalar_one())


def behind(org: World, table: Any, row_id: str, **values: Any) -> None:
    """Change a row behind the program's back."""
    with writing(org.engine) as session:
        session.execute(update(table).where(col(table.id) == row_id).values(**values))


def test_where_everything_follows_nothing_is_found_and_nothing_is_changed(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True, deactivated=True)))
    org.send(hr, [person("E1"), person("E2"), person("E3")])
    org.delta(hr, [person("E2", active=False)])
    with reading(org.engine) as session:
        before = people.users(session, [org.user_of(hr, f"E{number}").id for number in (1, 2, 3)])
    row = reconcile(org)
    assert (row.status, row.found, row.users, row.accounts, found(org, row)) == ("COMPLETED", 0, 3, 3, [])
    with reading(org.engine) as session:
        assert people.users(session, before) == before


def test_a_leaver_whom_a_changed_option_would_deactivate_is_found_with_the_event_of_the_word(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(hr, [person("E1")])
    org.delta(hr, [person("E1", active=False)])
    assert org.user_of(hr, "E1").status == "SUSPENDED"
    org.set_policy(hr, calm())
    row = reconcile(org)
    (drift,) = found(org, row)
    assert told(org, row) == [("status_drift", "not_followed", "deactivate", True)]
    assert (load(drift.expected), load(drift.actual)) == ({"status": "DEACTIVATED"}, {"status": "SUSPENDED"})
    assert event_of(org, drift) == "user.suspend"
    assert "E1 is inactive" in drift.detail
    assert org.user_of(hr, "E1").status == "SUSPENDED"


def test_an_admins_suspension_of_a_person_who_is_active_everywhere_is_listed_and_not_repaired(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True)))
    org.send(hr, [person("E1")])
    org.act(org.user_of(hr, "E1").id, "suspend")
    row = reconcile(org)
    assert told(org, row) == [("status_drift", "admins_decision", None, False)]
    assert event_of(org, found(org, row)[0]) == "user.suspend"


def test_an_admins_activation_after_the_masters_word_is_respected(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    org.delta(hr, [person("E1", active=False)])
    org.act(org.user_of(hr, "E1").id, "activate")
    row = reconcile(org)
    assert told(org, row) == [("status_drift", "admins_decision", None, False)]
    assert event_of(org, found(org, row)[0]) == "user.activate"


def test_the_masters_word_after_an_admins_move_counts_again(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    org.act(user, "suspend")
    org.act(user, "unsuspend")
    org.delta(hr, [person("E1", active=False)])
    org.set_policy(hr, calm())
    assert told(org, reconcile(org)) == [("status_drift", "not_followed", "deactivate", True)]


def test_a_hold_is_respected_and_its_end_leaves_a_word_that_can_be_repaired(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    holds.set_hold(org.engine, ADMIN, now(), user, Terms("legal hold", None))
    org.delta(hr, [person("E1", active=False)])
    first = reconcile(org)
    assert told(org, first) == [("status_drift", "held_by_admin", None, False)]
    assert event_of(org, found(org, first)[0]) == "user.hold.set"
    holds.lift_hold(org.engine, ADMIN, now(), user)
    second = reconcile(org)
    assert told(org, second) == [("status_drift", "obstacle_gone", "deactivate", True)]
    assert event_of(org, found(org, second)[0]) == "finding.made"
    assert found(org, second)[0].finding_id is not None


def test_a_lower_masters_word_is_listed_and_not_repaired_until_it_has_authority(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=NOTHING)), org.app("AD", calm())
    for app_id in (hr, ad):
        org.send(app_id, [person("E1")])
    org.delta(ad, [person("E1", active=False)])
    assert told(org, reconcile(org)) == [("status_drift", "not_authority", None, False)]
    ranks.reorder(org.engine, ADMIN, now(), [ad, hr])
    assert told(org, reconcile(org)) == [("status_drift", "obstacle_gone", "deactivate", True)]


def test_a_return_that_a_switch_stopped_is_expected_when_the_switch_is_on_and_an_active_account_alone_is_not(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    org.delta(hr, [person("E1", active=False)])
    org.delta(hr, [person("E1", active=True)])
    assert told(org, reconcile(org)) == [("status_drift", "switch_off", None, False)]
    org.set_policy(hr, calm(mastering=master(deactivated=True)))
    assert told(org, reconcile(org)) == [("status_drift", "obstacle_gone", "reactivate", True)]


def test_who_left_by_a_master_that_gave_him_up_is_not_expected_back_because_the_next_one_says_active(org: World) -> None:
    hr, ad = org.app("HR", calm()), org.app("AD", calm(mastering=master(deactivated=True)))
    for app_id in (hr, ad):
        org.send(app_id, [person("E1")])
    org.delta(hr, [person("E1", active=False)])
    assignments.unassign(org.engine, ADMIN, now(), hr, org.user_of(ad, "E1").id)
    assert told(org, reconcile(org)) == [("status_drift", "active_all_along", None, False)]


def test_a_profile_that_is_not_what_its_master_says_is_found_attribute_by_attribute(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    user = org.user_of(hr, "E1")
    behind(org, tables.User, user.id, profile=dump({**user.profile, "department": "IT"}))
    row = reconcile(org)
    (drift,) = found(org, row)
    assert told(org, row) == [("attribute_drift", "profile_differs", None, True)]
    assert (load(drift.expected), load(drift.actual)) == ({"department": "Sales"}, {"department": "IT"})
    assert event_of(org, drift) == "user.create"


def test_who_has_no_authority_any_more_is_found_with_the_reason(org: World) -> None:
    hr = org.app("HR", calm(mastering=NOTHING))
    org.send(hr, [person("E1"), person("E2")])
    org.delta(hr, [person("E1", active=False)])
    assignments.unassign(org.engine, ADMIN, now(), hr, org.user_of(hr, "E2").id)
    lost = Counter(each[:2] for each in told(org, reconcile(org)))
    assert lost == {("missing_authority", "released"): 1, ("missing_authority", "admins_decision"): 1}


def test_an_app_that_never_mastered_anybody_is_missed_by_nobody(org: World) -> None:
    plain = org.app("Chat", calm(mastering=Mastering(enabled=False)))
    org.send(plain, [person("E1")])
    assert told(org, reconcile(org)) == []


def test_a_waiting_record_that_the_next_import_would_confirm_is_found(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.by_hand("e1")
    org.send(hr, [person("E1"), person("E2")])
    assert told(org, reconcile(org)) == []
    org.set_policy(hr, calm(confirmation=CONFIRM_ALL))
    row = reconcile(org)
    assert sorted(load(each.expected)["action"] for each in found(org, row)) == ["create", "link"]
    assert {each.cause for each in found(org, row)} == {"would_be_confirmed"}
    assert all(each.event_id for each in found(org, row))


@pytest.mark.parametrize("how", ["altered", "removed", "cut"])
def test_a_history_that_does_not_verify_is_found_and_nothing_of_that_person_is_repaired(org: World, how: str) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(hr, [person("E1"), person("E2")])
    org.delta(hr, [person("E1", active=False)])
    org.set_policy(hr, calm())
    first, *_, last = org.events(org.user_of(hr, "E1").id)
    with writing(org.engine) as session:
        if how == "altered":
            changed = update(tables.HistoryEvent).where(col(tables.HistoryEvent.id) == first.id)
            session.execute(changed.values(body=first.body.replace("user.create", "user.update")))
        else:
            session.delete(session.get_one(tables.HistoryEvent, (last if how == "cut" else first).position))
    row = reconcile(org)
    assert [each[:2] for each in told(org, row)] == [("history_broken", "chain_broken"), ("status_drift", "not_followed")]
    assert not any(each.repairable for each in found(org, row))


def test_of_one_app_only_its_own_differences_are_told(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=NOTHING)), org.app("AD", calm())
    for app_id in (hr, ad):
        org.send(app_id, [person("E1")])
    org.delta(ad, [person("E1", active=False)])
    assert told(org, reconcile(org, hr)) == []
    assert len(told(org, reconcile(org, ad))) == 1
    with pytest.raises(NotFound):
        passes.start(org.engine, ADMIN, now(), app_id="0oaNobody")


def test_a_reconciliation_that_another_worker_takes_over_goes_on_behind_the_last_batch(org: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "AT_ONCE", 2)
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(hr, [person(f"E{number}") for number in range(7)])
    org.delta(hr, [person(f"E{number}", active=False) for number in range(7)])
    org.set_policy(hr, calm())
    row = passes.start(org.engine, ADMIN, now())
    calls, batch = [0], comparing.users

    def dies(*args: Any) -> comparing.Batch:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return batch(*args)

    monkeypatch.setattr("mastering.reconcile.turns.PARTS", (dies, *comparing.PARTS[1:]))
    with pytest.raises(KeyboardInterrupt):
        org.worker.turn()
    other = World(org.engine)
    assert not other.worker.turn(), "the lease is the first one's"
    with writing(org.engine) as session:
        session.execute(update(store.Reconciliation).values(lease_until="2000-01-01T00:00:00.000Z"))
    other.work()
    done = passes.read(org.engine, row.id)
    assert (done.status, done.found, done.users) == ("COMPLETED", 7, 7)
    assert len({each.user_id for each in found(org, done)}) == 7
    assert [each.seq for each in found(org, done)] == list(range(1, 8))


def test_a_reconciliation_that_cannot_go_on_fails_with_a_sentence(org: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> comparing.Batch:
        raise ZeroDivisionError

    monkeypatch.setattr("mastering.reconcile.turns.PARTS", (broken,))
    row = reconcile(org)
    assert row.status == "FAILED"
    assert "could not go on: ZeroDivisionError" in (row.error or "")
    assert org.events("00oMastering00000001")[-1].type == "reconciliation.failed"


def test_the_beginning_and_the_end_are_in_the_history_of_the_org(org: World) -> None:
    row = reconcile(org)
    started, ended = org.events("00oMastering00000001")[-2:]
    assert [started.type, ended.type] == ["reconciliation.start", "reconciliation.completed"]
    assert load(ended.body)["reconciliation"] == row.id


# -- by the clock -----------------------------------------------------------------------------------------------------


def test_a_schedule_starts_one_reconciliation_and_no_second_while_it_is_under_way(org: World) -> None:
    wanted = nightly.replace(org.engine, ADMIN, now(), nightly.Nightly(Firing("0 3 * * *", "Europe/Berlin")))
    assert wanted.next is not None
    due = datetime.fromisoformat(wanted.next)
    (first,) = firing.fire_due(org.engine, due, schedule.STARTERS)
    (second,) = firing.fire_due(org.engine, due + timedelta(days=1), schedule.STARTERS)
    assert (second[1].skipped, second[1].blocked_by) == ("reconciliation_under_way", first[1].started)
    org.work()
    row = passes.read(org.engine, first[1].started or "")
    assert (row.status, row.source, row.repair, load(row.started_by)["type"]) == ("COMPLETED", "SCHEDULE", False, "schedule")


def test_a_schedule_that_repairs_repairs_and_one_that_is_taken_away_fires_no_more(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated.SUSPEND)))
    org.send(hr, [person("E1")])
    org.delta(hr, [person("E1", active=False)])
    org.set_policy(hr, calm())
    wanted = nightly.replace(org.engine, ADMIN, now(), nightly.Nightly(Firing("0 3 * * *"), repair=True))
    assert wanted.next is not None
    firing.fire_due(org.engine, datetime.fromisoformat(wanted.next), schedule.STARTERS)
    org.work()
    assert org.user_of(hr, "E1").status == "DEACTIVATED"
    assert nightly.replace(org.engine, ADMIN, now(), nightly.Nightly(None)) == nightly.Nightly(None)
    assert firing.fire_due(org.engine, now() + timedelta(days=9), schedule.STARTERS) == []


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("read_apps", [False, True])
def test_a_schedule_does_what_it_is_set_to_and_is_one(org: World, repair: bool, read_apps: bool) -> None:
    for set_before in (nightly.Nightly(Firing("0 1 * * *"), not repair, read_apps=not read_apps), nightly.Nightly(None)):
        nightly.replace(org.engine, ADMIN, now(), set_before)
        wanted = nightly.replace(org.engine, ADMIN, now(), nightly.Nightly(Firing("0 3 * * *"), repair, read_apps=read_apps))
        assert (wanted.repair, wanted.read_apps, nightly.read(org.engine)) == (repair, read_apps, wanted)
    ((_, outcome),) = firing.fire_due(org.engine, datetime.fromisoformat(wanted.next or ""), schedule.STARTERS)
    row = passes.read(org.engine, outcome.started or "")
    assert (row.repair, row.read_apps, row.source) == (repair, read_apps, "SCHEDULE")


def test_schedules_that_were_not_kept_are_found(org: World) -> None:
    hr, ad = org.app("HR", calm()), org.app("AD", calm())
    with writing(org.engine) as session:
        for app_id in (hr, ad):
            schedules.settle(session, app_id, "FULL", Firing("0 3 * * *"), now())
        session.flush()
        session.execute(update(schedules.Schedule).where(col(schedules.Schedule.subject) == hr).values(next_due="2020-01-01T03:00:00.000Z"))
        skipped = dump({"skipped": "no_connection", "blockedBy": None})
        session.execute(update(schedules.Schedule).where(col(schedules.Schedule.subject) == ad).values(outcome=skipped))
    row = reconcile(org)
    assert {(each.app_id, each.cause) for each in found(org, row)} == {(hr, "not_fired"), (ad, "nothing_started")}
    assert told(org, reconcile(org, ad)) == [("schedule_missed", "nothing_started", None, False)]


def test_a_schedule_that_was_not_kept_goes_back_to_who_set_it_and_one_that_started_nothing_to_the_event_that_says_why(org: World) -> None:
    hr, ad = org.app("HR", calm()), org.app("AD", calm())
    for app_id in (hr, ad):
        policies.revise(org.engine, ADMIN, now(), app_id, lambda kept: replace(kept, schedule=Schedule(full=Firing("0 3 * * *"))))
    with reading(org.engine) as session:
        due = {row.subject: datetime.fromisoformat(row.next_due or "") for row in schedules.all_of(session, None)}
    policies.revise(org.engine, ADMIN, now(), hr, lambda kept: replace(kept, confirmation=Confirmation()))
    with freeze_time(due[ad] + timedelta(minutes=1), real_asyncio=True):
        firing.fire_due(org.engine, now(), schedule.STARTERS)
        with writing(org.engine) as session:
            session.execute(
                update(schedules.Schedule).where(col(schedules.Schedule.subject) == hr).values(next_due=wire(due[hr]), outcome=None)
            )
    with freeze_time(due[ad] + timedelta(hours=1), real_asyncio=True):
        missed = {each.app_id: each for each in found(org, reconcile(org))}
    assert {app_id: each.cause for app_id, each in missed.items()} == {hr: "not_fired", ad: "nothing_started"}
    assert (event_of(org, missed[hr]), event_of(org, missed[ad])) == ("app.policy.update", "schedule.skipped")
    assert "no_connection" in missed[ad].detail
    first, *_ = [event for event in org.events(hr) if event.type == "app.policy.update"]
    assert missed[hr].event_id == first.id, "the change that set the schedule, and not a later one of something else"


def test_histories_of_who_is_gone_are_verified_as_well_and_end_with_the_word_of_it(org: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "AT_ONCE", 2)
    hr = org.app("HR", calm())
    org.send(hr, [person(f"E{number}") for number in range(5)])
    gone = {name: org.user_of(hr, name).id for name in ("E0", "E1", "E2", "E3")}
    for name in ("E0", "E1", "E2"):
        users.remove(org.engine, ADMIN, now(), gone[name])
        users.remove(org.engine, ADMIN, now(), gone[name])
    assert found(org, reconcile(org)) == []
    event = tables.HistoryEvent
    with writing(org.engine) as session:
        session.execute(delete(event).where(col(event.subject) == gone["E0"], col(event.seq) == 2))
        session.execute(delete(event).where(col(event.subject) == gone["E1"], col(event.type) == "user.delete"))
        session.execute(delete(tables.AppUser).where(col(tables.AppUser.user_id) == gone["E3"]))
        session.execute(delete(tables.User).where(col(tables.User.id) == gone["E3"]))
    broken = {each.user_id: each for each in found(org, reconcile(org))}
    assert {each.kind for each in broken.values()} == {"history_broken"}
    assert "event 2 is missing" in broken[gone["E0"]].detail
    for name in ("E1", "E3"):
        assert "ends here without a deletion" in broken[gone[name]].detail
        assert broken[gone[name]].event_id == org.events(gone[name])[-1].id
    assert broken.keys() == {gone["E0"], gone["E1"], gone["E3"]}
    assert found(org, reconcile(org, hr)) == [], "who is gone is no app's"


def test_what_was_found_is_forgotten_with_the_plans_and_the_counts_stay(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    org.act(org.user_of(hr, "E1").id, "suspend")
    row = reconcile(org)
    schedule.tick(org.engine, now() + timedelta(days=29))
    assert len(found(org, row)) == 1
    schedule.tick(org.engine, now() + timedelta(days=31))
    assert (found(org, row), load(passes.read(org.engine, row.id).counts)["status_drift"]) == ([], 1)


def test_what_an_app_could_not_be_told_is_found_with_the_event_that_caused_it(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    user, account = org.user_of(hr, "E1"), org.account(hr, "E1")
    moment = org.events(user.id)[0].at
    plain: dict[str, Any] = {"app_id": hr, "account_id": account.id, "user_id": user.id, "kind": TaskKind.UPDATE, "due": moment}
    with writing(org.engine) as session:
        session.add(outbound.OutboundTask(id="tsk1", status=TaskStatus.DEAD, attempts=10, error="500", created=moment, **plain))
        session.add(outbound.OutboundTask(id="tsk2", status=TaskStatus.PENDING, created="2020-01-01T00:00:00.000Z", **plain))
        session.add(outbound.OutboundTask(id="tsk3", status=TaskStatus.PENDING, created=wire(now()), **plain))
        session.add(outbound.OutboundTask(id="tsk4", status=TaskStatus.DONE, created=moment, **plain))
    row = reconcile(org)
    assert [(each.kind, each.cause, load(each.actual)["task"]) for each in found(org, row)] == [
        ("failed_task", "given_up", "tsk1"),
        ("failed_task", "stuck", "tsk2"),
    ]
    assert event_of(org, found(org, row)[0]) == "user.create"
    assert not any(each.repairable for each in found(org, row))
