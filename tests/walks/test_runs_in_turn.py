"""Sealed or nothing; one run of an app at a time, in order of arrival (SPEC §§5.1, 5.7, 5 last paragraphs)."""

from typing import Any

import pytest

from mastering.clock import now
from mastering.connectors.lines import Line
from mastering.errors import PlanChanged, WrongState
from mastering.imports import runs
from mastering.imports.spool import Spool
from mastering.imports.worker import recover
from mastering.rules.policy import Confirmation
from mastering.rules.record import Mode
from mastering.store import runs as run_store
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, World, calm, person, policy


def staff(count: int, **more: Any) -> list[dict[str, Any]]:
    return [person(f"E{number}", **more) for number in range(count)]


def held(org: World, label: str = "HR") -> tuple[str, str]:
    """An app of four with a FULL run that is held, as three of them are gone from it; the app and the run."""
    app_id = org.app(label, policy())
    org.send(app_id, staff(4))
    run = org.send(app_id, staff(1))
    assert run.status == "HELD"
    return app_id, run.id


def blocker(org: World, run_id: str) -> str | None:
    with reading(org.engine) as session:
        return run_store.blocker(session, runs.get(session, run_id))


def state(org: World, app_id: str) -> list[tuple[str, str]]:
    """What a run could have changed: each account's state and its user's status."""
    return [(org.account(app_id, f"E{number}").account, org.user_of(app_id, f"E{number}").status) for number in range(4)]


# -- sealed -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expected", "status"), [(2, "COMPLETED"), (1, "FAILED"), (3, "FAILED"), (0, "FAILED"), (None, "COMPLETED")])
def test_the_count_a_client_announced_must_be_the_count_that_came(org: World, expected: int | None, status: str) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, staff(2), expected_count=expected)
    assert (run.status, org.by_login("e0@example.com") is not None) == (status, status == "COMPLETED")
    assert (run.error is None) == (status == "COMPLETED")


def test_the_count_is_of_all_that_came_whether_or_not_it_can_be_used(org: World) -> None:
    hr = org.app("HR", calm())
    assert org.send(hr, [person("E1"), person("E1"), b"nonsense"], expected_count=3).status == "COMPLETED"


def test_an_upload_that_broke_off_fails_and_changes_nothing(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, staff(4))
    run_id = org.begin(hr)
    Spool(org.engine, run_id).add([Line(1, b'{"externalId":"E0","active":false}')])
    assert recover(org.engine) == 1
    org.work()
    assert (org.run(run_id).status, state(org, hr)) == ("FAILED", [("ACTIVE", "ACTIVE")] * 4)
    with pytest.raises(WrongState):
        org.seal(run_id, [])


def test_a_full_run_that_failed_supersedes_nothing(org: World) -> None:
    hr, waiting = held(org)
    assert org.send(hr, staff(4), expected_count=9).status == "FAILED"
    assert org.run(waiting).status == "HELD"


# -- in turn ----------------------------------------------------------------------------------------------------------------


def test_a_held_run_blocks_its_own_deltas_which_say_what_they_wait_for_and_no_other_app(org: World) -> None:
    hr, waiting = held(org)
    ad = org.app("AD", calm())
    first, second = (org.receive(hr, [person("E0", title=title)], Mode.INCREMENTAL) for title in ("First", "Second"))
    org.work()
    assert [org.run(run_id).status for run_id in (first, second)] == ["QUEUED", "QUEUED"]
    assert (blocker(org, first), blocker(org, waiting)) == (waiting, None)
    assert blocker(org, second) in {waiting, first}
    assert org.send(ad, [person("a1")]).status == "COMPLETED"
    org.cancel(waiting)
    assert [org.run(run_id).status for run_id in (first, second)] == ["COMPLETED", "COMPLETED"]
    assert org.user_of(hr, "E0").profile["title"] == "Second"


def test_a_newer_full_run_supersedes_the_held_one_the_moment_it_is_sealed(org: World) -> None:
    hr, waiting = held(org)
    newer = org.begin(hr)
    assert org.run(waiting).status == "HELD"
    org.seal(newer, staff(4))
    assert (org.run(waiting).status, org.run(waiting).superseded_by) == ("SUPERSEDED", newer)
    org.work()
    assert (org.run(newer).status, state(org, hr)) == ("COMPLETED", [("ACTIVE", "ACTIVE")] * 4)
    with pytest.raises(WrongState):
        org.approve(org.run(waiting))


def test_a_run_that_would_be_held_when_a_newer_full_one_is_there_already_gives_way(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, staff(4))
    older, newer = org.receive(hr, staff(1)), org.receive(hr, staff(4))
    org.work()
    assert (org.run(older).status, org.run(older).superseded_by, org.run(newer).status) == ("SUPERSEDED", newer, "COMPLETED")


def test_a_delta_supersedes_nothing(org: World) -> None:
    hr, waiting = held(org)
    org.receive(hr, staff(4), Mode.INCREMENTAL)
    org.work()
    assert org.run(waiting).status == "HELD"


def test_runs_are_planned_in_the_order_in_which_they_were_sealed(org: World) -> None:
    hr = org.app("HR", calm())
    early, late = org.begin(hr), org.begin(hr)
    org.seal(late, [person("E1", title="sealed first")])
    org.seal(early, [person("E1", title="sealed last")])
    org.work()
    assert org.user_of(hr, "E1").profile["title"] == "sealed last"


# -- approve and cancel -------------------------------------------------------------------------------------------------------


def test_a_held_plan_is_applied_by_who_quotes_its_hash_and_by_nobody_else(org: World) -> None:
    hr, waiting = held(org)
    with pytest.raises(PlanChanged):
        runs.approve(org.engine, ADMIN, now(), waiting, "sha256:0")
    assert state(org, hr) == [("ACTIVE", "ACTIVE")] * 4
    org.approve(org.run(waiting))
    assert state(org, hr) == [("ACTIVE", "ACTIVE")] + [("MISSING", "DEACTIVATED")] * 3


def test_a_cancelled_run_changes_nothing_and_remembers_nothing(org: World) -> None:
    hr, waiting = held(org)
    org.cancel(waiting)
    assert (org.run(waiting).status, state(org, hr)) == ("CANCELLED", [("ACTIVE", "ACTIVE")] * 4)
    with pytest.raises(WrongState):
        org.cancel(waiting)
    with pytest.raises(WrongState):
        org.approve(org.run(waiting))


# -- a dry run ----------------------------------------------------------------------------------------------------------------


def test_a_dry_run_waits_for_nothing_supersedes_nothing_and_remembers_nothing(org: World) -> None:
    hr, waiting = held(org)
    before = [org.account(hr, f"E{number}") for number in range(4)]
    dry = org.send(hr, [person("E0", title="Lead"), person("E9")], dry_run=True)
    assert (dry.status, org.run(waiting).status) == ("PLANNED", "HELD")
    assert org.situations(dry) == {"CHANGED": 1, "UNMATCHED": 1, "WENT_MISSING": 3}
    assert {row.external_id: row.action for row in org.changes(dry)}["E9"] == "create"
    assert [org.account(hr, f"E{number}") for number in range(4)] == before
    assert org.by_login("e9@example.com") is None
    with pytest.raises(WrongState):
        org.approve(dry)
    org.cancel(waiting)
    assert org.situations(org.delta(hr, [person("E0", title="Lead")])) == {"CHANGED": 1}


def test_a_dry_run_leaves_the_queue_as_it_is(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.send(hr, [person("E1")])
    org.set_policy(hr, calm())
    dry = org.send(hr, [person("E2")], dry_run=True)
    assert org.situations(dry) == {"UNMATCHED": 1, "WITHDRAWN": 1}
    assert set(org.queue(hr)) == {"E1"}


def test_a_dry_run_says_what_the_safeguard_would_say(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, staff(4))
    dry = org.send(hr, staff(1), dry_run=True)
    assert (dry.status, '"app_limit"' in (dry.safeguard or "")) == ("PLANNED", True)
    assert org.send(hr, staff(4)).status == "COMPLETED"
