"""Imports that come as upload sessions: what they say, what contradicts itself, and how long they stay open (decision 0029)."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from mastering import schedule
from mastering.clock import now, wire
from mastering.errors import Invalid, NotFound, WrongState
from mastering.imports import runs, sessions
from mastering.imports.sessions import Word
from mastering.imports.worker import recover
from mastering.rules.policy import Confirmation, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from tests.walks.imports_world import ADMIN, World, calm, master, person

BACK = calm(mastering=master(deactivated=True))


def kept(external_id: str, **profile: Any) -> Word:
    """The source has this account."""
    return Word(external_id, kept=True, profile=person(external_id, **profile)["profile"])


def dropped(external_id: str) -> Word:
    """The source has dropped this account."""
    return Word(external_id, kept=False, profile={})


def opened(world: World, app_id: str) -> str:
    return sessions.create(world.engine, ADMIN, now(), app_id).id


def put(world: World, app_id: str, session_id: str, *words: Word) -> None:
    sessions.load(world.engine, ADMIN, now(), app_id, session_id, words)


def told(world: World, app_id: str, *requests: list[Word]) -> tables.ImportRun:
    """A whole session, one request for each list, worked off."""
    session_id = opened(world, app_id)
    for words in requests:
        put(world, app_id, session_id, *words)
    sessions.start(world.engine, ADMIN, now(), app_id, session_id)
    world.work()
    return world.run(session_id)


def stands(world: World, app_id: str, session_id: str, *, after: timedelta = timedelta()) -> str:
    return sessions.find(world.engine, now() + after, app_id, session_id).status


def age(world: World, session_id: str, by: timedelta) -> None:
    """Let a started session have been started longer ago."""
    with writing(world.engine) as session:
        run = session.get_one(tables.ImportRun, session_id)
        run.sealed = wire(now() - by)
        session.add(run)


# -- what a session says -------------------------------------------------------------------------------------------------


def test_a_session_is_a_delta_and_says_nothing_of_whom_it_does_not_name(org: World) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E1"), kept("E2")])
    run = told(org, hr, [kept("E3")])
    assert (run.mode, run.source, run.status) == (Mode.INCREMENTAL, "IDENTITY_SOURCE", "COMPLETED")
    assert org.situations(run) == {"UNMATCHED": 1}
    assert {org.user_of(hr, who).status.value for who in ("E1", "E2", "E3")} == {"ACTIVE"}


def test_requests_of_one_session_are_one_import_and_its_lines_are_counted_through(org: World) -> None:
    hr = org.app("HR", calm())
    run = told(org, hr, [kept("E1"), kept("E2")], [kept("E3")])
    assert run.records == 3
    assert [change.line for change in org.changes(run)] == [1, 2, 3]


@pytest.mark.parametrize(("option", "status"), [("DEACTIVATE", "DEACTIVATED"), ("SUSPEND", "SUSPENDED"), ("DO_NOTHING", "ACTIVE")])
def test_a_deleted_account_leaves_as_the_apps_option_says(org: World, option: str, status: str) -> None:
    hr = org.app("HR", calm(mastering=master(WhenDeactivated(option))))
    told(org, hr, [kept("E1"), kept("E2")])
    run = told(org, hr, [dropped("E1")])
    assert org.situations(run) == {"WENT_INACTIVE": 1}
    assert (org.account(hr, "E1").account, org.account(hr, "E1").released) == ("INACTIVE", option == "DO_NOTHING")
    assert (org.user_of(hr, "E1").status, org.user_of(hr, "E2").status) == (status, "ACTIVE")


def test_a_delete_keeps_the_last_imported_profile(org: World) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E1", department="Sales")])
    told(org, hr, [dropped("E1")])
    assert org.account(hr, "E1").profile["department"] == "Sales"
    assert org.user_of(hr, "E1").profile["department"] == "Sales"


def test_an_upsert_brings_back_whom_a_delete_took_away(org: World) -> None:
    hr = org.app("HR", BACK)
    told(org, hr, [kept("E1")])
    told(org, hr, [dropped("E1")])
    run = told(org, hr, [kept("E1")])
    assert org.situations(run) == {"CAME_BACK": 1}
    assert org.user_of(hr, "E1").status == "ACTIVE"


def test_an_upsert_of_some_attributes_keeps_the_others(org: World) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E1", department="Sales")])
    told(org, hr, [Word("E1", kept=True, profile={"title": "Lead"})])
    profile = org.user_of(hr, "E1").profile
    assert (profile["department"], profile["title"]) == ("Sales", "Lead")


def test_deleting_whom_nobody_knows_does_nothing(org: World) -> None:
    hr = org.app("HR", calm())
    run = told(org, hr, [dropped("E9")])
    assert (run.status, org.situations(run), load(run.actions)) == ("COMPLETED", {"INACTIVE_UNKNOWN": 1}, {})
    with pytest.raises(KeyError):
        org.account(hr, "E9")


def test_deleting_an_account_that_waits_takes_it_out_of_the_queue(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    told(org, hr, [kept("E1")])
    assert set(org.queue(hr)) == {"E1"}
    assert org.situations(told(org, hr, [dropped("E1")])) == {"WITHDRAWN": 1}
    assert org.queue(hr) == {}


def test_many_deletes_are_held_by_the_safeguard_like_any_leavers(world: World) -> None:
    hr = world.app("HR")
    told(world, hr, [kept(f"E{n}") for n in range(10)])
    held = told(world, hr, [dropped(f"E{n}") for n in range(3)])
    assert (held.status, stands(world, hr, held.id)) == ("HELD", "TRIGGERED")
    assert load(held.safeguard or "")["app"] == {"unassigned": 3, "assigned": 10, "percent": 30.0, "limit": 20}
    assert world.user_of(hr, "E0").status == "ACTIVE"
    world.approve(held)
    assert (world.run(held.id).status, stands(world, hr, held.id)) == ("COMPLETED", "COMPLETED")
    assert world.user_of(hr, "E0").status == "DEACTIVATED"


# -- one account, told of twice ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_account_both_kept_and_dropped_is_invalid_in_whatever_order_it_came(org: World, order: tuple[int, ...]) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E1"), kept("E2")])
    pieces = [[kept("E1", department="Sales")], [dropped("E1")], [kept("E3")]]
    run = told(org, hr, *(pieces[at] for at in order))
    assert org.situations(run) == {"INVALID": 2, "UNMATCHED": 1}
    assert {change.reason for change in org.changes(run) if change.external_id == "E1"} == {"duplicate_external_id"}
    assert (org.account(hr, "E1").account, org.user_of(hr, "E1").status) == ("ACTIVE", "ACTIVE")


def test_an_account_upserted_twice_with_other_content_is_invalid(org: World) -> None:
    hr = org.app("HR", calm())
    run = told(org, hr, [kept("E1", department="Sales"), kept("E1", department="Staff")])
    assert org.situations(run) == {"INVALID": 2}


def test_the_same_words_said_twice_are_said_once(org: World) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E2")])
    run = told(org, hr, [kept("E1"), dropped("E2")], [dropped("E2"), kept("E1")])
    assert org.situations(run) == {"UNMATCHED": 1, "WENT_INACTIVE": 1}
    assert org.user_of(hr, "E2").status == "DEACTIVATED"


@pytest.mark.parametrize("key", [None, "", True, 1.5, "x" * 513])
def test_an_account_without_a_usable_external_id_is_a_row_that_says_so_and_stops_nobody_else(org: World, key: object) -> None:
    hr = org.app("HR", calm())
    run = told(org, hr, [Word(key, kept=True, profile={}), kept("E1")])
    assert org.situations(run) == {"INVALID": 1, "UNMATCHED": 1}
    assert [(change.line, change.reason) for change in org.changes(run) if change.situation == "INVALID"] == [(1, "no_external_id")]


# -- the life of a session -----------------------------------------------------------------------------------------------


def test_a_session_goes_from_created_to_completed(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    assert stands(org, hr, session_id) == "CREATED"
    put(org, hr, session_id, kept("E1"))
    assert stands(org, hr, session_id) == "IN_PROGRESS"
    assert sessions.start(org.engine, ADMIN, now(), hr, session_id).status == "TRIGGERED"
    org.work()
    assert stands(org, hr, session_id) == "COMPLETED"
    assert org.kinds(hr) == ["import.start", "import.loaded", "import.sealed", "import.planned", "import.completed"]


def test_a_session_into_which_nothing_was_loaded_cannot_be_started(org: World) -> None:
    hr = org.app("HR")
    session_id = opened(org, hr)
    with pytest.raises(WrongState, match=f"Session={session_id} should be in IN_PROGRESS status in order to be processed"):
        sessions.start(org.engine, ADMIN, now(), hr, session_id)
    assert stands(org, hr, session_id) == "CREATED"


def test_a_closed_session_is_forgotten_but_for_its_history(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    put(org, hr, session_id, kept("E1"))
    sessions.close(org.engine, ADMIN, now(), hr, session_id)
    assert stands(org, hr, session_id) == "CLOSED"
    with reading(org.engine) as session:
        assert session.get(tables.RunChunk, (session_id, 0)) is None
    assert org.kinds(hr)[-1] == "import.cancelled"
    assert not org.worker.turn()


def test_an_admin_may_cancel_an_open_session_as_a_run(org: World) -> None:
    hr = org.app("HR")
    session_id = opened(org, hr)
    runs.cancel(org.engine, ADMIN, now(), session_id)
    assert stands(org, hr, session_id) == "CLOSED"


def test_an_upload_under_way_that_is_no_session_cannot_be_cancelled(org: World) -> None:
    run_id = org.begin(org.app("HR"))
    with pytest.raises(WrongState):
        runs.cancel(org.engine, ADMIN, now(), run_id)


@pytest.mark.parametrize("end", ["started", "closed"])
def test_a_session_that_is_not_open_takes_nothing_is_not_started_and_not_closed(org: World, end: str) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    put(org, hr, session_id, kept("E1"))
    (sessions.start if end == "started" else sessions.close)(org.engine, ADMIN, now(), hr, session_id)
    status = "TRIGGERED" if end == "started" else "CLOSED"
    said = f"is {status}; only a session that is CREATED or IN_PROGRESS"
    with pytest.raises(WrongState, match=said):
        put(org, hr, session_id, kept("E2"))
    with pytest.raises(WrongState, match=said):
        sessions.start(org.engine, ADMIN, now(), hr, session_id)
    with pytest.raises(WrongState, match=said):
        sessions.close(org.engine, ADMIN, now(), hr, session_id)


def test_a_session_is_its_own_apps_alone_and_another_run_is_none(org: World) -> None:
    hr, ad = org.app("HR", calm()), org.app("AD", calm())
    session_id, run_id = opened(org, hr), org.begin(hr)
    for app_id, key in ((ad, session_id), (hr, run_id), (hr, "imp0nobody")):
        with pytest.raises(NotFound):
            sessions.find(org.engine, now(), app_id, key)
    with pytest.raises(NotFound):
        sessions.active(org.engine, now(), "0oa0nobody")


@pytest.mark.parametrize("act", ["create", "load", "start"])
def test_an_inactive_app_takes_no_session(org: World, act: str) -> None:
    hr = org.app("HR", calm())
    session_id = "" if act == "create" else opened(org, hr)
    if act == "start":
        put(org, hr, session_id, kept("E1"))
    with writing(org.engine) as session:
        session.get_one(tables.App, hr).status = tables.AppStatus.INACTIVE
    with pytest.raises(Invalid) as refused:
        {"create": lambda: opened(org, hr), "load": lambda: put(org, hr, session_id, kept("E1"))}.get(
            act, lambda: sessions.start(org.engine, ADMIN, now(), hr, session_id)
        )()
    assert refused.value.causes == ("app: HR is inactive; activate it before importing",)


# -- the published limits ------------------------------------------------------------------------------------------------


def test_a_session_takes_fifty_requests_and_the_next_one_leaves_it_as_it_was(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    for n in range(50):
        put(org, hr, session_id, kept(f"E{n}"))
    with pytest.raises(Invalid) as refused:
        put(org, hr, session_id, kept("E50"))
    assert refused.value.causes[0].startswith("session: 50 requests have loaded data already")
    sessions.start(org.engine, ADMIN, now(), hr, session_id)
    org.work()
    assert org.run(session_id).records == 50


def test_a_source_has_one_open_session_and_others_have_their_own(org: World) -> None:
    hr, ad = org.app("HR"), org.app("AD")
    session_id = opened(org, hr)
    with pytest.raises(Invalid) as refused:
        opened(org, hr)
    assert refused.value.causes == (f"identitySourceId: the session {session_id} is open already; load into it, start it or delete it",)
    assert opened(org, ad)
    sessions.close(org.engine, ADMIN, now(), hr, session_id)
    assert opened(org, hr)


def test_the_next_session_waits_five_minutes_while_the_last_one_is_at_work(org: World) -> None:
    hr = org.app("HR", calm())
    first = opened(org, hr)
    put(org, hr, first, kept("E1"))
    sessions.start(org.engine, ADMIN, now(), hr, first)
    with pytest.raises(Invalid, match="refused") as refused:
        opened(org, hr)
    assert f"the session {first} was just started; wait for its end, or until 2" in refused.value.causes[0]
    age(org, first, timedelta(minutes=5))
    second = opened(org, hr)
    assert [(each.id, each.status.value) for each in sessions.active(org.engine, now(), hr)] == [(first, "TRIGGERED"), (second, "CREATED")]


def test_the_next_session_waits_for_nothing_once_the_last_one_is_done(org: World) -> None:
    hr = org.app("HR", calm())
    told(org, hr, [kept("E1")])
    assert stands(org, hr, opened(org, hr)) == "CREATED"


def test_sessions_that_were_started_are_worked_off_in_that_order(org: World) -> None:
    hr = org.app("HR", calm())
    first = opened(org, hr)
    put(org, hr, first, kept("E1", department="Sales"))
    sessions.start(org.engine, ADMIN, now(), hr, first)
    age(org, first, timedelta(minutes=6))
    second = opened(org, hr)
    put(org, hr, second, kept("E1", department="Staff"))
    sessions.start(org.engine, ADMIN, now(), hr, second)
    org.work()
    assert (org.run(first).arrival, org.run(second).arrival) == (1, 2)
    assert org.user_of(hr, "E1").profile["department"] == "Staff"


# -- time, and restarts --------------------------------------------------------------------------------------------------


def test_a_session_expires_when_nothing_was_loaded_for_a_day(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    put(org, hr, session_id, kept("E1"))
    schedule.tick(org.engine, now() + timedelta(hours=23, minutes=59))
    assert stands(org, hr, session_id) == "IN_PROGRESS"
    schedule.tick(org.engine, now() + timedelta(hours=24))
    assert stands(org, hr, session_id) == "EXPIRED"
    run = org.run(session_id)
    assert (run.status, run.error) == ("FAILED", "The session expired: nothing was loaded for 24 hours; nothing was changed")
    assert sessions.active(org.engine, now(), hr) == []
    assert org.kinds(hr)[-1] == "import.failed"


def test_each_load_gives_a_session_another_day(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    later = now() + timedelta(hours=20)
    sessions.load(org.engine, ADMIN, later, hr, session_id, [kept("E1")])
    schedule.tick(org.engine, now() + timedelta(hours=30))
    assert stands(org, hr, session_id, after=timedelta(hours=30)) == "IN_PROGRESS"


def test_an_overdue_session_is_over_before_anybody_has_ticked(org: World) -> None:
    hr = org.app("HR", calm())
    session_id, tomorrow = opened(org, hr), now() + timedelta(hours=24)
    assert stands(org, hr, session_id, after=timedelta(hours=24)) == "EXPIRED"
    assert sessions.active(org.engine, tomorrow, hr) == []
    with pytest.raises(WrongState, match="is EXPIRED"):
        sessions.load(org.engine, ADMIN, tomorrow, hr, session_id, [kept("E1")])
    next_one = sessions.create(org.engine, ADMIN, tomorrow, hr)
    assert (next_one.status, org.run(session_id).status) == ("CREATED", "FAILED")


def test_a_started_session_does_not_expire(org: World) -> None:
    hr = org.app("HR", calm())
    session_id = opened(org, hr)
    put(org, hr, session_id, kept("E1"))
    sessions.start(org.engine, ADMIN, now(), hr, session_id)
    schedule.tick(org.engine, now() + timedelta(days=3))
    org.work()
    assert stands(org, hr, session_id) == "COMPLETED"


def test_an_open_session_outlives_the_process_while_an_upload_that_broke_off_does_not(org: World) -> None:
    hr = org.app("HR", calm())
    session_id, upload = opened(org, hr), org.begin(hr)
    put(org, hr, session_id, kept("E1"))
    assert recover(org.engine) == 1
    assert (org.run(upload).status, stands(org, hr, session_id)) == ("FAILED", "IN_PROGRESS")
    put(org, hr, session_id, kept("E2"))
    sessions.start(org.engine, ADMIN, now(), hr, session_id)
    org.work()
    assert org.situations(org.run(session_id)) == {"UNMATCHED": 2}


def test_an_open_session_is_in_nobodys_way(org: World) -> None:
    hr = org.app("HR", calm())
    opened(org, hr)
    assert org.send(hr, [person("E1")]).status == "COMPLETED"


def test_a_newer_snapshot_supersedes_a_held_session(world: World) -> None:
    hr = world.app("HR")
    everybody = [person(f"E{n}") for n in range(10)]
    world.send(hr, everybody)
    held = told(world, hr, [dropped(f"E{n}") for n in range(5)])
    world.send(hr, everybody)
    assert (world.run(held.id).status, stands(world, hr, held.id)) == ("SUPERSEDED", "CLOSED")
